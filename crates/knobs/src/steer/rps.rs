use lowlat_settings::net_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// CPUs that packets of a receive queue are handed to in software, by a hash of the flow. `off`, the default,
    /// handles them where the interrupt came.
    /// ## Why it matters
    /// A hand-over costs an inter-processor interrupt and a cold cache; useful only where one core cannot keep up.
    /// ## Cost
    /// `off` leaves all of the stack on the interrupt's core.
    /// ## Example
    /// `1 -> off` writes `/sys/class/net/IF/queues/rx-N/rps_cpus = 0`
    "steer.rps";
    kernels "2.6.35.."; phase 2; risk Low; resets_link false; standing Acts;
    place net_file::RxFile("rps_cpus");
    value Value::Mask;
    also ["RPS"];
    sources [
        "Documentation/networking/scaling.rst in linux 6.12: RPS: Receive Packet Steering",
        "Documentation/ABI/testing/sysfs-class-net-queues in linux 6.12: rps_cpus (2.6.35)",
        "Documentation/networking/scaling.rst in linux 6.12: RSS IRQ Configuration",
    ];
    needs ["irq.affinity"];
}

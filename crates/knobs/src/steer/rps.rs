use lowlat_settings::net_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// CPUs to which the kernel hands the packets of a receive queue in software, by a hash of the flow. With `off`,
    /// the default, the CPU that took the interrupt handles them.
    /// ## Why it matters
    /// A hand-over costs an inter-processor interrupt and a cold cache; it helps only where one core cannot keep up.
    /// ## Cost
    /// `off` keeps the whole stack on the interrupt's core.
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

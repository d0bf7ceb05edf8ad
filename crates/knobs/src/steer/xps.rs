use lowlat_settings::net_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// CPUs that send through a transmit queue.
    /// ## Why it matters
    /// A core with its own queue shares no lock, and completions come back to it.
    /// ## Cost
    /// Uneven use of queues.
    /// ## Example
    /// `0 -> 1` writes `/sys/class/net/IF/queues/tx-N/xps_cpus = 2`
    "steer.xps";
    kernels "2.6.38.."; phase 2; risk Low; resets_link false; standing Acts;
    place net_file::TxFile("xps_cpus");
    value Value::Mask;
    also ["XPS"];
    sources [
        "Documentation/networking/scaling.rst in linux 6.12: XPS: Transmit Packet Steering",
        "Documentation/ABI/testing/sysfs-class-net-queues in linux 6.12: xps_cpus (2.6.38)",
    ];
}

use lowlat_settings::net_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Number of flows of one receive queue that the kernel directs to the core that reads them. It needs the table of
    /// sysctl.net.core.rps_sock_flow_entries; the kernel rounds up to a power of two. With `nic.feature.ntuple on`,
    /// CONFIG_RFS_ACCEL and a driver that supports it, the device steers on its own.
    /// ## Why it matters
    /// The network stack runs where the reader is.
    /// ## Cost
    /// Memory for a table, and reordering when a reader moves.
    /// ## Example
    /// `0 -> 4096` writes `/sys/class/net/IF/queues/rx-N/rps_flow_cnt = 4096`
    "steer.rfs";
    kernels "2.6.35.."; phase 2; risk Low; resets_link false; standing Acts;
    place net_file::RxFile("rps_flow_cnt");
    value Value::Number(0, 1_048_576);
    also [];
    sources [
        "Documentation/networking/scaling.rst in linux 6.12: RFS: Receive Flow Steering, Accelerated RFS",
        "Documentation/ABI/testing/sysfs-class-net-queues in linux 6.12: rps_flow_cnt (2.6.35)",
    ];
    needs ["sysctl.net.core.rps_sock_flow_entries"];
}

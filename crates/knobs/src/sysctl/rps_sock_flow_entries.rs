use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Size of the table that records on which CPU each flow is read; 0, the default, means no table. RFS needs both
    /// this table and steer.rfs for each queue; the kernel rounds up to a power of two.
    /// ## Why it matters
    /// The network stack then runs where the reader is. With `nic.feature.ntuple on` and a driver that supports it, the
    /// device steers on its own (accelerated RFS).
    /// ## Cost
    /// 4 bytes for each entry, and reordering when a reader moves. The kernel's documentation found 32768 right for a
    /// moderately loaded server.
    /// ## Example
    /// `0 -> 32768` writes `/proc/sys/net/core/rps_sock_flow_entries = 32768`
    "sysctl.net.core.rps_sock_flow_entries";
    kernels "2.6.35.."; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.core.rps_sock_flow_entries");
    value Value::Number(0, 536_870_912);
    also ["RFS", "aRFS"];
    sources [
        "Documentation/networking/scaling.rst in linux 6.12: RFS: Receive Flow Steering, Accelerated RFS",
        "net/core/sysctl_net_core.c in linux 6.12: rps_sock_flow_sysctl (at most 1 << 29)",
    ];
    needs ["steer.rfs"];
}

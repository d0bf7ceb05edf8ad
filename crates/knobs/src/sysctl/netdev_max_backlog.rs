use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Packets that each CPU queues for RPS and for devices without NAPI (veth, loopback, tunnels); 1000 by default.
    /// Packets of a device with NAPI and without RPS never see this queue.
    /// ## Why it matters
    /// Drops in column 2 of softnet_stat mean that the queue overflows. It is a depth, not a speed: 300000 hides
    /// overload as latency.
    /// ## Cost
    /// A longer queue.
    /// ## Example
    /// `1000 -> 4000` writes `/proc/sys/net/core/netdev_max_backlog = 4000`
    "sysctl.net.core.netdev_max_backlog";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.core.netdev_max_backlog");
    value Value::Number(1, 2_147_483_647);
    also [];
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: netdev_max_backlog",
        "net/core/dev.c in linux 6.1: enqueue_to_backlog; netdev_max_backlog = 1000",
    ];
}

use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Packets that one receive softirq may take from all polled devices before it yields; 300 by default. It ends
    /// earlier when the time of netdev_budget_usecs is used up.
    /// ## Why it matters
    /// Column 3 of softnet_stat (time squeezes) grows when the softirq ends too soon.
    /// ## Cost
    /// Other softirqs and programs on that CPU wait longer.
    /// ## Example
    /// `300 -> 600` writes `/proc/sys/net/core/netdev_budget = 600`
    "sysctl.net.core.netdev_budget";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.core.netdev_budget");
    value Value::Number(1, 2_147_483_647);
    also [];
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: netdev_budget",
        "net/core/dev.c in linux 6.12: net_rx_action",
    ];
}

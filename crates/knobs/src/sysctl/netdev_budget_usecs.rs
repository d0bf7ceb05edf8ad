use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Microseconds that one receive softirq may take. The default is two clock ticks: 2000 at HZ=1000, 8000 at HZ=250,
    /// 20000 at HZ=100. Linux 6.14, and stable kernels with the same change, refuse less than that; older kernels
    /// accept it. The kernel rounds the time to clock ticks.
    /// ## Why it matters
    /// Column 3 of softnet_stat (time squeezes) grows when a softirq ends with work left. The folklore value of 8000 is
    /// the default at HZ=250, is refused at HZ=100, and is four times the default at HZ=1000.
    /// ## Cost
    /// Other softirqs and programs on that CPU wait longer.
    /// ## Example
    /// `2000 -> 8000` writes `/proc/sys/net/core/netdev_budget_usecs = 8000`
    "sysctl.net.core.netdev_budget_usecs";
    kernels "4.12.."; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.core.netdev_budget_usecs");
    value Value::Number(2000, 2_147_483_647);
    also [];
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: netdev_budget_usecs",
        "net/core/hotdata.c in linux 6.12: netdev_budget_usecs",
        "net/core/sysctl_net_core.c in linux 6.1, 6.12: netdev_budget_usecs_min (both are stable kernels with the change)",
        "linux commit c180188ec02281126045414e90d08422a80f75b4: net: set the minimum for net_hotdata.netdev_budget_usecs",
    ];
}

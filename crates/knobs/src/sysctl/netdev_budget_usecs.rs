use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Microseconds one softirq may take. The kernel refuses less than two clock ticks: 8000 at HZ=250, 20000 at
    /// HZ=100.
    /// ## Why it matters
    /// 8000 is already the default at HZ=250.
    /// ## Cost
    /// Other softirqs and programs on that CPU wait longer.
    /// ## Example
    /// `2000 -> 8000` writes `/proc/sys/net/core/netdev_budget_usecs = 8000`
    "sysctl.net.core.netdev_budget_usecs";
    kernels "4.12.."; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Sysctl("net.core.netdev_budget_usecs");
    value Value::Number(2000, 2147483647);
    words "microseconds per softirq: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/sysctl/net.html", "net/core/sysctl_net_core.c (v6.12): netdev_budget_usecs_min"];
}

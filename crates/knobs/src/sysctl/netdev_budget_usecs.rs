use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Microseconds one softirq may take. The default is two clock ticks: 2000 at HZ=1000, 8000 at HZ=250, 20000 at
    /// HZ=100. Since 6.14, and in the stable kernels of March 2025, less than that is refused.
    /// ## Why it matters
    /// Column 3 of softnet_stat (time squeezes) grows when a softirq ends with work left.
    /// ## Cost
    /// Other softirqs and programs on that CPU wait longer.
    /// ## Example
    /// `2000 -> 8000` writes `/proc/sys/net/core/netdev_budget_usecs = 8000`
    "sysctl.net.core.netdev_budget_usecs";
    kernels "4.12.."; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Sysctl("net.core.netdev_budget_usecs");
    value Value::Number(2000, 2_147_483_647);
    words "microseconds per softirq: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/sysctl/net.html", "net/core/hotdata.c (v6.9): netdev_budget_usecs", "Linux commit c180188ec022: the lower bound"];
}

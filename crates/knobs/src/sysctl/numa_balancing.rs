use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Unmaps pages from time to time to see which node uses them, and moves them.
    /// ## Why it matters
    /// The page faults interrupt the program that is pinned anyway.
    /// ## Cost
    /// Programs that are not pinned lose automatic placement.
    /// ## Example
    /// `1 -> 0` writes `/proc/sys/kernel/numa_balancing = 0`
    "sysctl.kernel.numa_balancing";
    kernels "3.13.."; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Sysctl("kernel.numa_balancing");
    value Value::Number(0, 2);
    words "automatic NUMA balancing: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/sysctl/kernel.html"];
}

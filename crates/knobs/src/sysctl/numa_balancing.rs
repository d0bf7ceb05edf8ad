use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Unmaps pages from time to time to see which node touches them, and moves them there. 1 is on, 2 balances memory
    /// tiers; kernels differ in their default.
    /// ## Why it matters
    /// Each such page fault interrupts the program (`numa_hint_faults` counts them), although a pinned program and its
    /// memory stay on their node in any case.
    /// ## Cost
    /// Programs that are not pinned lose automatic placement.
    /// ## Example
    /// `1 -> 0` writes `/proc/sys/kernel/numa_balancing = 0`
    "sysctl.kernel.numa_balancing";
    kernels "3.13.."; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("kernel.numa_balancing");
    value Value::Number(0, 2);
    also [];
    sources [
        "Documentation/admin-guide/sysctl/kernel.rst in linux 6.12: numa_balancing",
    ];
}

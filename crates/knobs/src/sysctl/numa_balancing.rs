use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Takes mappings away from time to time to see which node touches the page, and moves it there. 1 is on, 2 orders
    /// memory tiers; kernels differ in their default.
    /// ## Why it matters
    /// Each such fault interrupts the program, which is pinned, and its memory with it, in any case (`numa_hint_faults`
    /// counts them).
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

use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Whether compaction may move locked pages (`mlock`) too: 1 by default, 0 with PREEMPT_RT.
    /// ## Why it matters
    /// A program that locked its memory against page faults still takes one when compaction moves one of its pages.
    /// ## Cost
    /// Less memory can be compacted into huge pages.
    /// ## Example
    /// `1 -> 0` writes `/proc/sys/vm/compact_unevictable_allowed = 0`
    "sysctl.vm.compact_unevictable_allowed";
    kernels "4.1.."; phase 2; risk Low; resets_link false; standing Acts;
    place sysctl::SysctlKey("vm.compact_unevictable_allowed");
    value Value::Number(0, 1);
    also [];
    sources [
        "Documentation/admin-guide/sysctl/vm.rst in linux 6.12: compact_unevictable_allowed",
        "mm/compaction.c in linux 6.12: sysctl_compact_unevictable_allowed",
        "not confirmed: 4.1 as its first release",
    ];
}

use lowlat_settings::host_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Transparent huge pages: `always` makes large pages wherever it can, `madvise` where a program asks, `never`
    /// nowhere.
    /// ## Why it matters
    /// With `always` a page fault may stop to compact memory, and khugepaged copies pages and takes mappings away
    /// behind the program's back (`compact_stall`, `thp_collapse_alloc` in `/proc/vmstat`). Programs with much memory
    /// gain from large pages anyway: fewer TLB misses.
    /// ## Cost
    /// With `madvise` programs that do not ask lose large pages.
    /// ## Example
    /// `always -> madvise` writes `/sys/kernel/mm/transparent_hugepage/enabled = madvise`
    "memory.thp";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place host_file::HostFile("/sys/kernel/mm/transparent_hugepage/enabled");
    value Value::Word(&["always", "madvise", "never"]);
    also ["THP", "transparent_hugepage"];
    sources [
        "Documentation/admin-guide/mm/transhuge.rst in linux 6.12: Global THP controls",
    ];
}

use lowlat_settings::host_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Transparent huge pages: `always` uses large pages wherever it can, `madvise` only where a program asks, `never`
    /// nowhere.
    /// ## Why it matters
    /// The file `defrag`, next to `enabled`, decides whether a page fault stops to compact memory; with its default,
    /// `madvise`, it does so only in regions for which a program asked. With `always` in `enabled`, khugepaged copies
    /// pages and unmaps them behind the program's back (`compact_stall`, `thp_collapse_alloc` in `/proc/vmstat`).
    /// Programs with much memory still gain from large pages: fewer TLB misses.
    /// ## Cost
    /// With `madvise`, programs that do not ask lose large pages.
    /// ## Example
    /// `always -> madvise` writes `/sys/kernel/mm/transparent_hugepage/enabled = madvise`
    "memory.thp";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place host_file::HostFile("/sys/kernel/mm/transparent_hugepage/enabled");
    value Value::Word(&["always", "madvise", "never"]);
    also ["THP", "transparent_hugepage"];
    sources [
        "Documentation/admin-guide/mm/transhuge.rst in linux 6.12: Global THP controls",
        "mm/huge_memory.c in linux 6.12: vma_thp_gfp_mask (defrag)",
    ];
}

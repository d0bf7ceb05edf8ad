use lowlat_settings::host_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// What a page fault does when no huge page is free. `always` frees and compacts memory before it continues, and
    /// `defer` wakes the background threads. `defer+madvise` acts as `always` where a program asked (madvise) and as
    /// `defer` elsewhere. `madvise`, the default, acts as `always` where a program asked and does nothing elsewhere.
    /// `never` does nothing.
    /// ## Why it matters
    /// With `always`, the first touch of any region may stop for compaction, in every program.
    /// ## Cost
    /// Fewer huge pages for programs that do not ask.
    /// ## Example
    /// `always -> madvise` writes `/sys/kernel/mm/transparent_hugepage/defrag = madvise`
    "memory.thp-defrag";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place host_file::HostFile("/sys/kernel/mm/transparent_hugepage/defrag");
    value Value::Word(&["always", "defer", "defer+madvise", "madvise", "never"]);
    also ["transparent_hugepage/defrag"];
    sources [
        "Documentation/admin-guide/mm/transhuge.rst in linux 6.12: Global THP controls",
        "mm/huge_memory.c in linux 6.12: vma_thp_gfp_mask",
    ];
}

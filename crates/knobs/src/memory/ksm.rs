use lowlat_settings::host_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Kernel same-page merging: 1 compares pages of programs that asked for it (virtual machines) and shares equal
    /// ones, 0 stops and keeps the shared pages, 2 stops and separates them. 0 by default.
    /// ## Why it matters
    /// ksmd takes CPU time and write-protects pages; a write to a merged page causes a page fault and a copy.
    /// ## Cost
    /// With 2, the memory that was saved is needed again.
    /// ## Example
    /// `1 -> 0` writes `/sys/kernel/mm/ksm/run = 0`
    "memory.ksm";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place host_file::HostFile("/sys/kernel/mm/ksm/run");
    value Value::Number(0, 2);
    also ["KSM"];
    sources [
        "Documentation/admin-guide/mm/ksm.rst in linux 6.12: KSM daemon sysfs interface",
    ];
}

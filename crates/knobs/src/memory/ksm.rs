use lowlat_settings::host_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Kernel same-page merging: 1 compares pages of programs that asked for it (virtual machines) and shares equal
    /// ones, 0 stops and keeps what is shared, 2 stops and takes it apart. 0 by default.
    /// ## Why it matters
    /// ksmd takes processor time and write-protects pages; writing to one that was merged is a fault and a copy.
    /// ## Cost
    /// Memory that was shared is needed again.
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

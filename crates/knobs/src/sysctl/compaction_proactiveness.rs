use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// How hard the kernel compacts memory in the background before anybody asks, 0 to 100; 20 by default, 0 means
    /// never. Writing a value other than 0 starts a compaction at once.
    /// ## Why it matters
    /// Compaction moves pages of running programs, and a program that touches such a page meanwhile waits: the kernel's
    /// documentation warns of latency spikes in unsuspecting applications.
    /// ## Cost
    /// Huge pages are harder to get later.
    /// ## Example
    /// `20 -> 0` writes `/proc/sys/vm/compaction_proactiveness = 0`
    "sysctl.vm.compaction_proactiveness";
    kernels "5.9.."; phase 2; risk Low; resets_link false; standing Acts;
    place sysctl::SysctlKey("vm.compaction_proactiveness");
    value Value::Number(0, 100);
    also [];
    sources [
        "Documentation/admin-guide/sysctl/vm.rst in linux 6.12: compaction_proactiveness",
        "not confirmed: 5.9 as its first release",
    ];
}

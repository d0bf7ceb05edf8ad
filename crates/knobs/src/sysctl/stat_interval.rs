use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Seconds between two updates of the kernel's per-CPU memory statistics; 1 by default.
    /// ## Why it matters
    /// Each update is work on every CPU that has something to fold in: one interruption a second. 6.12 skips isolated
    /// CPUs on its own; 6.1 does not.
    /// ## Cost
    /// `/proc/vmstat` and the statistics of memory zones lag behind by as much.
    /// ## Example
    /// `1 -> 10` writes `/proc/sys/vm/stat_interval = 10`
    "sysctl.vm.stat_interval";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("vm.stat_interval");
    value Value::Number(1, 86_400);
    also ["stat_interval"];
    sources [
        "Documentation/admin-guide/sysctl/vm.rst in linux 6.12: stat_interval",
        "mm/vmstat.c in linux 6.12: vmstat_shepherd (cpu_is_isolated)",
        "mm/vmstat.c in linux 6.1: vmstat_shepherd, no cpu_is_isolated",
    ];
}

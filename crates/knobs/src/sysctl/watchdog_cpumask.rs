use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// CPUs on which the kernel's lockup watchdog runs: a timer, every 4 s by default, which wakes a kernel thread of
    /// the highest priority. By default, all CPUs except those of `nohz_full`.
    /// ## Why it matters
    /// On an isolated CPU, it is one of the few things that still interrupt the program there.
    /// ## Cost
    /// A lockup on an excluded CPU is no longer reported.
    /// ## Example
    /// `0-3 -> 0` writes `/proc/sys/kernel/watchdog_cpumask = 0`
    "sysctl.kernel.watchdog_cpumask";
    kernels "4.3.."; phase 2; risk Low; resets_link false; standing Acts;
    place sysctl::SysctlKey("kernel.watchdog_cpumask");
    value Value::List;
    also ["nmi_watchdog", "nowatchdog", "soft lockup watchdog"];
    sources [
        "Documentation/admin-guide/sysctl/kernel.rst in linux 6.12: watchdog_cpumask",
        "kernel/watchdog.c in linux 6.12: proc_watchdog_cpumask, set_sample_period",
        "not confirmed: 4.3 as its first release",
    ];
}

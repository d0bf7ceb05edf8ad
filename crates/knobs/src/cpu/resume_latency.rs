use lowlat_settings::cpu_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Microseconds that this CPU may take to wake: `n/a` accepts no latency at all, `0` means no limit, and any other
    /// number is the limit.
    /// ## Why it matters
    /// Keeps one core awake and lets the others sleep.
    /// ## Cost
    /// Power of that core. All programs share the one file, and the last write counts.
    /// ## Example
    /// `0 -> n/a` writes `/sys/devices/system/cpu/cpuN/power/pm_qos_resume_latency_us = n/a`
    "cpu.resume-latency";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place cpu_file::CpuFile("power/pm_qos_resume_latency_us");
    value Value::Resume;
    also ["pm_qos_resume_latency_us"];
    sources [
        "Documentation/admin-guide/pm/cpuidle.rst in linux 6.12: Power Management Quality of Service for CPUs",
        "Documentation/ABI/testing/sysfs-devices-power in linux 6.12: pm_qos_resume_latency_us",
        "drivers/base/power/sysfs.c in linux 6.12: pm_qos_resume_latency_us_store",
        "not confirmed: the first release with n/a (read: 6.1, 6.12)",
    ];
}

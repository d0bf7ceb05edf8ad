use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Microseconds this CPU may take to wake: `n/a` allows no latency at all, `0` means no limit.
    /// ## Why it matters
    /// Keeps one core awake and lets the others sleep.
    /// ## Cost
    /// Power of that core.
    /// ## Example
    /// `0 -> n/a` writes `/sys/devices/system/cpu/cpuN/power/pm_qos_resume_latency_us = n/a`
    "cpu.resume-latency";
    kernels "4.16.."; phase 2; risk Low; resets_link false; standing Acts;
    place Place::CpuFile("power/pm_qos_resume_latency_us");
    value Value::Resume;
    words "wake-up limit of this CPU: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/pm/cpuidle.html"];
}

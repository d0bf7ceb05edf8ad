use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// What chooses the CPU's frequency.
    /// ## Why it matters
    /// `powersave` and `schedutil` answer a burst late.
    /// ## Cost
    /// Power. In a guest, and with hardware-managed P-states, it acts differently or not at all.
    /// ## Example
    /// `powersave -> performance` writes `/sys/devices/system/cpu/cpuN/cpufreq/scaling_governor = performance`
    "cpu.governor";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::CpuFile("cpufreq/scaling_governor");
    value Value::OneOf("scaling_available_governors");
    words "the governor goes {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/pm/cpufreq.html"];
}

use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Lowest frequency the governor may choose, kHz.
    /// ## Why it matters
    /// A floor keeps a core from slowing down between bursts.
    /// ## Cost
    /// Power; a floor at the highest frequency costs turbo on other cores.
    /// ## Example
    /// `800000 -> 2400000` writes `/sys/devices/system/cpu/cpuN/cpufreq/scaling_min_freq = 2400000`
    "cpu.min-frequency";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::CpuFile("cpufreq/scaling_min_freq");
    value Value::Number(1, 100_000_000);
    words "lowest kHz: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/pm/cpufreq.html"];
}

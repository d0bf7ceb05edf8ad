use lowlat_settings::cpu_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lowest frequency that the governor may choose, in kHz.
    /// ## Why it matters
    /// A floor keeps a core from slowing down between bursts.
    /// ## Cost
    /// Power. A floor above what the chip can sustain on all cores takes turbo from all of them; the same value for
    /// floor and ceiling (cpu.max-frequency) gives a steady clock without turbo.
    /// ## Example
    /// `800000 -> 2400000` writes `/sys/devices/system/cpu/cpuN/cpufreq/scaling_min_freq = 2400000`
    "cpu.min-frequency";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place cpu_file::CpuFile("cpufreq/scaling_min_freq");
    value Value::Number(1, 100_000_000);
    also ["scaling_min_freq"];
    sources [
        "Documentation/admin-guide/pm/cpufreq.rst in linux 6.12: scaling_min_freq",
    ];
}

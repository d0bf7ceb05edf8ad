use lowlat_settings::cpu_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Highest frequency that the governor may choose, in kHz.
    /// ## Why it matters
    /// Set equal to the floor (cpu.min-frequency), it fixes the clock: every run has the same frequency, and no core
    /// changes it in the middle of a message. That trades peak speed for less spread.
    /// ## Cost
    /// Speed: the CPU gives up everything above it, turbo first.
    /// ## Example
    /// `3600000 -> 2400000` writes `/sys/devices/system/cpu/cpuN/cpufreq/scaling_max_freq = 2400000`
    "cpu.max-frequency";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place cpu_file::CpuFile("cpufreq/scaling_max_freq");
    value Value::Number(1, 100_000_000);
    also ["scaling_max_freq", "fixed frequency"];
    sources [
        "Documentation/admin-guide/pm/cpufreq.rst in linux 6.12: scaling_max_freq",
    ];
}

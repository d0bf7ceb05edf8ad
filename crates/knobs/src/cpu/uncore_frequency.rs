use lowlat_settings::cpu_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lowest frequency, in kHz, of the parts that the cores of an Intel package share: last-level cache, mesh, memory
    /// controllers. All packages of the host get the same. Where a package has clusters (`uncoreNN`), those are written.
    /// ## Why it matters
    /// A nearly idle package lowers this frequency. Each cache miss, and each packet that the device writes into the
    /// cache, then takes longer, even for a core that spins at full speed. A floor equal to the highest frequency
    /// (`max_freq_khz` next to it) prevents this.
    /// ## Cost
    /// Power, which the cores then lack for their own turbo.
    /// ## Example
    /// `800000 -> 2400000` writes
    /// `/sys/devices/system/cpu/intel_uncore_frequency/package_00_die_00/min_freq_khz = 2400000`
    "cpu.uncore-frequency";
    kernels "5.6.."; phase 2; risk Medium; resets_link false; standing Acts;
    place cpu_file::UncoreFile("min_freq_khz");
    value Value::Number(100_000, 10_000_000);
    also ["uncore", "intel_uncore_frequency", "min_freq_khz"];
    sources [
        "Documentation/admin-guide/pm/intel_uncore_frequency_scaling.rst in linux 6.12: min_freq_khz, max_freq_khz",
        "drivers/platform/x86/intel/uncore-frequency/uncore-frequency-tpmi.c in linux 6.12: uncore_write_control_freq",
        "not confirmed: 5.6 as its first release; no kernel of the lab has it",
    ];
}

use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lowest and highest frequency of the parts that the cores of an Intel package share: last-level cache, mesh,
    /// memory controllers (`/sys/devices/system/cpu/intel_uncore_frequency/package_*_die_*/{min,max}_freq_khz`).
    /// ## Why it matters
    /// A nearly idle package lowers this frequency. Each cache miss, and each packet that the device writes into the
    /// cache, then takes longer, even for a core that spins at full speed. A floor equal to the highest frequency
    /// prevents this.
    /// ## Cost
    /// Power, which the cores then lack for their own turbo.
    /// ## Example
    /// lowlat explains it and never writes it.
    "cpu.uncore-frequency";
    kernels "5.6.."; phase 2; risk Medium; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "write max_freq_khz into min_freq_khz of each package under intel_uncore_frequency; lowlat does not write it yet";
    also ["uncore", "intel_uncore_frequency", "min_freq_khz"];
    sources [
        "Documentation/admin-guide/pm/intel_uncore_frequency_scaling.rst in linux 6.12: min_freq_khz, max_freq_khz",
        "not confirmed: 5.6 as its first release",
    ];
}

use lowlat_settings::cpu_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// The hint by which a CPU that chooses its own frequency (Intel HWP, AMD CPPC) balances power against speed:
    /// `performance`, `balance_performance`, `default`, `balance_power`, `power`.
    /// ## Why it matters
    /// On such CPUs, the governor `powersave` only passes this hint on. Under the governor `performance`, the hint is
    /// `performance` and the kernel refuses every other (EBUSY).
    /// ## Cost
    /// Power. The kernel's documentation advises the same hint on all CPUs, unless tasks are pinned.
    /// ## Example
    /// `balance_performance -> performance` writes `/sys/devices/system/cpu/cpuN/cpufreq/energy_performance_preference
    /// = performance`
    "cpu.energy-preference";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place cpu_file::CpuFile("cpufreq/energy_performance_preference");
    value Value::OneOf("energy_performance_available_preferences");
    also ["EPP", "energy_performance_preference"];
    sources [
        "Documentation/admin-guide/pm/intel_pstate.rst in linux 6.12: Energy vs Performance Hints",
        "drivers/cpufreq/intel_pstate.c in linux 6.12: store_energy_performance_preference, intel_pstate_set_energy_pref_index (EBUSY)",
        "drivers/cpufreq/amd-pstate.c in linux 6.12: amd_pstate_set_energy_pref_index (EBUSY)",
    ];
}

use lowlat_settings::cpu_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Chooses the CPU's frequency. `performance` asks for the highest that the policy allows, `powersave` for the
    /// lowest; `schedutil` and `ondemand` follow the load. intel_pstate and amd-pstate in active mode have only
    /// `performance` and `powersave`, and there `powersave` follows the load.
    /// ## Why it matters
    /// A governor that follows the load sees the CPU idle between packets and slows it down, so the answer to the next
    /// packet is late.
    /// ## Cost
    /// Power and heat. A guest has no governor, or one without effect.
    /// ## Example
    /// `powersave -> performance` writes `/sys/devices/system/cpu/cpuN/cpufreq/scaling_governor = performance`
    "cpu.governor";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place cpu_file::CpuFile("cpufreq/scaling_governor");
    value Value::OneOf("scaling_available_governors");
    also ["governor"];
    sources [
        "Documentation/admin-guide/pm/cpufreq.rst in linux 6.12: Generic Scaling Governors",
        "Documentation/admin-guide/pm/intel_pstate.rst in linux 6.12: Active Mode",
        "Documentation/admin-guide/pm/amd-pstate.rst in linux 6.12: Active Mode",
    ];
}

use lowlat_settings::dma_latency;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Microseconds that a sleeping CPU may take to wake, for the whole host. A process holds the limit as long as it
    /// keeps `/dev/cpu_dma_latency` open. The smallest value of all holders counts, and a value ends when its file is
    /// closed.
    /// ## Why it matters
    /// Deep idle states take tens to hundreds of microseconds to leave. At 0, a CPU enters only states without an exit
    /// latency: on x86 a polling loop, on Arm `WFI`, which is a short sleep. The limit needs no reboot and ends with
    /// its holder, unlike `processor.max_cstate` and `intel_idle.max_cstate`. A kernel without a cpuidle driver, as in
    /// many virtual machines, ignores it; there, the idle routine (boot.idle) and the hypervisor decide.
    /// ## Cost
    /// Power and heat, and less turbo headroom for the busy cores.
    /// ## Example
    /// `none -> 0` holds `/dev/cpu_dma_latency` open at 0
    "cpu.dma-latency";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place dma_latency::LatencyLimit;
    value Value::Limit;
    also ["/dev/cpu_dma_latency", "cpu_dma_latency"];
    sources [
        "Documentation/admin-guide/pm/cpuidle.rst in linux 6.12: Power Management Quality of Service for CPUs",
        "kernel/power/qos.c in linux 6.12: cpu_latency_qos_write",
        "kernel/sched/idle.c in linux 6.12: cpuidle_idle_call (default_idle_call without a driver)",
        "drivers/cpuidle/cpuidle-psci.c in linux 6.12: psci_idle_init_cpu (state 0 is WFI)",
        "drivers/cpuidle/poll_state.c in linux 6.12: cpuidle_poll_state_init (x86)",
    ];
}

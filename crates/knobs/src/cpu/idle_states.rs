use lowlat_settings::cpu_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Whether one CPU may enter one idle state. The state is named by its number: `cpu3/idle-2` is
    /// `/sys/devices/system/cpu/cpu3/cpuidle/state2`, whose files `name` and `latency` give its name and its exit latency in
    /// microseconds.
    /// ## Why it matters
    /// A CPU in a deep state takes tens to hundreds of microseconds to wake, and a packet that wakes it waits for all of
    /// that. One deep state can be switched off on the path's CPUs alone, while the shallow ones stay: C1 with its few
    /// microseconds costs little, and saves most of what polling would use. cpu.resume-latency does the same by a bound on
    /// the exit latency, and cpu.dma-latency for all CPUs while its holder runs.
    /// ## Cost
    /// Power; a core that cannot sleep deeply takes turbo headroom from its neighbours. With every state off the kernel
    /// enters the shallowest. Without a cpuidle driver, as in many virtual machines, there are no such files.
    /// None of the machines that lowlat is tested on has idle states: this write is proven on captured trees alone.
    /// ## Example
    /// `on -> off` writes `/sys/devices/system/cpu/cpuN/cpuidle/stateM/disable = 1`
    "cpu.idle-states";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place cpu_file::IdleSwitch;
    value Value::Allowed;
    also ["cpuidle", "C-states", "C-state", "stateN/disable"];
    sources [
        "Documentation/admin-guide/pm/cpuidle.rst in linux 6.12: Representation of Idle States (disable), Power Management Quality of Service for CPUs",
        "drivers/cpuidle/sysfs.c in linux 6.1, 6.12: store_state_disable (CPUIDLE_STATE_DISABLED_BY_USER)",
    ];
}

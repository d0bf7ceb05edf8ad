use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Single idle states, each with a switch: `/sys/devices/system/cpu/cpuN/cpuidle/stateM/disable`.
    /// ## Why it matters
    /// One deep state with a long exit latency can be disabled on the path's CPUs alone, while all shallow ones stay.
    /// The limits cpu.resume-latency and cpu.dma-latency do much the same for a given latency; cpu.dma-latency ends with
    /// the program that holds it.
    /// ## Cost
    /// Power; a core that cannot sleep deeply takes turbo headroom from its neighbours.
    /// ## Example
    /// lowlat explains it and never writes it.
    "cpu.idle-states";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "cpu.resume-latency bounds the states of one CPU by their exit latency, and lowlat writes that";
    also ["cpuidle", "C-states", "stateN/disable"];
    sources [
        "Documentation/admin-guide/pm/cpuidle.rst in linux 6.12: Representation of Idle States (disable), Power Management Quality of Service for CPUs",
    ];
}

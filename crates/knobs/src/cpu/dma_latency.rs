use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Microseconds a sleeping CPU may take to wake, for the whole host, held by a process that keeps
    /// `/dev/cpu_dma_latency` open.
    /// ## Why it matters
    /// Deep idle states take tens to hundreds of microseconds to leave. This ends by itself with its holder, unlike
    /// `intel_idle.max_cstate=0`, which only changes the driver.
    /// ## Cost
    /// Power and heat, and less turbo headroom for the busy cores.
    /// ## Example
    /// `none -> 0` holds `/dev/cpu_dma_latency` open at 0
    "cpu.dma-latency";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::DmaLatency;
    value Value::Limit;
    words "wake-up limit in microseconds: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/power/pm_qos_interface.html", "https://docs.kernel.org/admin-guide/pm/cpuidle.html"];
}

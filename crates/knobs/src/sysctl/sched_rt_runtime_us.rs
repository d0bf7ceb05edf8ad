use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Microseconds of each sched_rt_period_us that real-time tasks may take.
    /// ## Why it matters
    /// -1 lets a spinning real-time task starve the kernel's own threads and hang the host. Without RT_GROUP_SCHED,
    /// Linux 6.12 and later bound it by the fair server instead.
    /// ## Cost
    /// A hung host.
    /// ## Example
    /// `sysctl kernel.sched_rt_runtime_us` shows it; lowlat does not write it.
    "sysctl.kernel.sched_rt_runtime_us";
    kernels "any"; phase 2; risk High; resets_link false; standing Harmful;
    place Place::Sysctl("kernel.sched_rt_runtime_us");
    value Value::Number(-1, 2_147_483_647);
    words "real-time share: {was} -> {want}";
    refusal "-1 lets one spinning real-time task hang the host; keep the limit and give the task its own core";
    sources ["https://docs.kernel.org/scheduler/sched-rt-group.html"];
}

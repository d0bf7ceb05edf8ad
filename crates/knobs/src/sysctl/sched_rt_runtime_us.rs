use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Microseconds of each sched_rt_period_us that real-time tasks may take: 950000 of 1000000 by default; -1 means
    /// all.
    /// ## Why it matters
    /// A real-time task that spins is stopped for the rest of each period, 50 ms in a second; that is why people set
    /// -1. With -1 the task starves the kernel's own threads on that core and may hang the host. An ordinary task that
    /// spins alone on an isolated core is never throttled, so it needs neither a real-time priority nor -1. Without
    /// CONFIG_RT_GROUP_SCHED, 6.12 no longer throttles in this way: a deadline server of the ordinary class (debugfs
    /// `sched/fair_server`) keeps some time for the others.
    /// ## Cost
    /// A hung host.
    /// ## Example
    /// `sysctl kernel.sched_rt_runtime_us` shows it; lowlat does not write it.
    "sysctl.kernel.sched_rt_runtime_us";
    kernels "any"; phase 2; risk High; resets_link false; standing Harmful;
    place sysctl::SysctlKey("kernel.sched_rt_runtime_us");
    value Value::Number(-1, 2_147_483_647);
    refusal "-1 lets one spinning real-time task hang the host; let it spin as an ordinary task on a core of its own";
    also ["sched_rt_runtime_us"];
    sources [
        "Documentation/scheduler/sched-rt-group.rst in linux 6.12: 2.1 System wide settings, 2.2 Default behaviour",
        "kernel/sched/rt.c in linux 6.12: rt_throttled is under CONFIG_RT_GROUP_SCHED",
        "kernel/sched/fair.c in linux 6.12: fair_server",
    ];
}

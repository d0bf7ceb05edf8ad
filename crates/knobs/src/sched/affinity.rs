use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// `taskset -c 3 PROGRAM`, sched_setaffinity: keeps a program on its CPUs.
    /// ## Why it matters
    /// A program that moves leaves its caches behind, and RFS and XPS follow it with reordering. Its CPU should be of
    /// the device's node, not the one that takes the interrupt (unless the A/B test says so), and not CPU 0.
    /// ## Cost
    /// A pinned program cannot go to an idle CPU when its own is taken.
    /// ## Example
    /// lowlat explains it and never writes it.
    "sched.cpu-affinity";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program is started there: `taskset -c N PROGRAM`, or `measure --cpu N`";
    also ["taskset"];
    sources [
        "man 1 taskset (-c)",
        "man 2 sched_setaffinity (DESCRIPTION)",
    ];
}

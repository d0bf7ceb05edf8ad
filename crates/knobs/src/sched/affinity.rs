use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// `taskset -c 3 PROGRAM`, sched_setaffinity: keeps a program on its CPUs.
    /// ## Why it matters
    /// A program that moves loses its caches, and RFS and XPS follow it with reordering. Its CPU should be on the
    /// device's node. It should not be the CPU that handles the interrupt (unless the A/B test says so), nor CPU 0.
    /// ## Cost
    /// A pinned program cannot move to an idle CPU when its own is busy.
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

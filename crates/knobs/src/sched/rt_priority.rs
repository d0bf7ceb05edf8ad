use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// `chrt -f 99 PROGRAM`: runs a program ahead of all others, including kernel threads with a priority below 99.
    /// ## Why it matters
    /// A reader that is alone on its core gains nothing. On a shared core, a small priority (1 to 10) is enough to
    /// preempt ordinary programs; 99 also preempts threaded interrupt handlers, which have 50, and a program that spins
    /// then starves them.
    /// ## Cost
    /// A program that spins at 99 hangs its core, and everything that waits for that core.
    /// ## Example
    /// lowlat explains it and never writes it.
    "sched.rt-priority";
    kernels "any"; phase 2; risk Low; resets_link false; standing Harmful;
    place Nowhere;
    value Value::None;
    refusal "priority 99 starves the kernel's own threads; `measure --rt` takes a bounded one for its own thread";
    also ["chrt", "SCHED_FIFO"];
    sources [
        "man 1 chrt (-f)",
        "man 7 sched (SCHED_FIFO, Limiting the CPU usage of real-time and deadline processes)",
        "kernel/sched/syscalls.c in linux 6.12: sched_set_fifo (MAX_RT_PRIO / 2)",
        "Documentation/scheduler/sched-rt-group.rst in linux 6.12: 0. WARNING",
    ];
}

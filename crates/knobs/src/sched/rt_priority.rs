use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// `chrt -f 99`: runs a program before all others.
    /// ## Why it matters
    /// A pinned reader on its own core gains nothing; on a shared one it may hang the host.
    /// ## Cost
    /// A spinning program at 99 starves the kernel's threads.
    /// ## Example
    /// lowlat explains it and never writes it.
    "sched.rt-priority";
    kernels "any"; phase 2; risk Low; resets_link false; standing Harmful;
    place Place::Nowhere;
    value Value::None;
    words "priority 99 starves the kernel's own threads; `measure --rt` takes a bounded one for its own thread";
    refusal "priority 99 starves the kernel's own threads; `measure --rt` takes a bounded one for its own thread";
    sources ["https://docs.kernel.org/scheduler/sched-rt-group.html"];
}

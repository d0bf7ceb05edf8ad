use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// mlockall(MCL_CURRENT | MCL_FUTURE): keeps a program's pages in memory.
    /// ## Why it matters
    /// Touching a page that is not in memory causes a page fault, and a major fault reads a disk in the middle of a
    /// message. With MCL_FUTURE, new memory is faulted in when it is mapped: map buffers, and use the stack as deep as
    /// it will grow, before the traffic starts.
    /// ## Cost
    /// Memory that cannot be reclaimed; it needs RLIMIT_MEMLOCK or CAP_IPC_LOCK.
    /// ## Example
    /// lowlat explains it and never writes it.
    "memory.mlock";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program locks its own memory; `measure` does";
    also ["mlockall"];
    sources [
        "man 2 mlockall (DESCRIPTION, NOTES)",
    ];
}

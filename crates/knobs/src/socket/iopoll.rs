use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// IORING_SETUP_IOPOLL: polls for completions of block devices.
    /// ## Why it matters
    /// Not for sockets: a send on such a ring completes with EINVAL.
    /// ## Cost
    /// Nothing works.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.iopoll";
    kernels "any"; phase 3; risk Low; resets_link false; standing Harmful;
    place Place::Nowhere;
    value Value::None;
    words "not for sockets: a send on such a ring completes with EINVAL";
    refusal "not for sockets: a send on such a ring completes with EINVAL";
    sources ["https://man7.org/linux/man-pages/man2/io_uring_setup.2.html"];
}

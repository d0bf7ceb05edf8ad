use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// IORING_SETUP_SQPOLL: a kernel thread takes submissions.
    /// ## Why it matters
    /// No system call per send.
    /// ## Cost
    /// A second busy core; on too few cores it is slower.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.sqpoll";
    kernels "any"; phase 3; risk Low; resets_link false; standing Elsewhere;
    place Place::Nowhere;
    value Value::None;
    words "a program chooses it for its own ring; the io-uring engine shows what it gains";
    refusal "a program chooses it for its own ring; the io-uring engine shows what it gains";
    sources ["https://man7.org/linux/man-pages/man2/io_uring_setup.2.html"];
}

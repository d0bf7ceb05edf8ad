use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// IORING_SETUP_SQPOLL: a kernel thread takes submissions from the ring; it sleeps after a time without any.
    /// ## Why it matters
    /// No system call for each send or receive.
    /// ## Cost
    /// A second busy core; where the two share one it is slower. A thread that fell asleep has to be woken by a system
    /// call.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.sqpoll";
    kernels "5.1.."; phase 3; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program chooses it for its own ring; the io-uring engine shows what it gains";
    also ["SQPOLL"];
    sources [
        "man 2 io_uring_setup (IORING_SETUP_SQPOLL)",
    ];
}

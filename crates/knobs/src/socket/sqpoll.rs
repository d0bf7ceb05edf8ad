use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// IORING_SETUP_SQPOLL: a kernel thread takes submissions from the ring; it sleeps after a time without any.
    /// ## Why it matters
    /// It saves the system call for each send or receive.
    /// ## Cost
    /// A second busy core; if program and thread share one core, it is slower. A system call has to wake a thread that
    /// fell asleep.
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

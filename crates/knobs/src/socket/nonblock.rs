use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// O_NONBLOCK for a socket, MSG_DONTWAIT for one call: the call returns at once when no data is there.
    /// ## Why it matters
    /// A reader that spins in this way never sleeps, so it needs no wake-up. With SO_BUSY_POLL, each empty call polls
    /// the device once.
    /// ## Cost
    /// A busy core, and a system call for each attempt.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.nonblock";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program sets it on its own socket; the spin engine shows what it gains";
    also ["O_NONBLOCK", "MSG_DONTWAIT"];
    sources [
        "man 2 recv (MSG_DONTWAIT)",
        "include/net/busy_poll.h in linux 6.12: sk_busy_loop (without blocking it polls once)",
    ];
}

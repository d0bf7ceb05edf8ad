use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// TCP_QUICKACK: acknowledges at once. It is not sticky: the kernel falls back to delayed ACKs on its own, so the
    /// program sets it again after each read.
    /// ## Why it matters
    /// With Nagle's algorithm, the peer waits for this acknowledgement. TCP_NODELAY at the peer is better.
    /// ## Cost
    /// An acknowledgement for each segment, and a system call.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.quickack";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program sets it on its own socket, again after each read; for a whole route see route.quickack";
    also ["TCP_QUICKACK"];
    sources [
        "man 7 tcp (TCP_QUICKACK)",
        "net/ipv4/tcp.c in linux 6.12: __tcp_sock_set_quickack",
    ];
}

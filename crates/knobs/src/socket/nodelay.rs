use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// TCP_NODELAY: sends a small segment at once, even while an earlier one is unacknowledged.
    /// ## Why it matters
    /// Without it (Nagle's algorithm), the second small write of a message waits a round trip, or for the peer's
    /// delayed ACK, 40 ms and more. Tuning lists have dozens of sysctls and forget this option.
    /// ## Cost
    /// More and smaller packets where a program writes in small pieces: write whole messages.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.nodelay";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program sets it on its own socket; every engine of lowlat does";
    also ["TCP_NODELAY", "Nagle"];
    sources [
        "man 7 tcp (TCP_NODELAY)",
        "net/ipv4/tcp_output.c in linux 6.12: tcp_nagle_test",
    ];
}

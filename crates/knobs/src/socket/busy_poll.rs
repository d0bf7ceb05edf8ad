use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// SO_BUSY_POLL: microseconds that a blocking read of this socket spins on its device queue before it sleeps.
    /// ## Why it matters
    /// It takes the interrupt and the wake-up out of the path, as busy_read does, but for one socket.
    /// ## Cost
    /// A busy core while it waits. Raising the value needs CAP_NET_ADMIN in 6.1, and no privilege in 6.12.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.busy-poll";
    kernels "3.11.."; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program sets it on its own socket; the busy-poll engine shows what it gains";
    also ["SO_BUSY_POLL"];
    sources [
        "Documentation/networking/napi.rst in linux 6.12: Busy polling",
        "net/core/sock.c in linux 6.1, 6.12: sk_setsockopt, SO_BUSY_POLL",
    ];
}

use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// SO_BUSY_POLL: microseconds one socket spins on its queue.
    /// ## Why it matters
    /// As busy_read, for one socket.
    /// ## Cost
    /// A busy core; raising it needs CAP_NET_ADMIN on older kernels.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.busy-poll";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Place::Nowhere;
    value Value::None;
    words "a program sets it on its own socket; the busy-poll engine shows what it gains";
    refusal "a program sets it on its own socket; the busy-poll engine shows what it gains";
    sources ["https://docs.kernel.org/networking/napi.html"];
}

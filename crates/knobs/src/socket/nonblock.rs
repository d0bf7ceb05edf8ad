use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// O_NONBLOCK and MSG_DONTWAIT: return at once when nothing is there.
    /// ## Why it matters
    /// A spinning reader never sleeps; with SO_BUSY_POLL each call polls once.
    /// ## Cost
    /// A busy core.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.nonblock";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Place::Nowhere;
    value Value::None;
    words "a program sets it on its own socket; the spin engine shows what it gains";
    refusal "a program sets it on its own socket; the spin engine shows what it gains";
    sources ["https://docs.kernel.org/networking/napi.html"];
}

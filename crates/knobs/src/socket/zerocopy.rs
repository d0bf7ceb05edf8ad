use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// SO_ZEROCOPY and MSG_ZEROCOPY: sends from the program's own pages.
    /// ## Why it matters
    /// Pays from about 10 KB on, never for small messages.
    /// ## Cost
    /// A completion per send; the kernel copies all the same on loopback.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.zerocopy";
    kernels "any"; phase 3; risk Low; resets_link false; standing Elsewhere;
    place Place::Nowhere;
    value Value::None;
    words "a program sets it on its own socket";
    refusal "a program sets it on its own socket";
    sources ["https://docs.kernel.org/networking/msg_zerocopy.html"];
}

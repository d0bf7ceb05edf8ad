use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// SO_TIMESTAMPING: asks for stamps on one socket.
    /// ## Why it matters
    /// The measurement uses it.
    /// ## Cost
    /// A message on the error queue per stamp.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.timestamping";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Place::Nowhere;
    value Value::None;
    words "a program sets it on its own socket; measure does";
    refusal "a program sets it on its own socket; measure does";
    sources ["https://docs.kernel.org/networking/timestamping.html"];
}

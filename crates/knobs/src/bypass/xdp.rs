use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Attaches a program that takes packets before the stack.
    /// ## Why it matters
    /// AF_XDP gets them without it. `xdp` may attach in generic mode, `xdpdrv` never does.
    /// ## Cost
    /// Packets it takes bypass the firewall.
    /// ## Example
    /// lowlat explains it and never writes it.
    "bypass.xdp";
    kernels "any"; phase 3; risk Low; resets_link false; standing Elsewhere;
    place Place::Nowhere;
    value Value::None;
    words "the af-xdp engine attaches its own program and takes it off again";
    refusal "the af-xdp engine attaches its own program and takes it off again";
    sources ["https://docs.kernel.org/networking/af_xdp.html"];
}

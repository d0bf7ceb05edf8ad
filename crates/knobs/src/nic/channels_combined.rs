use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Queue pairs, each with its interrupt.
    /// ## Why it matters
    /// RSS is already on; fewer queues put more flows on chosen cores, more spread them.
    /// ## Cost
    /// The driver resets its queues: affinities and steering are set anew.
    /// ## Example
    /// `8 -> 4` runs `ethtool -L IF combined 4`
    "nic.channels.combined";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place Place::Channels("combined");
    value Value::Number(1, 4096);
    words "queue pairs: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ethtool-netlink.html", "https://docs.kernel.org/networking/scaling.html"];
}

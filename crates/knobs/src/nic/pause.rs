use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Lets the other end stop this one's sending for a moment, and the reverse.
    /// ## Why it matters
    /// One slow receiver stops every flow on the link.
    /// ## Cost
    /// Overload drops instead of pausing; many drivers reset the link.
    /// ## Example
    /// `on -> off` runs `ethtool -A IF rx off`
    "nic.pause";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place Place::Pause(&["rx", "tx"]);
    value Value::OnOff;
    words "pause frames go {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ethtool-netlink.html"];
}

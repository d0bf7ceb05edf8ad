use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Lets the link sleep between packets (IEEE 802.3az).
    /// ## Why it matters
    /// The first packet after a pause waits until both ends are awake: tens of microseconds at 1 Gbit/s.
    /// ## Cost
    /// A little power; the link is negotiated anew.
    /// ## Example
    /// `on -> off` runs `ethtool --set-eee IF eee off`
    "nic.eee";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place Place::Eee;
    value Value::OnOff;
    words "energy-efficient ethernet goes {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ethtool-netlink.html"];
}

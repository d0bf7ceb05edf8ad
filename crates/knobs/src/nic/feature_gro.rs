use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Merges received segments of one flow before the stack sees them.
    /// ## Why it matters
    /// Merging waits for the end of a poll; single small messages gain nothing from it, bulk streams do.
    /// ## Cost
    /// More CPU per byte for bulk traffic.
    /// ## Example
    /// `on -> off` runs `ethtool -K IF gro off`
    "nic.feature.gro";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place Place::Features(&["rx-gro"]);
    value Value::OnOff;
    words "gro goes {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ethtool-netlink.html", "net/ethtool/common.c (v6.12): netdev_features_strings"];
}

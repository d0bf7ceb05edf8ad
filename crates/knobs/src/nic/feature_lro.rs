use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Merges received segments in the device, losing header detail.
    /// ## Why it matters
    /// It waits in the device and breaks forwarding; switching it off is safe.
    /// ## Cost
    /// More CPU per byte for bulk traffic.
    /// ## Example
    /// `on -> off` runs `ethtool -K IF lro off`
    "nic.feature.lro";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place Place::Features(&["rx-lro"]);
    value Value::OnOff;
    words "lro goes {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ethtool-netlink.html", "net/ethtool/common.c (v6.12): netdev_features_strings"];
}

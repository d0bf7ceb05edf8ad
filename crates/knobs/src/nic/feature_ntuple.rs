use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Lets flow rules steer packets to a chosen queue.
    /// ## Why it matters
    /// A flow that arrives on its reader's core needs no hand-over. On i40e one TCP rule switches ATR off for all
    /// flows.
    /// ## Cost
    /// A wrong rule sends a flow to the wrong queue.
    /// ## Example
    /// `off -> on` runs `ethtool -K IF ntuple on`
    "nic.feature.ntuple";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place Place::Features(&["rx-ntuple-filter"]);
    value Value::OnOff;
    words "ntuple goes {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ethtool-netlink.html", "net/ethtool/common.c (v6.12): netdev_features_strings"];
}

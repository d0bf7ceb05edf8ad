use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Lets the driver choose the receive interrupt delay by the load.
    /// ## Why it matters
    /// The wait is added to each packet that would wake a sleeping reader. Small values are modes, not microseconds, on
    /// some drivers (e1000e, ixgbe family: 1 to 3).
    /// ## Cost
    /// More interrupts per second; a spinning reader may do better with a longer wait.
    /// ## Example
    /// `on -> off` runs `ethtool -C IF adaptive-rx off`
    "nic.coalesce.adaptive-rx";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place Place::Coalesce("adaptive-rx");
    value Value::Switch;
    words "adaptive-rx: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ethtool-netlink.html", "https://docs.kernel.org/networking/net_dim.html"];
}

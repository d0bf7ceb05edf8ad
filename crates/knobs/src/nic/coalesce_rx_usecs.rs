use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Microseconds the device waits after a packet before it interrupts.
    /// ## Why it matters
    /// The wait is added to each packet that would wake a sleeping reader. Small values are modes, not microseconds, on
    /// some drivers (e1000e, ixgbe family: 1 to 3).
    /// ## Cost
    /// More interrupts per second; a spinning reader may do better with a longer wait.
    /// ## Example
    /// `50 -> 0` runs `ethtool -C IF rx-usecs 0`
    "nic.coalesce.rx-usecs";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place Place::Coalesce("rx-usecs");
    value Value::Number(0, 1_000_000);
    words "rx-usecs: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ethtool-netlink.html", "https://docs.kernel.org/networking/net_dim.html"];
}

use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Descriptors of each receive queue.
    /// ## Why it matters
    /// A ring that overflows drops (rx_missed, no_buffer). The maximum hides drops behind latency and wastes cache; go
    /// up one step at a time.
    /// ## Cost
    /// The driver resets its queues: the link may drop for seconds, and affinities and steering are set anew.
    /// ## Example
    /// `512 -> 1024` runs `ethtool -G IF rx 1024`
    "nic.ring.rx";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place Place::Ring("rx");
    value Value::Number(1, 65_536);
    words "rx descriptors: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ethtool-netlink.html", "https://github.com/systemd/systemd/issues/28696"];
}

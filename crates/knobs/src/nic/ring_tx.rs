use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Descriptors of each transmit queue.
    /// ## Why it matters
    /// A ring that overflows drops (rx_missed, no_buffer). The maximum hides drops behind latency and wastes cache; go
    /// up one step at a time.
    /// ## Cost
    /// The driver resets its queues: the link may drop for seconds, and affinities and steering are set anew.
    /// ## Example
    /// `512 -> 1024` runs `ethtool -G IF tx 1024`
    "nic.ring.tx";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place Place::Ring("tx");
    value Value::Number(1, 65_536);
    words "tx descriptors: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ethtool-netlink.html", "https://github.com/systemd/systemd/issues/28696"];
}

use lowlat_settings::ring;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Number of descriptors in each receive queue.
    /// ## Why it matters
    /// A ring that overflows drops packets (`rx_missed_errors` in the kernel, other names in the driver's own
    /// counters). The maximum hides those drops behind latency, and a ring that does not fit the cache costs a miss for
    /// each packet: go up one step at a time.
    /// ## Cost
    /// The driver resets its queues: the link may drop for seconds, and affinities and steering are reset.
    /// ## Example
    /// `512 -> 1024` runs `ethtool -G IF rx 1024`
    "nic.ring.rx";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place ring::Ring("rx");
    value Value::Number(1, 65_536);
    also ["ring rx", "ring buffer", "rx ring"];
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: RINGS_SET",
        "https://github.com/systemd/systemd/issues/28696 (tg3: three seconds without carrier after rings are set)",
    ];
}

use lowlat_settings::ring;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Number of descriptors in each transmit queue.
    /// ## Why it matters
    /// A full transmit ring stops the queue, and packets wait in the queue discipline. A longer ring lets more bulk
    /// data wait ahead of a message in the device, where no scheduler can reorder it; byte queue limits
    /// (nic.bql-limit-max) limit that where the driver has them.
    /// ## Cost
    /// The driver resets its queues: the link may drop for seconds, and affinities and steering are reset.
    /// ## Example
    /// `512 -> 1024` runs `ethtool -G IF tx 1024`
    "nic.ring.tx";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place ring::Ring("tx");
    value Value::Number(1, 65_536);
    also ["ring tx"];
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: RINGS_SET",
        "https://github.com/systemd/systemd/issues/28696 (tg3: three seconds without carrier after rings are set)",
    ];
}

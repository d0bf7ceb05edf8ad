use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// `ethtool -x` and `-X`: the hash key and the table that spread received flows over the queues (RSS).
    /// ## Why it matters
    /// Two busy flows that hash to one queue share a core. A table that omits a queue (`ethtool -X IF equal 3`)
    /// reserves that queue for flows that a rule steers there.
    /// ## Cost
    /// All flows may move to other queues, and packets of one flow may be reordered meanwhile.
    /// ## Example
    /// lowlat explains it and never writes it.
    "nic.rss";
    kernels "any"; phase 2; risk High; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "the table belongs to all flows of the host; `ethtool -X IF equal N`, then a rule for the hot flow (steer.flow-rule)";
    also ["indirection table"];
    sources [
        "Documentation/networking/scaling.rst in linux 6.12: RSS: Receive Side Scaling",
        "man 8 ethtool (-x, -X)",
    ];
}

use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// TCP_RTO_MIN_US and TCP_DELACK_MAX_US: the floor of the retransmission timer and the ceiling of the delayed acknowledgement
    /// of one connection, µs.
    /// ## Why it matters
    /// The last segment of a message that is lost waits for the timer, 200 ms at least by default; the acknowledgement of one
    /// waits up to 40 ms for something to go with. On a path of microseconds both can be a hundredth. Where the kernel has
    /// neither: route.rto-min, route.quickack.
    /// ## Cost
    /// A floor below the peer's delayed acknowledgement sends segments twice. Both are rounded to ticks of the kernel's clock.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.tcp-timers";
    kernels "6.15.."; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program sets it on its own socket; route.rto-min and route.quickack do it for a route";
    also ["TCP_DELACK_MAX_US"];
    sources [
        "include/net/tcp.h in linux 6.12: TCP_RTO_MIN, TCP_DELACK_MAX",
        "measured: linux 6.18 takes both; 6.12 has neither",
        "not confirmed: 6.15 as their first release",
    ];
}

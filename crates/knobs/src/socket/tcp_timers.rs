use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// TCP_RTO_MIN_US and TCP_DELACK_MAX_US: the smallest retransmission timeout and the longest delay of an
    /// acknowledgement on one connection, in µs.
    /// ## Why it matters
    /// The last segment of a message, if lost, waits for the retransmission timer, at least 200 ms by default; an
    /// acknowledgement waits 40 to 200 ms for data to travel with. On a path of microseconds, both can be a hundredth of
    /// that. On kernels with neither option, use route.rto-min and route.quickack.
    /// ## Cost
    /// A timeout below the peer's delayed acknowledgement sends segments twice. The kernel rounds both values to ticks
    /// of its clock.
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

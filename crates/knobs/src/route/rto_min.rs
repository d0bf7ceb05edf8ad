use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// `ip route change … rto_min 5ms`: smallest retransmission timeout of connections over one route.
    /// ## Why it matters
    /// The timeout is 200 ms at least by default. On a path of microseconds, one lost last segment then costs 200 ms.
    /// It goes before sysctl.net.ipv4.tcp_rto_min_us, and kernels without that sysctl have it too.
    /// ## Cost
    /// Too small a timeout sends again what was merely late, a delayed ACK of the peer among it.
    /// ## Example
    /// lowlat explains it and never writes it.
    "route.rto-min";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Elsewhere;
    place Place::Nowhere;
    value Value::None;
    words "a route belongs to whoever manages the network: `ip route change PREFIX … rto_min 5ms`, and the same without it to undo";
    refusal "a route belongs to whoever manages the network: `ip route change PREFIX … rto_min 5ms`, and the same without it to undo";
    also ["rto_min"];
    sources [
        "man 8 ip-route (rto_min TIME)",
        "include/net/tcp.h in linux 6.12: tcp_rto_min",
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_rto_min_us",
    ];
}

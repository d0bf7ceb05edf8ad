use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// `ip route change … quickack 1`: acknowledges every segment at once, for connections over one route.
    /// ## Why it matters
    /// A peer that waits for an acknowledgement before it sends the rest of its message (Nagle's algorithm without
    /// TCP_NODELAY) waits for this host's delayed ACK, 40 ms and more. TCP_QUICKACK does it for one socket, and has to
    /// be set again and again.
    /// ## Cost
    /// An acknowledgement for each segment.
    /// ## Example
    /// lowlat explains it and never writes it.
    "route.quickack";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Elsewhere;
    place Place::Nowhere;
    value Value::None;
    words "a route belongs to whoever manages the network: `ip route change PREFIX … quickack 1`, and the same without it to undo";
    refusal "a route belongs to whoever manages the network: `ip route change PREFIX … quickack 1`, and the same without it to undo";
    also ["quickack"];
    sources [
        "man 8 ip-route (quickack BOOL)",
        "include/uapi/linux/rtnetlink.h in linux 6.12: RTAX_QUICKACK",
        "net/ipv4/tcp_input.c in linux 6.12: tcp_in_quickack_mode",
    ];
}

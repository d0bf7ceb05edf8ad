use lowlat_settings::route_metric;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// `ip route change … quickack 1`: acknowledges every segment at once, on connections over one route.
    /// ## Why it matters
    /// A peer that waits for an acknowledgement before it sends the rest of its message (Nagle's algorithm without
    /// TCP_NODELAY) waits for this host's delayed ACK, 40 ms and more. TCP_QUICKACK does the same for one socket, but
    /// has to be set again and again.
    /// ## Cost
    /// An acknowledgement for each segment. lowlat writes the whole route again with the one metric changed; the
    /// network manager may overwrite it. Existing connections adopt the metric with their next packet, because the
    /// change invalidates their cached route.
    /// ## Example
    /// `off -> on` runs `ip route change PREFIX … quickack 1`
    "route.quickack";
    kernels "3.11.."; phase 2; risk Medium; resets_link false; standing Acts;
    place route_metric::Metric("quickack");
    value Value::Switch;
    also ["quickack"];
    sources [
        "man 8 ip-route (quickack BOOL, Linux 3.11+)",
        "include/uapi/linux/rtnetlink.h in linux 6.12: RTAX_QUICKACK",
        "net/ipv4/tcp_input.c in linux 6.12: tcp_in_quickack_mode",
        "net/ipv4/route.c in linux 6.12: rt_cache_flush",
        "measured: the same connection, 20 delayed acknowledgements before the change and none after it",
        "net/ipv4/fib_trie.c in linux 6.12: fib_table_insert (NLM_F_REPLACE)",
    ];
}

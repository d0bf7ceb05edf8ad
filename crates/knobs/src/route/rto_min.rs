use lowlat_settings::route_metric;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Smallest retransmission timeout of connections over one route, in milliseconds; 0 means the default of 200.
    /// ## Why it matters
    /// On a path of microseconds, a lost last segment waits 200 ms for its retransmission. The metric takes precedence
    /// over sysctl.net.ipv4.tcp_rto_min_us, and kernels without that sysctl have it too.
    /// ## Cost
    /// Too small a timeout retransmits segments that were merely late, for example because of the peer's delayed ACK
    /// (40 ms and more). lowlat writes the whole route again with the one metric changed; the network manager may
    /// overwrite it.
    /// ## Example
    /// `0 -> 50` runs `ip route change PREFIX … rto_min 50ms`
    "route.rto-min";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place route_metric::Metric("rto_min");
    value Value::Number(0, 60_000);
    also ["rto_min"];
    sources [
        "man 8 ip-route (rto_min TIME)",
        "include/net/tcp.h in linux 6.12: tcp_rto_min (a route is heeded where the metric is locked)",
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_rto_min_us",
        "net/ipv4/fib_trie.c in linux 6.12: fib_table_insert (NLM_F_REPLACE)",
    ];
}

use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// IP_MULTICAST_ALL 0: a socket receives only the groups that it joined itself, not those that others on the host
    /// joined. It is 1 by default. IP_ADD_MEMBERSHIP takes an interface; without one, the routing table chooses it.
    /// ## Why it matters
    /// With 1, a socket bound to `0.0.0.0` and the port of two feeds receives both, and the program throws half of the
    /// packets away. Feeds that reverse path filtering drops never arrive (reverse-path-drops).
    /// ## Cost
    /// None: the program has to join each group on each socket, which it does anyway.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.multicast";
    kernels "2.6.31.."; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program sets it on its own socket";
    also ["IP_MULTICAST_ALL", "IP_ADD_MEMBERSHIP", "market data"];
    sources [
        "man 7 ip (IP_MULTICAST_ALL, IP_ADD_MEMBERSHIP)",
        "net/ipv4/igmp.c in linux 6.12: ip_mc_sf_allow (mc_all)",
    ];
}

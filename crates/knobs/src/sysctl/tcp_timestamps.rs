use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Puts a timestamp into each segment (RFC 7323), for round-trip samples and for protection against wrapped
    /// sequence numbers. 1 starts each connection at a random offset, 2 does not.
    /// ## Why it matters
    /// It is on by default on every kernel that lowlat runs on, so setting it to on changes nothing there. Old tuning
    /// lists switch it off to save instructions. Without it, there is no round-trip sample for a segment that was sent
    /// twice, and no PAWS. A change acts on connections made afterwards.
    /// ## Cost
    /// None at its default, which takes 12 bytes of each segment.
    /// ## Example
    /// `0 -> 1` writes `/proc/sys/net/ipv4/tcp_timestamps = 1`
    "sysctl.net.ipv4.tcp_timestamps";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.ipv4.tcp_timestamps");
    value Value::Number(0, 2);
    also [];
    sources [
        "net/ipv4/tcp_output.c in linux 6.12: tcp_syn_options",
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_timestamps",
        "net/ipv4/tcp_ipv4.c in linux 6.1, 6.12: tcp_sk_init sets sysctl_tcp_timestamps = 1",
        "RFC 7323 (section 3)",
    ];
}

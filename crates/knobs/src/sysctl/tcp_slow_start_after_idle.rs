use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Halves the congestion window for each retransmission timeout for which a connection was idle, down to its
    /// initial size (RFC 2861). On by default.
    /// ## Why it matters
    /// A burst after a pause starts with a small window and takes more round trips. Messages of one or a few segments
    /// never fill the window, so they gain nothing from `0`.
    /// ## Cost
    /// Bursts into a path whose state has changed.
    /// ## Example
    /// `1 -> 0` writes `/proc/sys/net/ipv4/tcp_slow_start_after_idle = 0`
    "sysctl.net.ipv4.tcp_slow_start_after_idle";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.ipv4.tcp_slow_start_after_idle");
    value Value::Number(0, 255);
    also [];
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_slow_start_after_idle",
        "net/ipv4/tcp_ipv4.c in linux 6.12: tcp_sk_init (1)",
        "net/ipv4/tcp_output.c in linux 6.12: tcp_cwnd_restart",
    ];
}

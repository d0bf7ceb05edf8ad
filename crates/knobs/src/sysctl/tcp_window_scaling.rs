use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets windows exceed 64 KiB (RFC 7323).
    /// ## Why it matters
    /// It is on by default on every kernel that lowlat runs on, so setting it to on changes nothing there. Old tuning
    /// lists switch it off to save instructions. Without it, no window exceeds 64 KiB, so a connection sends at most 64
    /// KiB per round trip. A change acts on connections made afterwards.
    /// ## Cost
    /// None at its default.
    /// ## Example
    /// `0 -> 1` writes `/proc/sys/net/ipv4/tcp_window_scaling = 1`
    "sysctl.net.ipv4.tcp_window_scaling";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.ipv4.tcp_window_scaling");
    value Value::Number(0, 1);
    also [];
    sources [
        "net/ipv4/tcp_output.c in linux 6.12: tcp_syn_options",
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_window_scaling",
        "net/ipv4/tcp_ipv4.c in linux 6.1, 6.12: tcp_sk_init sets sysctl_tcp_window_scaling = 1",
        "RFC 7323 (section 2)",
    ];
}

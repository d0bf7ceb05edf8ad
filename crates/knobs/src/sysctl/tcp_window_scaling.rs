use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets windows exceed 64 KiB (RFC 7323).
    /// ## Why it matters
    /// It is on by default on every kernel lowlat runs on, so setting it changes nothing. lowlat shows the value it
    /// found.
    /// ## Cost
    /// None at its default.
    /// ## Example
    /// `sysctl net.ipv4.tcp_window_scaling` shows it; lowlat does not write it.
    "sysctl.net.ipv4.tcp_window_scaling";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Default;
    place sysctl::SysctlKey("net.ipv4.tcp_window_scaling");
    value Value::Number(0, 255);
    refusal "tcp_window_scaling is 1 by default; setting it changes nothing";
    also [];
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_window_scaling",
        "net/ipv4/tcp_ipv4.c in linux 6.1, 6.12: tcp_sk_init sets sysctl_tcp_window_scaling = 1",
        "RFC 7323 (section 2)",
    ];
}

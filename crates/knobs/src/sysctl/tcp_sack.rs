use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets a receiver report which segments arrived out of order (RFC 2018), so that only those that are missing are
    /// sent again.
    /// ## Why it matters
    /// It is on by default on every kernel lowlat runs on, so setting it changes nothing. lowlat shows the value it
    /// found.
    /// ## Cost
    /// None at its default.
    /// ## Example
    /// `sysctl net.ipv4.tcp_sack` shows it; lowlat does not write it.
    "sysctl.net.ipv4.tcp_sack";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Default;
    place sysctl::SysctlKey("net.ipv4.tcp_sack");
    value Value::Number(0, 255);
    refusal "tcp_sack is 1 by default; setting it changes nothing";
    also [];
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_sack",
        "net/ipv4/tcp_ipv4.c in linux 6.1, 6.12: tcp_sk_init sets sysctl_tcp_sack = 1",
        "RFC 2018 (section 3)",
    ];
}

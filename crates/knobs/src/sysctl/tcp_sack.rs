use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets a receiver report which segments arrived out of order (RFC 2018), so that the sender retransmits only the
    /// missing ones.
    /// ## Why it matters
    /// It is on by default on every kernel that lowlat runs on, so setting it to on changes nothing there. Old tuning
    /// lists switch it off to save instructions. Without it, a sender learns of only one lost segment per round trip,
    /// and of a lost tail only through its timer. A change acts on connections made afterwards.
    /// ## Cost
    /// None at its default.
    /// ## Example
    /// `0 -> 1` writes `/proc/sys/net/ipv4/tcp_sack = 1`
    "sysctl.net.ipv4.tcp_sack";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.ipv4.tcp_sack");
    value Value::Number(0, 1);
    also [];
    sources [
        "net/ipv4/tcp_output.c in linux 6.12: tcp_syn_options",
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_sack",
        "net/ipv4/tcp_ipv4.c in linux 6.1, 6.12: tcp_sk_init sets sysctl_tcp_sack = 1",
        "RFC 2018 (section 3)",
    ];
}

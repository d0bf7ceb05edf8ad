use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Nothing: the kernel keeps the file for programs that write it, but never reads the value.
    /// ## Why it matters
    /// It is in most tuning lists. The kernel's own documentation says that it no longer has any effect, and no other
    /// line of the source mentions the variable.
    /// ## Cost
    /// None, and no gain.
    /// ## Example
    /// `sysctl net.ipv4.tcp_low_latency` shows it; lowlat does not write it.
    "sysctl.net.ipv4.tcp_low_latency";
    kernels "none since 4.14"; phase 2; risk Medium; resets_link false; standing Inert;
    place sysctl::SysctlKey("net.ipv4.tcp_low_latency");
    value Value::Number(0, 2_147_483_647);
    refusal "inert: nothing in the kernel reads tcp_low_latency";
    also [];
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_low_latency",
        "net/ipv4/sysctl_net_ipv4.c in linux 6.1, 6.12: sysctl_tcp_low_latency, whose only use is its own table",
        "not confirmed: that 4.14 was the first release without a reader (the sources read were 6.1 and 6.12)",
    ];
}

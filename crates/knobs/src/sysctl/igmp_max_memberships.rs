use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// How many IPv4 multicast groups one socket may join; 20 by default.
    /// ## Why it matters
    /// A market data program that joins the 21st group on one socket gets ENOBUFS, and runs without that feed if it
    /// does not check for the error.
    /// ## Cost
    /// More memory for a program that joins many.
    /// ## Example
    /// `20 -> 200` writes `/proc/sys/net/ipv4/igmp_max_memberships = 200`
    "sysctl.net.ipv4.igmp_max_memberships";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.ipv4.igmp_max_memberships");
    value Value::Number(1, 5459);
    also ["IP_MAX_MEMBERSHIPS"];
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: igmp_max_memberships",
        "net/ipv4/igmp.c in linux 6.12: __ip_mc_join_group (ENOBUFS)",
    ];
}

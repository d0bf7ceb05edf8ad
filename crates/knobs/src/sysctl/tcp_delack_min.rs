use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Nothing: no mainline kernel has it.
    /// ## Why it matters
    /// Lists copied from vendor kernels name it. These act in its place: `ip route change … quickack 1` for one route
    /// (route.quickack), TCP_QUICKACK for one socket (socket.quickack, not sticky), and TCP_DELACK_MAX_US where the
    /// kernel has that option (absent in 6.12, present in 6.18).
    /// ## Cost
    /// None; the write fails, because the file does not exist.
    /// ## Example
    /// `sysctl net.ipv4.tcp_delack_min` reports that there is no such file; lowlat does not write it.
    "sysctl.net.ipv4.tcp_delack_min";
    kernels "none"; phase 2; risk Medium; resets_link false; standing Elsewhere;
    place sysctl::SysctlKey("net.ipv4.tcp_delack_min");
    value Value::None;
    refusal "not in mainline: use route.quickack (`ip route change … quickack 1`) or TCP_QUICKACK";
    also [];
    sources [
        "net/ipv4/sysctl_net_ipv4.c in linux 6.1, 6.12: no tcp_delack_min",
        "Documentation/networking/ip-sysctl.rst in linux 6.12: no tcp_delack_min",
        "include/uapi/linux/tcp.h in linux 6.12: no TCP_DELACK_MAX_US",
        "measured: linux 6.18, ENOENT for the file; setsockopt TCP_DELACK_MAX_US (46) accepted, with a floor of two clock ticks",
    ];
}

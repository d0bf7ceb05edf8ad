use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Nothing: no mainline kernel has it.
    /// ## Why it matters
    /// Lists copied from vendor kernels name it. Delayed acknowledgements are taken out per route (`quickack 1`) or per
    /// socket (TCP_QUICKACK).
    /// ## Cost
    /// None; the write fails.
    /// ## Example
    /// `sysctl net.ipv4.tcp_delack_min` shows it; lowlat does not write it.
    "sysctl.net.ipv4.tcp_delack_min";
    kernels "none"; phase 2; risk Medium; resets_link false; standing Elsewhere;
    place Place::Sysctl("net.ipv4.tcp_delack_min");
    value Value::None;
    words "no mainline kernel has it";
    refusal "not in mainline: use `ip route change … quickack 1` or TCP_QUICKACK";
    sources ["https://docs.kernel.org/networking/ip-sysctl.html", "net/ipv4/sysctl_net_ipv4.c (v6.1, v6.12): no such entry"];
}

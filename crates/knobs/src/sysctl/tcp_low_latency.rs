use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Nothing: the kernel keeps the file and reads the number nowhere.
    /// ## Why it matters
    /// It is in most tuning lists, and setting it has no effect on any kernel lowlat runs on.
    /// ## Cost
    /// None, and no gain.
    /// ## Example
    /// `sysctl net.ipv4.tcp_low_latency` shows it; lowlat does not write it.
    "sysctl.net.ipv4.tcp_low_latency";
    kernels "..4.13"; phase 2; risk Medium; resets_link false; standing Inert;
    place Place::Sysctl("net.ipv4.tcp_low_latency");
    value Value::Number(0, 2_147_483_647);
    words "nothing reads it, so {was} -> {want} changes nothing";
    refusal "inert: since Linux 4.14 nothing reads tcp_low_latency";
    sources ["https://docs.kernel.org/networking/ip-sysctl.html", "net/ipv4/sysctl_net_ipv4.c (v6.1, v6.12): sysctl_tcp_low_latency has no reader"];
}

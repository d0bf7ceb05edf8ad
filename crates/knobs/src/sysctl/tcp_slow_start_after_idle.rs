use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Shrinks the congestion window after an idle time of one retransmission timeout.
    /// ## Why it matters
    /// A burst after a pause starts with a small window and takes more round trips.
    /// ## Cost
    /// Bursts into a path whose state has changed.
    /// ## Example
    /// `1 -> 0` writes `/proc/sys/net/ipv4/tcp_slow_start_after_idle = 0`
    "sysctl.net.ipv4.tcp_slow_start_after_idle";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Sysctl("net.ipv4.tcp_slow_start_after_idle");
    value Value::Number(0, 1);
    words "the window is reset after idle: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ip-sysctl.html"];
}

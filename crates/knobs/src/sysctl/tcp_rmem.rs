use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Smallest, first and largest receive buffer of a TCP socket, in bytes.
    /// ## Why it matters
    /// A buffer that is too small for bursts makes the stack prune or the window close. The folklore value `4096 87380
    /// 134217728` lowers the default of 131072 that receive buffers start from.
    /// ## Cost
    /// Memory per socket; a large maximum lets queues grow.
    /// ## Example
    /// `4096 131072 6291456 -> 4096 131072 16777216` writes `/proc/sys/net/ipv4/tcp_rmem = 4096 131072 16777216`
    "sysctl.net.ipv4.tcp_rmem";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Sysctl("net.ipv4.tcp_rmem");
    value Value::Triple;
    words "TCP buffers in bytes: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ip-sysctl.html"];
}

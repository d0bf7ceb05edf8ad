use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Smallest, first and largest send buffer of a TCP socket, in bytes.
    /// ## Why it matters
    /// A send buffer that is too small blocks the writer. A large one lets more data queue ahead of a message; see
    /// tcp_notsent_lowat.
    /// ## Cost
    /// Memory per socket; a large maximum lets queues grow.
    /// ## Example
    /// `4096 16384 4194304 -> 4096 16384 16777216` writes `/proc/sys/net/ipv4/tcp_wmem = 4096 16384 16777216`
    "sysctl.net.ipv4.tcp_wmem";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Sysctl("net.ipv4.tcp_wmem");
    value Value::Triple;
    words "TCP buffers in bytes: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ip-sysctl.html"];
}

use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Bit 1 lets clients, bit 2 lets servers carry data in the SYN.
    /// ## Why it matters
    /// It saves one round trip at connection set-up, and nothing after it; the listener must ask for it with
    /// TCP_FASTOPEN.
    /// ## Cost
    /// Some middleboxes drop a SYN with data.
    /// ## Example
    /// `1 -> 3` writes `/proc/sys/net/ipv4/tcp_fastopen = 3`
    "sysctl.net.ipv4.tcp_fastopen";
    kernels "3.7.."; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Sysctl("net.ipv4.tcp_fastopen");
    value Value::Number(0, 8191);
    words "data may travel in the SYN ({was} -> {want})";
    refusal "";
    sources ["https://docs.kernel.org/networking/ip-sysctl.html"];
}

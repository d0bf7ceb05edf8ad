use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Holds a small segment back while an earlier one still waits in the queueing discipline or the device.
    /// ## Why it matters
    /// A small message behind another waits for a transmit completion. TCP_NODELAY does not switch this off, so both
    /// are looked at.
    /// ## Cost
    /// More, smaller packets under bulk load.
    /// ## Example
    /// `1 -> 0` writes `/proc/sys/net/ipv4/tcp_autocorking = 0`
    "sysctl.net.ipv4.tcp_autocorking";
    kernels "3.14.."; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Sysctl("net.ipv4.tcp_autocorking");
    value Value::Number(0, 1);
    words "small segments are held back: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ip-sysctl.html", "net/ipv4/tcp.c (v6.12): tcp_should_autocork"];
}

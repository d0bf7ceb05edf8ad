use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Stamps each segment (RFC 7323), which gives round-trip samples and protects against wrapped sequence numbers.
    /// ## Why it matters
    /// It is on by default on every kernel lowlat runs on, so setting it changes nothing; lowlat reports it where
    /// somebody switched it off.
    /// ## Cost
    /// None at its default.
    /// ## Example
    /// `sysctl net.ipv4.tcp_timestamps` shows it; lowlat does not write it.
    "sysctl.net.ipv4.tcp_timestamps";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Default;
    place Place::Sysctl("net.ipv4.tcp_timestamps");
    value Value::Number(0, 2);
    words "the default is 1 ({was} -> {want})";
    refusal "tcp_timestamps is 1 by default; setting it changes nothing";
    sources ["https://docs.kernel.org/networking/ip-sysctl.html"];
}

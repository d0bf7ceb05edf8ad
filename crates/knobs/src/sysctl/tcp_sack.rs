use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Lets a receiver report which segments arrived out of order (RFC 2018).
    /// ## Why it matters
    /// It is on by default on every kernel lowlat runs on, so setting it changes nothing; lowlat reports it where
    /// somebody switched it off.
    /// ## Cost
    /// None at its default.
    /// ## Example
    /// `sysctl net.ipv4.tcp_sack` shows it; lowlat does not write it.
    "sysctl.net.ipv4.tcp_sack";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Default;
    place Place::Sysctl("net.ipv4.tcp_sack");
    value Value::Number(0, 2);
    words "the default is 1 ({was} -> {want})";
    refusal "tcp_sack is 1 by default; setting it changes nothing";
    sources ["https://docs.kernel.org/networking/ip-sysctl.html"];
}

use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Bytes not yet sent above which a socket is not writable.
    /// ## Why it matters
    /// Keeps data in the program, where a newer message can still overtake, instead of in the kernel.
    /// ## Cost
    /// More wake-ups of the writer.
    /// ## Example
    /// `4294967295 -> 16384` writes `/proc/sys/net/ipv4/tcp_notsent_lowat = 16384`
    "sysctl.net.ipv4.tcp_notsent_lowat";
    kernels "3.12.."; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Sysctl("net.ipv4.tcp_notsent_lowat");
    value Value::Number(0, 4_294_967_295);
    words "unsent bytes before a socket is full: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ip-sysctl.html"];
}

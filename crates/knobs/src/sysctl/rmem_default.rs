use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Receive buffer of a new UDP or raw socket, in bytes.
    /// ## Why it matters
    /// A buffer that overflows in a burst loses packets (UdpRcvbufErrors); a larger one only stores more, it makes
    /// nothing faster.
    /// ## Cost
    /// Memory, and a longer queue when the reader is slow.
    /// ## Example
    /// `212992 -> 1048576` writes `/proc/sys/net/core/rmem_default = 1048576`
    "sysctl.net.core.rmem_default";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Sysctl("net.core.rmem_default");
    value Value::Number(2304, 2_147_483_647);
    words "socket buffers in bytes: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/sysctl/net.html", "include/net/sock.h (v6.12): SOCK_MIN_RCVBUF, SOCK_MIN_SNDBUF"];
}

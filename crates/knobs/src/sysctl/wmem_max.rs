use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Largest send buffer SO_SNDBUF may ask for, in bytes.
    /// ## Why it matters
    /// A buffer that overflows in a burst loses packets (UdpRcvbufErrors); a larger one only stores more, it makes
    /// nothing faster.
    /// ## Cost
    /// Memory, and a longer queue when the reader is slow.
    /// ## Example
    /// `212992 -> 4194304` writes `/proc/sys/net/core/wmem_max = 4194304`
    "sysctl.net.core.wmem_max";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Sysctl("net.core.wmem_max");
    value Value::Number(4608, 2_147_483_647);
    words "socket buffers in bytes: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/sysctl/net.html", "include/net/sock.h (v6.12): SOCK_MIN_RCVBUF, SOCK_MIN_SNDBUF"];
}

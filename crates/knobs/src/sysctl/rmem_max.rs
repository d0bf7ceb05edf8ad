use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Largest receive buffer that SO_RCVBUF may ask for, in bytes; the kernel doubles the requested size for its own
    /// bookkeeping. SO_RCVBUFFORCE exceeds it with CAP_NET_ADMIN. 212992 by default on 64-bit hosts (4194304 from 6.18
    /// on) and 163840 on 32-bit ones.
    /// ## Why it matters
    /// A buffer that overflows in a burst loses packets (UdpRcvbufErrors). A larger one only stores more; it makes
    /// nothing faster.
    /// ## Cost
    /// Memory, and a longer queue when the reader is slow.
    /// ## Example
    /// `212992 -> 4194304` writes `/proc/sys/net/core/rmem_max = 4194304`
    "sysctl.net.core.rmem_max";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.core.rmem_max");
    value Value::Number(2304, 2_147_483_647);
    also [];
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: rmem_max",
        "include/net/sock.h in linux 6.1, 6.12: SOCK_MIN_RCVBUF (the lower bound), SK_RMEM_MAX",
        "net/core/sock.c in linux 6.12: sock_init_data_uid, __sock_set_rcvbuf",
        "linux commit a6d4f25888b83b8300aef28d9ee22765c1cc9b34: net: set net.core.rmem_max and net.core.wmem_max to 4 MB (6.18)",
    ];
}

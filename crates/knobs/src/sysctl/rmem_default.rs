use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Receive buffer of a new socket, in bytes: UDP, raw and packet sockets. TCP starts from the second number of
    /// tcp_rmem instead. 212992 by default on 64-bit hosts, 163840 on 32-bit ones.
    /// ## Why it matters
    /// A buffer that overflows in a burst loses packets (UdpRcvbufErrors). A larger one only stores more; it makes
    /// nothing faster. 16 MiB for every socket, which tuning lists recommend, is queue depth and not speed.
    /// ## Cost
    /// Memory, and a longer queue when the reader is slow.
    /// ## Example
    /// `212992 -> 1048576` writes `/proc/sys/net/core/rmem_default = 1048576`
    "sysctl.net.core.rmem_default";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.core.rmem_default");
    value Value::Number(2304, 2_147_483_647);
    also [];
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: rmem_default",
        "include/net/sock.h in linux 6.1, 6.12: SOCK_MIN_RCVBUF (the lower bound), SK_RMEM_MAX",
        "net/core/sock.c in linux 6.12: sock_init_data_uid, __sock_set_rcvbuf",
    ];
}

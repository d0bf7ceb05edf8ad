use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Send buffer of a new socket, in bytes: UDP, raw and packet sockets. TCP starts from the second number of
    /// tcp_wmem instead. 212992 by default on 64-bit hosts, 163840 on 32-bit ones.
    /// ## Why it matters
    /// A sender whose buffer is full blocks, or gets EAGAIN (UdpSndbufErrors). A larger buffer makes nothing faster: it
    /// lets more data wait below the program. 16 MiB for every socket, which tuning lists recommend, is queue depth and
    /// not speed.
    /// ## Cost
    /// Memory, and a longer queue when the reader is slow.
    /// ## Example
    /// `212992 -> 1048576` writes `/proc/sys/net/core/wmem_default = 1048576`
    "sysctl.net.core.wmem_default";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.core.wmem_default");
    value Value::Number(4608, 2_147_483_647);
    also [];
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: wmem_default",
        "include/net/sock.h in linux 6.1, 6.12: SOCK_MIN_SNDBUF (the lower bound), SK_WMEM_MAX",
        "net/core/sock.c in linux 6.12: sock_init_data_uid, sk_setsockopt (SO_SNDBUF)",
    ];
}

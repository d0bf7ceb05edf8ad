use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Smallest, initial and largest receive buffer of a TCP socket, in bytes. Autotuning grows the buffer up to the
    /// largest; SO_RCVBUF switches autotuning off for its socket. Defaults: 4096, 131072, and up to 6 MiB depending on
    /// memory (up to 32 MiB from 6.16 on).
    /// ## Why it matters
    /// If the buffer is too small for bursts, the stack prunes it or the window closes. The folklore value
    /// `4096 87380 134217728` *lowers* the initial size of 131072, and its maximum lets 128 MiB queue in one socket.
    /// ## Cost
    /// Memory for each socket; a large maximum lets queues grow.
    /// ## Example
    /// `4096 131072 6291456 -> 4096 131072 16777216` writes `/proc/sys/net/ipv4/tcp_rmem = 4096 131072 16777216`
    "sysctl.net.ipv4.tcp_rmem";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.ipv4.tcp_rmem");
    value Value::Triple;
    also [];
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_rmem",
        "net/ipv4/tcp.c in linux 6.1, 6.12: tcp_init (131072; max_rshare at most 6 MiB)",
        "linux commit 572be9bf9d0d: tcp: increase tcp_rmem[2] to 32 MB (6.16)",
        "measured: linux 6.18, 4096 131072 33554432",
    ];
}

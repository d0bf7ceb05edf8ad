use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Longest queue of completed connections that listen() may ask for; 4096 by default (128 before 5.4).
    /// ## Why it matters
    /// When the queue is full, the kernel drops the last packet of the handshake (`TcpExt.ListenOverflows`), and the
    /// client waits a second or more before it tries again. A longer queue bridges bursts; a server that accepts too
    /// slowly stays too slow.
    /// ## Cost
    /// Memory for waiting connections. A listener asks with its own backlog, so it has to be restarted.
    /// ## Example
    /// `4096 -> 8192` writes `/proc/sys/net/core/somaxconn = 8192`
    "sysctl.net.core.somaxconn";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.core.somaxconn");
    value Value::Number(0, 2_147_483_647);
    also ["somaxconn"];
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: somaxconn",
        "net/ipv4/tcp_ipv4.c in linux 6.12: tcp_v4_syn_recv_sock (LINUX_MIB_LISTENOVERFLOWS)",
    ];
}

use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Smallest, initial and largest send buffer of a TCP socket, in bytes. Defaults: 4096, 16384, and up to 4 MiB
    /// depending on memory. SO_SNDBUF switches autotuning off for its socket.
    /// ## Why it matters
    /// A send buffer that is too small blocks the writer. A large one lets more data queue ahead of a message;
    /// tcp_notsent_lowat limits that without a small buffer. The folklore initial size of 65536 makes no message
    /// faster.
    /// ## Cost
    /// Memory for each socket; a large maximum lets queues grow.
    /// ## Example
    /// `4096 16384 4194304 -> 4096 16384 16777216` writes `/proc/sys/net/ipv4/tcp_wmem = 4096 16384 16777216`
    "sysctl.net.ipv4.tcp_wmem";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.ipv4.tcp_wmem");
    value Value::Triple;
    also [];
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_wmem",
        "net/ipv4/tcp.c in linux 6.1, 6.12: tcp_init (16 KiB; max_wshare at most 4 MiB)",
    ];
}

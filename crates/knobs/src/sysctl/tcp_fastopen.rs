use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// A bitmap: 1 lets clients send data in the SYN (MSG_FASTOPEN), 2 lets servers accept it, 0x4 lets clients send
    /// without a cookie, 0x200 lets servers accept without one, and 0x400 enables it on all listeners. The default is
    /// 1.
    /// ## Why it matters
    /// It saves one round trip when a connection is set up and nothing after that. A listener must also ask for it with
    /// TCP_FASTOPEN, unless 0x400 is set; a client must send with MSG_FASTOPEN.
    /// ## Cost
    /// Some middleboxes drop a SYN with data. A request in a SYN may arrive twice, so it must be safe to repeat.
    /// ## Example
    /// `1 -> 3` writes `/proc/sys/net/ipv4/tcp_fastopen = 3`
    "sysctl.net.ipv4.tcp_fastopen";
    kernels "3.7.."; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.ipv4.tcp_fastopen");
    value Value::Number(0, 8191);
    also [];
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_fastopen",
        "RFC 7413 (sections 2, 6.3.1)",
        "net/ipv4/sysctl_net_ipv4.c in linux 6.12: tcp_fastopen, proc_dointvec without bounds",
    ];
}

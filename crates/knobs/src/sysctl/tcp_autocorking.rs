use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Holds back a segment that is not full while earlier data is unacknowledged *and* bytes of this socket still wait
    /// in the queue discipline or the device.
    /// ## Why it matters
    /// A small message behind another waits for a transmit completion. TCP_NODELAY does not switch autocorking off:
    /// they are two mechanisms, and a program should set TCP_NODELAY itself (socket.nodelay). `TcpExt.TCPAutoCorking`
    /// counts how often autocorking acted.
    /// ## Cost
    /// More and smaller packets under bulk load.
    /// ## Example
    /// `1 -> 0` writes `/proc/sys/net/ipv4/tcp_autocorking = 0`
    "sysctl.net.ipv4.tcp_autocorking";
    kernels "3.14.."; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.ipv4.tcp_autocorking");
    value Value::Number(0, 1);
    also [];
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_autocorking",
        "net/ipv4/tcp.c in linux 6.12: tcp_should_autocork, tcp_push",
    ];
}

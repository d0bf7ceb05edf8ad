//! Live TCP sockets.

use lowlat_model::Reading;
use lowlat_model::facts::TcpSocket;
use lowlat_sys::Sys;

crate::collector! {
    /// Live TCP sockets with the kernel's own view of each connection (`TCP_INFO`): smoothed and smallest RTT,
    /// retransmits, congestion window, unsent bytes. This is what `ss -ti` shows, taken from the same netlink dump.
    ///
    /// Round-trip times here include the peer's delayed acknowledgements; `min_rtt` is the best estimate of the path
    /// alone.
    pub SOCKETS = "sockets";
    reads ["net:tcp-sockets"];
    sources [
        "man 7 sock_diag (IPv4 and IPv6 sockets)",
        "include/uapi/linux/tcp.h in linux 6.12: struct tcp_info",
    ];
}

/// All TCP sockets of the namespace.
pub(crate) fn read(sys: &dyn Sys) -> Reading<Vec<TcpSocket>> {
    sys.tcp_sockets()
}

//! TCP sockets with their TCP_INFO, the sockets of one application, and AF_XDP sockets (`NETLINK_SOCK_DIAG`).

use std::net::SocketAddr;

use crate::attr::{Attrs, be16_at, tail, u32_at};
use crate::message::Message;
use crate::route::ip;
use crate::socket::{NetlinkSocket, Protocol};
use crate::{Error, Malformed};

pub(crate) const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// sizeof(struct inet_diag_msg).
pub(crate) const DIAG_MSG: usize = 72;
pub(crate) const INET_DIAG_INFO: u16 = 2;
const INET_DIAG_CONG: u16 = 4;
pub(crate) const IPPROTO_TCP: u8 = 6;
/// Every state but `TIME_WAIT` (6) and `NEW_SYN_RECV` (12), which are no full sockets and have no TCP_INFO.
pub(crate) const STATES: u32 = 0x1fff & !(1 << 6) & !(1 << 12);

/// One socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpSocketMessage {
    /// Local address.
    pub local: SocketAddr,
    /// Remote address.
    pub remote: SocketAddr,
    /// `established`, `listen`, …
    pub state: &'static str,
    /// `tcpi_rtt`, µs.
    pub rtt_us: u32,
    /// `tcpi_rttvar`, µs.
    pub rttvar_us: u32,
    /// `tcpi_min_rtt`, µs; `None` where the kernel has no sample yet or does not report.
    pub min_rtt_us: Option<u32>,
    /// `tcpi_total_retrans`.
    pub total_retransmits: u32,
    /// `tcpi_snd_cwnd`, segments.
    pub cwnd: u32,
    /// `tcpi_notsent_bytes`.
    pub notsent_bytes: u32,
    /// Congestion control.
    pub congestion: String,
    /// `tcpi_total_rto`; `None` where the kernel does not have it.
    pub timeouts: Option<u16>,
}

/// A family of addresses (`AF_INET`, `AF_INET6`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4 = 2,
    /// IPv6, also of sockets that reach IPv4 by mapped addresses.
    V6 = 10,
}

/// All TCP sockets of the namespace, of these families, each as `from` makes it of its message; a busy host has a hundred
/// thousand. Other users' sockets are in the answer too. For each family the kernel goes through the host's whole table of
/// connections, whose size grows with its memory and not with their number (net/ipv4/inet_diag.c in linux 6.12,
/// `inet_diag_dump_icsk`).
pub fn tcp_sockets<T>(families: &[Family], mut from: impl FnMut(TcpSocketMessage) -> T) -> Result<Vec<T>, Error> {
    let mut out = Vec::new();
    if families.is_empty() {
        return Ok(out);
    }
    let mut socket = NetlinkSocket::open(Protocol::SockDiag)?;
    for family in families {
        let what = "list the TCP sockets";
        // struct inet_diag_req_v2: family, protocol, extensions, pad, states, 48 bytes of socket id
        let mut fixed = [0; 56];
        fixed[0] = *family as u8;
        fixed[1] = IPPROTO_TCP;
        fixed[2] = 1 << (INET_DIAG_INFO - 1) | 1 << (INET_DIAG_CONG - 1);
        fixed[4..8].copy_from_slice(&STATES.to_ne_bytes());
        socket.dump_into(what, &Message::new(SOCK_DIAG_BY_FAMILY, 0, &fixed), &mut out, |kind, payload| {
            (kind == SOCK_DIAG_BY_FAMILY).then(|| parse(payload).map(&mut from)).transpose()
        })?;
    }
    out.shrink_to_fit();
    Ok(out)
}

/// Reads one `struct inet_diag_msg` and its attributes.
pub fn parse(payload: &[u8]) -> Result<TcpSocketMessage, Malformed> {
    let short = || Malformed::new("a socket shorter than its header");
    let Some(&[family, state]) = payload.get(..2) else { return Err(short()) };
    let addr_len = match family {
        2 => 4,
        10 => 16,
        other => return Err(Malformed::new(format!("a TCP socket of family {other}"))),
    };
    // struct inet_diag_sockid at 4: ports (big-endian), source and destination of 16 bytes each, interface, cookie
    let address = |port: usize, at: usize| {
        let ip = payload.get(at..at + addr_len).and_then(ip).ok_or_else(short)?;
        Ok(SocketAddr::new(ip, be16_at(payload, port).ok_or_else(short)?))
    };
    let (local, remote) = (address(4, 8)?, address(6, 24)?);
    let attrs = Attrs::parse(payload.get(DIAG_MSG..).ok_or_else(short)?)?;
    // struct tcp_info only ever grows; a field past its end is one the kernel does not have.
    let info = attrs.get(INET_DIAG_INFO).map(|a| a.data).unwrap_or_default();
    let field = |at: usize| u32_at(info, at);
    Ok(TcpSocketMessage {
        local,
        remote,
        state: state_name(state),
        rtt_us: field(68).unwrap_or(0),
        rttvar_us: field(72).unwrap_or(0),
        // ~0 until the first sample (net/ipv4/tcp.c, tcp_init_sock).
        min_rtt_us: field(148).filter(|v| *v != u32::MAX),
        total_retransmits: field(100).unwrap_or(0),
        cwnd: field(80).unwrap_or(0),
        notsent_bytes: field(144).unwrap_or(0),
        congestion: attrs.text(INET_DIAG_CONG).unwrap_or_default(),
        timeouts: crate::attr::u16_at(info, 240),
    })
}

/// include/net/tcp_states.h.
pub(crate) fn state_name(state: u8) -> &'static str {
    const NAMES: [&str; 13] = [
        "unknown",
        "established",
        "syn-sent",
        "syn-recv",
        "fin-wait-1",
        "fin-wait-2",
        "time-wait",
        "close",
        "close-wait",
        "last-ack",
        "listen",
        "closing",
        "new-syn-recv",
    ];
    NAMES.get(usize::from(state)).copied().unwrap_or("unknown")
}

const INET_DIAG_VEGASINFO: u16 = 3;
pub(crate) const INET_DIAG_SKMEMINFO: u16 = 7;
const INET_DIAG_SKV6ONLY: u16 = 11;
const INET_DIAG_BBRINFO: u16 = 16;
const INET_DIAG_SOCKOPT: u16 = 22;
/// UDP has two states: connected, and not (`TCP_ESTABLISHED`, `TCP_CLOSE`).
pub(crate) const UDP_STATES: u32 = 1 << 1 | 1 << 7;

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `IPPROTO_TCP`.
    Tcp,
    /// `IPPROTO_UDP`.
    Udp,
}

/// One socket with its queues, memory and drops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InetSocketMessage {
    /// Local address.
    pub local: SocketAddr,
    /// Remote address.
    pub remote: SocketAddr,
    /// `established`, `listen`, `close`, …
    pub state: &'static str,
    /// `idiag_rqueue`: bytes received and not read; of a listening socket the connections that wait.
    pub receive_queue: u32,
    /// `idiag_wqueue`: bytes written and not acknowledged; of a listening socket the most that may wait.
    pub send_queue: u32,
    /// As `/proc/PID/fd` shows it.
    pub inode: u32,
    /// Memory; `None` where the kernel gives none.
    pub memory: Option<SocketMemory>,
    /// `IP_MULTICAST_ALL`; `None` before Linux 5.10.
    pub multicast_all: Option<bool>,
    /// `IPV6_V6ONLY` of an IPv6 socket without a connection; `None` for the others.
    pub v6_only: Option<bool>,
    /// Of TCP alone.
    pub tcp: Option<ConnectionMessage>,
}

/// Part of `INET_DIAG_SKMEMINFO` (include/uapi/linux/sock_diag.h, SK_MEMINFO_…).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketMemory {
    /// `sk_rcvbuf`, bytes.
    pub receive_buffer: u32,
    /// `sk_sndbuf`, bytes.
    pub send_buffer: u32,
    /// `sk_drops`; `None` before Linux 4.7.
    pub drops: Option<u32>,
}

/// Part of `struct tcp_info`, and the congestion control.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionMessage {
    /// `tcpi_snd_mss`.
    pub segment_bytes: u32,
    /// `tcpi_bytes_sent` less `tcpi_bytes_retrans`; `None` before Linux 4.19.
    pub sent_bytes: Option<u64>,
    /// `tcpi_data_segs_out`.
    pub sent_segments: u32,
    /// `tcpi_total_retrans`.
    pub resent_segments: u32,
    /// `tcpi_notsent_bytes`.
    pub unsent_bytes: u32,
    /// Congestion control.
    pub algorithm: String,
    /// `bbr_bw` of `struct tcp_bbr_info`, bytes a second.
    pub bbr_rate: Option<u64>,
}

/// The sockets of this namespace that `keep` asks for, IPv4 and IPv6.
pub fn inet_sockets(
    transport: Transport,
    keep: impl Fn(&InetSocketMessage) -> bool,
) -> Result<Vec<InetSocketMessage>, Error> {
    let (what, protocol, states) = match transport {
        Transport::Tcp => ("list the TCP sockets", IPPROTO_TCP, STATES),
        Transport::Udp => ("list the UDP sockets", 17, UDP_STATES),
    };
    let mut out = Vec::new();
    let mut socket = NetlinkSocket::open(Protocol::SockDiag)?;
    for family in [2u8, 10] {
        let mut fixed = [0; 56];
        fixed[0] = family;
        fixed[1] = protocol;
        // BBR answers where Vegas' information is asked for (net/ipv4/tcp_bbr.c, bbr_get_info). The socket options come
        // unasked (net/ipv4/inet_diag.c, inet_diag_msg_attrs_fill).
        for extension in [INET_DIAG_INFO, INET_DIAG_VEGASINFO, INET_DIAG_CONG, INET_DIAG_SKMEMINFO] {
            fixed[2] |= 1 << (extension - 1);
        }
        fixed[4..8].copy_from_slice(&states.to_ne_bytes());
        out.extend(socket.dump_map(what, &Message::new(SOCK_DIAG_BY_FAMILY, 0, &fixed), |kind, payload| {
            if kind != SOCK_DIAG_BY_FAMILY {
                return Ok(None);
            }
            parse_inet(transport, payload).map(|found| Some(found).filter(&keep))
        })?);
    }
    Ok(out)
}

/// Reads one `struct inet_diag_msg` and its attributes, with what an application's socket is judged by.
pub fn parse_inet(transport: Transport, payload: &[u8]) -> Result<InetSocketMessage, Malformed> {
    let plain = parse(payload)?;
    let short = || Malformed::new("a socket shorter than its header");
    let field = |at: usize| u32_at(payload, at).ok_or_else(short);
    let attrs = Attrs::parse(payload.get(DIAG_MSG..).ok_or_else(short)?)?;
    let data = |kind: u16| attrs.get(kind).map(|a| a.data);
    let memory = data(INET_DIAG_SKMEMINFO).and_then(|m| {
        Some(SocketMemory { receive_buffer: u32_at(m, 4)?, send_buffer: u32_at(m, 12)?, drops: u32_at(m, 32) })
    });
    let info = data(INET_DIAG_INFO).unwrap_or_default();
    let tcp = (transport == Transport::Tcp).then(|| ConnectionMessage {
        segment_bytes: u32_at(info, 16).unwrap_or(0),
        sent_bytes: u64_at(info, 200).zip(u64_at(info, 208)).map(|(sent, again)| sent.saturating_sub(again)),
        sent_segments: u32_at(info, 156).unwrap_or(0),
        resent_segments: plain.total_retransmits,
        unsent_bytes: plain.notsent_bytes,
        algorithm: plain.congestion.clone(),
        bbr_rate: data(INET_DIAG_BBRINFO).and_then(|b| u64_at(b, 0)),
    });
    Ok(InetSocketMessage {
        local: plain.local,
        remote: plain.remote,
        state: plain.state,
        receive_queue: field(56)?,
        send_queue: field(60)?,
        inode: field(68)?,
        memory,
        // Bit fields are filled from the lowest bit on little-endian machines (struct inet_diag_sockopt: mc_all is the
        // seventh of the first byte).
        multicast_all: data(INET_DIAG_SOCKOPT).and_then(|o| o.first()).map(|bits| bits & 1 << 6 != 0),
        // Unasked, of IPv6 sockets in the states LISTEN and CLOSE (inet_diag_msg_attrs_fill).
        v6_only: data(INET_DIAG_SKV6ONLY).and_then(|o| o.first()).map(|only| *only != 0),
        tcp,
    })
}

/// Of the machine's byte order; `bbr_bw` is two halves, the low one first, which is the same on a little-endian machine.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// One AF_XDP socket that is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XskSocketMessage {
    /// Interface index.
    pub ifindex: u32,
    /// Queue.
    pub queue: u32,
    /// Inode.
    pub inode: u32,
    /// The device writes into the socket's memory itself; `None` where the kernel does not report it.
    pub zero_copy: Option<bool>,
}

/// The AF_XDP sockets of the namespace. A kernel without their diagnosis (`CONFIG_XDP_SOCKETS_DIAG`) says `ENOENT`.
pub fn xsk_sockets() -> Result<Vec<XskSocketMessage>, Error> {
    let what = "list the AF_XDP sockets";
    // struct xdp_diag_req: family, protocol, padding, inode, what to show (XDP_SHOW_INFO, XDP_SHOW_UMEM), cookie
    let mut request = [0; 20];
    request[0] = AF_XDP;
    request[8..12].copy_from_slice(&0b101u32.to_ne_bytes());
    let replies =
        NetlinkSocket::open(Protocol::SockDiag)?.dump(what, &Message::new(SOCK_DIAG_BY_FAMILY, 0, &request))?;
    let mut out = Vec::new();
    for r in replies.iter().filter(|r| r.kind == SOCK_DIAG_BY_FAMILY) {
        out.extend(parse_xsk(&r.payload).map_err(|e| Error::malformed(what, e))?);
    }
    Ok(out)
}

const AF_XDP: u8 = 44;
/// sizeof(struct xdp_diag_msg): family, type, padding, inode, cookie.
const XDP_DIAG_MSG: usize = 16;
const XDP_DIAG_INFO: u16 = 1;
const XDP_DIAG_UMEM: u16 = 5;
/// Offset of `flags` in `struct xdp_diag_umem`, and `XDP_DU_F_ZEROCOPY` of it.
const UMEM_FLAGS: usize = 32;
const ZERO_COPY: u32 = 1;

/// Reads one reply after its netlink header; `None` for a socket that is bound to nothing.
pub fn parse_xsk(payload: &[u8]) -> Result<Option<XskSocketMessage>, Malformed> {
    let inode = u32_at(payload, 4).ok_or_else(|| Malformed::new("an AF_XDP socket shorter than its header"))?;
    let attrs = Attrs::parse(tail(payload, XDP_DIAG_MSG))?;
    let info = attrs.get(XDP_DIAG_INFO).map(|a| a.data).unwrap_or_default();
    let zero_copy =
        attrs.get(XDP_DIAG_UMEM).and_then(|a| u32_at(a.data, UMEM_FLAGS)).map(|flags| flags & ZERO_COPY != 0);
    Ok(match (u32_at(info, 0), u32_at(info, 4)) {
        (Some(ifindex), Some(queue)) if ifindex != 0 => Some(XskSocketMessage { ifindex, queue, inode, zero_copy }),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_socket_says_whether_its_device_copies() {
        let socket = |flags: Option<u32>| {
            let mut bytes = vec![AF_XDP, 3, 0, 0];
            bytes.extend([77u32, 0, 0].iter().flat_map(|n| n.to_ne_bytes()));
            let umem = |flags: u32| [0, 0, 1, 2, 4096, 0, 3, 1, flags, 1].map(u32::to_ne_bytes).concat();
            bytes.extend(crate::message::attrs(|m| {
                let m = m.attr(XDP_DIAG_INFO, &[3u32, 1].map(u32::to_ne_bytes).concat());
                match flags {
                    Some(flags) => m.attr(XDP_DIAG_UMEM, &umem(flags)),
                    None => m,
                }
            }));
            parse_xsk(&bytes).unwrap().unwrap()
        };
        assert_eq!((socket(None).ifindex, socket(None).queue, socket(None).inode), (3, 1, 77));
        assert_eq!([None, Some(0), Some(1)].map(|f| socket(f).zero_copy), [None, Some(false), Some(true)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), f in prop_oneof![Just(2u8), Just(10)]) {
            if let Some(b) = bytes.first_mut() {
                *b = f;
            }
            let _ = parse(&bytes);
            let _ = (parse_inet(Transport::Tcp, &bytes), parse_inet(Transport::Udp, &bytes));
        }
    }
}

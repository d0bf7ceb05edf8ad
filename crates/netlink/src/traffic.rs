//! Live TCP and UDP sockets with all that the kernel counts of them, asked again and again over one netlink socket
//! (`NETLINK_SOCK_DIAG`).
//!
//! The port or the far end goes into the request as the small program that the kernel runs on each socket
//! (`INET_DIAG_REQ_BYTECODE`, net/ipv4/inet_diag.c, `inet_diag_bc_run`), so that of ten thousand sockets those alone are
//! copied that are asked for. Every answer is checked once more here: a kernel that refuses the program is asked without.

use std::net::{IpAddr, SocketAddr};

use crate::attr::{Attrs, be16_at, u32_at};
use crate::diag::{
    DIAG_MSG, INET_DIAG_INFO, INET_DIAG_SKMEMINFO, IPPROTO_TCP, SOCK_DIAG_BY_FAMILY, STATES, Transport, UDP_STATES,
    state_name, u64_at,
};
use crate::message::Message;
use crate::route::ip;
use crate::socket::{NetlinkSocket, Protocol};
use crate::{Error, Malformed};

const INET_DIAG_REQ_BYTECODE: u16 = 1;
/// include/uapi/linux/inet_diag.h.
const BC_JMP: u8 = 1;
const BC_D_COND: u8 = 8;
const BC_S_EQ: u8 = 11;
const BC_D_EQ: u8 = 12;

/// Which sockets are asked for; all that is given has to fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrafficFilter {
    /// Local or remote port.
    pub port: Option<u16>,
    /// Remote address.
    pub peer: Option<IpAddr>,
}

/// One socket, as it is now. Counters are since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrafficMessage {
    /// Local address.
    pub local: SocketAddr,
    /// Remote address.
    pub remote: SocketAddr,
    /// `established`, `listen`, …
    pub state: &'static str,
    /// As `/proc/PID/fd` shows it.
    pub inode: u32,
    /// The kernel's number of the socket, which no other gets.
    pub cookie: u64,
    /// `idiag_rqueue`.
    pub receive_queue: u32,
    /// `idiag_wqueue`.
    pub send_queue: u32,
    /// `INET_DIAG_SKMEMINFO`; `None` where the kernel gives none.
    pub memory: Option<TrafficMemory>,
    /// Of connections alone.
    pub tcp: Option<TcpInfo>,
}

/// Part of `INET_DIAG_SKMEMINFO` (include/uapi/linux/sock_diag.h, SK_MEMINFO_…).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrafficMemory {
    /// `sk_rmem_alloc`, bytes.
    pub receive_used: u32,
    /// `sk_rcvbuf`, bytes.
    pub receive_buffer: u32,
    /// `sk_backlog.len`, bytes; `None` before Linux 4.6.
    pub backlog: Option<u32>,
    /// `sk_drops`; `None` before Linux 4.7.
    pub drops: Option<u32>,
}

/// Part of `struct tcp_info` (include/uapi/linux/tcp.h), which only ever grows: `None` is a field that this kernel does not
/// have. Names are the kernel's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the kernel's names and units
pub struct TcpInfo {
    pub probes: u8,
    pub delivery_rate_app_limited: bool,
    pub rtt_us: u32,
    pub rttvar_us: u32,
    pub snd_cwnd: u32,
    pub total_retrans: u32,
    pub bytes_acked: u64,
    pub bytes_received: u64,
    pub notsent_bytes: u32,
    pub min_rtt_us: Option<u32>,
    pub data_segs_in: u32,
    pub data_segs_out: u32,
    pub delivery_rate: Option<u64>,
    pub busy_time_us: Option<u64>,
    pub rwnd_limited_us: Option<u64>,
    pub sndbuf_limited_us: Option<u64>,
    pub snd_wnd: Option<u32>,
    pub rcv_wnd: Option<u32>,
    pub total_rto: Option<u16>,
}

/// A netlink socket that is kept open. It stays in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct TrafficDiag {
    socket: NetlinkSocket,
    /// This kernel refused the program.
    plain: bool,
}

impl TrafficDiag {
    /// Opens it.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { socket: NetlinkSocket::open(Protocol::SockDiag)?, plain: false })
    }

    /// Adds the sockets that fit, IPv4 and IPv6, to a list, each as `from` makes it of its message; `None` leaves one out.
    pub fn ask<T>(
        &mut self,
        transport: Transport,
        filter: TrafficFilter,
        all: &mut Vec<T>,
        mut from: impl FnMut(TrafficMessage) -> Option<T>,
    ) -> Result<(), Error> {
        for family in [2, 10] {
            loop {
                let program = (!self.plain).then(|| program(filter)).flatten();
                let message = request(transport, family, program.as_deref());
                let what = match transport {
                    Transport::Tcp => "list the TCP sockets",
                    Transport::Udp => "list the UDP sockets",
                };
                let answer = self.socket.dump_into(what, &message, all, |kind, payload| {
                    if kind != SOCK_DIAG_BY_FAMILY {
                        return Ok(None);
                    }
                    let found = parse_traffic(transport, payload)?;
                    Ok(if filter.fits(&found) { from(found) } else { None })
                });
                match answer {
                    Ok(()) => {}
                    Err(Error::Refused { errno: libc::EINVAL, .. }) if program.is_some() => {
                        self.plain = true;
                        continue;
                    }
                    Err(e) => return Err(e),
                }
                break;
            }
        }
        Ok(())
    }
}

impl TrafficFilter {
    fn fits(&self, m: &TrafficMessage) -> bool {
        self.port.is_none_or(|p| m.local.port() == p || m.remote.port() == p)
            && self.peer.is_none_or(|p| m.remote.ip().to_canonical() == p.to_canonical())
    }
}

fn request(transport: Transport, family: u8, program: Option<&[u8]>) -> Message {
    let (protocol, states) = match transport {
        Transport::Tcp => (IPPROTO_TCP, STATES),
        Transport::Udp => (17, UDP_STATES),
    };
    // struct inet_diag_req_v2: family, protocol, extensions, pad, states, 48 bytes of socket id
    let mut fixed = [0; 56];
    fixed[0] = family;
    fixed[1] = protocol;
    fixed[2] = 1 << (INET_DIAG_INFO - 1) | 1 << (INET_DIAG_SKMEMINFO - 1);
    fixed[4..8].copy_from_slice(&states.to_ne_bytes());
    let message = Message::new(SOCK_DIAG_BY_FAMILY, 0, &fixed);
    match program {
        Some(code) => message.attr(INET_DIAG_REQ_BYTECODE, code),
        None => message,
    }
}

/// One instruction (`struct inet_diag_bc_op`): what, how far on if so, how far on if not. A jump to four bytes past the end
/// is a no, one to the end a yes.
fn op(code: u8, yes: u8, no: u16) -> [u8; 4] {
    let [a, b] = no.to_ne_bytes();
    [code, yes, a, b]
}

/// The far end where it is given, since fewer sockets have it; else the port at either end.
fn program(filter: TrafficFilter) -> Option<Vec<u8>> {
    if let Some(peer) = filter.peer {
        // struct inet_diag_hostcond: family, prefix length, padding, port (-1 for any), address
        let (family, address) = match peer.to_canonical() {
            IpAddr::V4(a) => (2, a.octets().to_vec()),
            IpAddr::V6(a) => (10, a.octets().to_vec()),
        };
        let bytes = u8::try_from(address.len()).unwrap_or(0);
        let length = 12 + bytes;
        let mut code = op(BC_D_COND, length, u16::from(length) + 4).to_vec();
        code.extend([family, bytes * 8, 0, 0]);
        code.extend((-1i32).to_ne_bytes());
        code.extend(address);
        return Some(code);
    }
    let port = filter.port?;
    let code = [op(BC_S_EQ, 8, 12), op(0, 0, port), op(BC_JMP, 4, 12), op(BC_D_EQ, 8, 12), op(0, 0, port)];
    Some(code.concat())
}

/// Reads one `struct inet_diag_msg` and its attributes.
pub fn parse_traffic(transport: Transport, payload: &[u8]) -> Result<TrafficMessage, Malformed> {
    let short = || Malformed::new("a socket shorter than its header");
    let Some(&[family, state]) = payload.get(..2) else { return Err(short()) };
    let addr_len = match family {
        2 => 4,
        10 => 16,
        other => return Err(Malformed::new(format!("a socket of family {other}"))),
    };
    // struct inet_diag_sockid at 4: ports (big-endian), source and destination of 16 bytes each, interface, cookie
    let address = |port: usize, at: usize| {
        let ip = payload.get(at..at + addr_len).and_then(ip).ok_or_else(short)?;
        Ok(SocketAddr::new(ip, be16_at(payload, port).ok_or_else(short)?))
    };
    let field = |at: usize| u32_at(payload, at).ok_or_else(short);
    let attrs = Attrs::parse(payload.get(DIAG_MSG..).ok_or_else(short)?)?;
    let data = |kind: u16| attrs.get(kind).map(|a| a.data);
    let memory = data(INET_DIAG_SKMEMINFO).and_then(|m| {
        let (receive_used, receive_buffer) = (u32_at(m, 0)?, u32_at(m, 4)?);
        Some(TrafficMemory { receive_used, receive_buffer, backlog: u32_at(m, 28), drops: u32_at(m, 32) })
    });
    let state = state_name(state);
    let tcp = (transport == Transport::Tcp && state != "listen").then(|| data(INET_DIAG_INFO).map(tcp_info)).flatten();
    Ok(TrafficMessage {
        local: address(4, 8)?,
        remote: address(6, 24)?,
        state,
        inode: field(68)?,
        cookie: u64::from(field(44)?) | u64::from(field(48)?) << 32,
        receive_queue: field(56)?,
        send_queue: field(60)?,
        memory,
        tcp,
    })
}

fn tcp_info(info: &[u8]) -> TcpInfo {
    let four = |at: usize| u32_at(info, at);
    let eight = |at: usize| u64_at(info, at);
    TcpInfo {
        probes: info.get(3).copied().unwrap_or(0),
        // The lowest bit of a byte of bit fields, on a little-endian machine.
        delivery_rate_app_limited: info.get(7).is_some_and(|b| b & 1 > 0),
        rtt_us: four(68).unwrap_or(0),
        rttvar_us: four(72).unwrap_or(0),
        snd_cwnd: four(80).unwrap_or(0),
        total_retrans: four(100).unwrap_or(0),
        bytes_acked: eight(120).unwrap_or(0),
        bytes_received: eight(128).unwrap_or(0),
        notsent_bytes: four(144).unwrap_or(0),
        // ~0 until the first sample (net/ipv4/tcp.c, tcp_init_sock).
        min_rtt_us: four(148).filter(|v| *v != u32::MAX),
        data_segs_in: four(152).unwrap_or(0),
        data_segs_out: four(156).unwrap_or(0),
        delivery_rate: eight(160),
        busy_time_us: eight(168),
        rwnd_limited_us: eight(176),
        sndbuf_limited_us: eight(184),
        snd_wnd: four(228),
        rcv_wnd: four(232),
        total_rto: crate::attr::u16_at(info, 240),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn socket(more: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![0; DIAG_MSG];
        (bytes[0], bytes[1]) = (2, 1);
        bytes[4..8].copy_from_slice(&[0x1f, 0x90, 0x9c, 0x40]);
        bytes[8..12].copy_from_slice(&[192, 0, 2, 1]);
        bytes[24..28].copy_from_slice(&[192, 0, 2, 9]);
        bytes[44..48].copy_from_slice(&7u32.to_ne_bytes());
        bytes[48..52].copy_from_slice(&1u32.to_ne_bytes());
        bytes[56..60].copy_from_slice(&77u32.to_ne_bytes());
        bytes[68..72].copy_from_slice(&4711u32.to_ne_bytes());
        bytes.extend(crate::message::attrs(|m| more.iter().fold(m, |m, (kind, data)| m.attr(*kind, data))));
        bytes
    }

    #[test]
    fn a_kernel_that_is_older_shows_less_and_not_zero() {
        let mut info = vec![0u8; 192];
        info[68..72].copy_from_slice(&250u32.to_ne_bytes());
        info[176..184].copy_from_slice(&9u64.to_ne_bytes());
        let memory: Vec<u8> = (1..=7u32).flat_map(u32::to_ne_bytes).collect();
        let bytes = socket(&[(INET_DIAG_INFO, info.clone()), (INET_DIAG_SKMEMINFO, memory)]);
        let found = parse_traffic(Transport::Tcp, &bytes).unwrap();
        assert_eq!((found.local.to_string(), found.remote.port()), ("192.0.2.1:8080".to_owned(), 40_000));
        assert_eq!((found.cookie, found.inode, found.receive_queue), (7 | 1 << 32, 4711, 77));
        let (tcp, memory) = (found.tcp.unwrap(), found.memory.unwrap());
        assert_eq!((tcp.rtt_us, tcp.rwnd_limited_us, tcp.snd_wnd, tcp.total_rto), (250, Some(9), None, None));
        assert_eq!((memory.receive_used, memory.receive_buffer, memory.drops), (1, 2, None));
        info.resize(248, 1);
        let bytes = socket(&[(INET_DIAG_INFO, info)]);
        let found = parse_traffic(Transport::Tcp, &bytes).unwrap();
        assert_eq!((found.tcp.unwrap().snd_wnd, found.memory), (Some(0x0101_0101), None));
        assert_eq!(parse_traffic(Transport::Udp, &bytes).unwrap().tcp, None);
    }

    /// As the kernel runs it (net/ipv4/inet_diag.c, `inet_diag_bc_run`), and what it asks of a program before
    /// (`inet_diag_bc_audit`).
    fn passes(code: &[u8], local: u16, remote: u16) -> bool {
        let mut at = 0;
        while at < code.len() {
            let no = usize::from(u16::from_ne_bytes([code[at + 2], code[at + 3]]));
            let argument = || u16::from_ne_bytes([code[at + 6], code[at + 7]]);
            assert!(no <= code.len() - at + 4 && no % 4 == 0 && code[at + 1] >= 4, "{code:?} at {at}");
            let yes = match code[at] {
                BC_S_EQ => local == argument(),
                BC_D_EQ => remote == argument(),
                BC_JMP => false,
                other => panic!("instruction {other}"),
            };
            at += if yes { usize::from(code[at + 1]) } else { no };
        }
        at == code.len()
    }

    #[test]
    fn the_program_asks_for_the_port_at_either_end() {
        let code = program(TrafficFilter { port: Some(8080), peer: None }).unwrap();
        assert_eq!(
            [(8080, 1), (1, 8080), (8080, 8080), (1, 2)].map(|(l, r)| passes(&code, l, r)),
            [true, true, true, false]
        );
        let by_peer = TrafficFilter { port: Some(1), peer: Some("::ffff:192.0.2.9".parse().unwrap()) };
        assert_eq!(program(by_peer).unwrap().len(), 16);
        assert_eq!(program(TrafficFilter::default()), None);
        let found = parse_traffic(Transport::Tcp, &socket(&[])).unwrap();
        let fits = |port, peer: &str| TrafficFilter { port: Some(port), peer: peer.parse().ok() }.fits(&found);
        assert!(fits(8080, "192.0.2.9") && fits(40_000, "::ffff:192.0.2.9"));
        assert!(!fits(8081, "192.0.2.9") && !fits(8080, "192.0.2.1"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), f in prop_oneof![Just(2u8), Just(10)]) {
            if let Some(b) = bytes.first_mut() {
                *b = f;
            }
            let _ = (parse_traffic(Transport::Tcp, &bytes), parse_traffic(Transport::Udp, &bytes));
        }
    }
}

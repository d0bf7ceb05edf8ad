//! When datagrams or segments come, by the kernel's stamps and without a probe: a packet socket that sees those of a few local
//! ports before their sockets do (packet(7)). TCP segments that GRO merged come as one, with the length of all.
//!
//! Each of these costs the receiving CPU one copy of a packet's head, and each other packet of the host one run of the
//! filter; asking for stamps makes the kernel read its clock for every packet that comes (net/core/dev.c,
//! `net_timestamp_check`). Only what comes in is seen: a socket of one protocol, unlike one of all, gets nothing that goes
//! out (net/core/dev.c, `dev_queue_xmit_nit`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd as _, OwnedFd};

use lowlat_model::{Capability, Reading};
use lowlat_os::socket::{self, Control};

use super::{application, os};
use crate::{next_where_denied, reading_of_errno};

/// Room for what comes between two looks, bytes of kernel memory: some 8,000 packets of the 768 bytes and more that the
/// kernel counts for one.
const ROOM: i32 = 8 << 20;
/// The head of a packet: the longest IPv4 header, and of TCP's what says how long it is.
const HEAD: usize = 76;
/// <linux/if_ether.h>.
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
/// <linux/if_packet.h>.
const SOL_PACKET: i32 = 263;
const PACKET_STATISTICS: i32 = 6;
/// `SO_RCVBUFFORCE`, `SO_TIMESTAMPNS` (include/uapi/asm-generic/socket.h), and the control message of the same number.
const SO_RCVBUFFORCE: i32 = 33;
const SO_TIMESTAMPNS: i32 = 35;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tapped {
    /// Datagrams.
    Udp,
    /// Segments that carry data.
    Tcp,
}

impl Tapped {
    /// The number of its protocol (RFC 790).
    fn protocol(self) -> u32 {
        match self {
            Self::Udp => 17,
            Self::Tcp => 6,
        }
    }
}

/// One datagram, or segment with data, that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TappedDatagram {
    /// When the kernel took it from the driver, ns of `CLOCK_REALTIME`.
    pub at_realtime_ns: u64,
    /// Where to.
    pub port: u16,
    /// Who sent it.
    pub from: IpAddr,
    /// From which port.
    pub from_port: u16,
    /// Bytes that the socket gets.
    pub bytes: u32,
}

impl TappedDatagram {
    /// By the kernel's control messages and the head of its packet, of IPv6 or IPv4; `None` where either is cut short, and for a
    /// segment without data.
    pub fn read(tapped: Tapped, six: bool, control: &[u8], head: &[u8]) -> Option<Self> {
        datagram((tapped, if six { Version::Six } else { Version::Four }), stamp(control)?, head)
    }
}

/// A packet socket for each of IPv4 and IPv6. Dropping it ends it; the kernel does so for a process that is killed.
#[derive(Debug)]
pub struct Tap {
    tapped: Tapped,
    sockets: [OwnedFd; 2],
}

impl Tap {
    /// Ports that are looked at; more are left out. One filter program reaches some 250 with its jumps of eight bits.
    pub const MOST_PORTS: usize = 64;

    /// Opens it for these local ports, in the network namespace of a process where one is given.
    pub fn open(tapped: Tapped, of: Option<u32>, ports: &[u16]) -> Reading<Self> {
        let wanted = ports.to_vec();
        let opened = match of.filter(|pid| application::elsewhere(*pid)) {
            None => open(tapped, &wanted),
            Some(pid) => os::in_netns(&format!("/proc/{pid}/ns/net"), move || open(tapped, &wanted)),
        };
        match opened {
            Ok(tap) => Reading::Value(tap),
            Err(e) => {
                let next = match e.raw_os_error() {
                    Some(libc::EPERM | libc::EACCES) => format!("; {}", next_where_denied(&[Capability::NetRaw])),
                    _ => String::new(),
                };
                reading_of_errno(e.raw_os_error(), format!("open a packet socket: {e}{next}"))
            }
        }
    }

    /// Takes these ports instead.
    pub fn look_at(&self, ports: &[u16]) -> io::Result<()> {
        let [four, six] = &self.sockets;
        socket::attach_filter(four.as_fd(), &mut program(self.tapped, Version::Four, ports))?;
        socket::attach_filter(six.as_fd(), &mut program(self.tapped, Version::Six, ports))
    }

    /// Gives everything that has come, and returns.
    pub fn drain(&self, each: &mut dyn FnMut(TappedDatagram)) -> io::Result<()> {
        for (version, fd) in [Version::Four, Version::Six].into_iter().zip(&self.sockets) {
            let (mut head, mut control) = ([0; HEAD], Control([0; 64]));
            loop {
                match socket::recv_message(fd.as_fd(), &mut head, &mut control.0, None, libc::MSG_DONTWAIT) {
                    Ok(got) => {
                        let control = control.0.get(..got.control_len).unwrap_or_default();
                        let head = head.get(..got.len.min(HEAD)).unwrap_or_default();
                        let six = version == Version::Six;
                        TappedDatagram::read(self.tapped, six, control, head).into_iter().for_each(&mut *each);
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    // An interface that went down (packet(7)); the socket goes on.
                    Err(e) if e.raw_os_error() == Some(libc::ENETDOWN) => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }

    /// Packets since the last call that found no room here (`struct tpacket_stats`).
    pub fn overruns(&self) -> u64 {
        let of = |fd: &OwnedFd| {
            let mut stats = [0; 8];
            socket::get_bytes(fd.as_fd(), SOL_PACKET, PACKET_STATISTICS, &mut stats).ok()?;
            let [_, _, _, _, a, b, c, d] = stats;
            Some(u64::from(u32::from_ne_bytes([a, b, c, d])))
        };
        self.sockets.iter().filter_map(of).sum()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Four,
    Six,
}

fn open(tapped: Tapped, ports: &[u16]) -> io::Result<Tap> {
    let make = |version: Version, protocol: u16| {
        let fd = socket::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK, i32::from(protocol.to_be()))?;
        socket::attach_filter(fd.as_fd(), &mut program(tapped, version, ports))?;
        // Without CAP_NET_ADMIN the room is what everybody may have.
        let _ = socket::set_int(fd.as_fd(), libc::SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
            .or_else(|_| socket::set_int(fd.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, ROOM));
        socket::set_int(fd.as_fd(), libc::SOL_SOCKET, SO_TIMESTAMPNS, 1)?;
        Ok::<_, io::Error>(fd)
    };
    let tap = Tap { tapped, sockets: [make(Version::Four, ETH_P_IP)?, make(Version::Six, ETH_P_IPV6)?] };
    // What came between the first call and the filter is of no port that was asked for.
    let _ = tap.drain(&mut |_| {});
    tap.overruns();
    Ok(tap)
}

/// The filter: a datagram or segment, no later fragment, to one of the ports. Of IPv6 those without extension headers.
fn program(tapped: Tapped, version: Version, ports: &[u16]) -> Vec<libc::sock_filter> {
    let step = |code: u16, jt: u8, jf: u8, k: u32| libc::sock_filter { code, jt, jf, k };
    let ports = ports.get(..Tap::MOST_PORTS.min(ports.len())).unwrap_or_default();
    let count = u8::try_from(ports.len()).unwrap_or(0);
    // Codes of <linux/bpf_common.h>: LD|B|ABS 0x30, LD|H|ABS 0x28, LDX|B|MSH 0xb1, LD|H|IND 0x48, JEQ 0x15, JSET 0x45, RET 6.
    let mut code = match version {
        Version::Four => vec![
            step(0x30, 0, 0, 9),
            step(0x15, 0, count + 4, tapped.protocol()),
            step(0x28, 0, 0, 6),
            step(0x45, count + 2, 0, 0x1fff),
            step(0xb1, 0, 0, 0),
            step(0x48, 0, 0, 2),
        ],
        Version::Six => vec![step(0x30, 0, 0, 6), step(0x15, 0, count + 1, tapped.protocol()), step(0x28, 0, 0, 42)],
    };
    for (n, port) in (0u8..).zip(ports) {
        code.push(step(0x15, count - n, 0, u32::from(*port)));
    }
    code.push(step(6, 0, 0, 0));
    code.push(step(6, 0, 0, u32::try_from(HEAD).unwrap_or(u32::MAX)));
    code
}

/// The kernel's stamp among the control messages: `struct cmsghdr`, then seconds and nanoseconds.
fn stamp(control: &[u8]) -> Option<u64> {
    let at = |from: usize| Some(u64::from_ne_bytes(control.get(from..from + 8)?.try_into().ok()?));
    let kind = control.get(12..16)?;
    if i32::from_ne_bytes(kind.try_into().ok()?) != SO_TIMESTAMPNS {
        return None;
    }
    at(16)?.checked_mul(1_000_000_000)?.checked_add(at(24)?)
}

/// A datagram by the head of its packet.
fn datagram((tapped, version): (Tapped, Version), at_realtime_ns: u64, head: &[u8]) -> Option<TappedDatagram> {
    let two = |at: usize| Some(u16::from_be_bytes(head.get(at..at + 2)?.try_into().ok()?));
    // Where the header of UDP or TCP begins, and what IP says of the length from there on.
    let (inner, length, from) = match version {
        Version::Four => {
            let from: [u8; 4] = head.get(12..16)?.try_into().ok()?;
            let inner = usize::from(head.first()? & 0xf) * 4;
            (inner, usize::from(two(2)?).saturating_sub(inner), IpAddr::from(Ipv4Addr::from(from)))
        }
        Version::Six => {
            let from: [u8; 16] = head.get(8..24)?.try_into().ok()?;
            (40, usize::from(two(4)?), IpAddr::from(Ipv6Addr::from(from)))
        }
    };
    let bytes = match tapped {
        Tapped::Udp => usize::from(two(inner + 4)?).saturating_sub(8),
        // Its own header says how long that is (RFC 9293 §3.1); an acknowledgement alone carries nothing.
        Tapped::Tcp => match length.saturating_sub(usize::from(head.get(inner + 12)? >> 4) * 4) {
            0 => return None,
            data => data,
        },
    };
    let (from_port, port) = (two(inner)?, two(inner + 2)?);
    Some(TappedDatagram { at_realtime_ns, port, from, from_port, bytes: u32::try_from(bytes).unwrap_or(u32::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel runs it: classic BPF (Documentation/networking/filter.rst).
    fn passes(code: &[libc::sock_filter], packet: &[u8]) -> bool {
        let (mut a, mut x, mut at) = (0u32, 0usize, 0usize);
        let two = |at: usize| u32::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
        loop {
            let s = code[at];
            at += 1;
            let k = usize::try_from(s.k).unwrap();
            match s.code {
                0x30 => a = u32::from(packet[k]),
                0x28 => a = two(k),
                0xb1 => x = usize::from(packet[k] & 0xf) * 4,
                0x48 => a = two(x + k),
                0x15 => at += usize::from(if a == s.k { s.jt } else { s.jf }),
                0x45 => at += usize::from(if a & s.k > 0 { s.jt } else { s.jf }),
                6 => return s.k > 0,
                other => panic!("{other:#x}"),
            }
        }
    }

    fn four(options: usize, protocol: u8, fragment: u16, port: u16) -> Vec<u8> {
        let mut p = vec![0; 20 + options + 8];
        p[0] = 0x40 | u8::try_from(5 + options / 4).unwrap();
        p[6..8].copy_from_slice(&fragment.to_be_bytes());
        p[9] = protocol;
        p[12..16].copy_from_slice(&[192, 0, 2, 7]);
        p[20 + options + 2..20 + options + 4].copy_from_slice(&port.to_be_bytes());
        p[20 + options + 4..20 + options + 6].copy_from_slice(&108u16.to_be_bytes());
        p
    }

    #[test]
    fn datagrams_of_the_ports_pass_and_nothing_else() {
        let ports = [4_000, 5_000, 6_000];
        let code = program(Tapped::Udp, Version::Four, &ports);
        for port in ports {
            assert!(passes(&code, &four(0, 17, 0, port)) && passes(&code, &four(8, 17, 0x4000, port)), "{port}");
            assert!(!passes(&code, &four(0, 6, 0, port)) && !passes(&code, &four(0, 17, 0x2010, port)), "{port}");
        }
        assert!(!passes(&code, &four(0, 17, 0, 4_001)));
        let tcp = program(Tapped::Tcp, Version::Four, &ports);
        assert!(passes(&tcp, &four(0, 6, 0, 5_000)) && !passes(&tcp, &four(0, 17, 0, 5_000)));
        let six = program(Tapped::Udp, Version::Six, &ports);
        let mut p = vec![0; 48];
        (p[0], p[6], p[42], p[43]) = (0x60, 17, 0x17, 0x70);
        assert!(passes(&six, &p));
        p[6] = 6;
        assert!(!passes(&six, &p));
        let many: Vec<u16> = (1..=100).collect();
        let code = program(Tapped::Udp, Version::Four, &many);
        assert!(passes(&code, &four(0, 17, 0, 64)) && !passes(&code, &four(0, 17, 0, 65)));
    }

    #[test]
    fn a_head_is_read_or_left_and_never_a_panic() {
        let (udp, tcp) = ((Tapped::Udp, Version::Four), (Tapped::Tcp, Version::Four));
        let read = datagram(udp, 9, &four(4, 17, 0, 4_000)).unwrap();
        let from = Ipv4Addr::new(192, 0, 2, 7).into();
        let wanted = TappedDatagram { at_realtime_ns: 9, port: 4_000, from, from_port: 0, bytes: 100 };
        assert_eq!(read, wanted);
        for n in 0..27 {
            assert_eq!(datagram(udp, 9, &four(0, 17, 0, 4_000)[..n.min(25)]), None);
            assert_eq!(datagram((Tapped::Udp, Version::Six), 9, &[0xff; 27][..n]), None);
        }
        // A segment of 1,000 bytes behind a header of 32, and an acknowledgement alone.
        let mut segment = [four(0, 6, 0, 7_000), vec![0; 12]].concat();
        (segment[20], segment[21], segment[32]) = (0x1f, 0x90, 0x80);
        segment[2..4].copy_from_slice(&1_052u16.to_be_bytes());
        let read = datagram(tcp, 9, &segment).unwrap();
        assert_eq!((read.port, read.from_port, read.bytes), (7_000, 8_080, 1_000));
        segment[2..4].copy_from_slice(&52u16.to_be_bytes());
        assert_eq!(datagram(tcp, 9, &segment), None);
        for n in 0..33 {
            assert_eq!(datagram(tcp, 9, &segment[..n]), None);
        }
        let mut control = [0; 32];
        control[12..16].copy_from_slice(&SO_TIMESTAMPNS.to_ne_bytes());
        control[16..24].copy_from_slice(&3u64.to_ne_bytes());
        control[24..32].copy_from_slice(&5u64.to_ne_bytes());
        assert_eq!(stamp(&control), Some(3_000_000_005));
        assert!((0..32).all(|n| stamp(&control[..n]).is_none()));
        control[12] = 1;
        assert_eq!(stamp(&control), None);
    }
}

//! A connected socket, as every socket engine has one: how it is made, and one send or one receive on it.
//!
//! Connected datagram sockets, because the kernel then has the route and the peer at hand: 0.6 µs of a round trip on
//! veth, against the unconnected `sendto`/`recvfrom` that sockperf uses. An engine adds only the way it waits.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libc::c_int;
use lowlat_model::Capability;

use crate::clock::now;
use crate::icmp::{self, Echo};
use crate::stamps::Stamps;
use crate::{Caps, Endpoint, EngineError, Flow, Got, Ns, Proto, StampSet, Stamper, TxStamp, cmsg, os};

/// Receive buffer asked for: 4 MiB hold the answers of an open loop's burst (about 5000 small datagrams, each charged
/// with its whole buffer) while the prober is off its CPU.
const RECEIVE_BUFFER: c_int = 4 << 20;
/// A connection that takes longer is not one to measure microseconds on.
pub(crate) const CONNECT_NS: u64 = 3_000_000_000;
/// A source port that is still taken after so long is somebody else's.
const PORT_NS: u64 = 200_000_000;
/// A stream whose far end takes nothing for so long is stuck.
const STUCK_NS: u64 = 5_000_000_000;
/// Largest message on a stream, bytes; sockperf's limit too.
const STREAM_MESSAGE_MAX: usize = (1 << 20) - 1;
/// Room behind the largest message for answers that came together.
const STREAM_ROOM: usize = 256 << 10;

/// A connected socket and what its protocol needs.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    engine: &'static str,
    proto: Proto,
    remote: SocketAddr,
    where_refused: &'static str,
    max_message: usize,
    wire: Wire,
    stamps: Option<Box<Stamps>>,
    discarded: u64,
    /// System calls that moved messages or waited for them.
    calls: u64,
}

/// How messages travel.
#[derive(Debug)]
enum Wire {
    Datagram,
    Echo(Echo),
    Stream(Stream),
}

/// Bytes of a stream that have come, and how they fall into messages.
#[derive(Debug)]
struct Stream {
    room: Vec<u8>,
    start: usize,
    end: usize,
    framing: fn(&[u8]) -> Option<usize>,
    /// The congestion control is the plain one.
    plain: bool,
}

impl Socket {
    /// Makes, binds and connects the socket that `endpoint` asks for. `engine` stands in errors.
    pub fn connect(engine: &'static str, endpoint: &Endpoint) -> Result<Self, EngineError> {
        let to = endpoint.remote;
        let v6 = to.is_ipv6();
        let (fd, raw) = make(engine, endpoint)?;
        prepare(fd.as_fd(), endpoint)?;
        if let Some(local) = local(endpoint, raw) {
            bind(fd.as_fd(), engine, local)?;
        }
        match endpoint.proto {
            Proto::Tcp | Proto::TcpConnect | Proto::Tls => connect_stream(fd.as_fd(), endpoint)?,
            Proto::Udp | Proto::UdpClosed | Proto::Icmp | Proto::Arp | Proto::Nd => {
                os::connect(fd.as_fd(), to)
                    .map_err(|e| path_error("connect to", to, (endpoint.proto, endpoint.where_refused), e))?;
            }
        }
        let max_message = largest_message(fd.as_fd(), endpoint)?;
        let stamps = if endpoint.stamps {
            let stamps = Stamps::enable(fd.as_fd(), endpoint.proto)
                .map_err(|e| EngineError::Os { what: format!("SO_TIMESTAMPING on the socket to {to}"), source: e })?;
            Some(Box::new(stamps))
        } else {
            None
        };
        let wire = match endpoint.proto {
            Proto::Udp | Proto::UdpClosed | Proto::Arp | Proto::Nd => Wire::Datagram,
            Proto::Icmp => {
                Wire::Echo(Echo::new(v6, raw, echo_id(endpoint.source_port), max_message.min(endpoint.max_message)))
            }
            Proto::Tcp | Proto::TcpConnect | Proto::Tls => Wire::Stream(Stream {
                room: vec![0; endpoint.max_message + STREAM_ROOM],
                start: 0,
                end: 0,
                framing: |_| None,
                plain: os::plain_congestion_control(fd.as_fd()),
            }),
        };
        let (proto, where_refused) = (endpoint.proto, endpoint.where_refused);
        Ok(Self { fd, engine, proto, remote: to, where_refused, max_message, wire, stamps, discarded: 0, calls: 0 })
    }

    /// What an engine on this socket can do; `how` says how it waits.
    pub fn caps(&self, spins: bool, how: &str, costs: &str) -> Caps {
        let kind = match &self.wire {
            Wire::Datagram => "connected UDP socket",
            Wire::Echo(e) if e.is_raw() => "raw ICMP socket",
            Wire::Echo(_) => "ICMP ping socket",
            Wire::Stream(s) if s.plain => "TCP connection, TCP_NODELAY, reno",
            Wire::Stream(_) => "TCP connection, TCP_NODELAY",
        };
        Caps { max_message: self.max_message, spins, words: format!("{kind}, {how}"), costs: costs.to_owned() }
    }

    /// The descriptor.
    #[inline]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// See [`crate::Engine::flow`]. The kernel notes both for connected UDP and for TCP with each received packet
    /// (`sk_mark_napi_id` and `sk_incoming_cpu_update` in `__udp_queue_rcv_skb`, net/ipv4/udp.c, and `tcp_v4_rcv`,
    /// net/ipv4/tcp_ipv4.c), and answers 0 where no NAPI instance is behind it, as on loopback.
    pub fn flow(&self) -> Flow {
        let option = |name| os::get_int(self.fd(), libc::SOL_SOCKET, name).ok().and_then(|n| u32::try_from(n).ok());
        let port = os::local_address(self.fd()).ok().flatten().map(|at| at.port());
        Flow {
            source_port: port.filter(|port| self.proto != Proto::Icmp && *port > 0),
            napi_id: option(libc::SO_INCOMING_NAPI_ID).filter(|id| *id > 0),
            incoming_cpu: option(libc::SO_INCOMING_CPU),
            ..Flow::default()
        }
    }

    /// See [`crate::Engine::discarded`].
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// See [`crate::Engine::system_calls`]. A send that has to wait for room counts as one call.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// See [`crate::Engine::set_framing`].
    pub fn set_framing(&mut self, message_len: fn(&[u8]) -> Option<usize>) {
        if let Wire::Stream(s) = &mut self.wire {
            s.framing = message_len;
        }
    }

    /// See [`crate::Engine::tx_stamps`].
    pub fn tx_stamps(&mut self, out: &mut Vec<TxStamp>) {
        if let Some(stamps) = &mut self.stamps {
            stamps.drain(self.fd.as_fd());
            stamps.take(out);
        }
    }

    /// See [`crate::Engine::stamper`].
    pub fn stamper(&mut self) -> Option<&mut dyn Stamper> {
        if self.stamps.is_some() { Some(self) } else { None }
    }

    /// Sends one message; waits only while the socket's send buffer is full. Answers the time before the hand-over.
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        self.calls += 1;
        let (at, sent) = match &mut self.wire {
            Wire::Datagram => (now(), datagram(self.fd.as_fd(), message)),
            Wire::Echo(echo) => match echo.wrap(message) {
                Some(packet) => (now(), datagram(self.fd.as_fd(), packet)),
                None => (now(), Err(io::Error::from_raw_os_error(libc::EMSGSIZE))),
            },
            Wire::Stream(stream) => (now(), stream.write(self.fd.as_fd(), message)),
        };
        match sent {
            Ok(()) => {
                if let Some(stamps) = &mut self.stamps {
                    stamps.sent(message.len());
                }
                Ok(at)
            }
            Err(e) => Err(self.failed("send to", e)),
        }
    }

    /// Whether a whole message of a stream lies ready without another read.
    #[inline]
    pub(crate) fn has_message(&self) -> bool {
        match &self.wire {
            Wire::Stream(s) => {
                let have = &s.room[s.start..s.end];
                (s.framing)(have).is_some_and(|len| len <= have.len())
            }
            Wire::Datagram | Wire::Echo(_) => false,
        }
    }

    /// One attempt at one message, with the flags of recv(2): `None` if there is none now, the socket's receive timeout
    /// passed, a signal came, or what came was no whole message. A caller that still has time calls again.
    #[inline]
    pub fn receive(&mut self, buf: &mut [u8], flags: c_int) -> Result<Option<Got>, EngineError> {
        match self.attempt(buf, flags) {
            Ok(got) => Ok(got),
            Err(e) => match e.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => Ok(None),
                _ => Err(self.failed("receive from", e)),
            },
        }
    }

    #[inline]
    fn attempt(&mut self, buf: &mut [u8], flags: c_int) -> io::Result<Option<Got>> {
        let fd = self.fd.as_fd();
        match &mut self.wire {
            Wire::Datagram => {
                self.calls += 1;
                let (len, mut got) = one(fd, self.stamps.as_deref_mut(), buf, flags | libc::MSG_TRUNC)?;
                if len > buf.len() {
                    self.discarded += 1;
                    return Ok(None);
                }
                got.len = len;
                Ok(Some(got))
            }
            Wire::Echo(echo) => {
                self.calls += 1;
                let (len, mut got) = one(fd, self.stamps.as_deref_mut(), echo.room(), flags | libc::MSG_TRUNC)?;
                // Not a reply to this flow (a raw socket sees every echo of the host): not counted, not ours.
                let Some(payload) = echo.unwrap(len) else {
                    return Ok(None);
                };
                let Some(to) = buf.get_mut(..payload.len()) else {
                    self.discarded += 1;
                    return Ok(None);
                };
                to.copy_from_slice(payload);
                got.len = payload.len();
                Ok(Some(got))
            }
            Wire::Stream(stream) => {
                if stream.start < stream.end
                    && let Some(len) = stream.message(buf)?
                {
                    return Ok(Some(Got { len, at: now(), kernel_rx: None, hardware_rx: None }));
                }
                self.calls += 1;
                let (len, mut got) = one(fd, self.stamps.as_deref_mut(), stream.free(), flags)?;
                if len == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                }
                stream.end += len;
                Ok(stream.message(buf)?.map(|len| {
                    got.len = len;
                    got
                }))
            }
        }
    }

    /// Sleeps until something may be read, or `ns` have passed. Transmit stamps, which wake it as well, are put aside.
    pub fn wait_readable(&mut self, ns: u64) -> Result<(), EngineError> {
        self.calls += 1;
        match os::poll(self.fd.as_fd(), libc::POLLIN, ns) {
            Ok(events) => {
                self.quiet(events);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(self.failed("wait for", e)),
        }
    }

    /// Empties the error queue where its events would keep a poll from sleeping.
    pub(crate) fn quiet(&mut self, events: i16) {
        if events & libc::POLLERR != 0
            && let Some(stamps) = &mut self.stamps
        {
            stamps.drain(self.fd.as_fd());
        }
    }

    #[cold]
    fn failed(&self, what: &str, error: io::Error) -> EngineError {
        if error.raw_os_error() == Some(libc::EMSGSIZE) {
            return too_long(self.engine, self.remote, None, self.max_message);
        }
        path_error(what, self.remote, (self.proto, self.where_refused), error)
    }
}

impl Stamper for Socket {
    fn asks(&self) -> StampSet {
        self.stamps.as_ref().map_or_else(StampSet::default, |s| s.asks())
    }

    fn keep(&mut self, kinds: StampSet) -> io::Result<()> {
        match &mut self.stamps {
            Some(stamps) => stamps.keep(self.fd.as_fd(), kinds),
            None => Ok(()),
        }
    }

    fn sends(&self) -> u32 {
        self.stamps.as_ref().map_or(0, |s| s.sends())
    }
}

/// Sends one datagram; again where a signal ended the wait for room, since then it has not left.
#[inline]
fn datagram(fd: BorrowedFd<'_>, message: &[u8]) -> io::Result<()> {
    loop {
        match os::send(fd, message, 0) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map(|_| ()),
        }
    }
}

/// Receives once: plainly, or with the control messages that carry stamps.
#[inline]
fn one(fd: BorrowedFd<'_>, stamps: Option<&mut Stamps>, buf: &mut [u8], flags: c_int) -> io::Result<(usize, Got)> {
    let Some(stamps) = stamps else {
        let len = os::recv(fd, buf, flags)?;
        return Ok((len, Got { len, at: now(), kernel_rx: None, hardware_rx: None }));
    };
    let got = os::recv_message(fd, buf, &mut stamps.control.0, None, flags)?;
    let at = now();
    let control = stamps.control.0.get(..got.control_len).unwrap_or_default();
    let (kernel_rx, hardware_rx) = cmsg::receive_stamps(control);
    Ok((got.len, Got { len: got.len, at, kernel_rx, hardware_rx }))
}

impl Stream {
    /// Takes the next whole message out of the room.
    #[inline]
    fn message(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let have = &self.room[self.start..self.end];
        let Some(len) = (self.framing)(have) else {
            return Ok(None);
        };
        // A length that fits nowhere leaves no way to find the next message.
        if len == 0 || len > buf.len() || len > self.room.len() {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let Some(message) = have.get(..len) else {
            return Ok(None);
        };
        buf[..len].copy_from_slice(message);
        self.start += len;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        Ok(Some(len))
    }

    /// Room behind what has come; never empty, since no message is longer than the room without [`STREAM_ROOM`].
    #[inline]
    fn free(&mut self) -> &mut [u8] {
        if self.room.len() - self.end < self.room.len() - STREAM_ROOM {
            self.room.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.room[self.end..]
    }

    #[inline]
    fn write(&mut self, fd: BorrowedFd<'_>, message: &[u8]) -> io::Result<()> {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        match os::send(fd, message, flags) {
            Ok(n) if n == message.len() => Ok(()),
            Ok(n) => self.write_rest(fd, &message[n..]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.write_rest(fd, message),
            Err(e) => Err(e),
        }
    }

    /// The send buffer is full. Reads on while it waits, or two full sides would wait for each other for ever.
    #[cold]
    fn write_rest(&mut self, fd: BorrowedFd<'_>, mut rest: &[u8]) -> io::Result<()> {
        let give_up = now() + STUCK_NS;
        while !rest.is_empty() {
            let left = give_up.saturating_sub(now());
            if left == 0 {
                return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
            }
            let room = self.end < self.room.len() || self.start > 0;
            let events = libc::POLLOUT | if room { libc::POLLIN } else { 0 };
            let ready = match os::poll(fd, events, left) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if ready & libc::POLLIN != 0 {
                if self.end == self.room.len() {
                    self.room.copy_within(self.start..self.end, 0);
                    self.end -= self.start;
                    self.start = 0;
                }
                self.end += match os::recv(fd, &mut self.room[self.end..], libc::MSG_DONTWAIT) {
                    Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                    Ok(n) => n,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
                    Err(e) => return Err(e),
                };
            }
            match os::send(fd, rest, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) {
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// The socket, and whether it is a raw one.
pub(crate) fn make(engine: &'static str, endpoint: &Endpoint) -> Result<(OwnedFd, bool), EngineError> {
    let v6 = endpoint.remote.is_ipv6();
    let domain = if v6 { libc::AF_INET6 } else { libc::AF_INET };
    let os_error =
        |what: &str, e| EngineError::Os { what: format!("{what} socket for {}", endpoint.remote), source: e };
    match endpoint.proto {
        Proto::Udp | Proto::UdpClosed => {
            Ok((os::socket(domain, libc::SOCK_DGRAM, 0).map_err(|e| os_error("UDP", e))?, false))
        }
        Proto::Tcp => Ok((os::socket(domain, libc::SOCK_STREAM, 0).map_err(|e| os_error("TCP", e))?, false)),
        Proto::TcpConnect | Proto::Tls => {
            let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK;
            Ok((os::socket(domain, kind, 0).map_err(|e| os_error("TCP", e))?, false))
        }
        // Its own engine opens what it needs.
        Proto::Arp | Proto::Nd => Err(EngineError::Unavailable {
            engine,
            what: format!("ask for the neighbour {}", endpoint.remote.ip()),
            why: "this engine carries no requests of the link layer".to_owned(),
            next: "use --engine block or spin".to_owned(),
        }),
        Proto::Icmp => {
            let protocol = if v6 { libc::IPPROTO_ICMPV6 } else { libc::IPPROTO_ICMP };
            // Ping sockets first: they need no privilege where net.ipv4.ping_group_range has the user's group, and the
            // kernel keeps other flows' replies away.
            if let Ok(fd) = os::socket(domain, libc::SOCK_DGRAM, protocol) {
                return Ok((fd, false));
            }
            let fd = os::socket(domain, libc::SOCK_RAW, protocol).map_err(|e| EngineError::Unavailable {
                engine,
                what: format!("ICMP socket for {}", endpoint.remote.ip()),
                why: format!("neither a ping socket nor a raw one: {e}"),
                next: format!(
                    "put your group into sysctl net.ipv4.ping_group_range; for a raw socket, {}",
                    crate::next_where_denied(&[Capability::NetRaw])
                ),
            })?;
            only_echo_replies(fd.as_fd(), v6).map_err(|e| os_error("raw ICMP", e))?;
            Ok((fd, true))
        }
    }
}

/// Keeps out every type of ICMPv6 but this one.
pub(crate) fn only_icmp6(fd: BorrowedFd<'_>, kind: u8) -> io::Result<()> {
    const ICMP6_FILTER: c_int = 1;
    let mut mask = [0xffu8; 32];
    let (at, word) = (usize::from(kind) / 32 * 4, !(1u32 << (kind % 32)));
    mask[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    os::set_bytes(fd, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &mask)
}

/// `ICMP_FILTER` and `ICMP6_FILTER`: bit masks of the types to keep out (linux/icmp.h, RFC 3542 §3.2).
fn only_echo_replies(fd: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
    const ICMP_FILTER: c_int = 1;
    if v6 { only_icmp6(fd, 129) } else { os::set_bytes(fd, libc::SOL_RAW, ICMP_FILTER, &(!1u32).to_ne_bytes()) }
}

/// Options that must stand before the first packet.
pub(crate) fn prepare(fd: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<(), EngineError> {
    let v6 = endpoint.remote.is_ipv6();
    let set = |level, name, value, words: &str| {
        os::set_int(fd, level, name, value)
            .map_err(|e| EngineError::Os { what: format!("{words} on the socket to {}", endpoint.remote), source: e })
    };
    if let Some(dscp) = endpoint.dscp {
        let field = c_int::from(dscp & 63) << 2;
        if v6 {
            set(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, field, "IPV6_TCLASS")?;
        } else {
            set(libc::IPPROTO_IP, libc::IP_TOS, field, "IP_TOS")?;
        }
    }
    // After the DSCP: IP_TOS sets the priority too (`__ip_sock_set_tos`, net/ipv4/ip_sockglue.c).
    if let Some(priority) = endpoint.priority {
        os::set_int(fd, libc::SOL_SOCKET, libc::SO_PRIORITY, c_int::from(priority)).map_err(|e| {
            EngineError::Unavailable {
                engine: "path",
                what: format!("send to {} at priority {priority}", endpoint.remote),
                why: e.to_string(),
                next: format!(
                    "give one of 0 to 6 (socket(7)); beyond, {}",
                    crate::next_where_denied(&[Capability::NetAdmin])
                ),
            }
        })?;
    }
    if matches!(endpoint.proto, Proto::Tcp | Proto::TcpConnect | Proto::Tls) {
        // A connection of a run before that waits out its end must not keep the port (socket(7)).
        set(libc::SOL_SOCKET, libc::SO_REUSEADDR, 1, "SO_REUSEADDR")?;
        if endpoint.port_is_reused {
            let linger = [1i32.to_ne_bytes(), 0i32.to_ne_bytes()].concat();
            os::set_bytes(fd, libc::SOL_SOCKET, libc::SO_LINGER, &linger).map_err(|e| EngineError::Os {
                what: format!("SO_LINGER on the socket to {}", endpoint.remote),
                source: e,
            })?;
        }
        set(libc::IPPROTO_TCP, libc::TCP_NODELAY, 1, "TCP_NODELAY")?;
        // Only for the start: once answers carry the acknowledgements, forcing them out by themselves adds a packet to
        // each round trip.
        set(libc::IPPROTO_TCP, libc::TCP_QUICKACK, 1, "TCP_QUICKACK")?;
        return Ok(());
    }
    // A message in fragments measures something else: the kernel is to say EMSGSIZE instead.
    if v6 {
        set(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO, "IPV6_MTU_DISCOVER")?;
    } else {
        set(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO, "IP_MTU_DISCOVER")?;
    }
    // Beyond net.core.rmem_max with CAP_NET_ADMIN, up to it without.
    if os::set_int(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER).is_err() {
        set(libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER, "SO_RCVBUF")?;
    }
    Ok(())
}

/// Where the socket is to be bound; `None` for the kernel's choice at connect.
pub(crate) fn local(endpoint: &Endpoint, raw: bool) -> Option<SocketAddr> {
    let any = SocketAddr::new(unspecified(endpoint.remote.is_ipv6()), 0);
    let mut local = match (endpoint.proto, endpoint.local) {
        // A raw socket has no port: its identifier is in the messages.
        (Proto::Icmp, local) if raw => return local,
        (_, Some(local)) => local,
        // A ping socket's identifier is its "port": binding to 0 has the kernel choose one before the first send.
        (Proto::Icmp, None) => any,
        (_, None) if endpoint.source_port > 0 => any,
        (_, None) => return None,
    };
    if endpoint.source_port > 0 {
        local.set_port(endpoint.source_port);
    }
    Some(local)
}

/// Binds; a port that is taken is waited for a moment, since the socket that had it may be on its way out: a registered
/// file of io_uring goes from a work queue, and a child that was forked holds a copy until it begins its program.
pub(crate) fn bind(fd: BorrowedFd<'_>, engine: &'static str, local: SocketAddr) -> Result<(), EngineError> {
    let give_up = now() + PORT_NS;
    loop {
        match os::bind(fd, local) {
            Err(e) if e.raw_os_error() == Some(libc::EADDRINUSE) && local.port() > 0 => {
                if now() >= give_up {
                    return Err(EngineError::Unavailable {
                        engine,
                        what: format!("bind to {local}"),
                        why: "another socket has that port".to_owned(),
                        next: format!("end it (`ss -anp 'sport = {}'` shows it), or take another port", local.port()),
                    });
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            other => return other.map_err(|e| EngineError::Os { what: format!("bind to {local}"), source: e }),
        }
    }
}

fn connect_stream(fd: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<(), EngineError> {
    let to = endpoint.remote;
    let fail = |e| path_error("connect to", to, (Proto::Tcp, endpoint.where_refused), e);
    // SO_SNDTIMEO bounds connect(2) (socket(7)), so that the socket need not be non-blocking for it.
    os::set_send_timeout(fd, CONNECT_NS).map_err(fail)?;
    let began = now();
    match os::connect(fd, to) {
        Err(e) if e.kind() == io::ErrorKind::Interrupted => connected(fd, began),
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
        other => other,
    }
    .map_err(fail)?;
    os::set_send_timeout(fd, 0).map_err(fail)
}

/// Waits for a connection that goes on in the background because a signal came (connect(2), EINTR).
#[cold]
fn connected(fd: BorrowedFd<'_>, began: Ns) -> io::Result<()> {
    loop {
        let left = (began + CONNECT_NS).saturating_sub(now());
        match os::poll(fd, libc::POLLOUT, left) {
            Ok(0) => return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
            Ok(_) => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    match os::get_int(fd, libc::SOL_SOCKET, libc::SO_ERROR)? {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// What one packet of the path carries; refuses messages that are longer.
pub(crate) fn largest_message(fd: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<usize, EngineError> {
    let v6 = endpoint.remote.is_ipv6();
    let largest = if endpoint.proto == Proto::Tcp {
        STREAM_MESSAGE_MAX
    } else {
        // The path's MTU as the kernel knows it (ip(7), ipv6(7)); of the interface, until a router has said otherwise.
        let mtu = if v6 {
            os::get_int(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU)
        } else {
            os::get_int(fd, libc::IPPROTO_IP, libc::IP_MTU)
        };
        let mtu =
            mtu.map_err(|e| EngineError::Os { what: format!("read the path MTU to {}", endpoint.remote), source: e })?;
        let headers = if v6 { 40 } else { 20 } + icmp::HEADER; // UDP's header is as long as ICMP's
        // 65535 bytes are the most an IP packet's length field holds; loopback's MTU is one more.
        usize::try_from(mtu).unwrap_or(0).min(65535).saturating_sub(headers)
    };
    if endpoint.max_message > largest {
        return Err(too_long("path", endpoint.remote, Some(endpoint.max_message), largest));
    }
    Ok(largest)
}

fn unspecified(v6: bool) -> IpAddr {
    if v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) }
}

/// A raw socket's echo identifier: the one asked for, else one randomly seeded per process and per call by std's
/// hasher.
fn echo_id(asked: u16) -> u16 {
    use std::hash::{BuildHasher, Hasher};
    if asked > 0 {
        return asked;
    }
    let hash = std::hash::RandomState::new().build_hasher().finish();
    #[allow(clippy::cast_possible_truncation)] // any 16 bits do
    let id = hash as u16;
    id
}

fn too_long(engine: &'static str, to: SocketAddr, asked: Option<usize>, largest: usize) -> EngineError {
    EngineError::Unavailable {
        engine,
        what: asked.map_or_else(|| format!("send to {to}"), |n| format!("a message of {n} bytes to {to}")),
        why: format!("one packet of this path carries {largest} bytes"),
        next: format!("use a size of at most {largest} bytes, or raise the MTU"),
    }
}

/// What the path's answer means, and what to do about it; `where_refused` is what to do where nothing listens.
#[cold]
pub(crate) fn path_error(
    what: &str,
    to: SocketAddr,
    (proto, where_refused): (Proto, &'static str),
    error: io::Error,
) -> EngineError {
    let what = format!("{what} {to}");
    let (why, next) = match (error.kind(), error.raw_os_error()) {
        (_, Some(libc::ECONNREFUSED)) if proto == Proto::Icmp => {
            ("the far host refuses it".to_owned(), "check the address and packet filters")
        }
        (_, Some(libc::ECONNREFUSED)) => ("nothing listens there".to_owned(), where_refused),
        (_, Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN | libc::ENETDOWN)) => {
            (error.to_string(), "check the address, the route and that the link is up")
        }
        (_, Some(libc::EACCES | libc::EPERM)) => {
            (error.to_string(), "check local packet filters, and that the address is not a broadcast address")
        }
        (_, Some(libc::ETIMEDOUT)) if proto == Proto::Tcp => (
            "the far end does not answer".to_owned(),
            "check the address and packet filters, and that the far end runs",
        ),
        (io::ErrorKind::UnexpectedEof, _) | (_, Some(libc::ECONNRESET | libc::EPIPE)) => (
            "the far end closed the connection".to_owned(),
            "look at the far end's own output: limits, allow-list, key, protocol",
        ),
        (io::ErrorKind::InvalidData, _) => (
            "the stream does not fall into messages of this protocol".to_owned(),
            "check that the far end speaks the protocol named with --peer",
        ),
        _ => return EngineError::Os { what, source: error },
    };
    EngineError::Unreachable { what, why, next: next.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread::Alarm;
    use std::time::Duration;

    /// A far end that takes connections and keeps them until the other side ends them.
    fn listener() -> (SocketAddr, std::thread::JoinHandle<()>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let serve = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut byte = [0];
                if std::io::Read::read(&mut stream.unwrap(), &mut byte).is_ok_and(|n| n > 0) {
                    return;
                }
            }
        });
        (at, serve)
    }

    #[test]
    fn one_round_s_port_is_the_next_one_s() {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (tcp, serve) = listener();
        for (proto, remote) in [(Proto::Udp, udp.local_addr().unwrap()), (Proto::Tcp, tcp)] {
            let mut endpoint = Endpoint { port_is_reused: true, ..Endpoint::new(proto, remote, 64) };
            let first = Socket::connect("block", &endpoint).unwrap();
            endpoint.source_port = first.flow().source_port.unwrap();
            drop(first);
            for _ in 0..20 {
                let next = Socket::connect("block", &endpoint).unwrap();
                assert_eq!(next.flow().source_port, Some(endpoint.source_port), "{proto:?}");
            }
        }
        let mut last = std::net::TcpStream::connect(tcp).unwrap();
        std::io::Write::write_all(&mut last, &[1]).unwrap();
        serve.join().unwrap();
    }

    #[test]
    fn a_port_that_another_has_is_refused_in_one_line() {
        let (far, other) =
            (std::net::UdpSocket::bind("127.0.0.1:0").unwrap(), std::net::UdpSocket::bind("0.0.0.0:0").unwrap());
        let source_port = other.local_addr().unwrap().port();
        let endpoint = Endpoint { source_port, ..Endpoint::new(Proto::Udp, far.local_addr().unwrap(), 64) };
        let error = Socket::connect("block", &endpoint).unwrap_err().to_string();
        assert!(error.contains(&source_port.to_string()) && error.contains("another socket") && !error.contains('\n'));
    }

    #[test]
    fn a_flow_reports_where_its_last_packet_came_and_nothing_before_it() {
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut near = Socket::connect("block", &Endpoint::new(Proto::Udp, far.local_addr().unwrap(), 64)).unwrap();
        assert_eq!((near.flow().incoming_cpu, near.flow().napi_id), (None, None));
        near.send(&[0; 64]).unwrap();
        let (_, from) = far.recv_from(&mut [0; 64]).unwrap();
        far.send_to(&[0; 64], from).unwrap();
        while near.receive(&mut [0; 64], 0).unwrap().is_none() {}
        let flow = near.flow();
        assert!(flow.incoming_cpu.is_some(), "{flow:?}");
        assert_eq!((flow.napi_id, flow.source_port), (None, Some(from.port())), "loopback has no NAPI instance");
    }

    #[test]
    fn a_signal_does_not_end_a_connect() {
        let listener = os::socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
        os::bind(listener.as_fd(), "127.0.0.1:0".parse().unwrap()).unwrap();
        os::listen(listener.as_fd(), 0).unwrap();
        let endpoint = Endpoint::new(Proto::Tcp, os::local_address(listener.as_fd()).unwrap().unwrap(), 64);
        let _first = Socket::connect("block", &endpoint).unwrap();
        std::thread::scope(|scope| {
            // The queue of one is full, so the second waits until the first is taken and its own SYN is sent again.
            let second = scope.spawn(|| {
                let mut alarm = Alarm::new().unwrap();
                alarm.set(20_000_000).unwrap();
                let connected = Socket::connect("block", &endpoint);
                drop(alarm);
                connected.map(drop)
            });
            // Once it is seen to wait, the alarm rings within a second at the latest.
            let guard = std::time::Instant::now() + Duration::from_secs(60);
            while !connecting(endpoint.remote.port()) {
                assert!(!second.is_finished(), "it did not have to wait");
                assert!(std::time::Instant::now() < guard, "it never began");
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(100));
            assert!(!second.is_finished(), "the signal ended it");
            let _taken = os::accept(listener.as_fd()).unwrap();
            second.join().unwrap().unwrap();
        });
    }

    /// Whether a connection to this port of 127.0.0.1 waits for its answer: state 02 is SYN_SENT (proc_pid_net_tcp(5),
    /// include/net/tcp_states.h).
    fn connecting(port: u16) -> bool {
        let all = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        all.lines().any(|line| line.contains(&format!(" 0100007F:{port:04X} 02 ")))
    }
}

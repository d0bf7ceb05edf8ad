//! One datagram a probe to a UDP port where nobody listens; the answer is the far kernel's port-unreachable error (RFC 1122
//! §4.1.3.1, RFC 4443 §3.1), read from the socket's error queue (`IP_RECVERR`, ip(7)).
//!
//! The error quotes the datagram: Linux up to 576 bytes of it (`__icmp_send`, net/ipv4/icmp.c), others at least the UDP header.
//! So the message itself comes back and names its probe; where the quote is too short for that, the newest probe is taken.
//!
//! Only that one error counts as an answer. Data (somebody listens), an error that another host sent, and every other error
//! (no route, host unreachable, prohibited) end the attempt with what it is. A target that has answered nothing at all is asked
//! at another port, which separates an open port from a filter.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use crate::clock::now;
use crate::cmsg::{self, PathError};
use crate::socket::{bind, largest_message, local, make, path_error, prepare};
use crate::stamps::Stamps;
use crate::{Caps, Endpoint, Engine, EngineError, Flow, Got, Ns, Proto, StampSet, Stamper, TxStamp, block, os, spin};

/// Probes on their way at most; the oldest goes first.
const MOST: usize = 4_096;
/// Bytes of a quote that name a probe: a far end's cookie and sequence number.
const NAMES: usize = 16;
/// A target that has answered nothing for so long is silent, ns: three times the second that a Linux host may keep an error back.
const SILENT_NS: Ns = 3_000_000_000;
/// And at least so many probes.
const SILENT_PROBES: u64 = 12;
/// How long other ports are given to answer, ns: longer than that second.
const OTHER_NS: Ns = 1_200_000_000;
/// And how often each is asked meanwhile, ns.
const OTHER_EVERY_NS: Ns = 100_000_000;
/// Other ports that are asked: of those that traceroute uses, since nobody listens there.
const OTHERS: [u16; 2] = [33_499, 33_500];
/// Reports of errors of earlier datagrams that one send may meet before it leaves.
const REPORTS: u32 = 4;

/// An answer that waits to be handed on.
#[derive(Debug)]
struct Ready {
    message: Vec<u8>,
    at: Ns,
    stamps: (Option<u64>, Option<u64>),
}

#[derive(Debug)]
struct ClosedPortEngine {
    engine: &'static str,
    endpoint: Endpoint,
    caps: Caps,
    fd: OwnedFd,
    room: Vec<u8>,
    pending: VecDeque<Vec<u8>>,
    ready: VecDeque<Ready>,
    stamps: Option<Box<Stamps>>,
    /// When the first probe left, and how many have; `None` once one was answered.
    unanswered: Option<(Ns, u64)>,
    /// What separates an open port from a filter, once the target was silent for long.
    others: Option<Others>,
    discarded: u64,
    calls: u64,
}

/// Opens it as the engine `name`.
pub(crate) fn open(name: &str, endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    let (engine, spins, how) = match name {
        block::NAME => (block::NAME, false, "sleeping in ppoll"),
        spin::NAME => (spin::NAME, true, "spinning on the error queue"),
        _ => {
            return Err(EngineError::Unavailable {
                engine: "udp-closed",
                what: format!("probe the closed port {} with the engine {name:?}", endpoint.remote),
                why: "errors of a path are read by a socket that sleeps or spins".to_owned(),
                next: format!("use --engine {} or {}", block::NAME, spin::NAME),
            });
        }
    };
    let fd = connected(engine, endpoint, endpoint.remote)?;
    let max_message = largest_message(fd.as_fd(), endpoint)?;
    let stamps = if endpoint.stamps {
        let stamps = Stamps::enable(fd.as_fd(), Proto::Udp).map_err(|e| EngineError::Os {
            what: format!("SO_TIMESTAMPING on the socket to {}", endpoint.remote),
            source: e,
        })?;
        Some(Box::new(stamps))
    } else {
        None
    };
    let caps = Caps {
        max_message,
        spins,
        words: format!("datagrams to a closed UDP port, {how}"),
        costs: "an ICMP error of the far host for each probe, which it may limit".to_owned(),
    };
    Ok(Box::new(ClosedPortEngine {
        engine,
        endpoint: endpoint.clone(),
        caps,
        fd,
        room: vec![0; max_message.max(NAMES)],
        pending: VecDeque::new(),
        ready: VecDeque::new(),
        stamps,
        unanswered: Some((0, 0)),
        others: None,
        discarded: 0,
        calls: 0,
    }))
}

/// A socket to there whose errors of the path are queued.
fn connected(engine: &'static str, endpoint: &Endpoint, to: SocketAddr) -> Result<OwnedFd, EngineError> {
    let (fd, _) = make(engine, endpoint)?;
    prepare(fd.as_fd(), endpoint)?;
    let (level, name) =
        if to.is_ipv6() { (libc::SOL_IPV6, libc::IPV6_RECVERR) } else { (libc::SOL_IP, libc::IP_RECVERR) };
    os::set_int(fd.as_fd(), level, name, 1)
        .map_err(|e| EngineError::Os { what: format!("IP_RECVERR on the socket to {to}"), source: e })?;
    if let Some(local) = local(endpoint, false) {
        bind(fd.as_fd(), engine, local)?;
    }
    os::connect(fd.as_fd(), to)
        .map_err(|e| path_error("connect to", to, (Proto::UdpClosed, endpoint.where_refused), e))?;
    Ok(fd)
}

/// What a queued error is.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// The far kernel says that nobody listens: the answer.
    Closed,
    /// Something else, as text, and what to do.
    Other(String, &'static str),
}

/// Types and codes: RFC 792, RFC 1812 §5.2.7.1, RFC 4443 §3.1.
fn meaning(error: &PathError, remote: IpAddr) -> Meaning {
    let of = |what: &str, next| {
        let by = error.from.map_or_else(String::new, |from| format!(", says {from}"));
        Meaning::Other(format!("{what}{by}"), next)
    };
    let route = "check the address, the route and that the link is up";
    let filter = "ask who runs that packet filter to let UDP through, or choose --proto icmp";
    match (error.icmp, error.from) {
        (Some((false, 3, 3) | (true, 1, 4)), Some(from)) if from != remote => {
            of("port unreachable, but not from the target: a packet filter on the way refuses in its place", filter)
        }
        (Some((false, 3, 3) | (true, 1, 4)), _) => Meaning::Closed,
        (Some((false, 3, 9 | 10 | 13) | (true, 1, 1 | 5 | 6)), _) => of("administratively prohibited", filter),
        (Some((false, 3, 1 | 7 | 12) | (true, 1, 3)), _) => of("host unreachable", route),
        (Some((false, 3, 0 | 6 | 11) | (true, 1, 0)), _) => of("no route to it", route),
        (Some((false, 11, _) | (true, 3, _)), _) => {
            of("the hop limit was used up on the way", "look for a routing loop")
        }
        (Some((false, 3, 4) | (true, 2, _)), _) => of("the message does not fit the path", "use a smaller --size"),
        (Some((_, kind, code)), _) => of(&format!("ICMP error {kind}/{code}"), route),
        (None, _) => Meaning::Other(std::io::Error::from_raw_os_error(error.errno).to_string(), route),
    }
}

impl ClosedPortEngine {
    fn unreachable(&self, why: impl Into<String>, next: impl Into<String>) -> EngineError {
        EngineError::Unreachable {
            what: format!("probe the closed port {}", self.endpoint.remote),
            why: why.into(),
            next: next.into(),
        }
    }

    fn failed(&self, what: &str, error: std::io::Error) -> EngineError {
        path_error(what, self.endpoint.remote, (Proto::UdpClosed, self.endpoint.where_refused), error)
    }

    /// Takes everything out of the error queue: stamps, answers, and what ends the attempt.
    fn pump(&mut self) -> Result<(), EngineError> {
        loop {
            let mut control = os::Control([0u8; 512]);
            self.calls += 1;
            let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
            let got = match os::recv_message(self.fd.as_fd(), &mut self.room, &mut control.0, None, flags) {
                Ok(got) => got,
                Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => return Ok(()),
                Err(e) => return Err(self.failed("read the errors of", e)),
            };
            let at = now();
            let control = control.0.get(..got.control_len).unwrap_or_default();
            if let Some(stamp) = cmsg::transmit_stamp(control) {
                if let Some(stamps) = &mut self.stamps {
                    stamps.put(stamp);
                }
                continue;
            }
            let Some(error) = cmsg::path_error(control) else { continue };
            match meaning(&error, self.endpoint.remote.ip()) {
                Meaning::Closed => self.answered(got.len, at, cmsg::receive_stamps(control)),
                Meaning::Other(why, next) => return Err(self.unreachable(why, next)),
            }
        }
    }

    /// Finds the probe that the quoted bytes are of.
    fn answered(&mut self, len: usize, at: Ns, stamps: (Option<u64>, Option<u64>)) {
        let quote = self.room.get(..len).unwrap_or_default();
        let found = if len < NAMES {
            self.pending.len().checked_sub(1)
        } else {
            self.pending.iter().position(|m| m.get(..len).is_some_and(|begin| begin == quote))
        };
        match found.and_then(|at| self.pending.remove(at)) {
            Some(message) => {
                self.unanswered = None;
                self.ready.push_back(Ready { message, at, stamps });
            }
            None => self.discarded += 1,
        }
    }

    /// Whether a program listens there: then what comes is data.
    fn is_open(&mut self) -> Result<(), EngineError> {
        self.calls += 1;
        match os::recv(self.fd.as_fd(), &mut [0; 1], libc::MSG_DONTWAIT) {
            Ok(_) => Err(self.unreachable(
                "a program listens there and answers",
                "name a port where nobody listens, or the program's protocol with --peer",
            )),
            // Nothing, or the report of an error that is in the queue.
            Err(_) => Ok(()),
        }
    }

    /// What a target is that has answered nothing, once that is known: other ports of it are asked meanwhile, call by call, so that
    /// no call takes longer than its caller allows.
    fn silent(&mut self, at: Ns) -> Option<EngineError> {
        let remote = self.endpoint.remote;
        let engine = self.engine;
        let endpoint = &self.endpoint;
        let others = self.others.get_or_insert_with(|| Others::of(engine, endpoint, at));
        let answers = others.answer(remote.ip(), at);
        if !answers && at < others.until {
            return None;
        }
        // An address that no host of the link has is known to be so only after three seconds (`mcast_solicit`, arp(7)).
        if let Err(known) = self.pump() {
            return Some(known);
        }
        let port = remote.port();
        Some(if answers {
            self.unreachable(
                format!(
                    "other ports of the host answer and {port} does not: a program listens there, or a filter drops it"
                ),
                "leave the port out, or name one where nobody listens",
            )
        } else {
            self.unreachable(
                "no answer, and none at other ports: a packet filter drops, or the host sends no ICMP errors",
                "choose --proto icmp or tcp-connect",
            )
        })
    }
}

/// Ports that a silent target is asked at besides its own.
#[derive(Debug)]
struct Others {
    sockets: Vec<OwnedFd>,
    /// When they are asked next.
    next: Ns,
    /// Who has not answered by then does not.
    until: Ns,
}

impl Others {
    fn of(engine: &'static str, endpoint: &Endpoint, at: Ns) -> Self {
        let remote = endpoint.remote;
        let asked = Endpoint { source_port: 0, local: None, ..endpoint.clone() };
        let sockets = OTHERS
            .iter()
            .filter(|port| **port != remote.port())
            .filter_map(|port| connected(engine, &asked, SocketAddr::new(remote.ip(), *port)).ok())
            .collect();
        Self { sockets, next: at, until: at.saturating_add(OTHER_NS) }
    }

    /// Asks them where it is time, and reads what has come: whether the host says that nobody listens at one.
    fn answer(&mut self, remote: IpAddr, at: Ns) -> bool {
        let answers = self.sockets.iter().any(|fd| is_closed(fd, remote));
        if !answers && at >= self.next {
            self.next = at.saturating_add(OTHER_EVERY_NS);
            for fd in &self.sockets {
                let _ = os::send(fd.as_fd(), &[0; NAMES], libc::MSG_DONTWAIT);
            }
        }
        answers
    }
}

/// Whether the host has said that nobody listens there. Does not wait.
fn is_closed(fd: &OwnedFd, remote: IpAddr) -> bool {
    let mut control = os::Control([0u8; 512]);
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    os::recv_message(fd.as_fd(), &mut [0; NAMES], &mut control.0, None, flags).is_ok_and(|got| {
        let error = cmsg::path_error(control.0.get(..got.control_len).unwrap_or_default());
        error.is_some_and(|e| meaning(&e, remote) == Meaning::Closed)
    })
}

impl Engine for ClosedPortEngine {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        if self.pending.len() == MOST {
            self.pending.pop_front();
        }
        self.pending.push_back(message.to_vec());
        let mut reports = 0;
        loop {
            self.calls += 1;
            let at = now();
            match os::send(self.fd.as_fd(), message, 0) {
                Ok(_) => {
                    if let Some(stamps) = &mut self.stamps {
                        stamps.sent(message.len());
                    }
                    if let Some((first, sent)) = &mut self.unanswered {
                        *first = if *sent == 0 { at } else { *first };
                        *sent += 1;
                    }
                    return Ok(at);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                // An error that came for an earlier datagram is reported here once and stays in the queue (ip(7)).
                Err(_) if reports < REPORTS => {
                    reports += 1;
                    self.pump()?;
                }
                Err(e) => {
                    self.pending.pop_back();
                    return Err(self.failed("send to", e));
                }
            }
        }
    }

    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
        loop {
            if self.ready.is_empty() {
                self.pump()?;
            }
            while let Some(ready) = self.ready.pop_front() {
                let len = ready.message.len();
                if let Some(to) = buf.get_mut(..len) {
                    to.copy_from_slice(&ready.message);
                    let (kernel_rx, hardware_rx) = ready.stamps;
                    return Ok(Some(Got { len, at: ready.at, kernel_rx, hardware_rx }));
                }
                self.discarded += 1;
            }
            self.is_open()?;
            let at = now();
            if at >= until {
                let is_silent = self
                    .unanswered
                    .is_some_and(|(first, sent)| sent >= SILENT_PROBES && at.saturating_sub(first) >= SILENT_NS);
                return match is_silent.then(|| self.silent(at)).flatten() {
                    Some(named) => Err(named),
                    None => Ok(None),
                };
            }
            if !self.caps.spins {
                self.calls += 1;
                match os::poll(self.fd.as_fd(), libc::POLLIN, until - at) {
                    Err(e) if e.kind() != std::io::ErrorKind::Interrupted => return Err(self.failed("wait for", e)),
                    _ => {}
                }
            }
        }
    }

    fn tx_stamps(&mut self, out: &mut Vec<TxStamp>) {
        // Answers that come with them wait; an error that ends the attempt comes again with the next probe.
        let _ = self.pump();
        if let Some(stamps) = &mut self.stamps {
            stamps.take(out);
        }
    }

    fn stamper(&mut self) -> Option<&mut dyn Stamper> {
        if self.stamps.is_some() { Some(self) } else { None }
    }

    fn discarded(&self) -> u64 {
        self.discarded
    }

    fn system_calls(&self) -> Option<u64> {
        Some(self.calls)
    }

    fn flow(&self) -> Flow {
        let source_port = os::local_address(self.fd.as_fd()).ok().flatten().map(|at| at.port());
        Flow { source_port, ..Flow::default() }
    }
}

impl Stamper for ClosedPortEngine {
    fn asks(&self) -> StampSet {
        self.stamps.as_ref().map_or_else(StampSet::default, |s| s.asks())
    }

    fn keep(&mut self, kinds: StampSet) -> std::io::Result<()> {
        match &mut self.stamps {
            Some(stamps) => stamps.keep(self.fd.as_fd(), kinds),
            None => Ok(()),
        }
    }

    fn sends(&self) -> u32 {
        self.stamps.as_ref().map_or(0, |s| s.sends())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOTE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const ROUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const SECOND: Ns = 1_000_000_000;

    #[test]
    fn only_the_targets_own_port_unreachable_is_an_answer() {
        let of = |icmp, from| meaning(&PathError { errno: 0, icmp: Some(icmp), from: Some(from) }, REMOTE);
        assert_eq!(of((false, 3, 3), REMOTE), Meaning::Closed);
        assert_eq!(of((true, 1, 4), REMOTE), Meaning::Closed);
        for (icmp, from, said) in [
            ((false, 3, 3), ROUTER, "not from the target"),
            ((true, 1, 4), ROUTER, "not from the target"),
            ((false, 3, 13), REMOTE, "prohibited"),
            ((false, 3, 10), ROUTER, "prohibited"),
            ((true, 1, 1), ROUTER, "prohibited"),
            ((false, 3, 1), ROUTER, "host unreachable"),
            ((true, 1, 3), ROUTER, "host unreachable"),
            ((false, 3, 0), ROUTER, "no route"),
            ((false, 11, 0), ROUTER, "hop limit"),
            ((true, 2, 0), ROUTER, "fit"),
            ((false, 12, 0), ROUTER, "12/0"),
        ] {
            let other = of(icmp, from);
            assert!(matches!(&other, Meaning::Other(why, _) if why.contains(said)), "{icmp:?}: {other:?}");
        }
    }

    #[test]
    fn a_closed_port_answers_each_probe_in_any_order() {
        let probe = |remote: SocketAddr, name| {
            let mut engine =
                open(name, &Endpoint { stamps: true, ..Endpoint::new(Proto::UdpClosed, remote, 64) }).unwrap();
            let mut buf = [0; 128];
            for n in 0..3u8 {
                let sent = engine.send(&[n; 64]).unwrap();
                let got = engine.recv(&mut buf, sent + SECOND).unwrap().unwrap();
                assert_eq!(buf[..got.len], [n; 64], "{name} {remote}");
                assert!(got.at > sent);
            }
            // Two on their way at once.
            let sent = engine.send(&[8; 64]).unwrap();
            engine.send(&[9; 64]).unwrap();
            let mut seen: Vec<u8> = Vec::new();
            for _ in 0..2 {
                engine.recv(&mut buf, sent + SECOND).unwrap().unwrap();
                seen.push(buf[0]);
            }
            assert_eq!(seen, [8, 9]);
            assert_eq!(engine.recv(&mut buf, now() + 1_000_000).unwrap(), None);
        };
        for name in [block::NAME, spin::NAME] {
            for any in ["127.0.0.1:0", "[::1]:0"] {
                let Ok(socket) = std::net::UdpSocket::bind(any) else {
                    assert!(any.starts_with('['), "no IPv4 on loopback");
                    continue;
                };
                let remote = socket.local_addr().unwrap();
                drop(socket);
                probe(remote, name);
            }
        }
    }

    #[test]
    fn an_open_port_that_answers_and_an_engine_that_cannot_are_named() {
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::new(Proto::UdpClosed, far.local_addr().unwrap(), 64);
        let mut engine = open(block::NAME, &endpoint).unwrap();
        let sent = engine.send(&[1; 16]).unwrap();
        let (_, from) = far.recv_from(&mut [0; 64]).unwrap();
        far.send_to(&[1; 16], from).unwrap();
        let said = engine.recv(&mut [0; 64], sent + SECOND).unwrap_err().to_string();
        assert!(said.contains("a program listens there"), "{said}");
        let other = open("epoll", &endpoint).err().unwrap().to_string();
        assert!(other.contains("use --engine block or spin"), "{other}");
    }

    #[test]
    fn a_silent_program_is_not_taken_for_a_silent_host() {
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut engine = open(block::NAME, &Endpoint::new(Proto::UdpClosed, far.local_addr().unwrap(), 64)).unwrap();
        let began = now();
        let said = loop {
            let sent = engine.send(&[1; 16]).unwrap();
            match engine.recv(&mut [0; 64], sent + 100_000_000) {
                Ok(got) => assert_eq!(got, None),
                Err(e) => break e.to_string(),
            }
            assert!(now() - began < 20 * SECOND, "never named");
        };
        assert!(said.contains("other ports of the host answer"), "{said}");
    }
}

//! Requests that every host of a link answers from its kernel: ARP (RFC 826) and Neighbor Solicitation (RFC 4861 §4.3).
//!
//! The request goes to the neighbour alone, once its address is known, as a host asks whether one is still there. Nothing
//! above the link layer takes part, at either end: no routing, no packet filter of IP, no socket of the far host. So this is
//! the round trip of the link and of the two drivers.
//!
//! An answer names no probe. The message never leaves: it waits here and is handed back with the next answer. Of several
//! probes on their way the newest counts, so an answer that comes after the next probe counts for that one; at the pace of
//! 10 ms that would be a link whose round trip is longer.
//!
//! This host's kernel, a bond that watches its link by ARP, or another program may ask the same neighbour from the same
//! address; its answer looks like ours. One that comes while no probe waits counts as foreign. One that comes while a probe waits
//! makes two answers to one request: so each answer is held until a second one would have come, two of the usual round trips after
//! the request, and where it came the exchange is left out and made again. Where the wait is apart from the request (a
//! greeting, an answer later than a tenth of a second), the later of the two counts, which cannot be earlier than the right one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use lowlat_model::Capability;
use lowlat_model::engine::EngineOption;

use crate::clock::now;
use crate::socket::{only_icmp6, path_error};
use crate::{Caps, Endpoint, Engine, EngineError, Exchange, Flow, Got, Ns, Proto, block, os, spin};

/// A payload of one frame on Ethernet; it stays on this host.
const MESSAGE_MAX: usize = 1_460;
/// Whoever does not answer the first request within this is not there, ns: a host that was asleep has a second.
const FIRST_NS: Ns = 1_000_000_000;
/// An answer is held for at least so long after its request, ns: the wake-up of a far host that was idle is about as much.
const HOLD_LEAST_NS: Ns = 100_000;
/// Exchanges in a row that two answers came to; then no answer is known to be ours.
const MOST_DOUBTFUL: u32 = 16;

/// `ETH_P_ARP`.
const ETH_ARP: u16 = 0x0806;
/// `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;
/// Ethernet header and ARP packet for IPv4.
const ARP_FRAME: usize = 14 + 28;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Header, flags and target of a solicitation.
const ND_MESSAGE: usize = 24;

/// Which request, and to which host.
#[derive(Debug)]
enum Asked {
    Arp { mac: [u8; 6], own: Ipv4Addr, to: Ipv4Addr, far: Option<[u8; 6]> },
    Nd { to: Ipv6Addr },
}

impl Asked {
    fn request(&self, room: &mut [u8; ARP_FRAME]) -> usize {
        match self {
            Self::Arp { mac, own, to, far } => {
                *room = arp_request(*mac, *own, *to, *far);
                ARP_FRAME
            }
            Self::Nd { to } => {
                room[..ND_MESSAGE].fill(0);
                // The kernel puts the checksum in (rawv6_push_pending_frames, net/ipv6/raw.c).
                room[0] = SOLICITATION;
                room[8..ND_MESSAGE].copy_from_slice(&to.octets());
                ND_MESSAGE
            }
        }
    }

    /// Whether these bytes answer it; notes the neighbour's link-layer address.
    fn is_answered_by(&mut self, bytes: &[u8]) -> bool {
        match self {
            Self::Arp { mac, own, to, far } => match arp_answer(bytes, *mac, *own, *to) {
                Some(from) => {
                    *far = Some(from);
                    true
                }
                None => false,
            },
            Self::Nd { to } => {
                bytes.first() == Some(&ADVERTISEMENT) && bytes.get(8..ND_MESSAGE) == Some(&to.octets()[..])
            }
        }
    }
}

/// The whole frame; to everybody where the neighbour's address is not known yet.
fn arp_request(mac: [u8; 6], own: Ipv4Addr, to: Ipv4Addr, far: Option<[u8; 6]>) -> [u8; ARP_FRAME] {
    let mut frame = [0; ARP_FRAME];
    let mut put = |at: usize, bytes: &[u8]| frame[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &far.unwrap_or([0xff; 6]));
    put(6, &mac);
    put(12, &ETH_ARP.to_be_bytes());
    // Ethernet, IPv4, the lengths of their addresses, a request.
    put(14, &[0, 1, 8, 0, 6, 4, 0, 1]);
    put(22, &mac);
    put(28, &own.octets());
    put(38, &to.octets());
    frame
}

/// The neighbour's address in an answer to our request.
fn arp_answer(frame: &[u8], mac: [u8; 6], own: Ipv4Addr, to: Ipv4Addr) -> Option<[u8; 6]> {
    let at = |from: usize, len: usize| frame.get(from..from + len);
    let is_reply = at(12, 2)? == ETH_ARP.to_be_bytes() && at(14, 8)? == [0, 1, 8, 0, 6, 4, 0, 2];
    let is_ours = at(28, 4)? == to.octets() && at(32, 6)? == mac && at(38, 4)? == own.octets();
    if is_reply && is_ours { at(22, 6)?.try_into().ok() } else { None }
}

/// One neighbour.
#[derive(Debug)]
struct NeighbourEngine {
    caps: Caps,
    endpoint: Endpoint,
    fd: OwnedFd,
    asked: Asked,
    message: Vec<u8>,
    /// When the request left whose answer is waited for.
    waits: Option<Ns>,
    /// An answer that came before the next request left, with its message.
    ready: Option<(Vec<u8>, Ns)>,
    /// Round trips on the mean, the newer ones more, ns; 0 before the first.
    usual_ns: Ns,
    /// Exchanges that two answers came to: made again, and not.
    again: u64,
    later: u64,
    /// Answers that belonged to no probe.
    strangers: u64,
}

/// How an exchange was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    /// Once, then.
    Once(Ns),
    /// Twice, and the second time then: one of the two is another's.
    Twice(Ns),
    /// Not until the end.
    Not,
}

/// Opens it as the engine `name`, and asks once to see that the neighbour is there.
pub(crate) fn open(name: &str, endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    let (spins, how) = match name {
        block::NAME => (false, "sleeping in ppoll"),
        spin::NAME => (true, "spinning on recv"),
        _ => {
            return Err(EngineError::Unavailable {
                engine: "neighbour",
                what: format!("ask for the neighbour {} with the engine {name:?}", endpoint.remote.ip()),
                why: "the link's own requests are made by a socket that sleeps or spins".to_owned(),
                next: format!("use --engine {} or {}", block::NAME, spin::NAME),
            });
        }
    };
    let (fd, asked, kind) = match endpoint.remote.ip() {
        IpAddr::V4(to) => {
            let (fd, asked) = arp(endpoint, to)?;
            (fd, asked, "ARP requests")
        }
        IpAddr::V6(to) => (nd(endpoint, to)?, Asked::Nd { to }, "neighbour solicitations"),
    };
    let caps = Caps {
        max_message: MESSAGE_MAX,
        spins,
        words: format!("{kind}, {how}"),
        costs: "a request of the link layer each round trip; nothing above it is measured".to_owned(),
    };
    let (endpoint, message) = (endpoint.clone(), Vec::with_capacity(MESSAGE_MAX));
    let mut this = NeighbourEngine {
        caps,
        endpoint,
        fd,
        asked,
        message,
        waits: None,
        ready: None,
        usual_ns: 0,
        again: 0,
        later: 0,
        strangers: 0,
    };
    let sent = this.send(&[])?;
    if this.recv(&mut [], sent.saturating_add(FIRST_NS))?.is_none() {
        let to = this.endpoint.remote.ip();
        return Err(EngineError::Unavailable {
            engine: "neighbour",
            what: format!("ask for the neighbour {to}"),
            why: "no answer within a second".to_owned(),
            next: "name a host of the same link; see `ip neigh`".to_owned(),
        });
    }
    Ok(Box::new(this))
}

fn cannot(to: IpAddr, source: std::io::Error) -> EngineError {
    let denied = matches!(source.raw_os_error(), Some(libc::EPERM | libc::EACCES));
    let what = format!("a socket of the link layer for {to}");
    if denied {
        let next = crate::next_where_denied(&[Capability::NetRaw]);
        return EngineError::Unavailable { engine: "neighbour", what, why: source.to_string(), next };
    }
    EngineError::Os { what, source }
}

fn arp(endpoint: &Endpoint, to: Ipv4Addr) -> Result<(OwnedFd, Asked), EngineError> {
    let os_error = |e: std::io::Error| cannot(to.into(), e);
    let unavailable = |why: &str, next: &str| EngineError::Unavailable {
        engine: "neighbour",
        what: format!("ask for the neighbour {to}"),
        why: why.to_owned(),
        next: next.to_owned(),
    };
    let iface = endpoint.iface.as_deref().ok_or_else(|| unavailable("its link is not named", "add --iface IF"))?;
    let own = own_address(endpoint)?;
    let IpAddr::V4(own) = own else { return Err(unavailable("this host has no IPv4 address to ask from", "add one")) };
    let fd = os::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).map_err(os_error)?;
    let index = rustix::net::netdevice::name_to_index(&fd, iface).map_err(|e| os_error(e.into()))?;
    let (mac, kind) = os::bind_link(fd.as_fd(), index, ETH_ARP).map_err(os_error)?;
    if kind != ETHERNET {
        return Err(unavailable("the interface is no Ethernet, so nobody answers ARP there", "use --proto icmp"));
    }
    Ok((fd, Asked::Arp { mac, own, to, far: None }))
}

fn nd(endpoint: &Endpoint, to: Ipv6Addr) -> Result<OwnedFd, EngineError> {
    let os_error = |e: std::io::Error| cannot(to.into(), e);
    let fd = os::socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6).map_err(os_error)?;
    only_icmp6(fd.as_fd(), ADVERTISEMENT).map_err(os_error)?;
    // Whatever a router has handed on is no neighbour's (RFC 4861 §7.1.1).
    os::set_int(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, 255).map_err(os_error)?;
    let remote = endpoint.remote;
    os::connect(fd.as_fd(), remote)
        .map_err(|e| path_error("connect to", remote, (Proto::Nd, endpoint.where_refused), e))?;
    Ok(fd)
}

/// The address that this host sends from to there.
fn own_address(endpoint: &Endpoint) -> Result<IpAddr, EngineError> {
    let remote = endpoint.remote;
    let failed = |e| path_error("connect to", remote, (Proto::Arp, endpoint.where_refused), e);
    let fd = os::socket(libc::AF_INET, libc::SOCK_DGRAM, 0).map_err(failed)?;
    // No packet leaves; any port will do.
    os::connect(fd.as_fd(), SocketAddr::new(remote.ip(), 9)).map_err(failed)?;
    let own = os::local_address(fd.as_fd()).map_err(failed)?;
    Ok(own.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |a| a.ip()))
}

impl NeighbourEngine {
    /// Waits until `until` for an answer to what was asked, and takes it; `None` where none came.
    fn next(&mut self, until: Ns) -> Result<Option<Ns>, EngineError> {
        let failed = |source| EngineError::Os { what: "wait for the neighbour's answer".to_owned(), source };
        let mut room = [0; 256];
        loop {
            match os::recv(self.fd.as_fd(), &mut room, libc::MSG_DONTWAIT) {
                Ok(len) => {
                    let at = now();
                    if self.asked.is_answered_by(room.get(..len).unwrap_or_default()) {
                        return Ok(Some(at));
                    }
                }
                Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {
                    let now = now();
                    if now >= until {
                        return Ok(None);
                    }
                    if !self.caps.spins {
                        match os::poll(self.fd.as_fd(), libc::POLLIN, until - now) {
                            Err(e) if e.kind() != std::io::ErrorKind::Interrupted => return Err(failed(e)),
                            _ => {}
                        }
                    }
                }
                Err(e) => return Err(failed(e)),
            }
        }
    }

    /// Waits until `until` for the answer to the request that left last, and holds it until a second one would have come.
    fn answer(&mut self, until: Ns) -> Result<Answered, EngineError> {
        let (sent, at) = loop {
            let Some(at) = self.next(until)? else { return Ok(Answered::Not) };
            match self.waits.take() {
                Some(sent) => break (sent, at),
                None => self.strangers += 1,
            }
        };
        let rtt = at.saturating_sub(sent);
        let hold = self.usual_ns.max(rtt).saturating_mul(2).max(HOLD_LEAST_NS);
        if let Some(second) = self.next(sent.saturating_add(hold).min(until.max(at)))? {
            return Ok(Answered::Twice(second));
        }
        // An eighth of each, as TCP smooths its round trips (RFC 6298 §2).
        self.usual_ns = if self.usual_ns == 0 { rtt } else { self.usual_ns - self.usual_ns / 8 + rtt / 8 };
        Ok(Answered::Once(at))
    }

    /// Takes what came while nobody waited: else an answer to somebody's earlier request would be that to the next.
    fn clear(&mut self) -> Result<(), EngineError> {
        while let Some(at) = self.next(0)? {
            match self.waits.take() {
                Some(_) => self.ready = Some((self.message.clone(), at)),
                None => self.strangers += 1,
            }
        }
        Ok(())
    }

    fn handed(message: &[u8], buf: &mut [u8], at: Ns) -> Option<Got> {
        let len = message.len();
        buf.get_mut(..len)?.copy_from_slice(message);
        Some(Got { len, at, kernel_rx: None, hardware_rx: None })
    }
}

impl Engine for NeighbourEngine {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        self.clear()?;
        let mut room = [0; ARP_FRAME];
        let len = self.asked.request(&mut room);
        self.message.clear();
        self.message.extend_from_slice(message);
        let at = now();
        self.waits = Some(at);
        os::send(self.fd.as_fd(), &room[..len], 0).map_err(|e| {
            path_error(
                "ask for the neighbour",
                self.endpoint.remote,
                (self.endpoint.proto, self.endpoint.where_refused),
                e,
            )
        })?;
        Ok(at)
    }

    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
        if let Some((message, at)) = self.ready.take() {
            return Ok(Self::handed(&message, buf, at));
        }
        let at = match self.answer(until)? {
            Answered::Once(at) => at,
            Answered::Twice(later) => {
                self.later += 1;
                later
            }
            Answered::Not => return Ok(None),
        };
        Ok(Self::handed(&self.message, buf, at))
    }

    fn exchange(&mut self, message: &[u8], buf: &mut [u8], wait: u64) -> Result<Exchange, EngineError> {
        for _ in 0..MOST_DOUBTFUL {
            let sent = self.send(message)?;
            if let Some((message, at)) = self.ready.take() {
                // The answer to an earlier probe.
                return Ok(Exchange { sent, got: Ok(Self::handed(&message, buf, at)) });
            }
            let got = match self.answer(sent.saturating_add(wait)) {
                Ok(Answered::Once(at)) => Ok(Self::handed(&self.message, buf, at)),
                Ok(Answered::Twice(_)) => {
                    self.again += 1;
                    continue;
                }
                Ok(Answered::Not) => Ok(None),
                Err(e) => Err(e),
            };
            return Ok(Exchange { sent, got });
        }
        Err(EngineError::Unreachable {
            what: format!("ask for the neighbour {}", self.endpoint.remote.ip()),
            why: format!("two answers came to each of {MOST_DOUBTFUL} requests, and neither is known to be ours"),
            next: "see by `tcpdump arp or icmp6` who asks besides, or whether two hosts have that address".to_owned(),
        })
    }

    fn options(&self) -> Vec<EngineOption> {
        let of = |n: u64, what: &str| {
            (n > 0).then(|| {
                let words =
                    format!("{n}: two answers came, as where this host's kernel asks the neighbour too; {what}");
                EngineOption::got("doubtful exchanges", words)
            })
        };
        of(self.again, "left out, and made again")
            .into_iter()
            .chain(of(self.later, "the later answer counts"))
            .collect()
    }

    fn discarded(&self) -> u64 {
        self.strangers + self.again + self.later
    }

    fn flow(&self) -> Flow {
        Flow::default()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use proptest::prelude::*;

    use super::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const TO: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const FAR: [u8; 6] = [2, 0, 0, 0, 0, 2];

    /// What a kernel makes of a request: addresses exchanged, its own put in (`arp_process`, net/ipv4/arp.c).
    fn reply(request: &[u8; ARP_FRAME]) -> [u8; ARP_FRAME] {
        let mut frame = *request;
        frame[..6].copy_from_slice(&request[6..12]);
        frame[6..12].copy_from_slice(&FAR);
        frame[21] = 2;
        frame[22..28].copy_from_slice(&FAR);
        frame[28..32].copy_from_slice(&request[38..42]);
        frame[32..38].copy_from_slice(&request[22..28]);
        frame[38..42].copy_from_slice(&request[28..32]);
        frame
    }

    #[test]
    fn the_answer_to_our_request_is_known_and_no_other() {
        let request = arp_request(MAC, OWN, TO, None);
        assert_eq!(request[..6], [0xff; 6]);
        let answer = reply(&request);
        assert_eq!(arp_answer(&answer, MAC, OWN, TO), Some(FAR));
        assert_eq!(arp_answer(&request, MAC, OWN, TO), None, "our own request");
        assert_eq!(arp_answer(&answer, FAR, OWN, TO), None, "to another host");
        assert_eq!(arp_answer(&answer, MAC, TO, OWN), None, "of another host");
        let mut asked = Asked::Arp { mac: MAC, own: OWN, to: TO, far: None };
        assert!(asked.is_answered_by(&answer));
        let mut room = [0; ARP_FRAME];
        assert_eq!(asked.request(&mut room), ARP_FRAME);
        assert_eq!(room[..6], FAR, "from then on to the neighbour alone");
    }

    #[test]
    fn an_advertisement_is_ours_by_its_target() {
        let (to, other): (Ipv6Addr, Ipv6Addr) = ("fe80::1".parse().unwrap(), "fe80::2".parse().unwrap());
        let mut room = [0; ARP_FRAME];
        let len = Asked::Nd { to }.request(&mut room);
        assert_eq!((len, room[0], &room[8..24]), (ND_MESSAGE, SOLICITATION, &to.octets()[..]));
        assert!(!Asked::Nd { to }.is_answered_by(&room[..len]), "our own request");
        room[0] = ADVERTISEMENT;
        assert!(Asked::Nd { to }.is_answered_by(&room[..len]));
        assert!(!Asked::Nd { to: other }.is_answered_by(&room[..len]));
        assert!(!Asked::Nd { to }.is_answered_by(&room[..12]));
    }

    /// An engine whose link is a pair of sockets; what is at the far end of it.
    fn linked(spins: bool) -> (NeighbourEngine, UnixDatagram) {
        let (near, far) = UnixDatagram::pair().unwrap();
        let caps = Caps { max_message: MESSAGE_MAX, spins, words: String::new(), costs: String::new() };
        let engine = NeighbourEngine {
            caps,
            endpoint: Endpoint::new(Proto::Arp, (TO, 0).into(), 64),
            fd: near.into(),
            asked: Asked::Arp { mac: MAC, own: OWN, to: TO, far: None },
            message: Vec::new(),
            waits: None,
            ready: None,
            usual_ns: 0,
            again: 0,
            later: 0,
            strangers: 0,
        };
        (engine, far)
    }

    const MS: Ns = 1_000_000;

    /// Answers the requests that come, each so many times: the first time after `rtt` ms, then after half as much each.
    fn answers(far: UnixDatagram, times: &'static [u32], rtt: u64) -> std::thread::JoinHandle<UnixDatagram> {
        std::thread::spawn(move || {
            for n in times {
                let mut request = [0; ARP_FRAME];
                far.recv(&mut request).unwrap();
                for again in 0..*n {
                    std::thread::sleep(std::time::Duration::from_micros(rtt * if again == 0 { 1_000 } else { 500 }));
                    far.send(&reply(&request)).unwrap();
                }
            }
            far
        })
    }

    #[test]
    fn an_exchange_with_two_answers_is_left_out_and_made_again() {
        for spins in [false, true] {
            let (mut engine, far) = linked(spins);
            let far = answers(far, &[1, 2, 2, 1, 1], 20);
            let mut buf = [0; 8];
            for message in [[1; 8], [2; 8], [3; 8]] {
                let Exchange { sent, got } = engine.exchange(&message, &mut buf, 500 * MS).unwrap();
                let got = got.unwrap().unwrap();
                assert_eq!((buf, got.len), (message, 8));
                // Of the request that was made again, not of the first.
                assert!((20 * MS..45 * MS).contains(&(got.at - sent)), "{}", got.at - sent);
            }
            far.join().unwrap();
            assert_eq!((engine.again, engine.discarded()), (2, 2));
            let said = engine.options()[0].words();
            assert!(said.contains("doubtful exchanges 2") && said.contains("left out"), "{said}");
        }
    }

    #[test]
    fn without_another_that_asks_nothing_is_doubtful() {
        let (mut engine, far) = linked(false);
        let far = answers(far, &[1; 50], 1);
        for _ in 0..50 {
            let got = engine.exchange(&[1; 8], &mut [0; 8], 500 * MS).unwrap().got.unwrap();
            assert!(got.is_some());
        }
        far.join().unwrap();
        assert_eq!((engine.discarded(), engine.options()), (0, Vec::new()));
    }

    #[test]
    fn an_answer_that_came_before_the_request_is_none_to_it() {
        let (mut engine, far) = linked(false);
        let stray = reply(&arp_request(MAC, OWN, TO, None));
        far.send(&stray).unwrap();
        let far = answers(far, &[1], 2);
        let Exchange { sent, got } = engine.exchange(&[7; 8], &mut [0; 8], 500 * MS).unwrap();
        assert!(got.unwrap().unwrap().at - sent >= 2 * MS, "the stray one was taken");
        assert_eq!((engine.strangers, engine.again), (1, 0));
        far.join().unwrap();
    }

    #[test]
    fn apart_from_its_request_the_later_answer_counts_and_none_is_lost() {
        let (mut engine, far) = linked(false);
        let far = answers(far, &[2, 1], 10);
        let mut buf = [0; 8];
        let sent = engine.send(&[1; 8]).unwrap();
        let got = engine.recv(&mut buf, sent + 500 * MS).unwrap().unwrap();
        assert!(got.at - sent >= 15 * MS, "{}", got.at - sent);
        assert_eq!(engine.later, 1);
        // One that came before the next request left is handed on with its own message.
        engine.send(&[2; 8]).unwrap();
        let _far = far.join().unwrap();
        let sent = engine.send(&[3; 8]).unwrap();
        let got = engine.recv(&mut buf, sent + 500 * MS).unwrap().unwrap();
        assert!(buf == [2; 8] && got.at < sent);
        assert_eq!(engine.recv(&mut buf, now() + MS).unwrap(), None, "the third was not answered");
    }

    #[test]
    fn two_hosts_with_one_address_are_named() {
        let (mut engine, far) = linked(false);
        let far = answers(far, &[2; MOST_DOUBTFUL as usize], 2);
        let said = engine.exchange(&[1; 8], &mut [0; 8], 500 * MS).unwrap_err().to_string();
        assert!(said.contains("192.0.2.2") && said.contains("two answers") && said.contains("tcpdump"), "{said}");
        far.join().unwrap();
    }

    proptest! {
        #[test]
        fn any_frame_is_survived_and_none_is_ours(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut asked = [
                Asked::Arp { mac: MAC, own: OWN, to: TO, far: None },
                Asked::Nd { to: Ipv6Addr::LOCALHOST },
            ];
            prop_assert!(!asked.iter_mut().any(|a| a.is_answered_by(&bytes)));
        }
    }
}

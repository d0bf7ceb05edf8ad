//! The far end: answers probes, and is safe to leave running where anybody can reach it.
//!
//! What holds it: it never sends more bytes than it got, and nothing to a probe it does not understand; answers are no
//! probes, so two far ends cannot be made to answer each other; sources can be limited by address, rate and key; memory
//! is bounded by the configuration; connections that are slow, half-open or idle are closed; once the ports are bound,
//! privileges are dropped and the process shuts itself off from files, from new connections and from every system call
//! that answering does not need.
//!
//! Latency decides how it waits. Sleeping, each datagram socket has a thread of its own, so that a probe costs one
//! receive and one send and no readiness call; streams share a thread, which likewise sleeps in
//! the receive of a connection while that is the only one (`lone`). Spinning, one thread goes round all of them, the
//! one that was busy last most often. A client that is alone for a while gets a connected socket (`lane`).

mod allow;
mod confine;
mod datagram;
mod lane;
mod limit;
mod lone;
mod privilege;
mod sink;
mod stamped;
mod stats;
mod stream;
#[doc(hidden)]
pub mod testing;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_transport::thread::WithoutRseq;
use lowlat_transport::{Ns, Proto, clock, os};

pub use self::allow::Cidr;
pub use self::confine::Confinement;
use self::datagram::Datagrams;
use self::lane::{SEATS, Seat};
use self::limit::Gate;
use self::lone::{Doorman, Lone};
use self::sink::Sinks;
use self::stats::Board;
pub use self::stats::{Residence, ServeStats};
use self::stream::Streams;
use crate::Key;
use crate::lowlat::{DEFAULT_PORT, LowlatReflector};
use crate::sockperf::SockperfReflector;
use crate::stamp::StampReflector;

/// When and how a message came.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// It reached this program, `CLOCK_MONOTONIC`.
    pub at: Ns,
    /// Its time to live, where the protocol asks for it.
    pub ttl: Option<u8>,
    /// It reached this host's kernel, `CLOCK_MONOTONIC`, where the sender asks for that.
    pub kernel: Option<Ns>,
}

/// Why a message gets no answer. None of these is an error of the far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// Not a message of this protocol, or an answer.
    Malformed,
    /// No tag of the shared key.
    Unauthenticated,
    /// The sender asked for no answer.
    NoneWanted,
}

/// What a reflector made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reflection {
    /// The first so many bytes of the message, which is now the answer. Never more than came.
    Reply(usize),
    /// Nothing is sent.
    Ignore(Ignored),
    /// What follows on this connection is to be read and thrown away.
    Sink,
}

/// The far side of one protocol.
pub trait Reflector: Send {
    /// The protocol.
    fn name(&self) -> &'static str;
    /// Longest message, bytes.
    fn longest(&self) -> usize;
    /// Whether answers need the arrival's time to live.
    fn wants_ttl(&self) -> bool {
        false
    }
    /// Whether a message asks for the kernel's receive stamp.
    fn wants_stamp(&self, message: &[u8]) -> bool {
        let _ = message;
        false
    }
    /// Turns a message into its answer, in place. Never panics, whatever the bytes, and allocates nothing.
    fn reflect(&mut self, message: &mut [u8], arrival: &Arrival) -> Reflection;
    /// For streams, as [`crate::Peer::framing`].
    fn framing(&self) -> fn(&[u8]) -> Option<usize>;
}

/// What to serve, to whom.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// Addresses to bind; none means all, of both families.
    pub bind: Vec<IpAddr>,
    /// Port of our own protocol, UDP and TCP; 0 takes a free one; `None` serves none.
    pub port: Option<u16>,
    /// Port for stock sockperf clients, UDP and TCP.
    pub sockperf: Option<u16>,
    /// Port for STAMP and TWAMP-Light senders, UDP.
    pub stamp: Option<u16>,
    /// Answer only probes that carry this key's tag.
    pub key: Option<Key>,
    /// Answer only these sources; none means all.
    pub allow: Vec<Cidr>,
    /// Most messages per second from one source (IPv4 address, IPv6 /64).
    pub source_limit: Option<u64>,
    /// Most messages per second in all.
    pub total_limit: Option<u64>,
    /// Spin instead of sleeping.
    pub spin: bool,
    /// CPU for the answering threads.
    pub cpu: Option<u32>,
    /// Once the ports are bound, become nobody (if started as root) and give up files, new connections and all system
    /// calls but those of answering. For good, and for the whole process if it is called on the first thread.
    pub confine: bool,
    /// Most TCP connections at once; one source may hold a quarter of them.
    pub max_connections: usize,
    /// A connection without a whole message for this long is closed, ns.
    pub idle_timeout_ns: u64,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            bind: Vec::new(),
            port: Some(DEFAULT_PORT),
            sockperf: None,
            stamp: None,
            key: None,
            allow: Vec::new(),
            source_limit: None,
            total_limit: None,
            spin: false,
            cpu: None,
            confine: false,
            max_connections: 256,
            idle_timeout_ns: 60_000_000_000,
        }
    }
}

/// One bound port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// `lowlat`, `sockperf`, `stamp`.
    pub protocol: &'static str,
    /// UDP or TCP.
    pub proto: Proto,
    /// Where.
    pub at: SocketAddr,
}

/// Why the far end could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration contradicts itself.
    #[error("serve: {0}")]
    Config(String),
    /// A port could not be had.
    #[error("serve: bind {proto} {at}: {why}; {next}")]
    Bind {
        /// `UDP` or `TCP`.
        proto: &'static str,
        /// Where.
        at: SocketAddr,
        /// Cause.
        why: String,
        /// Next step.
        next: &'static str,
    },
    /// Another system call failed.
    #[error("serve: {what}: {source}")]
    Os {
        /// Operation.
        what: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

/// A protocol to serve.
struct Service {
    name: &'static str,
    port: u16,
    udp: bool,
    tcp: bool,
    make: fn(Option<Key>) -> Box<dyn Reflector>,
}

/// Who is told how the far end fares.
pub trait Watcher {
    /// It is bound, and confined in these ways; the first answer is still to come.
    fn ready(&mut self, bound: &[Bound], confinement: &[Confinement]);
    /// The counts so far; called every [`Watcher::every_ns`].
    fn report(&mut self, stats: &ServeStats) {
        let _ = stats;
    }
    /// Time between two reports, ns; `None` for none.
    fn every_ns(&self) -> Option<u64> {
        None
    }
}

/// As [`watched`], for callers that only want to know when it is ready.
pub fn run(config: &ServeConfig, stop: &AtomicBool, ready: impl FnOnce(&[Bound])) -> Result<ServeStats, ServeError> {
    struct Once<F>(Option<F>);
    impl<F: FnOnce(&[Bound])> Watcher for Once<F> {
        fn ready(&mut self, bound: &[Bound], _: &[Confinement]) {
            if let Some(ready) = self.0.take() {
                ready(bound);
            }
        }
    }
    watched(config, stop, &mut Once(Some(ready)))
}

/// Serves until `stop`. Tells `watcher` once what is bound, before the first answer.
///
/// # Errors
/// [`ServeError`] if it cannot start. Once it runs, nothing that comes from the network ends it.
pub fn watched(config: &ServeConfig, stop: &AtomicBool, watcher: &mut dyn Watcher) -> Result<ServeStats, ServeError> {
    let services = services(config)?;
    let gate = Gate::new(config);
    let sinks = Sinks::new().map_err(|e| ServeError::Os { what: "epoll".to_owned(), source: e })?;
    let mut streams =
        Streams::new(config, &gate, &sinks).map_err(|e| ServeError::Os { what: "epoll".to_owned(), source: e })?;
    let mut datagrams = Vec::new();
    let mut seats = Vec::new();
    let mut bound = Vec::new();
    for service in &services {
        for (ip, family_is_all) in addresses(config) {
            let Some(sockets) = bind_both(service, ip, family_is_all, &bound)? else { continue };
            let make = || (service.make)(config.key.clone());
            let failed = |e| ServeError::Os { what: format!("set up {} on {ip}", service.name), source: e };
            if let Some((fd, at)) = sockets.udp {
                bound.push(Bound { protocol: service.name, proto: Proto::Udp, at });
                let own = (0..SEATS).map(|_| Seat::new(at).map(Arc::new));
                let own = own.collect::<Result<Vec<_>, _>>().map_err(failed)?;
                for seat in &own {
                    datagrams.push(Datagrams::seat(seat.clone(), at, make(), gate.clone()).map_err(failed)?);
                }
                seats.extend(own.iter().cloned());
                datagrams.push(Datagrams::open(fd, at, make(), gate.clone(), config.spin, own).map_err(failed)?);
            }
            if let Some((fd, at)) = sockets.tcp {
                bound.push(Bound { protocol: service.name, proto: Proto::Tcp, at });
                streams.listen(fd, make()).map_err(failed)?;
            }
        }
    }
    if bound.is_empty() {
        return Err(ServeError::Config("nothing to serve; give a port".to_owned()));
    }
    if let Some(cpu) = config.cpu {
        // Tried here, so that a CPU that is not there is an error at the start and not a thread's silent failure.
        tried(|| privilege::pin(cpu)).map_err(|e| {
            ServeError::Config(format!("run on CPU {cpu}: {e}; name one that `taskset -p $$` has in its mask"))
        })?;
    }
    let lone = Lone::default();
    let doorman = Doorman::new(&lone, streams.listeners())
        .map_err(|source| ServeError::Os { what: "watch the listeners".to_owned(), source })?;
    let (confinement, calls) = if config.confine { confine::process(&seats)? } else { (Vec::new(), None) };
    watcher.ready(&bound, &confinement);
    Ok(serve(config, stop, (datagrams, &seats), streams, (&sinks, &lone, &doorman), calls.as_ref(), watcher))
}

/// Does it on a thread of its own, which ends.
fn tried(attempt: impl FnOnce() -> std::io::Result<()> + Send) -> std::io::Result<()> {
    std::thread::scope(|s| s.spawn(attempt).join())
        .unwrap_or_else(|_| Err(std::io::Error::other("the trial thread died")))
}

fn serve(
    config: &ServeConfig,
    stop: &AtomicBool,
    (mut datagrams, seats): (Vec<Datagrams>, &[Arc<Seat>]),
    mut streams: Streams<'_>,
    (sinks, lone, doorman): (&Sinks, &Lone, &Doorman<'_>),
    calls: Option<&confine::Calls>,
    watcher: &mut dyn Watcher,
) -> ServeStats {
    // Both were tried before: should they fail now, serving on is better than not at all.
    let enter = || {
        std::mem::forget(WithoutRseq::take());
        if let Some(cpu) = config.cpu {
            let _ = privilege::pin(cpu);
        }
        if let Some(calls) = calls {
            let _ = calls.enter();
        }
    };
    let mut boards: Vec<Board> = datagrams.iter().map(|d| d.board.clone()).collect();
    boards.push(streams.board.clone());
    let counted = || {
        let mut total = ServeStats { sink_bytes: sinks.bytes(), ..ServeStats::default() };
        for board in &boards {
            total.add(&board.read());
        }
        for seat in seats {
            total.add(&seat.held().stats);
        }
        total
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if let Some(calls) = calls {
                let _ = calls.enter();
            }
            sinks.run(stop);
        });
        if config.spin {
            scope.spawn(move || {
                enter();
                spin(&mut datagrams, &mut streams, stop);
            });
        } else {
            for mut socket in datagrams {
                scope.spawn(move || {
                    enter();
                    socket.run(stop);
                });
            }
            scope.spawn(move || {
                enter();
                streams.run(stop, lone);
            });
        }
        // Its own, once it need not start threads any more.
        if let Some(calls) = calls {
            let _ = calls.enter();
        }
        let every = watcher.every_ns().unwrap_or(u64::MAX);
        let mut next = clock::now().saturating_add(every);
        while !stop.load(Ordering::Relaxed) {
            doorman.turn(PATIENCE_NS);
            if clock::now() >= next {
                next += every;
                watcher.report(&counted());
            }
        }
        doorman.call();
        // The seats' threads sleep without a timeout.
        for seat in seats {
            os::end_receiving(seat.fd.as_fd());
        }
    });
    counted()
}

/// One thread for everything. What had the last message is asked most often, since the next one is likely to come there
/// and each empty question elsewhere would stand in its way.
fn spin(datagrams: &mut [Datagrams], streams: &mut Streams<'_>, stop: &AtomicBool) {
    /// Questions to the busy one between two to others, which are asked in turn: 16 take about 3 µs and one 0.2 µs, so
    /// the others cost a fifteenth, and never all at once.
    const LOYALTY: usize = 16;
    // The streams stand behind the last datagram socket.
    let all = datagrams.len() + 1;
    let (mut hot, mut other) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..LOYALTY {
            match datagrams.get_mut(hot) {
                Some(socket) => socket.turn(libc::MSG_DONTWAIT),
                None => streams.again(libc::MSG_DONTWAIT),
            };
        }
        other = (other + 1) % all;
        let busy = match datagrams.get_mut(other) {
            Some(socket) if other == hot || socket.is_vacant() => false,
            Some(socket) => socket.turn(libc::MSG_DONTWAIT),
            None => streams.turn(0),
        };
        if busy {
            hot = other;
        }
        if other == 0 {
            let now = clock::now();
            for socket in datagrams.iter_mut().filter(|s| s.board.is_due(now)) {
                socket.show(now);
            }
        }
    }
    let now = clock::now();
    for socket in datagrams {
        socket.show(now);
    }
    streams.show(now);
}

fn services(config: &ServeConfig) -> Result<Vec<Service>, ServeError> {
    let mut list = Vec::new();
    if let Some(port) = config.port {
        let make = |key| -> Box<dyn Reflector> { Box::new(LowlatReflector::new(key)) };
        list.push(Service { name: "lowlat", port, udp: true, tcp: true, make });
    }
    if let Some(port) = config.sockperf {
        if config.key.is_some() {
            return Err(ServeError::Config(
                "sockperf clients cannot carry a key's tag; leave out either the key or sockperf".to_owned(),
            ));
        }
        list.push(Service { name: "sockperf", port, udp: true, tcp: true, make: |_| Box::new(SockperfReflector) });
    }
    if let Some(port) = config.stamp {
        let make = |key| -> Box<dyn Reflector> { Box::new(StampReflector::new(key)) };
        list.push(Service { name: "stamp", port, udp: true, tcp: false, make });
    }
    Ok(list)
}

/// The addresses to bind, and whether each stands for its whole family.
fn addresses(config: &ServeConfig) -> Vec<(IpAddr, bool)> {
    if config.bind.is_empty() {
        return vec![(IpAddr::V4(Ipv4Addr::UNSPECIFIED), true), (IpAddr::V6(Ipv6Addr::UNSPECIFIED), true)];
    }
    config.bind.iter().map(|ip| (*ip, false)).collect()
}

/// A service's sockets on one address.
struct Pair {
    udp: Option<(OwnedFd, SocketAddr)>,
    tcp: Option<(OwnedFd, SocketAddr)>,
}

/// Binds a service's UDP and TCP sockets to one port. Port 0 takes the port that the service already has on another
/// address, or one that is free for both. `None` where the host has no such address family and was not asked for it.
fn bind_both(service: &Service, ip: IpAddr, family_is_all: bool, bound: &[Bound]) -> Result<Option<Pair>, ServeError> {
    let known = bound.iter().find(|b| b.protocol == service.name).map(|b| b.at.port());
    let mut tries = 16;
    loop {
        tries -= 1;
        let mut port = if service.port == 0 { known.unwrap_or(0) } else { service.port };
        let mut pair = Pair { udp: None, tcp: None };
        let mut attempt = || {
            if service.udp {
                let got = bind_one(Proto::Udp, SocketAddr::new(ip, port))?;
                port = got.1.port();
                pair.udp = Some(got);
            }
            if service.tcp {
                pair.tcp = Some(bind_one(Proto::Tcp, SocketAddr::new(ip, port))?);
            }
            Ok(())
        };
        match attempt() {
            Ok(()) => return Ok(Some(pair)),
            Err((_, _, e)) if family_is_all && ip.is_ipv6() && is_missing(&e) => return Ok(None),
            // The free UDP port was not free for TCP: take another.
            Err((_, _, e))
                if e.raw_os_error() == Some(libc::EADDRINUSE) && service.port == 0 && known.is_none() && tries > 0 => {}
            Err((proto, at, e)) => return Err(bind_error(proto, at, &e)),
        }
    }
}

fn is_missing(e: &std::io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::EPROTONOSUPPORT))
}

fn bind_error(proto: Proto, at: SocketAddr, e: &std::io::Error) -> ServeError {
    let next = match e.raw_os_error() {
        Some(libc::EADDRINUSE) => "stop what listens there (`ss -lnp` names it), or give another port",
        Some(libc::EACCES | libc::EPERM) => {
            "ports below net.ipv4.ip_unprivileged_port_start need root; give a higher one"
        }
        Some(libc::EADDRNOTAVAIL) => "give an address that an interface of this network namespace has",
        _ => "give another address or port",
    };
    ServeError::Bind { proto: if proto == Proto::Udp { "UDP" } else { "TCP" }, at, why: e.to_string(), next }
}

type BindFailure = (Proto, SocketAddr, std::io::Error);

fn bind_one(proto: Proto, at: SocketAddr) -> Result<(OwnedFd, SocketAddr), BindFailure> {
    let attempt = || {
        let domain = if at.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET };
        let kind = if proto == Proto::Udp { libc::SOCK_DGRAM } else { libc::SOCK_STREAM | libc::SOCK_NONBLOCK };
        let fd = os::socket(domain, kind, 0)?;
        if at.is_ipv6() {
            // IPv4 has a socket of its own: mapped addresses would cost each answer a detour through the IPv6 code.
            os::set_int(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
        }
        if proto == Proto::Tcp {
            // Connections in TIME_WAIT from a run before must not keep the port. (On UDP the option would let two far
            // ends share it.)
            os::set_int(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        }
        os::bind(fd.as_fd(), at)?;
        if proto == Proto::Tcp {
            // Handed down to the connections.
            os::plain_congestion_control(fd.as_fd());
            os::listen(fd.as_fd(), 128)?;
        }
        let local = os::local_address(fd.as_fd())?.unwrap_or(at);
        Ok((fd, local))
    };
    attempt().map_err(|e| (proto, at, e))
}

/// No thread sleeps longer than this without a look at `stop`, ns.
const PATIENCE_NS: u64 = 100_000_000;

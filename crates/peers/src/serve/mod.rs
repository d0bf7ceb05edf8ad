//! The far end: answers probes, and is safe to leave running where anybody can reach it.
//!
//! What holds it: it never sends more bytes than it got, and nothing to a probe it does not understand; answers are no
//! probes, so two far ends cannot be made to answer each other; sources can be limited by address, rate and key; memory
//! is bounded by the configuration; connections that are slow, half-open or idle are closed; once the ports are bound,
//! privileges are dropped and the process shuts itself off from files, from new connections and from every system call
//! that answering does not need, and each thread that answers from all descriptors but its own.
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
mod place;
mod ports;
mod privilege;
mod sink;
mod stamped;
mod stats;
mod stream;
#[doc(hidden)]
pub mod testing;
mod wait;

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_transport::thread::WithoutRseq;
use lowlat_transport::{EngineOption, Proto, clock, os};

pub use self::allow::Cidr;
pub use self::confine::Confinement;
use self::datagram::Datagrams;
use self::lane::{CONNECTED_SOCKETS, ConnectedSocket};
use self::limit::Gate;
use self::lone::{AcceptWaker, Lone};
use self::place::Follower;
pub use self::place::{Desk, LONGEST_S, Places};
use self::ports::{addresses, bind_both, services};
use self::sink::Sinks;
use self::stats::Board;
pub use self::stats::{Residence, ServeStats};
use self::stream::{ConnectionsGuard, Streams};
use self::wait::Shared;
pub use self::wait::Wait;
use crate::Key;
use crate::lowlat::DEFAULT_PORT;
pub use crate::reflector::{Arrival, Ignored, Reflection, Reflector};

/// What to serve, to who.
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
    /// Limit of messages per second in total.
    pub total_limit: Option<u64>,
    /// How it waits for messages.
    pub wait: Wait,
    /// CPU for the answering threads.
    pub cpu: Option<u32>,
    /// CPUs that a prober may have it placed on; `None` for no placement at a prober's request.
    pub places: Option<Places>,
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
            wait: Wait::Sleep,
            cpu: None,
            places: None,
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
    #[error("serve: {what}: {source}; {}", ports::next(.source))]
    Os {
        /// Operation.
        what: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

/// Receives the far end's reports.
pub trait Watcher {
    /// What the kernel granted of the way it waits, before [`Watcher::ready`].
    fn granted(&mut self, options: &[EngineOption]) {
        let _ = options;
    }
    /// It is bound, and confined in these ways; the first answer is still to come.
    fn ready(&mut self, bound: &[Bound], confinement: &[Confinement]);
    /// The counts so far; called every [`Watcher::every_ns`].
    fn report(&mut self, stats: &ServeStats) {
        let _ = stats;
    }
    /// Called some ten times a second while it serves, by a thread that has given up all system calls but those of
    /// answering: what may end next to the sockets is noticed here.
    fn look(&mut self) {}
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

/// Serves until `stop`. Reports `watcher` once what is bound, before the first answer.
///
/// # Errors
/// [`ServeError`] if it cannot start. Once it runs, nothing that comes from the network ends it.
pub fn watched(config: &ServeConfig, stop: &AtomicBool, watcher: &mut dyn Watcher) -> Result<ServeStats, ServeError> {
    let services = services(config)?;
    let gate = Gate::new(config);
    let desk = Arc::new(Desk::new(config.places.clone(), config.cpu));
    let sinks = Sinks::new().map_err(|e| ServeError::Os { what: "epoll".to_owned(), source: e })?;
    let mut streams = Streams::new(config, &gate, &sinks, &desk)
        .map_err(|e| ServeError::Os { what: "epoll".to_owned(), source: e })?;
    let mut datagrams = Vec::new();
    let mut conns = Vec::new();
    let mut bound = Vec::new();
    let mut granted = Vec::new();
    // In the receive, which ends in time to look at `stop`; by all other ways it asks without waiting.
    let sleeping = config.wait == Wait::Sleep;
    let own_sockets = if config.wait.connects() { CONNECTED_SOCKETS } else { 0 };
    for service in &services {
        for (ip, family_is_all) in addresses(config) {
            let Some(sockets) = bind_both(service, ip, family_is_all, &bound)? else { continue };
            let make = || (service.make)(config.key.clone(), &desk);
            let failed = |e| ServeError::Os { what: format!("set up {} on {ip}", service.name), source: e };
            for (fd, _) in sockets.udp.iter().chain(&sockets.tcp) {
                granted = polled(fd.as_fd(), config.wait.busy_poll_us())?;
            }
            if let Some((fd, at)) = sockets.udp {
                bound.push(Bound { protocol: service.name, proto: Proto::Udp, at });
                let own = (0..own_sockets).map(|_| ConnectedSocket::new(at).map(Arc::new));
                let own = own.collect::<Result<Vec<_>, _>>().map_err(failed)?;
                own.iter().try_for_each(|conn| polled(conn.fd.as_fd(), config.wait.busy_poll_us()).map(drop))?;
                for conn in &own {
                    datagrams.push(Datagrams::conn(conn.clone(), at, make(), (gate.clone(), &desk)).map_err(failed)?);
                }
                conns.extend(own.iter().cloned());
                datagrams.push(Datagrams::open(fd, at, make(), (gate.clone(), &desk), !sleeping, own).map_err(failed)?);
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
    let waker = AcceptWaker::new(&lone, streams.listeners())
        .map_err(|source| ServeError::Os { what: "watch the listeners".to_owned(), source })?;
    let (mut shared, of_shared) = Shared::open(config.wait, &datagrams)?;
    granted.extend(of_shared);
    if let Wait::Epoll(us) = config.wait {
        streams.poll(us);
    }
    let (confinement, calls) = if config.confine {
        let ring = if let Shared::Ring(ring) = &shared { Some(ring.descriptor()) } else { None };
        confine::process(&conns, config.wait.sleeps(), ring)?
    } else {
        (Vec::new(), None)
    };
    watcher.granted(&granted);
    watcher.ready(&bound, &confinement);
    let sockets = (datagrams, &conns[..], &mut shared);
    Ok(serve(config, stop, sockets, streams, (&sinks, &lone, &waker), calls.as_ref(), watcher))
}

/// Has receives of the socket poll the NIC's queue; connections have it from their listener (`sk_clone_lock`,
/// net/core/sock.c, copies it); gives what the kernel granted.
fn polled(fd: BorrowedFd<'_>, busy_poll_us: Option<u32>) -> Result<Vec<EngineOption>, ServeError> {
    let Some(us) = busy_poll_us else { return Ok(Vec::new()) };
    lowlat_transport::busy_poll::ask(fd, us).map_err(|e| ServeError::Config(e.to_string()))
}

/// Does it on a thread of its own, which ends.
fn tried(attempt: impl FnOnce() -> std::io::Result<()> + Send) -> std::io::Result<()> {
    std::thread::scope(|s| s.spawn(attempt).join())
        .unwrap_or_else(|_| Err(std::io::Error::other("the trial thread died")))
}

fn serve(
    config: &ServeConfig,
    stop: &AtomicBool,
    (mut datagrams, conns, shared): (Vec<Datagrams>, &[Arc<ConnectedSocket>], &mut Shared),
    mut streams: Streams<'_>,
    (sinks, lone, waker): (&Sinks, &Lone, &AcceptWaker<'_>),
    calls: Option<&confine::Calls>,
    watcher: &mut dyn Watcher,
) -> ServeStats {
    // Both were tried before: should they fail now, serving on is better than not at all.
    let enter = |keep: &[BorrowedFd<'_>]| {
        std::mem::forget(WithoutRseq::take());
        // In a process of many purposes the copies of others' descriptors would for a moment keep open what they close.
        if config.confine {
            privilege::leave_descriptors(keep);
        }
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
        let mut total =
            ServeStats { sink_bytes: sinks.bytes(), connections_idle: sinks.idle(), ..ServeStats::default() };
        for board in &boards {
            total.add(&board.read());
        }
        for conn in conns {
            total.add(&conn.held().stats);
        }
        total
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            privilege::fall_back();
            if let Some(calls) = calls {
                let _ = calls.enter();
            }
            sinks.run(stop, config.idle_timeout_ns);
        });
        if config.wait.spins() {
            scope.spawn(|| {
                let own = datagrams.iter().flat_map(Datagrams::descriptors).chain(streams.descriptors());
                enter(&own.collect::<Vec<_>>());
                spin(&mut datagrams, ConnectionsGuard(&mut streams).0, stop);
            });
        } else {
            if matches!(shared, Shared::None) {
                for socket in &mut datagrams {
                    scope.spawn(|| {
                        enter(&socket.descriptors().collect::<Vec<_>>());
                        socket.run(stop);
                    });
                }
            } else {
                scope.spawn(|| {
                    // A ring is the thread's that enables it, by a call that the filter forbids.
                    let enabled = if let Shared::Ring(ring) = shared { ring.enable().is_ok() } else { true };
                    let own = datagrams.iter().flat_map(Datagrams::descriptors).chain(shared.descriptor());
                    enter(&own.collect::<Vec<_>>());
                    match shared {
                        Shared::Epoll(set) => wait::by_epoll(set, &mut datagrams, stop),
                        Shared::Ring(ring) if enabled => wait::by_ring(ring, &mut datagrams, stop),
                        Shared::Ring(_) | Shared::None => wait::by_turns(&mut datagrams, stop),
                    }
                });
            }
            scope.spawn(|| {
                enter(&streams.descriptors().collect::<Vec<_>>());
                ConnectionsGuard(&mut streams).0.run(stop, lone);
            });
        }
        // Its own, once it need not start threads any more.
        if let Some(calls) = calls {
            let _ = calls.enter();
        }
        let every = watcher.every_ns().unwrap_or(u64::MAX);
        let mut next = clock::now().saturating_add(every);
        while !stop.load(Ordering::Relaxed) {
            waker.turn(PATIENCE_NS);
            watcher.look();
            if clock::now() >= next {
                next += every;
                watcher.report(&counted());
            }
        }
        waker.call();
        // The connected sockets' threads sleep without a timeout.
        for conn in conns {
            os::end_receiving(conn.fd.as_fd());
        }
    });
    counted()
}

/// One thread for everything. What had the last message is asked most often, since the next one is likely to come there
/// and each empty question elsewhere would stand in its way.
fn spin(datagrams: &mut [Datagrams], streams: &mut Streams<'_>, stop: &AtomicBool) {
    /// Questions to the busy one between two to others, which are asked in turn: 16 take about 3 µs and one 0.2 µs, so
    /// the others cost a fifteenth, and never all at once.
    const HOT_POLLS: usize = 16;
    // The streams stand behind the last datagram socket.
    let all = datagrams.len() + 1;
    let (mut hot, mut other) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..HOT_POLLS {
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

/// No thread sleeps longer than this without a look at `stop`, ns.
const PATIENCE_NS: u64 = 100_000_000;

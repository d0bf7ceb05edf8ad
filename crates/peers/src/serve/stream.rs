//! The TCP connections of the far end, all on one thread, none of which can hold the others. One that is alone for a
//! while has the thread to itself (`lone`).

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_transport::{Ns, clock, os};

use super::limit::Gate;
use super::lone::Lone;
use super::sink::Sinks;
use super::stamped::Stamped;
use super::stats::Board;
use super::{Arrival, Desk, Follower, Ignored, PATIENCE_NS, Reflection, Reflector, ServeConfig, ServeStats};

/// Room a connection starts with, bytes.
const START_ROOM: usize = 4 << 10;
/// Room of all connections together, bytes.
const ALL_ROOM: usize = 64 << 20;
/// A connection that has not sent one whole message by now is closed, ns.
const FIRST_MESSAGE_NS: u64 = 5_000_000_000;
/// Time between two looks for idle connections, ns.
const SWEEP_NS: u64 = 500_000_000;
/// Where all places are taken, the oldest connection that has sent no whole message gives its place to a new client;
/// where there is none, one that was silent for this long, ns. A prober sends as soon as it is connected and is never
/// silent for so long, so whoever holds places without probing, or opens some hundred a second, cannot keep probers out.
const YIELD_NS: u64 = 1_000_000_000;
/// Messages in a row from one that is alone before it has the thread to itself.
const STREAK: u32 = 16;
/// Tokens from here on are listeners.
const LISTENERS: u64 = 1 << 32;
/// Bytes from which every protocol's framing must have given the length.
const TELLING: usize = 64;

/// Listeners and connections.
pub(super) struct Streams<'a> {
    epoll: OwnedFd,
    gate: Gate,
    follower: Follower,
    sinks: &'a Sinks,
    listeners: Vec<Listener>,
    connections: Vec<Option<Connection>>,
    /// The connection that had the last message.
    last: usize,
    /// That one is not in the epoll set.
    devoted: bool,
    /// Its waits poll, which a receive of one connection would not.
    polls: bool,
    room: usize,
    max: usize,
    idle_ns: u64,
    next_sweep: Ns,
    pub(super) stats: ServeStats,
    pub(super) board: Board,
}

struct Listener {
    fd: OwnedFd,
    reflector: Box<dyn Reflector>,
}

struct Connection {
    fd: OwnedFd,
    listener: usize,
    peer: IpAddr,
    /// `room[..have]` has come and is not yet answered.
    room: Vec<u8>,
    have: usize,
    /// The part of an answer that the kernel has not taken; nothing is read meanwhile.
    unsent: Vec<u8>,
    last: Ns,
    proven: bool,
    stamped: Stamped,
}

/// The streams on the thread that accepts, which closes the connections when it ends, however it ends: elsewhere their
/// numbers may be other descriptors (`privilege`).
pub(super) struct ConnectionsGuard<'s, 'a>(pub(super) &'s mut Streams<'a>);

impl Drop for ConnectionsGuard<'_, '_> {
    fn drop(&mut self) {
        self.0.connections.clear();
    }
}

/// What becomes of a connection.
enum Fate {
    Stays,
    Closes,
    /// With so many bytes read behind the request.
    Sinks(usize),
}

impl<'a> Streams<'a> {
    pub(super) fn new(config: &ServeConfig, gate: &Gate, sinks: &'a Sinks, desk: &Arc<Desk>) -> io::Result<Self> {
        Ok(Self {
            epoll: os::epoll()?,
            gate: gate.clone(),
            follower: Follower::new(desk.clone()),
            sinks,
            listeners: Vec::new(),
            connections: Vec::new(),
            last: 0,
            devoted: false,
            polls: false,
            room: 0,
            max: config.max_connections.max(1),
            idle_ns: config.idle_timeout_ns,
            next_sweep: 0,
            stats: ServeStats::default(),
            board: Board::default(),
        })
    }

    pub(super) fn listen(&mut self, fd: OwnedFd, reflector: Box<dyn Reflector>) -> io::Result<()> {
        let token = LISTENERS + self.listeners.len() as u64;
        os::epoll_add(self.epoll.as_fd(), fd.as_fd(), libc::EPOLLIN, token)?;
        self.listeners.push(Listener { fd, reflector });
        Ok(())
    }

    /// What a thread needs that answers on these.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.listeners().chain([self.epoll.as_fd(), self.sinks.descriptor()])
    }

    /// Its waits poll the NIC's queue for so many µs before they sleep, and it always waits for all connections at once.
    pub(super) fn poll(&mut self, us: u32) {
        self.polls = lowlat_transport::epoll::polling(self.epoll.as_fd(), us).got.is_some();
    }

    /// What listens.
    pub(super) fn listeners(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.listeners.iter().map(|l| l.fd.as_fd())
    }

    /// Answers until `stop`.
    pub(super) fn run(&mut self, stop: &AtomicBool, lone: &Lone) {
        let can_be_woken = lone.begin();
        let mut streak = 0;
        while !stop.load(Ordering::Relaxed) {
            let before = (self.last, self.stats.received);
            self.turn(PATIENCE_NS);
            let went_on = self.stats.received > before.1 && self.last == before.0;
            streak = if went_on && self.is_alone() { streak + 1 } else { 0 };
            if streak >= STREAK && can_be_woken && !self.polls {
                streak = 0;
                self.devote(self.last, stop, lone);
            }
        }
        self.show(clock::now());
    }

    fn is_alone(&self) -> bool {
        self.connections.iter().flatten().count() == 1
    }

    /// Sleeps in the receive of the only connection, until it is silent, gone or not alone.
    fn devote(&mut self, slot: usize, stop: &AtomicBool, lone: &Lone) {
        let Some(Some(connection)) = self.connections.get(slot) else { return };
        if !connection.unsent.is_empty() || os::epoll_remove(self.epoll.as_fd(), connection.fd.as_fd()).is_err() {
            return;
        }
        self.devoted = true;
        lone.enter(connection.last);
        // Whoever came before the accept waker was reported is seen here, all others by the accept waker.
        if !self.turn(0) {
            while !stop.load(Ordering::Relaxed) && !lone.called() && self.serve(slot, 0) {
                let Some(Some(connection)) = self.connections.get(slot) else { break };
                lone.note(connection.last);
                let now = connection.last;
                if self.board.is_due(now) {
                    self.show(now);
                }
                let Some(Some(connection)) = self.connections.get(slot) else { break };
                if !connection.unsent.is_empty() {
                    break;
                }
            }
        }
        lone.leave();
        self.devoted = false;
        let Some(Some(connection)) = self.connections.get(slot) else { return };
        let want = connection.want();
        if os::epoll_add(self.epoll.as_fd(), connection.fd.as_fd(), want, slot as u64).is_err() {
            drop(self.take(slot));
        }
    }

    /// Shows the counts.
    pub(super) fn show(&mut self, now: Ns) {
        self.follower.look(now);
        self.board.show(&self.stats, now);
    }

    /// Asks the connection that had the last message once more; whether it had another.
    #[inline]
    pub(super) fn again(&mut self, flags: libc::c_int) -> bool {
        self.serve(self.last, flags)
    }

    /// Waits up to `wait_ns` and answers what is there; whether there was something.
    pub(super) fn turn(&mut self, wait_ns: u64) -> bool {
        let mut events = [os::Event { events: 0, u64: 0 }; 64];
        let n = os::epoll_wait(self.epoll.as_fd(), &mut events, wait_ns).unwrap_or(0);
        for event in &events[..n] {
            let token = event.u64;
            if token >= LISTENERS {
                self.accept(usize::try_from(token - LISTENERS).unwrap_or(usize::MAX));
            } else if let Ok(slot) = usize::try_from(token) {
                self.serve(slot, libc::MSG_DONTWAIT);
            }
        }
        // By the clock, not by an empty turn: those that are busy must not keep the silent ones alive.
        let now = clock::now();
        self.sweep(now);
        if self.board.is_due(now) {
            self.show(now);
        }
        n > 0
    }

    /// One receive from a connection, and what follows from it; whether there was a whole message.
    fn serve(&mut self, slot: usize, flags: libc::c_int) -> bool {
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return false };
        let Some(listener) = self.listeners.get_mut(connection.listener) else { return false };
        let received = self.stats.received;
        let before = (connection.room.len(), connection.unsent.is_empty());
        let others = self.room - before.0;
        let fate = connection.go_on(listener.reflector.as_mut(), &self.gate, &mut self.stats, ALL_ROOM - others, flags);
        self.room = others + connection.room.len();
        let fate = match fate {
            Fate::Stays if connection.unsent.is_empty() != before.1 && !self.devoted => {
                match os::epoll_modify(self.epoll.as_fd(), connection.fd.as_fd(), connection.want(), slot as u64) {
                    Ok(()) => Fate::Stays,
                    Err(_) => Fate::Closes,
                }
            }
            fate => fate,
        };
        match fate {
            Fate::Stays => {}
            Fate::Closes => drop(self.take(slot)),
            Fate::Sinks(already) => {
                // Out of the set by hand: it stays open elsewhere.
                if let Some(connection) = self.take(slot)
                    && (self.devoted || os::epoll_remove(self.epoll.as_fd(), connection.fd.as_fd()).is_ok())
                {
                    self.sinks.take(connection.fd.as_fd(), connection.peer, already);
                }
            }
        }
        if self.stats.received == received {
            return false;
        }
        self.last = slot;
        self.follower.follow();
        true
    }

    fn take(&mut self, slot: usize) -> Option<Connection> {
        let connection = self.connections.get_mut(slot)?.take()?;
        self.room -= connection.room.len();
        Some(connection)
    }

    fn accept(&mut self, listener: usize) {
        let Some(l) = self.listeners.get(listener) else { return };
        let Ok((fd, from)) = os::accept(l.fd.as_fd()) else {
            // Gone again, or no descriptor left: in the latter case a silent one gives up its own.
            self.yield_one(clock::now());
            return;
        };
        self.stats.connections += 1;
        let Some(peer) = from.map(|a| a.ip()) else { return };
        if let Err(why) = self.gate.allowed(peer) {
            self.stats.shut(why);
            return;
        }
        let now = clock::now();
        let same = self.connections.iter().flatten().filter(|c| c.peer == peer).count() + self.sinks.of(peer);
        let full = |s: &Self| {
            s.connections.iter().flatten().count() + s.sinks.count() >= s.max || s.room + START_ROOM > ALL_ROOM
        };
        if full(self) {
            self.yield_one(now);
        }
        if same >= (self.max / 4).max(1) || full(self) {
            self.stats.connections_refused += 1;
            return;
        }
        let slot = self.connections.iter().position(Option::is_none).unwrap_or(self.connections.len());
        let ready = os::set_int(fd.as_fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)
            .and_then(|()| os::epoll_add(self.epoll.as_fd(), fd.as_fd(), libc::EPOLLIN, slot as u64));
        if ready.is_err() {
            return;
        }
        let room = vec![0; START_ROOM];
        self.room += room.len();
        let connection = Connection {
            fd,
            listener,
            peer,
            room,
            have: 0,
            unsent: Vec::new(),
            last: now,
            proven: false,
            stamped: Stamped::default(),
        };
        if slot == self.connections.len() {
            self.connections.push(Some(connection));
        } else {
            self.connections[slot] = Some(connection);
        }
    }

    /// Closes connections that have been silent for too long.
    #[inline]
    fn sweep(&mut self, now: Ns) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP_NS;
        for slot in 0..self.connections.len() {
            let idle = self.connections[slot].as_ref().is_some_and(|c| {
                let limit = if c.proven { self.idle_ns } else { FIRST_MESSAGE_NS.min(self.idle_ns) };
                now.saturating_sub(c.last) > limit
            });
            if idle {
                self.stats.connections_idle += 1;
                drop(self.take(slot));
            }
        }
    }

    /// Closes the connection that was silent the longest, those that never sent a whole message first; one that did only
    /// after [`YIELD_NS`].
    #[cold]
    fn yield_one(&mut self, now: Ns) {
        let silent = self.connections.iter().enumerate().filter_map(|(slot, c)| {
            let c = c.as_ref()?;
            (!c.proven || now.saturating_sub(c.last) >= YIELD_NS).then_some((c.proven, c.last, slot))
        });
        if let Some((_, _, slot)) = silent.min() {
            self.stats.connections_idle += 1;
            drop(self.take(slot));
        }
    }
}

impl Connection {
    /// What it waits for.
    fn want(&self) -> libc::c_int {
        if self.unsent.is_empty() { libc::EPOLLIN } else { libc::EPOLLOUT }
    }

    /// One receive at most, and the answers to what is whole.
    fn go_on(
        &mut self,
        reflector: &mut dyn Reflector,
        gate: &Gate,
        stats: &mut ServeStats,
        room: usize,
        flags: libc::c_int,
    ) -> Fate {
        // Of the newest bytes: it belongs to the last message that this receive brought.
        let mut kernel = None;
        if self.unsent.is_empty() {
            let received = if self.stamped.on() {
                let mut control = os::Control([0; 128]);
                os::recv_message(self.fd.as_fd(), &mut self.room[self.have..], &mut control.0, None, flags).map(|got| {
                    kernel = self.stamped.stamp(&control.0[..got.control_len.min(128)]);
                    got.len
                })
            } else {
                os::recv(self.fd.as_fd(), &mut self.room[self.have..], flags)
            };
            match received {
                Ok(0) => return Fate::Closes,
                Ok(n) => self.have += n,
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                    return Fate::Stays;
                }
                Err(_) => return Fate::Closes,
            }
        } else if let Err(fate) = self.flush() {
            return fate;
        }
        let at = clock::now();
        let framing = reflector.framing();
        let mut start = 0;
        let mut fate = Fate::Stays;
        while self.unsent.is_empty() && start < self.have {
            let have = self.have - start;
            let Some(len) = framing(&self.room[start..self.have]) else {
                if have >= TELLING {
                    stats.malformed += 1;
                    fate = Fate::Closes;
                }
                break;
            };
            if len == 0 || len > reflector.longest() {
                stats.malformed += 1;
                fate = Fate::Closes;
                break;
            }
            if len > have {
                if len > self.room.len() {
                    if len > room {
                        stats.connections_refused += 1;
                        fate = Fate::Closes;
                        break;
                    }
                    self.room.resize(len, 0);
                }
                break;
            }
            stats.received += 1;
            self.last = at;
            self.proven = true;
            let message = start..start + len;
            start += len;
            if let Err(why) = gate.pass(self.peer, at) {
                stats.shut(why);
                continue;
            }
            self.stamped.asked(self.fd.as_fd(), reflector.wants_stamp(&self.room[message.clone()]), at);
            match reflector.reflect(&mut self.room[message.clone()], &Arrival { at, ttl: None, kernel }) {
                Reflection::Reply(reply) => {
                    let answer = message.start..message.start + reply.min(len);
                    if let Err(closes) = self.answer(answer, stats, at) {
                        fate = closes;
                        break;
                    }
                }
                Reflection::Ignore(Ignored::NoneWanted) => stats.ignored(Ignored::NoneWanted),
                // On a stream there is no next message to hope for after one that makes no sense.
                Reflection::Ignore(why) => {
                    stats.ignored(why);
                    fate = Fate::Closes;
                    break;
                }
                Reflection::Sink => {
                    fate = Fate::Sinks(self.have - start);
                    break;
                }
            }
        }
        if start < self.have {
            self.room.copy_within(start..self.have, 0);
        }
        self.have -= start;
        fate
    }

    #[inline]
    fn answer(&mut self, answer: std::ops::Range<usize>, stats: &mut ServeStats, at: Ns) -> Result<(), Fate> {
        let bytes = &self.room[answer];
        match os::send(self.fd.as_fd(), bytes, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) {
            Ok(n) if n == bytes.len() => {}
            Ok(n) => self.unsent.extend_from_slice(&bytes[n..]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.unsent.extend_from_slice(bytes),
            Err(_) => {
                stats.send_failed += 1;
                return Err(Fate::Closes);
            }
        }
        if stats.times_this() {
            stats.residence.record(clock::now().saturating_sub(at));
        }
        stats.answered += 1;
        Ok(())
    }

    /// Sends on what was left.
    fn flush(&mut self) -> Result<(), Fate> {
        match os::send(self.fd.as_fd(), &self.unsent, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) {
            Ok(n) => {
                self.unsent.drain(..n);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(_) => Err(Fate::Closes),
        }
    }
}

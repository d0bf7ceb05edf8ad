//! One datagram socket of the far end.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_transport::{clock, cmsg, os};
use lowlat_transport_uring::{Arrived, MessageRing};

use super::lane::{self, ConnectedSocket, SocketPool};
use super::limit::Gate;
use super::stamped::Stamped;
use super::stats::Board;
use super::{Arrival, Desk, Follower, PATIENCE_NS, Reflection, Reflector, ServeStats};

/// Receive buffer asked for; holds a burst of about 5000 small datagrams.
const BUFFER: libc::c_int = 4 << 20;

/// A socket and who answers on it.
pub(super) struct Datagrams {
    conn: Where,
    local: SocketAddr,
    reflector: Box<dyn Reflector>,
    gate: Gate,
    follower: Follower,
    /// Bound to every address of the host, so each message says which one it came to.
    any: bool,
    /// Control messages are needed: for the address an answer must leave from, or for the time to live.
    control: bool,
    room: Vec<u8>,
    /// Kept, since clearing it for each empty question of a spinning thread would cost more than the question's code.
    from: os::RawAddress,
    ancillary: os::Control<192>,
    stamped: Stamped,
    pub(super) stats: ServeStats,
    pub(super) board: Board,
    /// The kernel's own count of drops, when it was last asked.
    drops: u32,
}

/// The socket.
enum Where {
    /// For everybody.
    Open(OwnedFd, SocketPool),
    /// For one client at a time.
    ConnectedSocket(Arc<ConnectedSocket>),
}

impl Where {
    #[inline]
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Open(fd, _) => fd.as_fd(),
            Self::ConnectedSocket(conn) => conn.fd.as_fd(),
        }
    }
}

impl Datagrams {
    /// On a bound socket, whose clients may be given `connected sockets`.
    pub(super) fn open(
        fd: OwnedFd,
        local: SocketAddr,
        reflector: Box<dyn Reflector>,
        at_door: (Gate, &Arc<Desk>),
        spin: bool,
        conns: Vec<Arc<ConnectedSocket>>,
    ) -> io::Result<Self> {
        if !conns.is_empty() {
            // Only now that it is bound: with the option before, a second far end could have bound the same port.
            os::set_int(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        }
        if !spin {
            os::set_receive_timeout(fd.as_fd(), PATIENCE_NS)?;
        }
        let any = local.ip().is_unspecified();
        Self::new(Where::Open(fd, SocketPool::new(conns)), local, any, reflector, at_door)
    }

    /// On a conn of the open socket bound to `local`. Its receive sleeps until [`os::end_receiving`]: a timeout's timer
    /// would cost each round trip 0.1 µs.
    pub(super) fn conn(
        conn: Arc<ConnectedSocket>,
        local: SocketAddr,
        reflector: Box<dyn Reflector>,
        at_door: (Gate, &Arc<Desk>),
    ) -> io::Result<Self> {
        Self::new(Where::ConnectedSocket(conn), local, false, reflector, at_door)
    }

    fn new(
        conn: Where,
        local: SocketAddr,
        any: bool,
        reflector: Box<dyn Reflector>,
        (gate, desk): (Gate, &Arc<Desk>),
    ) -> io::Result<Self> {
        let fd = conn.fd();
        let v6 = local.is_ipv6();
        // Bound to every address, the kernel would choose the answer's source by route, and a client that connected to
        // another of this host's addresses would not know it.
        if any && v6 {
            os::set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
        } else if any {
            os::set_int(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
        }
        if reflector.wants_ttl() && v6 {
            os::set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1)?;
        } else if reflector.wants_ttl() {
            os::set_int(fd, libc::IPPROTO_IP, libc::IP_RECVTTL, 1)?;
        }
        if os::set_int(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER).is_err() {
            os::set_int(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, BUFFER)?;
        }
        let control = any || reflector.wants_ttl();
        // One byte more than the longest message: what fills it is too long.
        let room = vec![0; reflector.longest().min(65535) + 1];
        let ancillary = os::Control([0; 192]);
        let from = os::RawAddress::empty();
        let drops = os::receive_drops(fd).unwrap_or(0);
        let (stamped, stats, board) = (Stamped::default(), ServeStats::default(), Board::default());
        let follower = Follower::new(desk.clone());
        Ok(Self {
            conn,
            local,
            reflector,
            gate,
            follower,
            any,
            control,
            room,
            from,
            ancillary,
            stamped,
            stats,
            board,
            drops,
        })
    }

    /// What a thread needs that answers on it: the socket, and the connected sockets that it gives away.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let conns = match &self.conn {
            Where::Open(_, pool) => pool.conns(),
            Where::ConnectedSocket(_) => &[],
        };
        conns.iter().map(|conn| conn.fd.as_fd()).chain([self.conn.fd()])
    }

    /// The socket.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.conn.fd()
    }

    /// Bytes of the longest message that it answers.
    pub(super) fn longest(&self) -> usize {
        self.room.len()
    }

    /// A connected socket that nobody was given yet.
    pub(super) fn is_vacant(&self) -> bool {
        matches!(&self.conn, Where::ConnectedSocket(conn) if conn.held().is_vacant())
    }

    /// Answers until `stop`.
    pub(super) fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.turn(0);
        }
        self.show(clock::now());
    }

    /// Shows the counts, with the kernel's drops.
    #[cold]
    pub(super) fn show(&mut self, now: u64) {
        self.follower.look(now);
        let mut growth = 0;
        if let Ok(drops) = os::receive_drops(self.conn.fd()) {
            growth = u64::from(drops.wrapping_sub(self.drops));
            self.drops = drops;
        }
        match &self.conn {
            Where::Open(..) => {
                self.stats.kernel_dropped += growth;
                self.board.show(&self.stats, now);
            }
            Where::ConnectedSocket(conn) => {
                conn.held().stats.kernel_dropped += growth;
                self.board.put_off(now);
            }
        }
    }

    /// Receives once and answers; whether there was something.
    #[inline]
    pub(super) fn turn(&mut self, flags: libc::c_int) -> bool {
        let Some((at, to_conn)) = self.one(flags) else { return false };
        if let Some(local) = to_conn {
            self.give_conn(local, at);
        }
        self.follower.follow();
        if self.board.is_due(at) {
            self.show(at);
        }
        true
    }

    /// connected sockets the client of the last answer.
    #[cold]
    fn give_conn(&mut self, local: SocketAddr, now: u64) {
        /// Messages before the connected socket's at most: more than the receive buffer holds are a flood.
        const BEFORE: usize = 8192;
        let Where::Open(_, pool) = &mut self.conn else { return };
        let mut pool = std::mem::replace(pool, SocketPool::new(Vec::new()));
        pool.conn(local, now, || while_any(BEFORE, || self.one(libc::MSG_DONTWAIT).is_some()));
        if let Where::Open(_, place) = &mut self.conn {
            *place = pool;
        }
    }

    /// One message: when it came, and if its client is to get a connected socket, the address that it wrote to.
    #[inline]
    fn one(&mut self, flags: libc::c_int) -> Option<(u64, Option<SocketAddr>)> {
        let mut source = None;
        let mut ttl = None;
        let mut control_len = 0;
        let received = if self.control || self.stamped.on() {
            let control = &mut self.ancillary.0;
            os::recv_message(self.conn.fd(), &mut self.room, control, Some(&mut self.from), flags).map(|got| {
                control_len = got.control_len.min(control.len());
                let control = &control[..control_len];
                source = cmsg::destination(control);
                ttl = cmsg::time_to_live(control);
                got.len
            })
        } else {
            os::recv_from(self.conn.fd(), &mut self.room, flags, &mut self.from)
        };
        let len = match received {
            Ok(len) => len,
            Err(e) => {
                self.receive_failed(&e, flags);
                return None;
            }
        };
        if self.from.is_empty() {
            return None; // receiving was ended
        }
        Some(self.answer((len, control_len), source, ttl, None))
    }

    /// A message that the ring brought, and its answer through the ring.
    #[inline]
    pub(super) fn take(&mut self, ring: &mut MessageRing, arrived: Arrived) {
        let socket = arrived.socket;
        let lengths = ring.parts(&arrived).map(|parts| {
            let len = parts.bytes.len().min(self.room.len());
            self.room[..len].copy_from_slice(&parts.bytes[..len]);
            let control_len = parts.control.len().min(self.ancillary.0.len());
            self.ancillary.0[..control_len].copy_from_slice(&parts.control[..control_len]);
            self.from = os::RawAddress::from_bytes(parts.from);
            (len, control_len)
        });
        ring.give(arrived);
        let Some((len, control_len)) = lengths else {
            self.stats.receive_failed += 1;
            return;
        };
        let control = &self.ancillary.0[..control_len];
        let (source, ttl) = (cmsg::destination(control), cmsg::time_to_live(control));
        self.answer((len, control_len), source, ttl, Some((ring, socket)));
        self.follower.follow();
    }

    /// Answers the message in `room`, from `from`, with what is in `ancillary`: when it came, and if its client is to get a
    /// connected socket, the address that it wrote to.
    #[inline]
    fn answer(
        &mut self,
        (len, control_len): (usize, usize),
        source: Option<os::Source>,
        ttl: Option<u8>,
        ring: Option<(&mut MessageRing, usize)>,
    ) -> (u64, Option<SocketAddr>) {
        let at = clock::now();
        let kernel = self.stamped.stamp(&self.ancillary.0[..control_len]);
        let arrival = Arrival { at, ttl, kernel };
        let (reflector, room) = (self.reflector.as_mut(), &mut self.room[..]);
        let judge = |stats| Judge { local: self.local, any: self.any, gate: &self.gate, stats };
        let mut to_conn = None;
        let handled = match &mut self.conn {
            Where::Open(fd, pool) => {
                let mut to = To { fd: fd.as_fd(), client: &self.from, connected: false, source, ring };
                let handled = judge(&mut self.stats).handle(reflector, room, len, &mut to, &arrival);
                if handled.answered && pool.note(&self.from) {
                    to_conn = if self.any {
                        source.map(|source| lane::destination(source, self.local.port()))
                    } else {
                        Some(self.local)
                    };
                }
                handled
            }
            Where::ConnectedSocket(conn) => {
                let mut held = conn.held();
                let connected = held.is(&self.from, at);
                let mut to = To { fd: conn.fd.as_fd(), client: &self.from, connected, source, ring };
                let handled = judge(&mut held.stats).handle(reflector, room, len, &mut to, &arrival);
                held.stats.answered_connected += u64::from(handled.answered);
                handled
            }
        };
        self.stamped.asked(self.conn.fd(), handled.wants_stamp, at);
        (at, to_conn)
    }

    #[cold]
    fn receive_failed(&mut self, e: &io::Error, flags: libc::c_int) {
        let now = clock::now();
        // A spinning thread asks in vain all the time: whoever spins shows the counts itself.
        if flags & libc::MSG_DONTWAIT == 0 && self.board.is_due(now) {
            self.show(now);
        }
        if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
            return;
        }
        // An answer found nobody (ICMP, reported on connected sockets only): the client went away.
        if matches!(&self.conn, Where::ConnectedSocket(_)) && refused(e) {
            return;
        }
        self.stats.receive_failed += 1;
        // Out of memory, most likely: asking again at once would not help.
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Again while there is something, `most` times at most.
fn while_any(most: usize, mut again: impl FnMut() -> bool) {
    for _ in 0..most {
        if !again() {
            return;
        }
    }
}

fn refused(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EPROTO))
}

/// Where an answer goes.
struct To<'a> {
    fd: BorrowedFd<'a>,
    client: &'a os::RawAddress,
    /// The socket is connected to the client.
    connected: bool,
    source: Option<os::Source>,
    /// The ring that the answer leaves through, and the socket's place on it.
    ring: Option<(&'a mut MessageRing, usize)>,
}

impl To<'_> {
    /// Never waits: a full send buffer must not stop the answers to others.
    #[inline]
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        const FLAGS: libc::c_int = libc::MSG_DONTWAIT;
        if let Some((ring, socket)) = &mut self.ring {
            return ring.send(*socket, self.client, self.source, bytes);
        }
        match self.source {
            None if self.connected => match os::send(self.fd, bytes, FLAGS) {
                // The error is of an answer before: reported once, and this one has not left yet.
                Err(e) if refused(&e) => os::send(self.fd, bytes, FLAGS),
                sent => sent,
            },
            Some(source) => os::send_from(self.fd, bytes, FLAGS, self.client, source),
            None => os::send_to(self.fd, bytes, FLAGS, self.client),
        }
    }
}

/// What became of a message.
#[derive(Default)]
struct Handled {
    answered: bool,
    /// It asked for the kernel's receive stamps.
    wants_stamp: bool,
}

/// Decides about one message.
struct Judge<'a> {
    local: SocketAddr,
    any: bool,
    gate: &'a Gate,
    stats: &'a mut ServeStats,
}

impl Judge<'_> {
    /// Answers the message in `room[..len]`, if it is to be answered.
    #[inline]
    fn handle(
        self,
        reflector: &mut dyn Reflector,
        room: &mut [u8],
        len: usize,
        to: &mut To<'_>,
        arrival: &Arrival,
    ) -> Handled {
        self.stats.received += 1;
        let Some(peer) = to.client.get() else {
            self.stats.malformed += 1;
            return Handled::default();
        };
        if let Err(why) = self.gate.pass(peer.ip(), arrival.at) {
            self.stats.shut(why);
            return Handled::default();
        }
        // No answer to port 0 (there is none), to a broadcast (one packet would become many), or to what our own port
        // elsewhere seems to send (two far ends could be set on each other).
        let to_many = self.any && to.source.is_none();
        if len == room.len() || to_many || peer.port() == 0 || peer.port() == self.local.port() {
            self.stats.malformed += 1;
            return Handled::default();
        }
        let mut handled = Handled { answered: false, wants_stamp: reflector.wants_stamp(&room[..len]) };
        match reflector.reflect(&mut room[..len], arrival) {
            Reflection::Reply(reply) => {
                if to.send(&room[..reply.min(len)]).is_err() {
                    self.stats.send_failed += 1;
                    return handled;
                }
                if self.stats.times_this() {
                    self.stats.residence.record(clock::now().saturating_sub(arrival.at));
                }
                self.stats.answered += 1;
                handled.answered = true;
            }
            Reflection::Ignore(why) => self.stats.ignored(why),
            Reflection::Sink => self.stats.malformed += 1,
        }
        handled
    }
}

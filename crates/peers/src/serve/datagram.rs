//! One datagram socket of the far end.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_transport::{clock, cmsg, os};

use super::limit::Gate;
use super::stamped::Stamped;
use super::stats::Board;
use super::{Arrival, PATIENCE_NS, Reflection, Reflector, ServeStats};

/// Receive buffer asked for; holds a burst of about 5000 small datagrams.
const BUFFER: libc::c_int = 4 << 20;

/// A bound socket and who answers on it.
pub(super) struct Datagrams {
    fd: OwnedFd,
    local: SocketAddr,
    reflector: Box<dyn Reflector>,
    gate: Gate,
    /// Control messages are needed: for the address an answer must leave from, or for the time to live.
    control: bool,
    room: Vec<u8>,
    /// Kept, since clearing it for each empty question of a spinning thread would cost more than the question's code.
    from: os::Address,
    ancillary: os::Control<192>,
    stamped: Stamped,
    pub(super) stats: ServeStats,
    pub(super) board: Board,
    /// The kernel's own count of drops, when it was last asked.
    drops: u32,
}

impl Datagrams {
    pub(super) fn new(
        fd: OwnedFd,
        local: SocketAddr,
        reflector: Box<dyn Reflector>,
        gate: Gate,
        spin: bool,
    ) -> io::Result<Self> {
        let v6 = local.is_ipv6();
        // Bound to every address, the kernel would choose the answer's source by route, and a client that connected to
        // another of this host's addresses would not know it.
        let any = local.ip().is_unspecified();
        if any && v6 {
            os::set_int(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
        } else if any {
            os::set_int(fd.as_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
        }
        if reflector.wants_ttl() && v6 {
            os::set_int(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1)?;
        } else if reflector.wants_ttl() {
            os::set_int(fd.as_fd(), libc::IPPROTO_IP, libc::IP_RECVTTL, 1)?;
        }
        if os::set_int(fd.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER).is_err() {
            os::set_int(fd.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, BUFFER)?;
        }
        if !spin {
            os::set_receive_timeout(fd.as_fd(), PATIENCE_NS)?;
        }
        let control = any || reflector.wants_ttl();
        // One byte more than the longest message: what fills it is too long.
        let room = vec![0; reflector.longest().min(65535) + 1];
        let ancillary = os::Control([0; 192]);
        let from = os::Address::empty();
        let drops = os::receive_drops(fd.as_fd()).unwrap_or(0);
        let (stamped, stats, board) = (Stamped::default(), ServeStats::default(), Board::default());
        Ok(Self { fd, local, reflector, gate, control, room, from, ancillary, stamped, stats, board, drops })
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
        if let Ok(drops) = os::receive_drops(self.fd.as_fd()) {
            self.stats.kernel_dropped += u64::from(drops.wrapping_sub(self.drops));
            self.drops = drops;
        }
        self.board.show(&self.stats, now);
    }

    /// Receives once and answers; whether there was something.
    #[inline]
    pub(super) fn turn(&mut self, flags: libc::c_int) -> bool {
        let mut source = None;
        let mut ttl = None;
        let mut control_len = 0;
        let received = if self.control || self.stamped.on() {
            let control = &mut self.ancillary.0;
            os::recv_message(self.fd.as_fd(), &mut self.room, control, Some(&mut self.from), flags).map(|got| {
                control_len = got.control_len.min(control.len());
                let control = &control[..control_len];
                source = cmsg::destination(control);
                ttl = cmsg::time_to_live(control);
                got.len
            })
        } else {
            os::recv_from(self.fd.as_fd(), &mut self.room, flags, &mut self.from)
        };
        let at = clock::now();
        if self.board.is_due(at) {
            self.show(at);
        }
        let len = match received {
            Ok(len) => len,
            Err(e) => {
                self.receive_failed(&e);
                return false;
            }
        };
        self.stats.received += 1;
        let Some(peer) = self.from.get() else {
            self.stats.malformed += 1;
            return true;
        };
        if let Err(why) = self.gate.pass(peer.ip(), at) {
            self.stats.shut(why);
            return true;
        }
        // No answer to port 0 (there is none), to a broadcast (one packet would become many), or to what our own port
        // elsewhere seems to send (two far ends could be set on each other).
        let to_many = self.local.ip().is_unspecified() && source.is_none();
        if len == self.room.len() || to_many || peer.port() == 0 || peer.port() == self.local.port() {
            self.stats.malformed += 1;
            return true;
        }
        let kernel = self.stamped.stamp(&self.ancillary.0[..control_len]);
        self.stamped.asked(self.fd.as_fd(), self.reflector.wants_stamp(&self.room[..len]), at);
        match self.reflector.reflect(&mut self.room[..len], &Arrival { at, ttl, kernel }) {
            Reflection::Reply(reply) => self.answer(source, reply.min(len), at),
            Reflection::Ignore(why) => self.stats.ignored(why),
            Reflection::Sink => self.stats.malformed += 1,
        }
        true
    }

    #[inline]
    fn answer(&mut self, source: Option<os::Source>, len: usize, at: u64) {
        // Never waits: a full send buffer must not stop the answers to others.
        let sent = match source {
            Some(source) => os::send_from(self.fd.as_fd(), &self.room[..len], libc::MSG_DONTWAIT, &self.from, source),
            None => os::send_to(self.fd.as_fd(), &self.room[..len], libc::MSG_DONTWAIT, &self.from),
        };
        if sent.is_err() {
            self.stats.send_failed += 1;
            return;
        }
        if self.stats.times_this() {
            self.stats.residence.record(clock::now().saturating_sub(at));
        }
        self.stats.answered += 1;
    }

    #[cold]
    fn receive_failed(&mut self, e: &io::Error) {
        if !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
            self.stats.receive_failed += 1;
            // Out of memory, most likely: asking again at once would not help.
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

//! How the far end waits for messages, and the loops of those ways that share one thread among all datagram sockets.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_transport::{EngineOption, clock, epoll, os};
use lowlat_transport_uring::MessageRing;

use super::datagram::Datagrams;
use super::{PATIENCE_NS, ServeError};

/// How the far end waits for messages, as the engines of the same names do at the near end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wait {
    /// Asleep in the receive of each datagram socket, one thread for each.
    #[default]
    Sleep,
    /// One thread spins over all sockets.
    Spin,
    /// As [`Wait::Spin`]; each receive polls the NIC's queue for so many µs (`SO_BUSY_POLL`).
    BusyPoll(u32),
    /// Asleep in `epoll_wait`, one thread for all datagram sockets and one for all connections; each wait polls the NIC's queue
    /// for so many µs before it sleeps (`EPIOCSPARAMS`, Linux 6.9).
    Epoll(u32),
    /// Datagrams come and are answered through one io_uring ([`MessageRing`]), spinning on it or asleep; connections are answered
    /// as with [`Wait::Sleep`].
    Uring {
        /// Looks at the completions all the time instead of sleeping.
        spin: bool,
    },
}

impl Wait {
    /// One thread asks all sockets in turn.
    pub(super) fn spins(self) -> bool {
        matches!(self, Self::Spin | Self::BusyPoll(_))
    }

    /// Nothing of it spins.
    pub(super) fn sleeps(self) -> bool {
        matches!(self, Self::Sleep | Self::Epoll(_) | Self::Uring { spin: false })
    }

    /// `SO_BUSY_POLL` of the sockets, µs.
    pub(super) fn busy_poll_us(self) -> Option<u32> {
        if let Self::BusyPoll(us) = self { Some(us) } else { None }
    }

    /// Clients that are alone get a socket of their own. Not on a ring, which has all its sockets from the start.
    pub(super) fn connects(self) -> bool {
        !matches!(self, Self::Uring { .. })
    }
}

/// What one thread waits on for all datagram sockets; `None` where it waits on none but the sockets.
#[derive(Debug)]
pub(super) enum Shared {
    None,
    Epoll(OwnedFd),
    Ring(Box<MessageRing>),
}

impl Shared {
    /// Set up for these sockets, and what the kernel granted of it.
    pub(super) fn open(wait: Wait, datagrams: &[Datagrams]) -> Result<(Self, Vec<EngineOption>), ServeError> {
        match wait {
            Wait::Sleep | Wait::Spin | Wait::BusyPoll(_) => Ok((Self::None, Vec::new())),
            Wait::Epoll(us) => {
                let set = os::epoll().and_then(|set| {
                    for (token, socket) in (0..).zip(datagrams) {
                        os::epoll_add(set.as_fd(), socket.socket(), libc::EPOLLIN, token)?;
                    }
                    Ok(set)
                });
                let set = set.map_err(|source| ServeError::Os { what: "epoll of the sockets".to_owned(), source })?;
                let polling = epoll::polling(set.as_fd(), us);
                Ok((Self::Epoll(set), vec![polling]))
            }
            Wait::Uring { spin } => {
                let sockets: Vec<BorrowedFd<'_>> = datagrams.iter().map(Datagrams::socket).collect();
                let longest = datagrams.iter().map(Datagrams::longest).max().unwrap_or(1);
                let ring = MessageRing::open(&sockets, longest, spin).map_err(|e| ServeError::Config(e.to_string()))?;
                let options = ring.options();
                Ok((Self::Ring(Box::new(ring)), options))
            }
        }
    }

    /// What the thread needs next to the sockets.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::None => None,
            Self::Epoll(set) => Some(set.as_fd()),
            Self::Ring(ring) => Some(ring.descriptor()),
        }
    }
}

/// Answers what the set reports until `stop`.
pub(super) fn by_epoll(set: &OwnedFd, datagrams: &mut [Datagrams], stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut events = [os::Event { events: 0, u64: 0 }; 64];
        let n = os::epoll_wait(set.as_fd(), &mut events, PATIENCE_NS).unwrap_or(0);
        for event in &events[..n] {
            if let Some(socket) = usize::try_from(event.u64).ok().and_then(|token| datagrams.get_mut(token)) {
                socket.turn(libc::MSG_DONTWAIT);
            }
        }
        show_due(datagrams);
    }
    show_all(datagrams);
}

/// Answers what the ring brings until `stop`; it was enabled by this thread.
pub(super) fn by_ring(ring: &mut MessageRing, datagrams: &mut [Datagrams], stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match ring.next(PATIENCE_NS) {
            Ok(Some(arrived)) => {
                if let Some(socket) = datagrams.get_mut(arrived.socket) {
                    socket.take(ring, arrived);
                }
            }
            Ok(None) => {}
            Err(_) => {
                if let Some(socket) = datagrams.first_mut() {
                    socket.stats.receive_failed += 1;
                }
                std::thread::sleep(RARELY);
            }
        }
        // The kernel refused them after they were counted as answered.
        if let Some(socket) = datagrams.first_mut() {
            let failed = ring.failed();
            socket.stats.send_failed += failed;
            socket.stats.answered = socket.stats.answered.saturating_sub(failed);
        }
        show_due(datagrams);
    }
    ring.end();
    show_all(datagrams);
}

/// Answers without the ring, which was tried when it was opened and is refused now: slowly, rather than not at all.
pub(super) fn by_turns(datagrams: &mut [Datagrams], stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut any = false;
        for socket in datagrams.iter_mut() {
            any |= socket.turn(libc::MSG_DONTWAIT);
        }
        if !any {
            std::thread::sleep(RARELY);
        }
    }
    show_all(datagrams);
}

/// Between two tries where the kernel is short of what it needs.
const RARELY: std::time::Duration = std::time::Duration::from_millis(1);

fn show_due(datagrams: &mut [Datagrams]) {
    let now = clock::now();
    for socket in datagrams.iter_mut().filter(|s| s.board.is_due(now)) {
        socket.show(now);
    }
}

fn show_all(datagrams: &mut [Datagrams]) {
    let now = clock::now();
    for socket in datagrams {
        socket.show(now);
    }
}

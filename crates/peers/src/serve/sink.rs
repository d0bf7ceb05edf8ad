//! Connections that are read and thrown away: the far side of bulk load. They have a thread of their own, so that their
//! bytes never stand before a probe. They come to it through a socket, because the streams' thread, which accepted
//! them, may have descriptors of its own (`privilege`).

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lowlat_transport::{Ns, clock, os};

use super::PATIENCE_NS;

/// Token of the way by which they come.
const COMING: u64 = u64::MAX;

/// The sink connections.
pub(super) struct Sinks {
    epoll: OwnedFd,
    /// Where they are put in, and where they come out.
    way: (OwnedFd, OwnedFd),
    all: Mutex<All>,
    bytes: AtomicU64,
    idle: AtomicU64,
}

#[derive(Default)]
struct All {
    /// Of those on their way, in its order.
    coming: VecDeque<IpAddr>,
    /// Touched by the sinks' thread alone, which closes what it drops.
    held: HashMap<u64, Held>,
}

struct Held {
    fd: OwnedFd,
    peer: IpAddr,
    /// When it last brought something.
    last: Ns,
}

impl Sinks {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = os::epoll()?;
        let way = os::descriptor_way()?;
        os::epoll_add(epoll.as_fd(), way.1.as_fd(), libc::EPOLLIN, COMING)?;
        let (bytes, idle) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { epoll, way, all: Mutex::default(), bytes, idle })
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What [`Sinks::take`] needs.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.way.0.as_fd()
    }

    /// Takes over a connection, on which `already` bytes behind the request have been read, and which the caller drops.
    /// It is closed thus where too many are on their way.
    pub(super) fn take(&self, fd: BorrowedFd<'_>, peer: IpAddr, already: usize) {
        self.bytes.fetch_add(already as u64, Ordering::Relaxed);
        // Held over both, so that addresses and descriptors have one order.
        let mut all = self.all();
        if os::send_descriptor(self.way.0.as_fd(), fd).is_ok() {
            all.coming.push_back(peer);
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        let all = self.all();
        all.held.len() + all.coming.len()
    }

    /// How many one source has.
    pub(super) fn of(&self, peer: IpAddr) -> usize {
        let all = self.all();
        all.held.values().map(|h| h.peer).chain(all.coming.iter().copied()).filter(|p| *p == peer).count()
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Closed so far because they brought nothing.
    pub(super) fn idle(&self) -> u64 {
        self.idle.load(Ordering::Relaxed)
    }

    /// Takes in what has come.
    fn take_in(&self, all: &mut All, now: Ns) {
        loop {
            let fd = match os::receive_descriptor(self.way.1.as_fd()) {
                Ok(Some(fd)) => fd,
                // One that found no room is gone, and its address with it.
                Err(e) if e.raw_os_error() == Some(libc::EMFILE) => {
                    all.coming.pop_front();
                    continue;
                }
                Ok(None) | Err(_) => return,
            };
            let Some(peer) = all.coming.pop_front() else { return };
            let token = u64::from(fd.as_raw_fd().cast_unsigned());
            // A connection that cannot be watched is closed by dropping it.
            if os::epoll_add(self.epoll.as_fd(), fd.as_fd(), libc::EPOLLIN, token).is_ok() {
                all.held.insert(token, Held { fd, peer, last: now });
            }
        }
    }

    /// Reads until `stop`; closes those that bring nothing for `idle_ns`.
    pub(super) fn run(&self, stop: &AtomicBool, idle_ns: u64) {
        let mut events = [os::Event { events: 0, u64: 0 }; 16];
        let mut room = vec![0u8; 256 << 10];
        while !stop.load(Ordering::Relaxed) {
            let n = os::epoll_wait(self.epoll.as_fd(), &mut events, PATIENCE_NS).unwrap_or(0);
            let now = clock::now();
            let mut all = self.all();
            for event in &events[..n] {
                let token = event.u64;
                if token == COMING {
                    self.take_in(&mut all, now);
                    continue;
                }
                let Some(sink) = all.held.get_mut(&token) else { continue };
                match os::recv(sink.fd.as_fd(), &mut room, libc::MSG_DONTWAIT) {
                    Ok(0) => {
                        all.held.remove(&token);
                    }
                    Ok(n) => {
                        sink.last = now;
                        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
                    }
                    Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                    Err(_) => {
                        all.held.remove(&token);
                    }
                }
            }
            let before = all.held.len();
            all.held.retain(|_, h| now.saturating_sub(h.last) <= idle_ns);
            self.idle.fetch_add((before - all.held.len()) as u64, Ordering::Relaxed);
        }
    }
}

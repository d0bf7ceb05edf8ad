//! Connections that are read and thrown away: the far side of bulk load. They have a thread of their own, so that their
//! bytes never stand before a probe.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lowlat_transport::{Ns, clock, os};

use super::PATIENCE_NS;

/// The sink connections.
pub(super) struct Sinks {
    epoll: OwnedFd,
    held: Mutex<HashMap<u64, Held>>,
    bytes: AtomicU64,
}

struct Held {
    fd: OwnedFd,
    peer: IpAddr,
    /// When it last brought something.
    last: Ns,
}

impl Sinks {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { epoll: os::epoll()?, held: Mutex::new(HashMap::new()), bytes: AtomicU64::new(0) })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<u64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a connection, on which `already` bytes behind the request have been read.
    pub(super) fn take(&self, fd: OwnedFd, peer: IpAddr, already: usize) {
        let token = u64::from(fd.as_raw_fd().cast_unsigned());
        self.bytes.fetch_add(already as u64, Ordering::Relaxed);
        let mut held = self.held();
        // A connection that cannot be watched is closed by dropping it.
        if os::epoll_add(self.epoll.as_fd(), fd.as_fd(), libc::EPOLLIN, token).is_ok() {
            held.insert(token, Held { fd, peer, last: clock::now() });
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.held().len()
    }

    /// How many one source has.
    pub(super) fn of(&self, peer: IpAddr) -> usize {
        self.held().values().filter(|h| h.peer == peer).count()
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Closes those that brought nothing for `idle_ns`; how many.
    pub(super) fn sweep(&self, now: Ns, idle_ns: u64) -> u64 {
        let mut held = self.held();
        let before = held.len();
        held.retain(|_, h| now.saturating_sub(h.last) <= idle_ns);
        (before - held.len()) as u64
    }

    /// Reads until `stop`.
    pub(super) fn run(&self, stop: &AtomicBool) {
        let mut events = [os::Event { events: 0, u64: 0 }; 16];
        let mut room = vec![0u8; 256 << 10];
        while !stop.load(Ordering::Relaxed) {
            let n = os::epoll_wait(self.epoll.as_fd(), &mut events, PATIENCE_NS).unwrap_or(0);
            let now = clock::now();
            let mut held = self.held();
            for event in &events[..n] {
                let token = event.u64;
                let Some(sink) = held.get_mut(&token) else { continue };
                match os::recv(sink.fd.as_fd(), &mut room, libc::MSG_DONTWAIT) {
                    Ok(0) => {
                        held.remove(&token);
                    }
                    Ok(n) => {
                        sink.last = now;
                        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
                    }
                    Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                    Err(_) => {
                        held.remove(&token);
                    }
                }
            }
        }
    }
}

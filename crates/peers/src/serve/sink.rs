//! Connections that are read and thrown away: the far side of bulk load. They have a thread of their own, so that their
//! bytes never stand before a probe.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use lowlat_transport::os;

use super::{PATIENCE_NS, ServeStats};

/// The sink connections.
pub(super) struct Sinks {
    epoll: OwnedFd,
    held: Mutex<HashMap<u64, OwnedFd>>,
    bytes: AtomicU64,
}

impl Sinks {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { epoll: os::epoll()?, held: Mutex::new(HashMap::new()), bytes: AtomicU64::new(0) })
    }

    /// Takes over a connection, on which `already` bytes behind the request have been read.
    pub(super) fn take(&self, fd: OwnedFd, already: usize) {
        let token = u64::from(fd.as_raw_fd().cast_unsigned());
        self.bytes.fetch_add(already as u64, Ordering::Relaxed);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that cannot be watched is closed by dropping it.
        if os::epoll_add(self.epoll.as_fd(), fd.as_fd(), libc::EPOLLIN, token).is_ok() {
            held.insert(token, fd);
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Reads until `stop`.
    pub(super) fn run(&self, stop: &AtomicBool) -> ServeStats {
        let mut events = [os::Event { events: 0, u64: 0 }; 16];
        let mut room = vec![0u8; 256 << 10];
        while !stop.load(Ordering::Relaxed) {
            let n = os::epoll_wait(self.epoll.as_fd(), &mut events, PATIENCE_NS).unwrap_or(0);
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            for event in &events[..n] {
                let token = event.u64;
                let Some(fd) = held.get(&token) else { continue };
                match os::recv(fd.as_fd(), &mut room, libc::MSG_DONTWAIT) {
                    Ok(0) => {
                        held.remove(&token);
                    }
                    Ok(n) => {
                        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
                    }
                    Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                    Err(_) => {
                        held.remove(&token);
                    }
                }
            }
        }
        ServeStats { sink_bytes: self.bytes.load(Ordering::Relaxed), ..ServeStats::default() }
    }
}

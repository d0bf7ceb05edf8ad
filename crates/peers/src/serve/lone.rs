//! A TCP connection that the streams' thread sleeps in the receive of, while it is the only one.
//!
//! Such a thread hears of nothing else, and that is what makes it fast: the connection is taken out of the epoll set,
//! whose callback each packet would run (0.26 µs of a round trip of 13 µs, both ends on one CPU, Linux 6.18), and its
//! receive has no timeout, whose timer would be set and cleared each time (0.1 µs). So somebody else listens meanwhile,
//! the *accept waker*: the thread that would only sleep until the far end is stopped. It wakes the other by a signal
//! when a new client is at the door, when the connection has gone silent, and at the end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lowlat_transport::thread::Sleeper;
use lowlat_transport::{Ns, clock, os};

/// A connection that was silent for so long gets its thread back among the others, which look after idle ones, ns.
const SILENT_NS: u64 = 100_000_000;
/// Between two calls to a thread that has not come yet. A signal just before its receive is lost, so there may be
/// several.
const AGAIN: Duration = Duration::from_micros(200);
/// Calls at most, a second's worth. It then hears the next one, at the latest [`SILENT_NS`] later.
const CALLS: u32 = 5_000;

/// What the streams' thread sends the accept waker.
#[derive(Debug, Default)]
pub(super) struct Lone {
    sleeper: std::sync::OnceLock<Sleeper>,
    /// It sleeps in one connection's receive.
    devoted: AtomicBool,
    called: AtomicBool,
    last: AtomicU64,
}

impl Lone {
    /// By the streams' thread, once; whether it can be woken.
    pub(super) fn begin(&self) -> bool {
        Sleeper::this().is_ok_and(|this| self.sleeper.set(this).is_ok())
    }

    /// By the streams' thread: from now on it is woken for whoever comes. What came before it must look for itself.
    pub(super) fn enter(&self, now: Ns) {
        self.note(now);
        self.called.store(false, Ordering::SeqCst);
        self.devoted.store(true, Ordering::SeqCst);
    }

    #[inline]
    pub(super) fn note(&self, now: Ns) {
        self.last.store(now, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn called(&self) -> bool {
        self.called.load(Ordering::Relaxed)
    }

    pub(super) fn leave(&self) {
        self.devoted.store(false, Ordering::SeqCst);
    }
}

/// Listens at the door.
pub(super) struct AcceptWaker<'a> {
    epoll: OwnedFd,
    lone: &'a Lone,
}

impl<'a> AcceptWaker<'a> {
    /// At these listeners. Edge-triggered: whoever accepts is not the accept waker, so a level would stay.
    pub(super) fn new<'f>(lone: &'a Lone, listeners: impl Iterator<Item = BorrowedFd<'f>>) -> io::Result<Self> {
        let epoll = os::epoll()?;
        for (token, fd) in (0..).zip(listeners) {
            os::epoll_add(epoll.as_fd(), fd, libc::EPOLLIN | libc::EPOLLET, token)?;
        }
        Ok(Self { epoll, lone })
    }

    /// Waits for `wait_ns`, or less if somebody comes, and wakes the streams' thread if it is to come.
    pub(super) fn turn(&self, wait_ns: u64) {
        let mut events = [os::Event { events: 0, u64: 0 }; 8];
        let began = clock::now();
        let arrival = os::epoll_wait(self.epoll.as_fd(), &mut events, wait_ns);
        let now = clock::now();
        match arrival {
            Ok(0) if now.saturating_sub(self.lone.last.load(Ordering::Relaxed)) < SILENT_NS => {}
            Ok(_) => self.call(),
            // A signal came; should it fail for good, the door is looked at by the clock.
            Err(_) => std::thread::sleep(Duration::from_nanos((began + wait_ns).saturating_sub(now).min(AGAIN_NS))),
        }
    }

    /// Calls the streams' thread back to its other duties.
    pub(super) fn call(&self) {
        let Some(sleeper) = self.lone.sleeper.get() else { return };
        self.lone.called.store(true, Ordering::SeqCst);
        for _ in 0..CALLS {
            if !self.lone.devoted.load(Ordering::SeqCst) {
                return;
            }
            sleeper.wake();
            std::thread::sleep(AGAIN);
        }
    }
}

/// After a wait that failed, ns.
const AGAIN_NS: u64 = 1_000_000;

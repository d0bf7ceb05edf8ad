//! The kernel's receive stamps of one socket, switched on while somebody asks for them.
//!
//! They cost every message a control message and the kernel two clock readings, so they are off until a message asks,
//! and off again when none has asked for a while. Whoever may send here can thus switch them on, which costs other
//! clients some 0.2 µs and never more.

use std::io;
use std::os::fd::BorrowedFd;

use lowlat_transport::{Ns, clock, cmsg, os};

/// Off again after so long without a message that asks.
const UNASKED_NS: u64 = 2_000_000_000;

/// Whether one socket's receive stamps are on.
#[derive(Debug, Default)]
pub(super) struct Stamped {
    /// When they were last asked for; 0 while they are off.
    asked: Ns,
}

impl Stamped {
    #[inline]
    pub(super) fn on(&self) -> bool {
        self.asked > 0
    }

    /// A message came at `at` that asks for its stamp, or not. A kernel that refuses leaves them off.
    #[inline]
    pub(super) fn asked(&mut self, fd: BorrowedFd<'_>, asks: bool, at: Ns) {
        match (asks, self.on()) {
            (true, true) => self.asked = at,
            (true, false) if switch(fd, true).is_ok() => self.asked = at,
            (false, true) if at.saturating_sub(self.asked) > UNASKED_NS => {
                let _ = switch(fd, false);
                self.asked = 0;
            }
            _ => {}
        }
    }

    /// The stamp among a message's control messages.
    #[inline]
    pub(super) fn stamp(&self, control: &[u8]) -> Option<Ns> {
        if !self.on() {
            return None;
        }
        clock::to_monotonic(cmsg::receive_stamps(control).0?)
    }
}

fn switch(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let flags = if on { libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE } else { 0 };
    os::set_int(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, libc::c_int::try_from(flags).unwrap_or(0))
}

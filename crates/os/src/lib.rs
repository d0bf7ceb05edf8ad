//! System calls that have no safe form in std or rustix. Those that have one are called where they are needed.
//!
//! | module | what is there |
//! |---|---|
//! | [`socket`] | options by number, messages with control data, waiting in epoll with nanoseconds |
//! | [`thread`] | what a thread that waits for packets turns off, and how another thread wakes it |
//! | [`clock`] | the kernel's clocks, the processor's time stamp counter, how well the clock is disciplined |
//! | [`cpu`] | the CPUs a thread may run on, and its scheduling class |
//! | [`namespace`] | network and mount namespaces of a thread |
//! | [`signal`] | handlers, default actions and masks |
//! | [`identity`] | the user of the whole process |
//! | [`bpf`] | how many BPF programs are at a hook of an interface |
//! | [`ioctl`] | two ioctls whose answers are available in no other way |
//!
//! No policy: each function is one call, or the few that only make sense together. Functions on the hot path neither
//! allocate nor loop. All functions but one are safe to call, whatever they are given.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod bpf;
pub mod clock;
pub mod cpu;
pub mod identity;
pub mod ioctl;
pub mod namespace;
pub mod signal;
pub mod socket;
pub mod thread;

use std::io;

/// Turns −1 into the errno, and a count into `usize`.
#[inline]
fn check(n: isize) -> io::Result<usize> {
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// What `libc::syscall` answers.
fn check_long(n: libc::c_long) -> io::Result<libc::c_long> {
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n) }
}

#[inline]
fn check_int(n: libc::c_int) -> io::Result<libc::c_int> {
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n) }
}

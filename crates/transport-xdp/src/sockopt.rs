//! The integer socket options, and poll(2).
#![allow(unsafe_code)] // setsockopt and ppoll on raw descriptors

use std::io;
use std::os::fd::RawFd;

/// `setsockopt` with an int.
pub(crate) fn set_int(fd: RawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    set_bytes(fd, level, option, &value.to_ne_bytes())
}

/// `setsockopt` with bytes.
pub(crate) fn set_bytes(fd: RawFd, level: libc::c_int, option: libc::c_int, value: &[u8]) -> io::Result<()> {
    let len = libc::socklen_t::try_from(value.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: `value` is readable for `len` bytes.
    let got = unsafe { libc::setsockopt(fd, level, option, value.as_ptr().cast(), len) };
    if got == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sleeps until one of `fds` has something to read, for `ns` at most.
pub(crate) fn wait_readable(fds: &mut [libc::pollfd], ns: u64) -> io::Result<()> {
    #[allow(clippy::cast_possible_wrap)] // seconds and a remainder below 10^9
    let limit =
        libc::timespec { tv_sec: (ns / 1_000_000_000) as libc::time_t, tv_nsec: (ns % 1_000_000_000) as libc::c_long };
    // SAFETY: the slice is valid for its length and the timespec for the call; no signal mask is passed.
    let got = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, &raw const limit, std::ptr::null()) };
    if got >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

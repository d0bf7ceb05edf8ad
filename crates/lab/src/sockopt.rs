//! The one socket option that the lab's programs set and std does not.
#![allow(unsafe_code)] // setsockopt has no safe form in libc

use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

/// `SO_RCVBUF`: the kernel doubles it for its own bookkeeping (socket(7)).
pub(crate) fn receive_buffer(socket: &UdpSocket, bytes: i32) -> std::io::Result<()> {
    let len = u32::try_from(size_of::<i32>()).unwrap_or(0);
    // SAFETY: the value is an i32 that lives through the call, and `len` is its size.
    let rc = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, (&raw const bytes).cast(), len)
    };
    if rc == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

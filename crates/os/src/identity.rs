//! The user of the whole process.
#![allow(unsafe_code)] // rustix changes the user of one thread; the C library's calls, which change all, have no safe form

use std::io;

use crate::check_int;

/// The calling thread's effective capabilities, bit N for number N; none where the kernel does not say.
pub fn effective_capabilities() -> u64 {
    rustix::thread::capabilities(None).map_or(0, |sets| sets.effective.bits())
}

/// Makes every thread of the process user and group `id`, without further groups, for good: groups, then group, then
/// user, since each step takes away the right to the one before. The C library carries the change to every thread
/// (nptl(7)). Needs `CAP_SETUID` and `CAP_SETGID`. Whoever had them without being root still has them, and
/// [`refuse_root`] is for after they are given up.
pub fn become_user(id: u32) -> io::Result<()> {
    // SAFETY: no pointers but the empty group list, whose length is 0.
    unsafe {
        check_int(libc::setgroups(0, std::ptr::null()))?;
        check_int(libc::setresgid(id, id, id))?;
        check_int(libc::setresuid(id, id, id)).map(drop)
    }
}

/// Fails if this process, which is another user, can become root. It is that then: end it.
pub fn refuse_root() -> io::Result<()> {
    // SAFETY: no pointers.
    match unsafe { libc::setuid(0) } {
        0 => Err(io::Error::other("root could be had back")),
        _ => Ok(()),
    }
}

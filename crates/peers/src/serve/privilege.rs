//! What the far end gives up once its ports are bound, and where its threads run.
#![allow(unsafe_code)] // setuid and affinity have no safe wrapper in std

use std::io;

use caps::CapSet;

/// The overflow id, `nobody` on every Linux (Documentation/admin-guide/sysctl/kernel.rst, overflowuid).
const NOBODY: libc::uid_t = 65534;

fn check(n: libc::c_int) -> io::Result<()> {
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Becomes nobody, for good: groups, then group, then user, since each step takes away the right to the one before; then
/// every capability, so that one given to the program's file or by its service manager goes too. Says in words what it
/// did.
///
/// The C library carries the change of user to every thread of the process (nptl(7)); capabilities and
/// `PR_SET_NO_NEW_PRIVS` are the calling thread's, and every thread it starts has them so.
pub(super) fn drop_all() -> io::Result<String> {
    let had = capabilities()?;
    // SAFETY: no pointers but the empty group list, whose length is 0.
    let root = unsafe {
        let root = libc::geteuid() == 0;
        if root {
            // The bounding set is root's to empty, and only while it is root.
            caps::clear(None, CapSet::Bounding).map_err(io::Error::other)?;
            check(libc::setgroups(0, std::ptr::null()))?;
            check(libc::setresgid(NOBODY, NOBODY, NOBODY))?;
            check(libc::setresuid(NOBODY, NOBODY, NOBODY))?;
            if libc::setuid(0) == 0 {
                return Err(io::Error::other("root could be had back"));
            }
        }
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        root
    };
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).map_err(io::Error::other)?;
    }
    if capabilities()? > 0 {
        return Err(io::Error::other("a capability was kept"));
    }
    let who = if root { "user and group 65534" } else { "the user that started it" };
    Ok(format!("{who}, {had} capabilities given up, none to be gained"))
}

/// How many the calling thread may use.
fn capabilities() -> io::Result<usize> {
    Ok(caps::read(None, CapSet::Permitted).map_err(io::Error::other)?.len())
}

/// Binds the calling thread to one CPU.
pub(super) fn pin(cpu: u32) -> io::Result<()> {
    let cpu = usize::try_from(cpu).unwrap_or(usize::MAX);
    if cpu >= 8 * size_of::<libc::cpu_set_t>() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: cpu_set_t is plain data for which all zeroes is the empty set; `cpu` is within it, as just checked.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        check(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set))
    }
}

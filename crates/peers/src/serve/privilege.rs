//! What the far end gives up once its ports are bound, and where its threads run.
#![allow(unsafe_code)] // setuid, priority and affinity have no safe wrapper in std; a table of descriptors is a promise

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use caps::CapSet;
use lowlat_transport::thread::own_descriptors;

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

/// Nice value of a thread that sleeps until it answers. With it the scheduler lets the thread that a probe has just woken
/// go before one that runs at 0; at 0 as well it does so for every second probe, by turns (`place_entity`,
/// kernel/sched/fair.c). A blocking TCP round trip of 4.9 µs with the prober on the same CPU took 1.5 % less (Linux 6.18); more steps
/// brought no more, and under a flood others would get less of the CPU.
const AHEAD: libc::c_int = -1;

/// The calling thread and those it starts take [`AHEAD`], if they have the usual priority and may; whether they did.
pub(super) fn go_ahead() -> bool {
    // SAFETY: no pointers; 0 is the calling thread (setpriority(2), C library/kernel differences). An error reads as -1,
    // which is no usual priority.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) == 0 && libc::setpriority(libc::PRIO_PROCESS, 0, AHEAD) == 0 }
}

/// A thread that does not answer takes the usual priority again, which needs no privilege.
pub(super) fn fall_back() {
    // SAFETY: as above, but that an error reads as one step ahead: then the second call fails too.
    unsafe {
        if libc::getpriority(libc::PRIO_PROCESS, 0) == AHEAD {
            libc::setpriority(libc::PRIO_PROCESS, 0, 0);
        }
    }
}

/// Leaves the calling thread the descriptors it answers with, in a table of its own, until it ends. A kernel that has no
/// such call leaves it all.
///
/// Who calls it drops nothing that was opened before, and hands on nothing that is opened after but by
/// [`os::send_descriptor`](lowlat_transport::os::send_descriptor).
pub(super) fn leave_descriptors(keep: &[BorrowedFd<'_>]) {
    let keep: Vec<_> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    // SAFETY: a far end's thread borrows its sockets and knows no others (`Datagrams::descriptors`,
    // `Streams::descriptors`); connections are accepted, used and closed on one thread (`AtHome`).
    let _ = unsafe { own_descriptors(&keep) };
}

/// Binds the calling thread to one CPU.
pub(super) fn pin(cpu: u32) -> io::Result<()> {
    spread(&[cpu])
}

/// Lets the calling thread run on these CPUs.
pub(super) fn spread(cpus: &[u32]) -> io::Result<()> {
    // SAFETY: cpu_set_t is plain data for which all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in cpus {
        let cpu = usize::try_from(*cpu).unwrap_or(usize::MAX);
        if cpu >= 8 * size_of::<libc::cpu_set_t>() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // SAFETY: `cpu` is within the set, as just checked.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: the set is live for the call, which only reads it.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })
}

/// The CPUs that the calling thread may run on.
#[cfg(test)]
pub(super) fn allowed() -> io::Result<Vec<u32>> {
    // SAFETY: as in `spread`; the kernel writes at most the size given.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    check(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) })?;
    // SAFETY: the index is below CPU_SETSIZE.
    Ok((0..libc::CPU_SETSIZE.unsigned_abs()).filter(|c| unsafe { libc::CPU_ISSET(*c as usize, &set) }).collect())
}

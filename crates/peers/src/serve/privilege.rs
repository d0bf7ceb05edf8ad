//! What the far end gives up once its ports are bound, and where its threads run.
#![allow(unsafe_code)] // a table of descriptors of its own is a promise about what the thread uses

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use caps::{CapSet, Capability};
pub(super) use lowlat_os::cpu::{pin, spread};
use lowlat_os::identity::{become_user, refuse_root};
use lowlat_transport::thread::own_descriptors;
use rustix::process::{getpriority_process, setpriority_process};

/// The overflow id, `nobody` on every Linux (Documentation/admin-guide/sysctl/kernel.rst, overflowuid).
const NOBODY: u32 = 65534;

/// Becomes nobody, for good, where it has the capabilities for that, whoever it is; then gives up every capability, so that
/// one given to the program's file or by its service manager goes too. Says as text what it did.
///
/// The C library carries the change of user to every thread of the process (nptl(7)); capabilities and
/// `PR_SET_NO_NEW_PRIVS` are the calling thread's, and every thread it starts has them so.
pub(super) fn drop_all() -> io::Result<String> {
    let had = capabilities()?;
    let has = |c| caps::has_cap(None, CapSet::Effective, c).map_err(io::Error::other);
    // Before the others go: emptying the bounding set takes a capability too (capabilities(7)).
    if has(Capability::CAP_SETPCAP)? {
        caps::clear(None, CapSet::Bounding).map_err(io::Error::other)?;
    }
    let other_user = has(Capability::CAP_SETUID)? && has(Capability::CAP_SETGID)?;
    if other_user {
        become_user(NOBODY)?;
    }
    rustix::thread::set_no_new_privs(true)?;
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).map_err(io::Error::other)?;
    }
    if capabilities()? > 0 {
        return Err(io::Error::other("a capability was kept"));
    }
    if other_user {
        refuse_root()?;
    }
    let who = if other_user { "user and group 65534" } else { "the user that started it" };
    Ok(format!("{who}, {had} capabilities given up, none to be gained"))
}

/// How many the calling thread may use.
fn capabilities() -> io::Result<usize> {
    Ok(caps::read(None, CapSet::Permitted).map_err(io::Error::other)?.len())
}

/// Nice value of a thread that sleeps until it answers. With it the scheduler lets the thread that a probe has just
/// woken go before one that runs at 0; at 0 as well it does so for every second probe, by turns (`place_entity`,
/// kernel/sched/fair.c). A blocking TCP round trip of 4.9 µs with the prober on the same CPU took 1.5 % less (Linux
/// 6.18); more steps brought no more, and under a flood others would get less of the CPU.
const AHEAD: i32 = -1;

/// The calling thread and those it starts take [`AHEAD`], if they have the usual priority and may; whether they did.
pub(super) fn go_ahead() -> bool {
    // For the kernel a process here is a thread, and `None` the calling one (setpriority(2), C library/kernel
    // differences).
    getpriority_process(None) == Ok(0) && setpriority_process(None, AHEAD).is_ok()
}

/// A thread that does not answer takes the usual priority again, which needs no privilege.
pub(super) fn fall_back() {
    if getpriority_process(None) == Ok(AHEAD) {
        let _ = setpriority_process(None, 0);
    }
}

/// Leaves the calling thread the descriptors it answers with, in a table of its own, until it ends. A kernel that has
/// no such call leaves it all.
///
/// Who calls it drops nothing that was opened before, and hands on nothing that is opened after but by
/// [`os::send_descriptor`](lowlat_transport::os::send_descriptor).
pub(super) fn leave_descriptors(keep: &[BorrowedFd<'_>]) {
    let keep: Vec<_> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    // SAFETY: a far end's thread borrows its sockets and knows no others (`Datagrams::descriptors`,
    // `Streams::descriptors`); connections are accepted, used and closed on one thread (`ConnectionsGuard`).
    let _ = unsafe { own_descriptors(&keep) };
}

/// The CPUs that the calling thread may run on.
#[cfg(test)]
pub(super) use lowlat_os::cpu::allowed;

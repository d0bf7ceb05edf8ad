//! What makes the guard outlive what it was started from.
#![allow(unsafe_code)] // sigprocmask has no safe form in std or rustix

use std::io;

use rustix::mm::MlockAllFlags;

/// A session of its own, without a terminal; every signal blocked that can be (all but SIGKILL and SIGSTOP, signal(7));
/// not chosen where memory runs out, and its memory kept from being paged out. The last two need privileges that a
/// container may lack, and are helps, not needs.
pub(super) fn be() -> io::Result<()> {
    block_all()?;
    match rustix::process::setsid() {
        // A service of systemd leads its session already (setsid(2), EPERM).
        Ok(_) | Err(rustix::io::Errno::PERM) => {}
        Err(e) => return Err(e.into()),
    }
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    let _ = rustix::mm::mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE);
    Ok(())
}

fn block_all() -> io::Result<()> {
    // SAFETY: the set is zeroed and then filled as sigfillset(3) asks, and outlives the call; no old set is asked for.
    let rc = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut())
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(rc)) }
}

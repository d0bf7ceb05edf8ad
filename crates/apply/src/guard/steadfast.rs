//! What makes the guard outlive what it was started from.

use std::io;

use rustix::mm::MlockAllFlags;

/// A session of its own, without a terminal; every signal blocked that can be (all but SIGKILL and SIGSTOP, signal(7));
/// not chosen where memory runs out, and its memory kept from being paged out. The last two need privileges that a
/// container may lack, and are helps, not needs.
pub(super) fn be() -> io::Result<()> {
    lowlat_os::signal::block_all()?;
    match rustix::process::setsid() {
        // A service of systemd leads its session already (setsid(2), EPERM).
        Ok(_) | Err(rustix::io::Errno::PERM) => {}
        Err(e) => return Err(e.into()),
    }
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    let _ = rustix::mm::mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE);
    Ok(())
}

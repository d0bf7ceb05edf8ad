//! Leaving the host's network namespace.

use lowlat_os::namespace;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use rustix::thread::CapabilitySet;

/// The lab could not be built. Names operation, target, cause and next step.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}; {next}")]
pub struct LabError {
    /// Operation and target.
    pub what: String,
    /// Cause.
    pub why: String,
    /// Next step.
    pub next: String,
}

impl LabError {
    /// From its three parts.
    pub fn new(what: impl Into<String>, why: impl std::fmt::Display, next: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.to_string(), next: next.into() }
    }
}

/// Puts the calling process into a network and a mount namespace of its own, with a `/sys` that shows it.
///
/// Must be called while the process has one thread: namespaces belong to threads, and a thread that existed before
/// would stay behind. `/sys` is mounted anew so that it shows the namespace; the mount is private, so the host's stays
/// as it is.
pub fn enter_private() -> Result<(), LabError> {
    let has = rustix::thread::capabilities(None).is_ok_and(|c| c.effective.contains(CapabilitySet::SYS_ADMIN));
    let next = next(has);
    namespace::own_network()
        .and_then(|()| namespace::own_mounts())
        .map_err(|e| LabError::new("make private network and mount namespaces", e, next))?;
    namespace::mount_sys().map_err(|e| LabError::new("mount the namespace's own /sys", e, next))
}

/// What to do where the kernel makes no namespaces for a process that has, or has not, the capability they need
/// (unshare(2), mount(2)).
fn next(has_sys_admin: bool) -> &'static str {
    if has_sys_admin {
        "CAP_SYS_ADMIN, which this process has, is not enough: run it outside of the container that forbids namespaces"
    } else {
        "this process lacks CAP_SYS_ADMIN; give it that, as sudo does"
    }
}

/// Asks the kernel to end this process when its parent ends; `false` if the parent is gone already.
pub(super) fn die_with_parent(parent: u32) -> bool {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // The parent may have died between fork and prctl; then its child was given to another parent.
    getppid().map(Pid::as_raw_pid).and_then(|pid| u32::try_from(pid).ok()) == Some(parent)
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn only_who_lacks_the_capability_is_told_to_get_it() {
        assert!(next(false).contains("lacks CAP_SYS_ADMIN") && !next(false).contains("root"));
        assert!(next(true).contains("container") && !next(true).contains("sudo"));
    }
}

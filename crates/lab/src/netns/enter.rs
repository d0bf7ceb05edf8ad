//! Leaving the host's network namespace.
#![allow(unsafe_code)] // unshare, mount and prctl have no safe form in libc

use std::ffi::CStr;
use std::io;

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
/// would stay behind. `/sys` is mounted anew because a sysfs mount shows the namespace it was mounted from
/// (kernel, fs/sysfs/mount.c, `sysfs_init_fs_context`); the mount is private, so the host's stays as it is.
pub fn enter_private() -> Result<(), LabError> {
    let has = rustix::thread::capabilities(None).is_ok_and(|c| c.effective.contains(CapabilitySet::SYS_ADMIN));
    let next = next(has);
    // SAFETY: unshare only changes this process's own namespaces and takes no pointers.
    if unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) } != 0 {
        return Err(LabError::new("make private network and mount namespaces", io::Error::last_os_error(), next));
    }
    mount(c"none", c"/", None, libc::MS_REC | libc::MS_PRIVATE)
        .map_err(|e| LabError::new("make mounts private", e, next))?;
    mount(c"sysfs", c"/sys", Some(c"sysfs"), libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC)
        .map_err(|e| LabError::new("mount the namespace's own /sys", e, next))
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
    // SAFETY: prctl(PR_SET_PDEATHSIG) and getppid take no pointers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // The parent may have died between fork and prctl; then its child was given to another parent.
        libc::getppid().cast_unsigned() == parent
    }
}

fn mount(source: &CStr, target: &CStr, kind: Option<&CStr>, flags: libc::c_ulong) -> io::Result<()> {
    let kind = kind.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: all pointers are to NUL-terminated strings that outlive the call; the data argument may be null.
    let rc = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind, flags, std::ptr::null()) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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

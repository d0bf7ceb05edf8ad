//! Namespaces of the calling thread.
#![allow(unsafe_code)] // unshare is unsafe in rustix, for the sake of one flag that is not used here

use std::io;
use std::os::fd::BorrowedFd;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// A network namespace of its own, loopback down.
pub fn own_network() -> io::Result<()> {
    leave(UnshareFlags::NEWNET)
}

/// Mounts of its own: those of before, and no change of theirs reaches others.
pub fn own_mounts() -> io::Result<()> {
    leave(UnshareFlags::NEWNS)?;
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

/// Mounts `/sys` anew, for a thread with mounts of its own: a sysfs mount shows the network namespace it was mounted
/// from (kernel, fs/sysfs/mount.c, `sysfs_init_fs_context`).
pub fn mount_sys() -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount("sysfs", "/sys", "sysfs", flags, None)?)
}

/// Enters the network namespace behind a descriptor of `/proc/PID/ns/net` or the like.
pub fn enter_network(netns: BorrowedFd<'_>) -> io::Result<()> {
    Ok(move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))?)
}

/// Private, because `what` must not have `CLONE_FILES`.
fn leave(what: UnshareFlags) -> io::Result<()> {
    // SAFETY: what makes it unsafe is a table of descriptors of the thread's own (`CLONE_FILES`), which no caller asks
    // for.
    Ok(unsafe { rustix::thread::unshare_unsafe(what) }?)
}

//! A root file system with systemd and udev in it, for guests that boot it: what a host's own boot does with files
//! under `/etc` is then seen, and not believed.
//!
//! It is unpacked and not installed, so that it is the same on every host: no maintainer script has run, and what those
//! make (accounts, above all) is written here.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::apt::{self, Apt};
use super::cache::{self, TempDir};
use super::error::VmError;
use super::tools::BASE_SUITES;

/// `ethtool`, `tc` and a shell are what a unit of `lowlat persist` calls; the rest boots or is tried against.
const PACKAGES: [&str; 13] = [
    "systemd",
    "udev",
    "kmod",
    "mount",
    "dash",
    "coreutils",
    "grep",
    "sed",
    "iproute2",
    "ethtool",
    // Programs that turn the same knobs.
    "irqbalance",
    "tuned",
    "network-manager",
];

/// The groups that udev's rules name (`50-udev-default.rules`), so that it does not complain of each.
const GROUPS: [&str; 12] =
    ["root", "tty", "disk", "dialout", "kmem", "input", "kvm", "render", "video", "audio", "cdrom", "tape"];
/// Accounts that units of the boot run as.
const USERS: [&str; 5] = ["systemd-network", "systemd-resolve", "systemd-timesync", "messagebus", "polkitd"];

fn dir(cache: &Path) -> PathBuf {
    cache.join("systemd-2")
}

/// Whether nothing has to be fetched.
pub(super) fn cached(cache: &Path) -> bool {
    dir(cache).exists()
}

/// The tree in the cache, fetched when it is not there yet.
pub(super) fn open(cache: &Path) -> Result<PathBuf, VmError> {
    let root = dir(cache);
    if !root.exists() {
        let apt = Apt::open(cache, "base", &apt::mirror(cache)?, &BASE_SUITES)?;
        let temp = TempDir::new(cache)?;
        let tree = temp.path().join("systemd");
        apt.unpack_closure(BASE_SUITES[0], &PACKAGES, &tree)?;
        finish(&tree)?;
        fs::rename(&tree, &root).map_err(VmError::io("rename", &root))?;
    }
    Ok(root)
}

/// What maintainer scripts would have made.
fn finish(tree: &Path) -> Result<(), VmError> {
    for dir in ["dev", "proc", "sys", "run", "tmp", "var/log", "var/lib", "root", "etc", "usr/bin", "outer"] {
        cache::make(&tree.join(dir))?;
    }
    let write = |file: &str, text: &str| {
        let path = tree.join(file);
        fs::write(&path, text).map_err(VmError::io("write", path.clone()))
    };
    let mut groups = String::new();
    let mut users = "root:x:0:0:root:/root:/bin/sh\n".to_owned();
    for (id, name) in GROUPS.iter().enumerate() {
        let _ = writeln!(groups, "{name}:x:{id}:");
    }
    for (id, name) in (990..).zip(USERS) {
        let _ = writeln!(groups, "{name}:x:{id}:");
        let _ = writeln!(users, "{name}:x:{id}:{id}::/:/usr/sbin/nologin");
    }
    write("etc/group", &groups)?;
    write("etc/passwd", &users)?;
    write("etc/machine-id", "6c6f776c617420746865206c61620000\n")?;
    write("etc/os-release", "ID=lab\nPRETTY_NAME=lab\n")?;
    let shell = tree.join("bin/sh");
    if fs::symlink_metadata(&shell).is_err() {
        symlink("dash", &shell).map_err(VmError::io("link", &shell))?;
    }
    Ok(())
}

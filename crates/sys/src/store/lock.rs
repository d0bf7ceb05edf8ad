//! One changer at a time.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags};

use super::StoreError;
use super::dir::Dir;

/// The file's name.
const NAME: &str = "lock";

/// A held lock. The kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _held: OwnedFd,
}

/// Takes the lock of a state directory; the file keeps the holder's process id for the message of the next one. That
/// note is all that is written: a disk that is full or read-only locks nobody out.
pub(super) fn take(dir: &Path) -> Result<Lock, StoreError> {
    let path = dir.join(NAME);
    let cannot = |e| StoreError::cannot("lock", &path, e);
    let dir = Dir::open(dir).map_err(cannot)?;
    let mut file = match dir.open_or_create(NAME, OFlags::RDWR) {
        Ok(file) => Some(file),
        Err(e) if full_or_read_only(&e) => match dir.open_file(NAME, OFlags::RDONLY) {
            Ok(file) => Some(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(cannot(e)),
        },
        Err(e) => return Err(cannot(e)),
    };
    let held: OwnedFd = match &file {
        Some(file) => file.try_clone().map_err(cannot)?.into(),
        // Where the file cannot be made, the directory is as good a thing to lock.
        None => dir.fd().try_clone().map_err(cannot)?,
    };
    match rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let holder = file.as_mut().and_then(holder).map_or_else(|| "another lowlat".to_owned(), words);
            return Err(StoreError::Locked { path, holder });
        }
        Err(e) => return Err(cannot(e.into())),
    }
    if let Some(file) = &mut file {
        // Overwritten and then cut, so that a full disk has room for it.
        let note = format!("{}\n", std::process::id());
        let _ =
            file.rewind().and_then(|()| file.write_all(note.as_bytes())).and_then(|()| file.set_len(note.len() as u64));
    }
    Ok(Lock { _held: held })
}

/// A disk on which nothing new can be made.
fn full_or_read_only(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EROFS | libc::ENOSPC | libc::EDQUOT))
}

/// The process that holds the lock of a state directory.
pub(super) fn holder_of(dir: &Path) -> Option<u32> {
    holder(&mut Dir::open(dir).ok()?.open_file(NAME, OFlags::RDONLY).ok()?)
}

/// As the kernel lists it; where its list names the file otherwise (the device of a layered file system is not the one
/// that stat(2) reports), as the holder noted it. The note may be an earlier holder's where the disk was full.
fn holder(file: &mut File) -> Option<u32> {
    of_kernel(file).or_else(|| {
        let mut text = String::new();
        file.take(32).read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    })
}

/// `1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF` (proc_locks(5)).
fn of_kernel(file: &File) -> Option<u32> {
    let stat = rustix::fs::fstat(file).ok()?;
    let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    let place = format!("{major:02x}:{minor:02x}:{}", stat.st_ino);
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let of = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words.get(1) == Some(&"FLOCK") && words.get(5) == Some(&place.as_str())).then(|| words[4].parse().ok())?
    };
    locks.lines().find_map(of).filter(|pid| *pid > 0)
}

fn words(pid: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // proc_pid_stat(5): the state follows the name in brackets; T is stopped by a signal.
    match stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()) {
        Some('T') => format!("process {pid}, which is stopped (SIGCONT lets it go on),"),
        _ => format!("process {pid}"),
    }
}

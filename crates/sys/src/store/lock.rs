//! One changer at a time.
#![allow(unsafe_code)] // flock and geteuid: std's File::try_lock is newer than the oldest Rust this builds with

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::StoreError;

/// A held lock. The kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock at `path`; the file keeps the holder's process id for the message of the next one.
pub(super) fn take(path: &Path) -> Result<Lock, StoreError> {
    let cannot = |e| StoreError::cannot("lock", path, e);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(cannot)?;
    // SAFETY: `file` is an open descriptor of this frame; flock takes no pointers.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } < 0 {
        let e = io::Error::last_os_error();
        if e.raw_os_error() != Some(libc::EWOULDBLOCK) {
            return Err(cannot(e));
        }
        let mut text = String::new();
        // A holder that has not written its id yet is a holder all the same.
        let _ = file.read_to_string(&mut text);
        let holder = match text.trim().parse::<u32>() {
            Ok(pid) => format!("process {pid}"),
            Err(_) => "another lowlat".to_owned(),
        };
        return Err(StoreError::Locked { path: path.to_owned(), holder });
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(cannot)?;
    Ok(Lock { _file: file })
}

/// Effective user id.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::geteuid() }
}

//! Places that the user names for output.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, OFlags};

use super::StoreError;
use super::dir::{fresh, replace_at};

/// A block of the file system: a full disk has no room for it.
const ROOM: usize = 4096;

/// A place for one document, proven writable before the work that makes the document.
///
/// A regular file is replaced whole or not at all. A FIFO, a terminal or another character device is written to: a
/// rename would put a file in its place. A symbolic link is refused but for one to a device: writing through it as root
/// may reach what its maker may not, and replacing it is not what was asked.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    to: To,
    mode: u32,
}

#[derive(Debug)]
enum To {
    Stream(File),
    Regular { dir: OwnedFd, name: OsString },
}

impl Output {
    /// Proves that the place can be written, and leaves it as it is.
    pub fn prove(path: &Path) -> Result<Self, StoreError> {
        let to = find(path).map_err(|e| match e.raw_os_error() {
            Some(_) => StoreError::cannot("write to", path, e),
            None => StoreError::Output { path: path.to_owned(), why: e.to_string() },
        })?;
        Ok(Self { path: path.to_owned(), to, mode: 0o600 })
    }

    /// With other permissions than the owner's alone.
    #[must_use]
    pub fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    /// Writes the document.
    pub fn write(self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = match self.to {
            To::Stream(mut stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            To::Regular { dir, name } => replace_at(&dir, &name, bytes, self.mode, true),
        };
        written.map_err(|e| StoreError::cannot("write", &self.path, e))
    }
}

fn find(path: &Path) -> io::Result<To> {
    // Opened anew by their names, redirected ones would be written from their beginning.
    let own = match path.to_str() {
        Some("/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") => Some(io::stdout().as_fd().try_clone_to_owned()?),
        Some("/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2") => Some(io::stderr().as_fd().try_clone_to_owned()?),
        _ => None,
    };
    if let Some(own) = own {
        return Ok(To::Stream(own.into()));
    }
    match std::fs::symlink_metadata(path).map(|m| m.file_type()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => regular(path),
        Err(e) => Err(e),
        Ok(kind) if kind.is_file() => regular(path),
        Ok(kind) if kind.is_dir() => Err(io::Error::other("it is a folder")),
        Ok(kind) if kind.is_block_device() => Err(io::Error::other("it is a block device")),
        Ok(kind) if kind.is_socket() => Err(io::Error::other("it is a socket")),
        Ok(_) => stream(path),
    }
}

/// What is not a regular file; a link that leads to one is refused.
fn stream(path: &Path) -> io::Result<To> {
    let opened = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = opened.map_err(|e| match e.raw_os_error() {
        // open(2), ENXIO: nobody has the FIFO open to read.
        Some(libc::ENXIO) => io::Error::other("nobody reads from it"),
        _ => e,
    })?;
    let kind = file.metadata()?.file_type();
    if !kind.is_char_device() && !kind.is_fifo() {
        return Err(io::Error::other("it is a symbolic link, which is not followed"));
    }
    let flags = rustix::fs::fcntl_getfl(&file)?;
    rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok(To::Stream(file))
}

fn regular(path: &Path) -> io::Result<To> {
    let Some(name) = path.file_name().filter(|_| !path.as_os_str().as_encoded_bytes().ends_with(b"/")) else {
        return Err(io::Error::other("it is not a file name"));
    };
    let dir = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let dir: OwnedFd = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(dir)?.into();
    let (probe, mut file) = fresh(&dir, name)?;
    let written = file.write_all(&[0; ROOM]).and_then(|()| file.sync_all());
    rustix::fs::unlinkat(&dir, &probe, AtFlags::empty())?;
    written?;
    Ok(To::Regular { dir, name: name.to_owned() })
}

//! A directory of the tool's own, and the files in it, by descriptor.
//!
//! What root reads here decides what it writes elsewhere, so the rules are those of OpenSSH for files it trusts
//! (`safe_path`, misc.c): every directory on the way belongs to root or to this user, and nobody else can write it.
//! Unlike there, a directory with the sticky bit may be on the way (`/tmp`): who does not own an entry cannot rename or
//! remove it (unlink(2)). The directory itself and its files are never reached through a symbolic link; links on
//! the way are followed where root or this user made them.

use std::collections::hash_map::RandomState;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::StoreError;

/// As many links as the kernel follows on one way (`MAXSYMLINKS`, include/linux/namei.h).
const LINKS: usize = 40;
/// Names that are tried before a directory counts as one in which nothing can be made.
const TRIES: usize = 16;

/// An open directory that nobody else can write.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a directory that exists.
    pub fn open(path: &Path) -> io::Result<Self> {
        walk(path, false)
    }

    /// Opens a directory, made (with those above it, mode 0700) if need be.
    pub fn make(path: &Path) -> io::Result<Self> {
        walk(path, true)
    }

    /// As it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its entries, sorted.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let name = entry?.file_name().to_bytes().to_owned();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens a file of ours: a regular one, no link, that nobody else can write.
    pub fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        self.open_mode(name, flags, Mode::empty())
    }

    fn open_mode(&self, name: &str, flags: OFlags, mode: Mode) -> io::Result<File> {
        let name = plain(name)?;
        // Without O_NONBLOCK the open of a FIFO waits for its other end.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, mode).map_err(|e| match e {
            rustix::io::Errno::LOOP => untrusted("it is a symbolic link"),
            e => e.into(),
        })?;
        let stat = rustix::fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(untrusted("it is not a regular file"));
        }
        owned(stat.st_uid, stat.st_mode, false)?;
        Ok(File::from(fd))
    }

    /// Opens a file of ours to write, made (mode 0600) if need be.
    pub fn open_or_create(&self, name: &str, flags: OFlags) -> io::Result<File> {
        self.open_mode(name, flags | OFlags::CREATE, Mode::RUSR | Mode::WUSR)
    }

    /// Makes a file (mode 0600); fails if anything has this name.
    pub fn create(&self, name: &str, flags: OFlags) -> io::Result<File> {
        self.open_mode(name, flags | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, Mode::RUSR | Mode::WUSR)
    }

    /// A file's bytes; more than `longest` are an error.
    pub fn read(&self, name: &str, longest: u64) -> io::Result<Vec<u8>> {
        bounded(&self.open_file(name, OFlags::RDONLY)?, longest)
    }

    /// Puts bytes in a file, whole or not at all; with `flush` they and the name are on the medium when it returns.
    pub fn replace(&self, name: &str, bytes: &[u8], mode: u32, flush: bool) -> io::Result<()> {
        replace_at(&self.fd, plain(name)?, bytes, mode, flush)
    }

    /// Removes a file; one that is not there is removed already.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, plain(name)?, AtFlags::empty()) {
            Err(rustix::io::Errno::NOENT) | Ok(()) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Flushes the entries.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// Proves that files can be made and filled: one of 64 KiB under a name that nobody can know before, flushed and
    /// removed.
    pub fn prove_writable(&self) -> io::Result<()> {
        let (name, mut file) = fresh(&self.fd, OsStr::new("probe"))?;
        let written = file.write_all(&vec![0x5a; 64 << 10]).and_then(|()| file.sync_all());
        let removed = rustix::fs::unlinkat(&self.fd, name, AtFlags::empty());
        written.and(removed.map_err(io::Error::from))
    }

    /// The descriptor, to lock by.
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }
}

/// Whether a file's or directory's owner and mode let nobody else write it; says what is wrong.
fn owned(owner: u32, mode: u32, on_the_way: bool) -> io::Result<()> {
    let me = rustix::process::geteuid().as_raw();
    if owner != 0 && owner != me {
        let may = if me == 0 { "root" } else { "you or root" };
        return Err(untrusted(&format!("it belongs to user {owner}, and only {may} may own it")));
    }
    let (mode, octal) = (Mode::from_raw_mode(mode), mode & 0o7777);
    // An ordinary user's group is the user's alone on most hosts, and so is the risk.
    let others = if me == 0 { Mode::WGRP | Mode::WOTH } else { Mode::WOTH };
    if mode.intersects(others) && !(on_the_way && mode.contains(Mode::SVTX)) {
        return Err(untrusted(&format!("others can write it (mode {octal:04o}); `chmod go-w` it")));
    }
    Ok(())
}

/// Whether a file of a secret is its owner's alone; says what is wrong.
pub(super) fn secret(owner: u32, mode: u32) -> io::Result<()> {
    owned(owner, mode, false)?;
    if mode & 0o077 != 0 {
        let octal = mode & 0o7777;
        return Err(untrusted(&format!("others than its owner may use it (mode {octal:04o}); `chmod 600` it")));
    }
    Ok(())
}

fn untrusted(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why.to_owned())
}

fn plain(name: &str) -> io::Result<&OsStr> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is not a file name")));
    }
    Ok(OsStr::new(name))
}

/// Goes down from `/`, looking at each step. `at` is named in the errors of what is above the directory itself.
fn walk(path: &Path, make: bool) -> io::Result<Dir> {
    let way = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let end = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = || rustix::fs::open("/", way, Mode::empty());
    let mut left = components(&std::path::absolute(path)?);
    let mut fd = root()?;
    let mut links = 0;
    let mut at = PathBuf::from("/");
    while let Some(name) = left.pop() {
        let last = left.is_empty();
        let here = at.join(&name);
        let named = |e: io::Error| if last || e.raw_os_error().is_some() { e } else { of(&here, &e) };
        let flags = if last { end } else { way };
        let mut opened = rustix::fs::openat(&fd, &name, flags, Mode::empty());
        if make && opened.as_ref().is_err_and(|e| *e == rustix::io::Errno::NOENT) {
            match rustix::fs::mkdirat(&fd, &name, Mode::RWXU) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
            opened = rustix::fs::openat(&fd, &name, flags, Mode::empty());
        }
        match opened {
            Ok(next) => {
                let stat = rustix::fs::fstat(&next)?;
                owned(stat.st_uid, stat.st_mode, !last).map_err(named)?;
                fd = next;
                at = here;
            }
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
                let link = rustix::fs::statat(&fd, &name, AtFlags::SYMLINK_NOFOLLOW)?;
                if FileType::from_raw_mode(link.st_mode) != FileType::Symlink {
                    return Err(rustix::io::Errno::NOTDIR.into());
                }
                if last {
                    return Err(untrusted("it is a symbolic link"));
                }
                links += 1;
                // A link's own mode says nothing (symlink(7)).
                owned(link.st_uid, 0, true).map_err(named)?;
                if links > LINKS {
                    return Err(rustix::io::Errno::LOOP.into());
                }
                let target = rustix::fs::readlinkat(&fd, &name, Vec::new())?;
                let target = Path::new(OsStr::from_bytes(target.as_bytes())).to_owned();
                if target.is_absolute() {
                    fd = root()?;
                    at = PathBuf::from("/");
                }
                left.extend(components(&target));
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(Dir { fd, path: path.to_owned() })
}

fn of(path: &Path, e: &io::Error) -> io::Error {
    untrusted(&format!("{} above it: {e}", path.display()))
}

/// Names, the last one first.
fn components(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|c| match c {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    });
    let mut names: Vec<OsString> = names.collect();
    names.reverse();
    names
}

/// A new file in a directory, under a hidden name that holds `name` and that nobody can know before.
pub(super) fn fresh(dir: &OwnedFd, name: &OsStr) -> io::Result<(OsString, File)> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..TRIES {
        let mut hidden = OsString::from(".");
        hidden.push(name);
        // Each state is seeded anew by the system's random numbers.
        hidden.push(format!(".{:016x}{TEMPORARY}", RandomState::new().build_hasher().finish()));
        match rustix::fs::openat(dir, &hidden, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => return Ok((hidden, File::from(fd))),
            Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The ending of [`fresh`] names.
const TEMPORARY: &str = ".tmp";

/// Removes what a killed [`replace_at`] of `name` left. The caller is the only one who writes this name now.
pub(super) fn sweep(dir: &Path, name: &OsStr) -> io::Result<()> {
    let begins = [b".", name.as_bytes(), b"."].concat();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let left = entry.file_name();
        let middle = left.as_bytes().strip_prefix(&begins[..]).and_then(|n| n.strip_suffix(TEMPORARY.as_bytes()));
        if middle.is_some_and(|m| m.len() == 16 && m.iter().all(u8::is_ascii_hexdigit)) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Writes under another name and renames.
pub(super) fn replace_at(dir: &OwnedFd, name: &OsStr, bytes: &[u8], mode: u32, flush: bool) -> io::Result<()> {
    let (temporary, mut file) = fresh(dir, name)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?))
        .and_then(|()| if flush { file.sync_all() } else { Ok(()) })
        .and_then(|()| Ok(rustix::fs::renameat(dir, &temporary, dir, name)?));
    if let Err(e) = written {
        // The cause is reported; a left-over that cannot be removed either adds nothing to it.
        let _ = rustix::fs::unlinkat(dir, &temporary, AtFlags::empty());
        return Err(e);
    }
    if flush { Ok(rustix::fs::fsync(dir)?) } else { Ok(()) }
}

/// Reads to the end, but for more than `longest` bytes: the size is counted while reading, for what a file says of its
/// size may be wrong or may change.
pub(super) fn bounded(file: &File, longest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(longest.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {longest} bytes")));
    }
    Ok(bytes)
}

impl Dir {
    pub(super) fn cannot(&self, operation: &'static str, e: io::Error) -> StoreError {
        StoreError::cannot(operation, &self.path, e)
    }
}

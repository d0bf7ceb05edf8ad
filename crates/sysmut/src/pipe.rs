//! The pipe by which a holder is known and ended, in every process-id namespace.
//!
//! A process id is good in its own namespace alone; from another one nothing, or another process, answers to it. A FIFO
//! in the state directory is the same for all who see that directory. The holder keeps it open for reading and writing,
//! so the kernel itself says whether it lives: opening a FIFO for writing without waiting fails with `ENXIO` where
//! nobody reads it (fifo(7)). What is written to it ends the holder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, mkfifoat};

const PREFIX: &str = "hold-";
/// What ends a holder.
const END: &[u8] = b"end\n";

/// The pipe of a token; `None` for a token that is none, which would lead elsewhere.
pub(crate) fn path(dir: &Path, token: &str) -> Option<PathBuf> {
    let plain = token.len() == 32 && token.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| dir.join(format!("{PREFIX}{token}")))
}

/// Makes a pipe under a new token, and removes those that holders left behind when they were killed.
pub(crate) fn make(dir: &Path) -> io::Result<(String, PathBuf)> {
    for entry in fs::read_dir(dir)?.flatten() {
        let name = entry.file_name();
        let token = name.to_str().and_then(|n| n.strip_prefix(PREFIX)).and_then(|t| path(dir, t));
        if token.is_some_and(|p| matches!(tell(&p), Ok(PipeState::Ended))) {
            // One that another process has removed meanwhile is removed.
            let _ = fs::remove_file(entry.path());
        }
    }
    let mut random = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let token = lowlat_sys::hex::text_of(&random);
    let at = path(dir, &token).ok_or_else(|| io::Error::other("the token is none"))?;
    mkfifoat(CWD, &at, Mode::RUSR | Mode::WUSR)?;
    Ok((token, at))
}

/// The holder's end.
pub(crate) fn open(at: &Path) -> io::Result<File> {
    // For reading and writing: neither waits for the other end, and a read never meets the end of the file.
    let pipe = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(at)?;
    if pipe.metadata()?.file_type().is_fifo() { Ok(pipe) } else { Err(io::Error::other("it is not a pipe")) }
}

/// Waits until the holder is told to end.
pub(crate) fn wait(mut pipe: &File) -> io::Result<()> {
    let mut byte = [0];
    loop {
        match pipe.read(&mut byte) {
            // The last byte of the order.
            Ok(n) if n == 0 || byte == *b"\n" => return Ok(()),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// What became of an order to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PipeState {
    /// Nobody has the pipe open: the holder has ended.
    Ended,
    /// There is no pipe, so nothing is known by it.
    NoPipe,
    /// The holder lives.
    Lives,
}

/// Whether the holder lives.
pub(crate) fn tell(at: &Path) -> io::Result<PipeState> {
    order(at, &[])
}

/// Reports the holder to end.
pub(crate) fn end(at: &Path) -> io::Result<PipeState> {
    order(at, END)
}

fn order(at: &Path, bytes: &[u8]) -> io::Result<PipeState> {
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY;
    let mut pipe = match OpenOptions::new().write(true).custom_flags(flags).open(at) {
        Ok(pipe) => pipe,
        Err(e) if e.raw_os_error() == Some(libc::ENXIO) => return Ok(PipeState::Ended),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(PipeState::NoPipe),
        Err(e) => return Err(e),
    };
    if !pipe.metadata()?.file_type().is_fifo() {
        return Ok(PipeState::NoPipe);
    }
    match pipe.write_all(bytes) {
        // A full pipe holds the order many times over; one that broke lost its reader just now.
        Err(e) if !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::BrokenPipe) => Err(e),
        _ => Ok(PipeState::Lives),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_lives_with_its_reader() {
        let dir = tempfile::tempdir().unwrap();
        let (token, at) = make(dir.path()).unwrap();
        assert_eq!(tell(&at).unwrap(), PipeState::Ended);
        let pipe = open(&at).unwrap();
        assert_eq!(tell(&at).unwrap(), PipeState::Lives);
        assert_eq!(end(&at).unwrap(), PipeState::Lives);
        wait(&pipe).unwrap();
        // What a living holder has is left; what a dead one left is removed.
        let (other, _) = make(dir.path()).unwrap();
        assert!(at.exists() && other != token);
        drop(pipe);
        assert_eq!(tell(&at).unwrap(), PipeState::Ended);
        make(dir.path()).unwrap();
        assert_eq!(tell(&at).unwrap(), PipeState::NoPipe);
    }

    #[test]
    fn what_is_not_a_pipe_of_ours_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(path(dir.path(), "../../etc/passwd"), None);
        let at = path(dir.path(), &"0".repeat(32)).unwrap();
        fs::write(&at, "mine").unwrap();
        assert_eq!(end(&at).unwrap(), PipeState::NoPipe);
        assert_eq!(fs::read_to_string(&at).unwrap(), "mine");
        assert!(open(&at).is_err());
    }
}

//! Where journals live, so that tests can cut the power at any byte.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

use lowlat_sys::store::{Dir, OFlags};

use crate::ledger::StandingWrite;

/// An append-only file.
pub trait Append {
    /// Adds bytes at the end; with `flush`, returns only when they and all before them are on the medium.
    fn append(&mut self, bytes: &[u8], flush: bool) -> io::Result<()>;
}

/// A folder of journals.
pub trait Disk {
    /// Names of the journals, oldest first.
    fn names(&self) -> io::Result<Vec<String>>;
    /// A journal's bytes.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Makes a new journal; fails if it exists. Its directory entry is on the medium when this returns.
    fn create(&self, name: &str) -> io::Result<Box<dyn Append>>;
    /// Opens a journal to go on after its first `whole` bytes; what follows them is cut off.
    fn resume(&self, name: &str, whole: u64) -> io::Result<Box<dyn Append>>;
    /// Replaces a file next to the journals (the script). Not flushed: it is a convenience next to the journal.
    fn side_file(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Whether such a file is there.
    fn has_side_file(&self, _: &str) -> io::Result<bool> {
        Ok(false)
    }
    /// Full path, for messages.
    fn path(&self, name: &str) -> PathBuf;
    /// Whether a write that a journal here records can be lowlat's own.
    fn trust(&self, _: &StandingWrite) -> Result<(), String> {
        Ok(())
    }
}

/// The ending of a journal's file name.
pub const ENDING: &str = ".jsonl";

/// A folder of the real file system, opened anew at each call and looked at each time: it and its files are ours, and
/// nobody else can write them ([`Dir`]).
#[derive(Debug, Clone)]
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// The folder, which must exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn open(&self) -> io::Result<Dir> {
        Dir::open(&self.dir)
    }
}

/// More than any journal: a write takes some hundred bytes, and an hour of A/B tests some ten thousand writes.
const LONGEST: u64 = 256 << 20;

struct OnDisk(File);

impl Append for OnDisk {
    fn append(&mut self, bytes: &[u8], flush: bool) -> io::Result<()> {
        // One write call per entry, so that two entries can never interleave and a cut is a cut of one entry.
        self.0.write_all(bytes)?;
        // fdatasync also flushes the new length, which is all of the metadata that reading needs (fdatasync(2)).
        if flush { self.0.sync_data() } else { Ok(()) }
    }
}

impl Disk for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        let dir = match self.open() {
            // Nothing was ever applied.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let name = |n: std::ffi::OsString| n.to_str().and_then(|n| n.strip_suffix(ENDING)).map(str::to_owned);
        Ok(dir.names()?.into_iter().filter_map(name).collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.open()?.read(&file_name(name), LONGEST)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Append>> {
        let dir = self.open()?;
        let file = dir.create(&file_name(name), OFlags::APPEND)?;
        dir.sync()?;
        Ok(Box::new(OnDisk(file)))
    }

    fn resume(&self, name: &str, whole: u64) -> io::Result<Box<dyn Append>> {
        let file = self.open()?.open_file(&file_name(name), OFlags::WRONLY | OFlags::APPEND)?;
        if file.metadata()?.len() > whole {
            file.set_len(whole)?;
            file.sync_all()?;
        }
        Ok(Box::new(OnDisk(file)))
    }

    fn side_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.open()?.replace(name, bytes, 0o700, false)
    }

    fn has_side_file(&self, name: &str) -> io::Result<bool> {
        Ok(self.open()?.names()?.iter().any(|n| n == name))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(file_name(name))
    }

    fn trust(&self, standing: &StandingWrite) -> Result<(), String> {
        crate::trust::standing(standing)
    }
}

fn file_name(name: &str) -> String {
    format!("{name}{ENDING}")
}

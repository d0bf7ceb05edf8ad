//! Where journals live, so that tests can cut the power at any byte.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

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
    /// Replaces a file beside the journals (the script). Not flushed: it is a convenience beside the journal.
    fn side_file(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Full path, for messages.
    fn path(&self, name: &str) -> PathBuf;
}

/// The ending of a journal's file name.
pub const ENDING: &str = ".jsonl";

/// A folder of the real file system.
#[derive(Debug, Clone)]
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// The folder, which must exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

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
        let mut names = Vec::new();
        let entries = match std::fs::read_dir(&self.dir) {
            // Nothing was ever applied.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(names),
            other => other?,
        };
        for entry in entries {
            let name = entry?.file_name();
            if let Some(name) = name.to_str().and_then(|n| n.strip_suffix(ENDING)) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.path(name))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Append>> {
        let file = options().create_new(true).open(self.path(name))?;
        self.sync_dir()?;
        Ok(Box::new(OnDisk(file)))
    }

    fn resume(&self, name: &str, whole: u64) -> io::Result<Box<dyn Append>> {
        let file = options().open(self.path(name))?;
        if file.metadata()?.len() > whole {
            file.set_len(whole)?;
            file.sync_all()?;
        }
        Ok(Box::new(OnDisk(file)))
    }

    fn side_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.dir.join(name);
        let new = self.dir.join(format!(".{name}.new"));
        std::fs::write(&new, bytes)?;
        std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        std::fs::rename(new, path)
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.dir).join(format!("{name}{ENDING}"))
    }
}

/// Journals are for root's eyes: they name every setting that was changed.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

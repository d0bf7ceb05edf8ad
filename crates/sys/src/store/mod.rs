//! The tool's own files: stored runs and journals.
//!
//! ```text
//! DIR/lock                       held by whoever changes the host
//! DIR/runs/ID/STAGE.json         documents, each with STAGE.json.crc32 next to it
//! DIR/journal/                   the apply crate's
//! ```
//!
//! A document is written to a temporary name, flushed, and renamed into place, so that it is there whole or not at all.
//! Its checksum stands in a file of its own: the document stays plain JSON for other programs, and a copy without the
//! checksum still reads.

mod dir;
mod error;
mod lock;
mod output;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use dir::Dir;
pub use error::StoreError;
pub use lock::Lock;
pub use output::Output;
/// How a file of a [`Dir`] is opened.
pub use rustix::fs::OFlags;

/// More than any document of ours (the facts of a host with a thousand queues are some megabytes); what is longer is
/// none.
const LONGEST: u64 = 64 << 20;

/// The state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    dir: PathBuf,
}

/// The host's state directory (Filesystem Hierarchy Standard 3.0, 5.8).
const OF_HOST: &str = "/var/lib/lowlat";

/// Whether a directory, or the nearest one above it that is there, belongs to this user: a capability to write it is not
/// enough, for who makes it owns it, and what another user owns is not trusted.
fn is_ours(dir: &Path) -> bool {
    let me = rustix::process::geteuid().as_raw();
    dir.ancestors().find_map(|d| std::fs::metadata(d).ok()).is_some_and(|m| m.uid() == me)
}

impl Store {
    /// A state directory at a given place.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// `$LOWLAT_STATE`, else the host's where it is this user's ([`Store::of_host`]; root's, but for a service manager
    /// that made it for another user), else `$XDG_STATE_HOME/lowlat` (`~/.local/state/lowlat` where that is not set, as
    /// the XDG base directory specification says). Makes nothing.
    pub fn locate() -> Result<Self, StoreError> {
        let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        if let Some(dir) = var("LOWLAT_STATE") {
            return Ok(Self::at(dir));
        }
        if is_ours(Path::new(OF_HOST)) {
            return Ok(Self::of_host());
        }
        match (var("XDG_STATE_HOME").filter(|d| d.is_absolute()), var("HOME")) {
            (Some(state), _) => Ok(Self::at(state.join("lowlat"))),
            (None, Some(home)) => Ok(Self::at(home.join(".local/state/lowlat"))),
            (None, None) => Err(StoreError::Nowhere),
        }
    }

    /// The host's own: `/var/lib/lowlat`.
    pub fn of_host() -> Self {
        Self::at(OF_HOST)
    }

    /// Whether the host has a state directory that is another user's, so that this one does not show what was applied
    /// from there.
    pub fn is_not_the_hosts(&self) -> bool {
        self.dir != Path::new(OF_HOST) && Path::new(OF_HOST).is_dir() && !is_ours(Path::new(OF_HOST))
    }

    /// Whether the directory is there; where it is not, nothing was ever stored or changed.
    pub fn is_there(&self) -> bool {
        self.dir.is_dir()
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where runs are stored.
    pub fn runs_dir(&self) -> PathBuf {
        self.dir.join("runs")
    }

    /// Where journals are stored.
    pub fn journal_dir(&self) -> PathBuf {
        self.dir.join("journal")
    }

    /// Makes the directories and proves that they are ours and can be written: a probe file of 64 KiB is written,
    /// flushed and removed. A full or read-only disk is found here, before anything is changed.
    pub fn ensure_writable(&self) -> Result<(), StoreError> {
        for path in [self.dir.clone(), self.runs_dir(), self.journal_dir()] {
            let dir = Dir::make(&path).map_err(|e| StoreError::cannot("make", &path, e))?;
            dir.prove_writable().map_err(|e| dir.cannot("write to", e))?;
        }
        Ok(())
    }

    /// Takes the lock, or says who holds it. It ends with the value, and with the process.
    pub fn lock(&self) -> Result<Lock, StoreError> {
        lock::take(&self.dir)
    }

    /// The process that holds the lock; `None` where nobody does, or a process that cannot be seen from here.
    pub fn lock_holder(&self) -> Option<u32> {
        lock::holder_of(&self.dir)
    }

    /// A run's name: when it began (UTC). Where a run of that moment or a later one is stored already, because two
    /// began at once or the clock was set back, the newest one's name with `-2`, `-3`, …: names stand in the order of
    /// the runs.
    pub fn new_run_id(&self, started_unix_ns: u64) -> String {
        let base = stamp(started_unix_ns);
        // A folder that cannot be listed cannot be written either, which is reported where it is written.
        let newest = self.run_ids().unwrap_or_default().pop();
        match newest.as_deref().and_then(place) {
            Some((newest, n)) if newest >= base.as_str() => format!("{newest}-{}", n.saturating_add(1)),
            _ => base,
        }
    }

    /// The stored runs, oldest first; none where nothing was ever stored. Folders of other names come before them.
    pub fn run_ids(&self) -> Result<Vec<String>, StoreError> {
        let path = self.runs_dir();
        let cannot = |e| StoreError::cannot("list", &path, e);
        let dir = match Dir::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(cannot)?,
        };
        let names = dir.names().map_err(cannot)?.into_iter().map(|n| n.to_string_lossy().into_owned());
        let mut ids: Vec<String> = names.filter(|n| !n.starts_with('.') && path.join(n).is_dir()).collect();
        ids.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.cmp(b)));
        Ok(ids)
    }

    /// Stores one stage of a run as `runs/ID/STAGE.json` with its checksum; gives the file.
    ///
    /// The old checksum goes first: between the two renames there is a document without one, never one with another's.
    pub fn save_stage<T: Serialize>(&self, run_id: &str, stage: &str, value: &T) -> Result<PathBuf, StoreError> {
        let path = self.runs_dir().join(run_id);
        let dir = Dir::make(&path).map_err(|e| StoreError::cannot("make", &path, e))?;
        let name = format!("{stage}.json");
        let path = path.join(&name);
        let cannot = |e| StoreError::cannot("write", &path, e);
        let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| cannot(io::Error::other(e)))?;
        bytes.push(b'\n');
        let (sum, text) = (format!("{name}.crc32"), format!("{:08x}\n", crc32fast::hash(&bytes)));
        dir.remove(&sum)
            .and_then(|()| dir.replace(&name, &bytes, 0o600, true))
            .and_then(|()| dir.replace(&sum, text.as_bytes(), 0o600, true))
            .map_err(cannot)?;
        Ok(path)
    }
}

/// Puts bytes in a file, whole or not at all, on the medium when it returns: temporary file, flush, rename, flush of
/// the directory. A device or a FIFO is written to and never replaced: see [`Output`].
pub fn write_atomic(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<(), StoreError> {
    Output::prove(path.as_ref())?.write(bytes.as_ref())
}

/// As [`write_atomic`] for a configuration file with these permissions; what a killed earlier writing of it left is
/// removed.
pub fn write_config(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    remove_leftovers(path)?;
    Output::prove(path)?.mode(mode).write(bytes)
}

/// Removes what a killed writing of this file left next to it. Only for files that one process writes at a time.
pub fn remove_leftovers(path: &Path) -> Result<(), StoreError> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    match dir::sweep(dir, name) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::cannot("clean up beside", path, e)),
        _ => Ok(()),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Opens a regular file to read. Anything else is refused and not waited for: a FIFO without a writer, a terminal, a
/// device without an end.
pub fn open_regular(path: &Path) -> Result<File, StoreError> {
    let cannot = |e| StoreError::cannot("read", path, e);
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map_err(cannot)?;
    let kind = file.metadata().map_err(cannot)?.file_type();
    let what = match kind {
        k if k.is_file() => return Ok(file),
        k if k.is_dir() => "a folder",
        k if k.is_fifo() => "a pipe",
        k if k.is_char_device() || k.is_block_device() => "a device",
        _ => "no file",
    };
    Err(StoreError::NotRegular { path: path.to_owned(), what })
}

/// The bytes of a regular file; more than `longest` are an error.
pub fn read_bounded(path: &Path, longest: u64) -> Result<Vec<u8>, StoreError> {
    dir::bounded(&open_regular(path)?, longest).map_err(|e| StoreError::cannot("read", path, e))
}

/// As [`read_bounded`], of a file that holds a secret: one that its owner's group or others may use in any way is refused, as
/// OpenSSH does (authfile.c, `sshkey_perm_ok`), and so is one of another owner than this user or root.
pub fn read_secret(path: &Path, longest: u64) -> Result<Vec<u8>, StoreError> {
    let file = open_regular(path)?;
    let stat = rustix::fs::fstat(&file).map_err(|e| StoreError::cannot("read", path, e.into()))?;
    dir::secret(stat.st_uid, stat.st_mode).map_err(|e| StoreError::cannot("trust", path, e))?;
    dir::bounded(&file, longest).map_err(|e| StoreError::cannot("read", path, e))
}

/// A file's bytes. Where a checksum is next to it, it is checked: a flipped bit or a missing end is
/// [`StoreError::Damaged`].
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, StoreError> {
    let path = path.as_ref();
    let bytes = read_bounded(path, LONGEST)?;
    let sum = beside(path, ".crc32");
    match read_bounded(&sum, 64) {
        Ok(text) => match std::str::from_utf8(&text).ok().and_then(|t| u32::from_str_radix(t.trim(), 16).ok()) {
            Some(want) if want == crc32fast::hash(&bytes) => Ok(bytes),
            Some(_) => Err(StoreError::damaged(path, "its checksum does not match".into())),
            None => Err(StoreError::damaged(path, format!("its checksum file {} holds none", sum.display()))),
        },
        Err(e) if e.is_absent() => Ok(bytes),
        Err(e) => Err(e),
    }
}

/// A document by its name (`optimize`, `plan`, …): checked against damage, a foreign schema and a newer version.
pub fn read_document<T: DeserializeOwned>(path: impl AsRef<Path>, name: &str) -> Result<T, StoreError> {
    let path = path.as_ref();
    let bytes = read(path)?;
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|e| StoreError::damaged(path, format!("it is not JSON: {e}")))?;
    let schema: lowlat_model::Schema = value
        .get("schema")
        .cloned()
        .and_then(|s| serde_json::from_value(s).ok())
        .ok_or_else(|| StoreError::foreign(path, "it carries no schema".into()))?;
    schema.expect(name).map_err(|why| StoreError::foreign(path, why))?;
    serde_json::from_value(value).map_err(|e| StoreError::damaged(path, e.to_string()))
}

/// The two parts of a run's name: the moment, and which of those it is, from 1. `None` for a name of another kind.
fn place(id: &str) -> Option<(&str, u32)> {
    let (moment, n) = match id.split_once('-') {
        Some((moment, n)) => (moment, n.parse().ok()?),
        None => (id, 1),
    };
    let form = |(i, b): (usize, u8)| match i {
        8 => b == b'T',
        15 => b == b'.',
        19 => b == b'Z',
        _ => b.is_ascii_digit(),
    };
    (moment.len() == 20 && moment.bytes().enumerate().all(form)).then_some((moment, n))
}

/// `20261124T012345.678Z`.
fn stamp(unix_ns: u64) -> String {
    let (days, ns) = (unix_ns / 86_400_000_000_000, unix_ns % 86_400_000_000_000);
    let s = ns / 1_000_000_000;
    // Howard Hinnant's civil_from_days, for days from 1970 on.
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}.{:03}Z",
        s / 3600,
        s / 60 % 60,
        s % 60,
        ns % 1_000_000_000 / 1_000_000
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;
    use lowlat_model::document::Planted;
    use proptest::prelude::*;

    #[test]
    fn stamps_are_dates() {
        assert_eq!(stamp(0), "19700101T000000.000Z");
        assert_eq!(stamp(1_709_210_096_789_000_000), "20240229T123456.789Z");
        assert_eq!(stamp(1_798_761_599_999_999_999), "20261231T235959.999Z");
    }

    #[test]
    fn two_runs_of_one_moment_do_not_share_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        assert_eq!(store.run_ids().unwrap(), Vec::<String>::new());
        let first = store.new_run_id(5);
        store.save_stage(&first, "run", &1).unwrap();
        let second = store.new_run_id(5);
        assert_ne!(first, second);
        store.save_stage(&second, "run", &2).unwrap();
        assert_eq!(store.run_ids().unwrap(), [first, second]);
    }

    #[test]
    fn runs_stand_in_their_order_also_when_the_clock_was_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        let mut begun = Vec::new();
        // Twelve of one moment: the tenth stands behind the second, and not before it.
        for ns in [5_000_000_000_000; 12].into_iter().chain([7_000_000, 6_000_000_000_000]) {
            let id = store.new_run_id(ns);
            store.save_stage(&id, "run", &1).unwrap();
            begun.push(id);
        }
        store.save_stage("by hand", "run", &1).unwrap();
        assert_eq!(store.run_ids().unwrap()[1..], begun);
        assert_eq!(store.run_ids().unwrap()[0], "by hand");
        assert_eq!(
            begun.last().map(String::as_str),
            Some("19700101T014000.000Z"),
            "a later moment is named on its own"
        );
    }

    #[test]
    fn a_secret_that_others_can_use_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        fs::write(&key, "sixteen bytes or more").unwrap();
        for (mode, fits) in
            [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false), (0o601, false)]
        {
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            match read_secret(&key, 4096) {
                Ok(bytes) => assert!(fits && bytes == b"sixteen bytes or more", "{mode:o}"),
                Err(e) => assert!(!fits && e.to_string().contains("chmod"), "{mode:o}: {e}"),
            }
        }
    }

    #[test]
    fn a_lock_names_its_holder_and_ends_with_its_value() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path().join("state"));
        store.ensure_writable().unwrap();
        let held = store.lock().unwrap();
        let refused = store.lock().unwrap_err();
        assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
        drop(held);
        store.lock().unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_one_clear_line() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let e = Store::at(dir.path().join("file/state")).ensure_writable().unwrap_err().to_string();
        assert!(e.contains("not a directory") && e.contains("LOWLAT_STATE") && !e.contains('\n'), "{e}");
        // /dev/full takes no byte: the errno of a full disk.
        let full = StoreError::cannot(
            "write to",
            Path::new("/x"),
            File::create("/dev/full").unwrap().write_all(b"x").unwrap_err(),
        );
        assert!(full.to_string().contains("no space left"), "{full}");
    }

    #[test]
    fn a_foreign_or_newer_document_is_distinguished_from_a_damaged_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.json");
        let read = || read_document::<serde_json::Value>(&path, "plan").unwrap_err();
        fs::write(&path, r#"{"schema":{"name":"lowlat.plan","version":999}}"#).unwrap();
        assert!(matches!(read(), StoreError::Foreign { .. }));
        fs::write(&path, r#"{"schema":{"name":"lowlat.facts","version":1}}"#).unwrap();
        assert!(matches!(read(), StoreError::Foreign { .. }));
        fs::write(&path, r#"{"a":1}"#).unwrap();
        assert!(matches!(read(), StoreError::Foreign { .. }));
        fs::write(&path, r#"{"schema":{"na"#).unwrap();
        assert!(matches!(read(), StoreError::Damaged { .. }));
        fs::remove_file(&path).unwrap();
        assert!(read().is_absent());
    }

    proptest! {
        #[test]
        fn a_flipped_bit_or_a_cut_is_damage(at in 0usize..60, bit in 0u8..8, cut in any::<bool>()) {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::at(dir.path());
            let value = Planted { fault: "f".into(), rule: "r".into(), found: true, fixed: None };
            let path = store.save_stage("r", "run", &value).unwrap();
            prop_assert!(read(&path).is_ok());
            let mut bytes = fs::read(&path).unwrap();
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
            fs::write(&path, bytes).unwrap();
            let damaged = matches!(read(&path), Err(StoreError::Damaged { .. }));
            prop_assert!(damaged);
        }
    }
}

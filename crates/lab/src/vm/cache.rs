//! Where the lab keeps what is slow to make, and the directories of running guests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::VmError;

/// The lab's directory: `$LOWLAT_CACHE`, else `$XDG_CACHE_HOME/lowlat`, else `~/.cache/lowlat`, each with `vm` below
/// it.
pub(crate) fn root() -> Result<PathBuf, VmError> {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("LOWLAT_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|d| d.join("lowlat")))
        .or_else(|| set("HOME").map(|d| d.join(".cache/lowlat")))
        .ok_or_else(|| VmError::BadGuest { detail: "no cache directory: set LOWLAT_CACHE".into() })?;
    let vm = base.join("vm");
    make(&vm)?;
    Ok(vm)
}

pub(crate) fn make(path: &Path) -> Result<(), VmError> {
    fs::create_dir_all(path).map_err(VmError::io("create directory", path))
}

/// `PID-STARTTIME` of a process: a pid alone may have been given to another since.
fn identity(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc_pid_stat(5): field 22 is starttime; the name in field 2 may hold spaces, so count from its bracket.
    let started = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    Some(format!("{pid}-{started}"))
}

fn alive(owner: &str) -> bool {
    owner.split('-').next().and_then(|p| p.parse().ok()).and_then(identity).is_some_and(|now| now == owner)
}

fn me() -> String {
    identity(process::id()).unwrap_or_else(|| process::id().to_string())
}

/// A directory that vanishes with its value; `sweep` removes those of processes that were killed.
#[derive(Debug)]
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(cache: &Path) -> Result<Self, VmError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = cache.join("tmp").join(format!("{}-{}", me(), NEXT.fetch_add(1, Ordering::Relaxed)));
        make(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the temporary directories whose process is gone.
pub(crate) fn sweep(cache: &Path) {
    for entry in fs::read_dir(cache.join("tmp")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.rsplit_once('-').map_or("", |(owner, _)| owner);
        if !alive(owner) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_owner_is_swept_and_a_living_one_kept() {
        let cache = std::env::temp_dir().join(format!("lowlat-sweep-{}", process::id()));
        let mine = TempDir::new(&cache).unwrap();
        let dead = cache.join("tmp/4194304999-1-0");
        fs::create_dir_all(&dead).unwrap();
        sweep(&cache);
        assert!(mine.path().exists());
        assert!(!dead.exists());
        let path = mine.path().to_owned();
        drop(mine);
        assert!(!path.exists());
        fs::remove_dir_all(&cache).unwrap();
    }
}

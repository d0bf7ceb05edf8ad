//! Why the tool's own files could not be used.

use std::io;
use std::path::{Path, PathBuf};

use lowlat_model::Capability;

/// Each names operation, file, cause and next step.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no place to store anything.
    #[error("find the state directory: neither LOWLAT_STATE nor XDG_STATE_HOME nor HOME is set; set LOWLAT_STATE")]
    Nowhere,
    /// The file system refused.
    #[error("{operation} {}: {}; {}", .path.display(), words(.source), next(.source, crate::effective_capabilities()))]
    Cannot {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is not a regular file, and only such are read.
    #[error("read {}: it is {what}; name a regular file", .path.display())]
    NotRegular {
        /// The name.
        path: PathBuf,
        /// `a pipe`, `a device`, `a folder`.
        what: &'static str,
    },
    /// A place that output was to go to cannot take it.
    #[error("write to {}: {why}; name a file in a folder that can be written", .path.display())]
    Output {
        /// The place.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The file is not what was written: cut short, or a bit flipped.
    #[error("read {}: it is damaged: {why}; use a copy, or make it again", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it shows.
        why: String,
    },
    /// The file is another program's, another document, or from a newer lowlat.
    #[error("read {}: {why}", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// Another lowlat is changing this host.
    #[error("lock {}: {holder} holds it; wait for it, or end it and run `lowlat rollback`", .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// `process 4711`.
        holder: String,
    },
}

impl StoreError {
    pub(super) fn cannot(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Cannot { operation, path: path.to_owned(), source }
    }

    pub(super) fn damaged(path: &Path, why: String) -> Self {
        Self::Damaged { path: path.to_owned(), why }
    }

    pub(super) fn foreign(path: &Path, why: String) -> Self {
        Self::Foreign { path: path.to_owned(), why }
    }

    /// The file is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Cannot { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl From<StoreError> for io::Error {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::Cannot { source, .. } => source,
            other => Self::other(other.to_string()),
        }
    }
}

fn words(e: &io::Error) -> String {
    e.raw_os_error().map_or_else(|| e.to_string(), lowlat_netlink::errno_text)
}

fn next(e: &io::Error, capabilities: u64) -> &'static str {
    match e.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => "free some space, or set LOWLAT_STATE to a disk that has it",
        Some(libc::EROFS) => "set LOWLAT_STATE to a disk that can be written",
        Some(libc::EACCES | libc::EPERM) if Capability::DacOverride.is_in(capabilities) => {
            "CAP_DAC_OVERRIDE, which this process has, is not enough there: set LOWLAT_STATE to a folder that it may write"
        }
        Some(libc::EACCES | libc::EPERM) => {
            "set LOWLAT_STATE to a folder of yours; in others' folders this process lacks CAP_DAC_OVERRIDE, which sudo gives"
        }
        Some(libc::ENOENT) => "check the name",
        _ => "check the path, or set LOWLAT_STATE to another folder",
    }
}

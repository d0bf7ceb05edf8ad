//! Why a write was not made.

use std::io;

use lowlat_netlink::{Error, errno_text};

/// Each names operation and target. After any of them nothing is assumed: read the place back.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The kernel or the driver does not take this value here.
    #[error("{what}: {text}{}", words(.extack))]
    Refused {
        /// Operation and target.
        what: String,
        /// errno.
        errno: i32,
        /// The errno in words.
        text: String,
        /// The kernel's own words; empty where it gave none.
        extack: String,
    },
    /// This user may not.
    #[error("{what}: {why}; {}", lowlat_sys::store::next_where_denied())]
    Denied {
        /// Operation and target.
        what: String,
        /// The kernel's answer.
        why: String,
    },
    /// There is no such place on this host.
    #[error("{what}: {why}")]
    Absent {
        /// Operation and target.
        what: String,
        /// What is missing.
        why: String,
    },
    /// The system failed on the way: no room, a broken medium.
    #[error("{what}: {source}")]
    Io {
        /// Operation and target.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// This door does not write such a thing there.
    #[error("{what}: {why}")]
    NotAllowed {
        /// Operation and target.
        what: String,
        /// The rule.
        why: String,
    },
}

fn words(extack: &str) -> String {
    if extack.is_empty() { String::new() } else { format!(" ({})", extack.trim_end_matches('.')) }
}

impl WriteError {
    pub(crate) fn not_allowed(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::NotAllowed { what: what.into(), why: why.into() }
    }

    /// The error behind a failed file operation.
    pub(crate) fn from_io(what: String, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(errno @ (libc::ENOSPC | libc::EDQUOT)) if !what.contains("/sys/") && !what.contains("/proc/") => {
                // On a real file system these mean a full disk; below /proc and /sys they are a refusal.
                let _ = errno;
                Self::Io { what, source }
            }
            Some(errno) => Self::from_errno(what, errno, String::new()),
            None => Self::Io { what, source },
        }
    }

    /// The error behind an errno.
    pub(crate) fn from_errno(what: String, errno: i32, extack: String) -> Self {
        let text = errno_text(errno);
        match errno {
            libc::EACCES | libc::EPERM => Self::Denied { what, why: format!("{text}{}", words(&extack)) },
            libc::ENOENT | libc::ENODEV | libc::ENXIO => {
                Self::Absent { what, why: format!("{text}{}", words(&extack)) }
            }
            _ => Self::Refused { what, errno, text, extack },
        }
    }
}

impl From<Error> for WriteError {
    fn from(e: Error) -> Self {
        match e {
            Error::Refused { what, errno, extack } => Self::from_errno(what, errno, extack),
            Error::Os { what, source } => Self::from_io(what, source),
            Error::Malformed { what, source } => Self::Io { what, source: io::Error::other(source) },
            Error::Request { what, why } => Self::NotAllowed { what, why },
        }
    }
}

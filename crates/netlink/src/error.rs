//! What can go wrong between a question and its answer.

use std::io;

/// Why a netlink request or an ioctl gave no answer. `what` names the operation and its target.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on the socket failed before the kernel saw the request.
    #[error("{what}: {source}")]
    Os {
        /// Operation and target.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The kernel refused the request.
    #[error("{what}: {}{}", errno_text(*.errno), extack_suffix(.extack))]
    Refused {
        /// Operation and target.
        what: String,
        /// Positive errno.
        errno: i32,
        /// The kernel's own words (extended acknowledgement); empty where it gave none.
        extack: String,
    },
    /// The reply is not what its protocol says.
    #[error("{what}: {source}")]
    Malformed {
        /// Operation and target.
        what: String,
        /// Where it breaks off.
        source: Malformed,
    },
    /// The request cannot be written down: a name or an option is longer than its field.
    #[error("{what}: {why}")]
    Request {
        /// Operation and target.
        what: String,
        /// What is too long, or unknown.
        why: String,
    },
}

/// Bytes that break their protocol's rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the reply is malformed: {0}")]
pub struct Malformed(pub String);

impl Malformed {
    /// Names what is wrong.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl Error {
    /// The errno behind this error, if there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Os { source, .. } => source.raw_os_error(),
            Self::Refused { errno, .. } => Some(*errno),
            Self::Malformed { .. } | Self::Request { .. } => None,
        }
    }

    /// The kernel's extended acknowledgement; empty where there is none.
    pub fn extack(&self) -> &str {
        match self {
            Self::Refused { extack, .. } => extack,
            _ => "",
        }
    }

    pub(crate) fn malformed(what: &str, source: Malformed) -> Self {
        Self::Malformed { what: what.to_owned(), source }
    }

    pub(crate) fn request(what: &str, why: impl Into<String>) -> Self {
        Self::Request { what: what.to_owned(), why: why.into() }
    }
}

/// An errno in the C library's words, lower case, without the number Rust appends.
pub fn errno_text(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match chars.next() {
        // "RTNETLINK" style capitals inside stay; only a leading capital goes.
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => format!("error {errno}"),
    }
}

fn extack_suffix(extack: &str) -> String {
    if extack.is_empty() { String::new() } else { format!(" ({})", extack.trim_end_matches('.')) }
}

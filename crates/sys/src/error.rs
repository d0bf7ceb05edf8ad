//! What can go wrong with a captured tree, and how an errno becomes one of the five answers.

use std::path::PathBuf;

use lowlat_model::Reading;

/// A captured tree that cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum SysError {
    /// It is not there or cannot be used.
    #[error("open captured tree {}: {why}; name a folder that `lowlat facts --capture` wrote", .path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Cause.
        why: String,
    },
    /// It cannot be written.
    #[error("write captured tree {}: {source}; name an empty folder on a disk with room", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
}

/// `ENOIOCTLCMD` and `ENOTSUPP` (include/linux/errno.h): no program should see them, and libc has no text for them.
pub(crate) const KERNELS_OWN: [i32; 2] = [515, 524];

/// The answer behind an errno.
///
/// | errno | answer |
/// |---|---|
/// | `ENOENT`, `ENODEV`, `ENXIO`, `ENOTDIR`, `ESRCH` | absent |
/// | `EACCES`, `EPERM` | denied |
/// | `EOPNOTSUPP`, `ENOSYS`, `ENOTTY`, `EPROTONOSUPPORT`, `EAFNOSUPPORT`, `EINVAL` | unsupported |
/// | 515 (`ENOIOCTLCMD`), 524 (`ENOTSUPP`) | unsupported: errors of the kernel alone that some drivers let out |
/// | anything else | garbled: there was an answer, and it was not one |
///
/// `EINVAL` is what sysfs gives for a question that makes no sense in the device's present state (`speed` of a link
/// that is down, net/core/net-sysfs.c) and what old kernels give for a message they do not know.
pub fn reading_of_errno<T>(errno: Option<i32>, words: String) -> Reading<T> {
    match errno {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO | libc::ENOTDIR | libc::ESRCH) => Reading::Absent(words),
        Some(libc::EACCES | libc::EPERM) => Reading::Denied(words),
        Some(
            libc::EOPNOTSUPP | libc::ENOSYS | libc::ENOTTY | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT | libc::EINVAL,
        ) => Reading::Unsupported(words),
        Some(errno) if KERNELS_OWN.contains(&errno) => Reading::Unsupported(words),
        _ => Reading::Garbled(words),
    }
}

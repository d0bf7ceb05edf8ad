//! Why a write was not made.

use std::io;

use lowlat_model::Capability;
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
        /// The errno as text.
        text: String,
        /// The kernel's own words; empty where it gave none.
        extack: String,
    },
    /// This process may not.
    #[error("{what}: {why}; {}", lowlat_sys::next_where_denied(&[*.needs]))]
    Denied {
        /// Operation and target.
        what: String,
        /// The kernel's answer.
        why: String,
        /// The capability that the operation asks for.
        needs: Capability,
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

/// What a file asks for: to be its owner's or to be forced, which is its mode and `EACCES` (`generic_permission`,
/// fs/namei.c). The network's sysctls give whoever has `CAP_NET_ADMIN` the owner's rights (`net_ctl_permissions`,
/// net/sysctl_net.c); the files of interfaces ask for it on top of their mode, and say `EPERM` (`netdev_store`,
/// net/core/net-sysfs.c).
fn of_file(what: &str, source: &io::Error) -> Capability {
    let asks = what.contains("/sys/class/net/") && source.raw_os_error() == Some(libc::EPERM);
    if asks || what.contains("/proc/sys/net/") { Capability::NetAdmin } else { Capability::DacOverride }
}

impl WriteError {
    pub(crate) fn not_allowed(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::NotAllowed { what: what.into(), why: why.into() }
    }

    /// The error behind a failed file operation.
    pub(crate) fn from_io(what: String, source: io::Error) -> Self {
        let needs = of_file(&what, &source);
        Self::needing(needs, what, source)
    }

    fn needing(needs: Capability, what: String, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(errno @ (libc::ENOSPC | libc::EDQUOT)) if !what.contains("/sys/") && !what.contains("/proc/") => {
                // On a real file system these mean a full disk; below /proc and /sys they are a refusal.
                let _ = errno;
                Self::Io { what, source }
            }
            Some(errno) => Self::from_errno(needs, what, errno, String::new()),
            None => Self::Io { what, source },
        }
    }

    /// The error behind an errno.
    fn from_errno(needs: Capability, what: String, errno: i32, extack: String) -> Self {
        let text = errno_text(errno);
        match errno {
            libc::EACCES | libc::EPERM => Self::Denied { what, why: format!("{text}{}", words(&extack)), needs },
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
            Error::Refused { what, errno, extack } => Self::from_errno(Capability::NetAdmin, what, errno, extack),
            Error::Os { what, source } => Self::needing(Capability::NetAdmin, what, source),
            Error::Malformed { what, source } => Self::Io { what, source: io::Error::other(source) },
            Error::Request { what, why } => Self::NotAllowed { what, why },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_write_names_what_it_asks_for() {
        let denied = || io::Error::from_raw_os_error(libc::EACCES);
        let needs = |e: WriteError| match e {
            WriteError::Denied { needs, .. } => needs,
            other => panic!("{other}"),
        };
        let file = |path: &str| needs(WriteError::from_io(format!("write \"1\" to {path}"), denied()));
        let interface = "write \"1\" to /sys/class/net/eth0/gro_flush_timeout";
        let by_kernel = WriteError::from_io(interface.into(), io::Error::from_raw_os_error(libc::EPERM));
        assert_eq!(needs(by_kernel), Capability::NetAdmin);
        assert_eq!(file("/sys/class/net/eth0/gro_flush_timeout"), Capability::DacOverride, "its mode");
        assert_eq!(file("/proc/sys/net/core/busy_read"), Capability::NetAdmin);
        assert_eq!(file("/proc/sys/vm/nr_hugepages"), Capability::DacOverride);
        assert_eq!(file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"), Capability::DacOverride);
        let refused = Error::Refused { what: "ring of eth0".into(), errno: libc::EPERM, extack: String::new() };
        assert_eq!(needs(refused.into()), Capability::NetAdmin);
        let os = Error::Os { what: "open netlink".into(), source: denied() };
        assert_eq!(needs(os.into()), Capability::NetAdmin);
    }
}

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
    #[error("{what}: {why}; {}", next(*.needs))]
    Denied {
        /// Operation and target.
        what: String,
        /// The kernel's answer.
        why: String,
        /// The capability that the operation asks for; `None` where only user 0 may.
        needs: Option<Capability>,
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

/// What to do where this process may not.
fn next(needs: Option<Capability>) -> String {
    match needs {
        Some(capability) => lowlat_sys::next_where_denied(&[capability]),
        None => "user 0 of the host alone may, whatever the capabilities; run it as that, with sudo".to_owned(),
    }
}

/// What a file asks for: to be its owner's or to be forced, which is its mode and `EACCES` (`generic_permission`,
/// fs/namei.c). The network's sysctls give whoever has `CAP_NET_ADMIN` the owner's rights (`net_ctl_permissions`,
/// net/sysctl_net.c); of the others no capability stands in for user 0 (`test_perm`, fs/proc/proc_sysctl.c), and those that
/// say `EPERM` ask for `CAP_SYS_ADMIN` (`sysctl_numa_balancing`, kernel/sched/core.c; `proc_dointvec_minmax_sysadmin`). The
/// files of interfaces ask for `CAP_NET_ADMIN` on top of their mode, and say `EPERM` (`netdev_store`, net/core/net-sysfs.c).
fn of_file(what: &str, source: &io::Error) -> Option<Capability> {
    let by_kernel = source.raw_os_error() == Some(libc::EPERM);
    if what.contains("/proc/sys/net/") || (by_kernel && what.contains("/sys/class/net/")) {
        Some(Capability::NetAdmin)
    } else if what.contains("/proc/sys/") {
        by_kernel.then_some(Capability::SysAdmin)
    } else {
        Some(Capability::DacOverride)
    }
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

    fn needing(needs: Option<Capability>, what: String, source: io::Error) -> Self {
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
    fn from_errno(needs: Option<Capability>, what: String, errno: i32, extack: String) -> Self {
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
            Error::Refused { what, errno, extack } => Self::from_errno(Some(Capability::NetAdmin), what, errno, extack),
            Error::Os { what, source } => Self::needing(Some(Capability::NetAdmin), what, source),
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
        assert_eq!(needs(by_kernel), Some(Capability::NetAdmin));
        assert_eq!(file("/sys/class/net/eth0/gro_flush_timeout"), Some(Capability::DacOverride), "its mode");
        assert_eq!(file("/proc/sys/net/core/busy_read"), Some(Capability::NetAdmin));
        assert_eq!(file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"), Some(Capability::DacOverride));
        // No capability makes another user the owner of a sysctl of the host; some ask even their owner for one.
        assert_eq!(file("/proc/sys/vm/nr_hugepages"), None);
        let sysadmin = "write \"0\" to /proc/sys/kernel/numa_balancing";
        let by_kernel = WriteError::from_io(sysadmin.into(), io::Error::from_raw_os_error(libc::EPERM));
        assert_eq!(needs(by_kernel), Some(Capability::SysAdmin));
        let hugepages = WriteError::from_io("write \"1\" to /proc/sys/vm/nr_hugepages".into(), denied()).to_string();
        assert!(hugepages.contains("user 0 of the host") && !hugepages.contains("CAP_"), "{hugepages}");
        let refused = Error::Refused { what: "ring of eth0".into(), errno: libc::EPERM, extack: String::new() };
        assert_eq!(needs(refused.into()), Some(Capability::NetAdmin));
        let os = Error::Os { what: "open netlink".into(), source: denied() };
        assert_eq!(needs(os.into()), Some(Capability::NetAdmin));
    }
}

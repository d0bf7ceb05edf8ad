//! What can go wrong in the lab: one line each, with the next step.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A failure of the VM lab. Each message is one line: what was tried, on what, why it failed, what to do next.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// The machine's package sources name no Debian mirror.
    #[error(
        "find a Debian mirror on {os}: no configured apt source offers a Debian suite; install debian-archive-keyring and set LOWLAT_DEBIAN_MIRROR, for example to http://deb.debian.org/debian"
    )]
    NoMirror {
        /// `PRETTY_NAME` of the machine.
        os: String,
    },
    /// A program of the host is missing.
    #[error("run {tool}: not found on this machine; install the package {package} and try again")]
    MissingTool {
        /// Program name.
        tool: String,
        /// Package that holds it.
        package: String,
    },
    /// Fetching or unpacking packages failed.
    #[error("{action}: {detail}; check the network and the apt sources, then try again (cache: {})", cache.display())]
    Packages {
        /// What was tried.
        action: String,
        /// Last line of the tool's message.
        detail: String,
        /// Cache directory concerned.
        cache: PathBuf,
    },
    /// No usable QEMU.
    #[error("find QEMU: {detail}; unset LOWLAT_QEMU to let the lab fetch one, or install qemu-system-x86")]
    Qemu {
        /// Why.
        detail: String,
    },
    /// The topology needs a newer QEMU.
    #[error("boot topology {topology}: needs QEMU {needed} or newer, found {found}; use e1000e-pair or a newer QEMU")]
    QemuTooOld {
        /// Topology name.
        topology: &'static str,
        /// First major version that has the device.
        needed: u32,
        /// Major version found.
        found: u32,
    },
    /// The kernel image is absent.
    #[error("find kernel {kernel}: {detail}; remove {} and try again", cache.display())]
    Kernel {
        /// Kernel wanted.
        kernel: String,
        /// Why.
        detail: String,
        /// What to remove.
        cache: PathBuf,
    },
    /// A guest description that cannot be run.
    #[error("start a guest: {detail}")]
    BadGuest {
        /// What is wrong and what to change.
        detail: String,
    },
    /// QEMU refused to start or died.
    #[error("run QEMU for {topology}: {detail}; check that the topology's devices exist in this QEMU")]
    QemuFailed {
        /// Topology name.
        topology: String,
        /// Last line of QEMU's message.
        detail: String,
    },
    /// The guest kernel panicked.
    #[error(
        "boot topology {topology} on kernel {kernel}: guest panic: {reason}; try another kernel, or drop the extra command line"
    )]
    Panic {
        /// Topology name.
        topology: String,
        /// Kernel release.
        kernel: String,
        /// Panic text.
        reason: String,
    },
    /// The guest did not finish in time.
    #[error(
        "run the script in {topology} on kernel {kernel}: not finished after {limit:?}, last console line: {last:?}; raise the time limit or shorten the script"
    )]
    Hang {
        /// Topology name.
        topology: String,
        /// Kernel release.
        kernel: String,
        /// Time allowed.
        limit: Duration,
        /// Last line on the console.
        last: String,
    },
    /// Whoever watched it ended it.
    #[error("run the script in {topology}: stopped before its end; nothing of it is left")]
    Stopped {
        /// Topology name.
        topology: String,
    },
    /// The guest flooded its console.
    #[error("run the script in {topology}: console passed {limit} bytes; write to the results directory instead")]
    ConsoleFlood {
        /// Topology name.
        topology: String,
        /// Bytes allowed.
        limit: u64,
    },
    /// The guest ended without reporting an exit code.
    #[error(
        "run the script in {topology} on kernel {kernel}: guest ended without an exit code, last console line: {last:?}; the script must not power off on its own"
    )]
    NoExitCode {
        /// Topology name.
        topology: String,
        /// Kernel release.
        kernel: String,
        /// Last line on the console.
        last: String,
    },
    /// A file operation failed.
    #[error("{action} {}: {source}; check space and permissions", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl VmError {
    /// Pairs an I/O error with the operation and its target.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

//! The VM lab: stock Debian kernels with real NIC drivers, in QEMU without KVM.
//!
//! Namespaces have no interrupts, no coalescing and no rings; these guests have. With counted instructions
//! ([`Guest::icount`]) guest time repeats to a few percent. What a guest cannot show: caches, the cost of NUMA,
//! idle states, frequency, true parallelism. So it proves that a setting acts and can be put back, and is never a
//! claim about a real host.
//!
//! ```no_run
//! use lowlat_lab::vm::{Guest, KernelChoice, Lab, topology};
//! # fn main() -> Result<(), lowlat_lab::vm::LabError> {
//! let lab = Lab::prepare(KernelChoice::V6_12)?;
//! let outcome = lab.run(&Guest::new(&topology::E1000E_PAIR, "ethtool -c eth0", "/tmp/results"))?;
//! assert_eq!(outcome.exit_code, 0);
//! # Ok(()) }
//! ```

mod apt;
mod cache;
mod cpio;
mod error;
mod guest;
mod initramfs;
mod kernel;
mod netdevsim;
mod process;
mod qemu;
mod tools;
pub mod topology;

use std::path::PathBuf;

pub use error::LabError;
pub use guest::{Guest, Outcome, Share};
pub use kernel::{Kernel, KernelChoice};
pub use topology::Topology;

/// A prepared lab: QEMU, one kernel and the guest's first root are in the cache.
#[derive(Debug)]
pub struct Lab {
    cache: PathBuf,
    tools: tools::Tools,
    qemu: qemu::Qemu,
    kernel: Kernel,
}

impl Lab {
    /// Fetches what is not in the cache yet. The first call for a kernel downloads some 140 MB; later ones need no network.
    pub fn prepare(choice: KernelChoice) -> Result<Self, LabError> {
        let cache = cache::root()?;
        let lock = cache::Lock::take(&cache)?;
        cache::sweep(&cache);
        let tools = tools::Tools::open(&cache)?;
        let qemu = qemu::Qemu::find(&tools)?;
        let kernel = Kernel::open(&cache, &tools, choice)?;
        drop(lock);
        Ok(Self { cache, tools, qemu, kernel })
    }

    /// The kernel that guests boot.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Major version of the QEMU in use.
    pub fn qemu_version(&self) -> u32 {
        self.qemu.major
    }

    /// Boots a guest, runs its script, and gives its exit code, console and results.
    pub fn run(&self, guest: &Guest) -> Result<Outcome, LabError> {
        guest::run(self, guest)
    }
}

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
mod built;
mod cache;
mod cpio;
mod disk;
mod efi;
mod error;
mod guest;
mod image;
mod initramfs;
mod kernel;
mod lock;
mod process;
mod qemu;
mod seen;
mod suite;
mod tools;
pub mod topology;

use std::path::PathBuf;

pub use efi::EfiHost;
pub use error::VmError;
pub use guest::{Guest, GuestOutcome, Share, inside};
pub use kernel::{Kernel, KernelChoice};
pub use seen::{in_guest, quoted, this_program};
pub use suite::Suite;
pub use topology::VmTopology;

/// A prepared lab: QEMU, one kernel and the guest's first root are in the cache.
#[derive(Debug)]
pub struct Lab {
    cache: PathBuf,
    tools: tools::Tools,
    qemu: qemu::Qemu,
    kernel: Kernel,
}

/// A folder of [`Lab::scratch`].
#[derive(Debug)]
pub struct Scratch(cache::TempDir);

impl Scratch {
    /// Where it is.
    pub fn path(&self) -> &std::path::Path {
        self.0.path()
    }
}

impl Lab {
    /// Fetches what is not in the cache yet. The first call for a kernel downloads some 140 MB; later ones need no
    /// network.
    pub fn prepare(choice: KernelChoice) -> Result<Self, VmError> {
        let cache = cache::root()?;
        cache::sweep(&cache);
        // What is there was renamed into place whole, so only who must fetch waits for another that fetches.
        let lock = if tools::Tools::cached(&cache) && Kernel::cached(&cache, choice) {
            None
        } else {
            Some(lock::Lock::take(&cache)?)
        };
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

    /// Writes a hard disk with a small Debian to a new file: this kernel, GRUB, systemd, udev, `ip`, `tc`, `ethtool`, and what
    /// else sets the same settings (irqbalance, tuned, NetworkManager). Give it to [`Guest::disk`]. Its Debian is 12, so a program
    /// that runs in it needs no newer C library. Fetched when it is not in the cache yet, some 150 MB.
    pub fn disk(&self, to: &std::path::Path) -> Result<(), VmError> {
        let choice = self.kernel.choice;
        let _lock = if disk::cached(&self.cache, choice) { None } else { Some(lock::Lock::take(&self.cache)?) };
        let made = disk::open(&self.cache, &self.tools, choice)?;
        std::fs::copy(&made, to).map_err(VmError::io("copy", &made))?;
        Ok(())
    }

    /// A host with UEFI that systemd-boot starts: these entries of its menu, name and text, and the kernel that they call
    /// `/vmlinuz`. Its firmware and its loader are fetched when they are not in the cache yet, some 8 MB.
    pub fn efi(&self, kernel: &std::path::Path, entries: &[(&str, &str)]) -> Result<EfiHost<'_>, VmError> {
        EfiHost::new(self, kernel, entries)
    }

    /// Fetches what [`Lab::efi`] needs.
    pub fn prepare_efi(&self) -> Result<(), VmError> {
        efi::open(&self.cache).map(drop)
    }

    /// Boots a guest, runs its script, and gives its exit code, console and results.
    pub fn run(&self, guest: &Guest) -> Result<GuestOutcome, VmError> {
        self.run_watched(guest, &mut || true)
    }

    /// As [`Lab::run`]; `watch` is asked some 50 times a second, and when it answers false the guest is ended at once
    /// and the result is [`VmError::Stopped`].
    pub fn run_watched(&self, guest: &Guest, watch: &mut dyn FnMut() -> bool) -> Result<GuestOutcome, VmError> {
        if built::among(guest.topology.modules) {
            self.build_modules()?;
        }
        guest::run(self, guest, watch)
    }

    /// A new empty folder in the cache that vanishes with the value, also (with the next [`Lab::prepare`]) after a
    /// kill.
    pub fn scratch(&self) -> Result<Scratch, VmError> {
        cache::TempDir::new(&self.cache).map(Scratch)
    }

    /// What [`Lab::prepare`] will fetch for this kernel, as text; `None` when all is in the cache.
    pub fn to_fetch(choice: KernelChoice) -> Result<Option<String>, VmError> {
        let cache = cache::root()?;
        let missing: Vec<&str> = [
            (tools::Tools::cached(&cache), "QEMU and busybox"),
            (Kernel::cached(&cache, choice), "a kernel (some 100 MB)"),
        ]
        .into_iter()
        .filter_map(|(there, what)| (!there).then_some(what))
        .collect();
        Ok((!missing.is_empty())
            .then(|| format!("fetching {} from Debian's packages into {}", missing.join(" and "), cache.display())))
    }
}

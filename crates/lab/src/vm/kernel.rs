//! Stock Debian kernels: image, pruned module tree, initramfs.

use std::fs;
use std::path::{Path, PathBuf};

use super::apt::{self, Apt};
use super::cache::TempDir;
use super::error::VmError;
use super::tools::{BASE_SUITES, Tools};
use super::{image, initramfs};

/// A kernel of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelChoice {
    /// 5.10, of Debian 11: the oldest that lowlat is for.
    V5_10,
    /// 6.1, of Debian 12.
    V6_1,
    /// 6.12, of Debian 12's backports.
    V6_12,
    /// The newest of Debian 13's backports, 6.18 or later.
    Newest,
}

impl KernelChoice {
    /// All of them, oldest first.
    pub const ALL: [Self; 4] = [Self::V5_10, Self::V6_1, Self::V6_12, Self::Newest];

    /// Name, as used in the cache and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::Newest => "newest",
        }
    }

    /// The kernel of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }

    fn accepts(self, version: &str) -> bool {
        let mut parts = version.split(['.', '-', '~', '+']).map(|p| p.parse::<u32>().unwrap_or(0));
        let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        match self {
            Self::V5_10 => found == (5, 10),
            Self::V6_1 => found == (6, 1),
            Self::V6_12 => found == (6, 12),
            Self::Newest => found >= (6, 18),
        }
    }

    fn suites(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::V5_10 => ("oldest", &["bullseye"]),
            Self::V6_1 | Self::V6_12 => ("base", &BASE_SUITES),
            Self::Newest => ("newest", &["trixie-backports"]),
        }
    }
}

/// A kernel in the cache.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// What was asked for.
    pub choice: KernelChoice,
    /// `uname -r`.
    pub release: String,
    dir: PathBuf,
}

/// Raised when what is kept of a package changes, so that a cache of before is not taken.
const RECIPE: u32 = 3;

/// A kernel's image in its folder: an ELF file where the package's could be unpacked.
const IMAGE: &str = "image";

/// Parts of the module tree that a guest may ask for; the rest (graphics, sound, storage) is three quarters of it.
const KEEP: [&str; 20] = [
    "arch/x86/crypto",
    "crypto",
    "lib",
    "net",
    "fs/9p",
    "fs/netfs",
    "fs/fscache",
    "fs/overlayfs",
    "fs/fuse",
    "drivers/virtio",
    "drivers/ptp",
    "drivers/pps",
    "drivers/vfio",
    "virt/lib",
    "drivers/iommu",
    "drivers/uio",
    "drivers/dca",
    "drivers/i2c/algos",
    "drivers/net",
    "drivers/char",
];
/// Parts of the kept ones that no lab device uses.
const DROP: [&str; 6] =
    ["net/bluetooth", "net/mac80211", "drivers/net/wireless", "drivers/net/can", "drivers/net/usb", "drivers/net/wwan"];

fn keeps(module: &str, more: &[&str]) -> bool {
    // A folder, or a module that has none.
    let under =
        |dir: &&str| module.strip_prefix(*dir).is_some_and(|rest| rest.starts_with('/') || rest.starts_with(".ko"));
    let vendor = module.strip_prefix("drivers/net/ethernet/").is_some_and(|rest| !rest.starts_with("intel/"));
    KEEP.iter().chain(more).any(under) && !DROP.iter().any(under) && !vendor
}

impl Kernel {
    /// Whether nothing has to be fetched.
    pub(crate) fn cached(cache: &Path, choice: KernelChoice) -> bool {
        dir(cache, choice).exists()
    }

    /// The kernel in the cache, fetched when it is not there yet.
    pub(crate) fn open(cache: &Path, tools: &Tools, choice: KernelChoice) -> Result<Self, VmError> {
        let dir = dir(cache, choice);
        if !dir.exists() {
            let temp = TempDir::new(cache)?;
            let made = temp.path().join("kernel");
            fetch(cache, tools, choice, &temp.path().join("packages"), &made)?;
            fs::rename(&made, &dir).map_err(VmError::io("rename", &dir))?;
        }
        Self::at(choice, &dir)
    }

    pub(crate) fn at(choice: KernelChoice, dir: &Path) -> Result<Self, VmError> {
        let absent = |detail: String| VmError::Kernel { kernel: choice.name().into(), detail, cache: dir.into() };
        let release = fs::read_to_string(dir.join("release")).map_err(|e| absent(format!("read its release: {e}")))?;
        let kernel = Self { choice, release: release.trim().into(), dir: dir.into() };
        match fs::metadata(kernel.image()) {
            Ok(m) if m.len() > 0 => Ok(kernel),
            Ok(_) => Err(absent("its image is empty".into())),
            Err(e) => Err(absent(format!("read its image: {e}"))),
        }
    }

    /// The bootable image.
    pub(crate) fn image(&self) -> PathBuf {
        self.dir.join(IMAGE)
    }

    /// The folder that becomes `/lib/modules` in the guest.
    pub(crate) fn modules(&self) -> PathBuf {
        self.dir.join("lib/modules")
    }

    /// The initramfs, written when the cached one was made from other parts.
    pub(crate) fn initramfs(&self, tools: &Tools) -> Result<PathBuf, VmError> {
        initramfs::ensure(&self.dir, &self.modules().join(&self.release), &tools.busybox()?)
    }
}

fn dir(cache: &Path, choice: KernelChoice) -> PathBuf {
    cache.join(format!("kernel-{}-{RECIPE}", choice.name()))
}

fn fetch(cache: &Path, tools: &Tools, choice: KernelChoice, unpacked: &Path, made: &Path) -> Result<(), VmError> {
    let (release, image) = packages(cache, choice, unpacked)?;
    modules(tools, unpacked, &release, made, &[])?;
    let bootable = made.join(IMAGE);
    match image::elf(tools, &image, unpacked)? {
        Some(elf) => fs::write(&bootable, elf).map_err(VmError::io("write", &bootable))?,
        None => drop(fs::copy(&image, &bootable).map_err(VmError::io("copy", &image))?),
    }
    fs::write(made.join("release"), &release).map_err(VmError::io("write", made))
}

/// The packaged image and its modules where a Debian has them, with some further modules; returns the release.
pub(crate) fn unpack(
    cache: &Path,
    tools: &Tools,
    choice: KernelChoice,
    unpacked: &Path,
    tree: &Path,
    more: &[&str],
) -> Result<String, VmError> {
    let (release, image) = packages(cache, choice, unpacked)?;
    modules(tools, unpacked, &release, tree, more)?;
    let to = tree.join(format!("boot/vmlinuz-{release}"));
    super::cache::make(&tree.join("boot"))?;
    fs::copy(&image, &to).map_err(VmError::io("copy", &image))?;
    Ok(release)
}

/// Downloads and unpacks the packages; the release, and where the image is.
fn packages(cache: &Path, choice: KernelChoice, unpacked: &Path) -> Result<(String, PathBuf), VmError> {
    let (name, suites) = choice.suites();
    let apt = Apt::open(cache, name, &apt::mirror(cache)?, suites)?;
    let absent = |detail: String| VmError::Kernel { kernel: choice.name().into(), detail, cache: cache.into() };
    let version = apt.versions("linux-image-amd64")?.into_iter().find(|v| choice.accepts(v));
    let version = version.ok_or_else(|| absent(format!("{} offers no such version", suites.join(", "))))?;
    apt.unpack_only(&image_packages(&apt, &format!("linux-image-amd64={version}"))?, unpacked)?;
    let trees = trees(unpacked);
    let tree = trees.iter().find(|t| t.exists()).ok_or_else(|| absent("its package holds no modules".into()))?;
    let entry = fs::read_dir(tree).map_err(VmError::io("read", tree))?.flatten().next();
    let release = entry.ok_or_else(|| absent("its module tree is empty".into()))?.file_name();
    let release = release.to_string_lossy().into_owned();
    let images =
        [unpacked.join(format!("boot/vmlinuz-{release}")), unpacked.join(format!("usr/lib/modules/{release}/vmlinuz"))];
    let image = images.into_iter().find(|i| i.exists()).ok_or_else(|| absent("its package holds no image".into()))?;
    Ok((release, image))
}

fn trees(unpacked: &Path) -> [PathBuf; 2] {
    [unpacked.join("lib/modules"), unpacked.join("usr/lib/modules")]
}

/// The kept modules below `lib/modules` of a folder, decompressed and indexed.
fn modules(tools: &Tools, unpacked: &Path, release: &str, made: &Path, more: &[&str]) -> Result<(), VmError> {
    let kept = made.join("lib/modules").join(release);
    super::cache::make(&kept)?;
    // Parts of a split package may lie in either tree.
    for tree in trees(unpacked).iter().map(|t| t.join(release)).filter(|t| t.exists()) {
        prune(&tree, &kept, more)?;
    }
    decompress(tools, &kept)?;
    let mut depmod = tools.command("bin/kmod", "depmod");
    apt::run(depmod.arg("-b").arg(made).arg(release), &format!("index the modules of {release}"), made)?;
    Ok(())
}

/// The packages with the image and modules: one up to 6.x, several since Debian split them (7.x);
/// the list of what is built in is in the base.
fn image_packages(apt: &Apt, meta: &str) -> Result<Vec<String>, VmError> {
    let wanted = |p: &String| {
        ["linux-image-", "linux-binary-", "linux-modules-", "linux-base-"].iter().any(|w| p.starts_with(w))
    };
    let mut found: Vec<String> = apt.depends(meta)?.into_iter().filter(wanted).collect();
    let mut at = 0;
    while at < found.len() {
        for next in apt.depends(&found[at])?.into_iter().filter(wanted) {
            if !found.contains(&next) {
                found.push(next);
            }
        }
        at += 1;
    }
    Ok(found)
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), VmError> {
    for entry in fs::read_dir(dir).map_err(VmError::io("read", dir))?.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            walk(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Moves the kept modules and the lists next to them.
fn prune(from: &Path, to: &Path, more: &[&str]) -> Result<(), VmError> {
    let mut files = Vec::new();
    walk(from, &mut files)?;
    for file in files {
        let relative = file.strip_prefix(from).unwrap_or(&file);
        let name = relative.to_string_lossy();
        let wanted = match name.strip_prefix("kernel/") {
            Some(module) => keeps(module, more),
            None => name.starts_with("modules.builtin") || name == "modules.order",
        };
        if wanted {
            let target = to.join(relative);
            super::cache::make(target.parent().unwrap_or(to))?;
            fs::rename(&file, &target).map_err(VmError::io("move", &file))?;
        }
    }
    Ok(())
}

/// Decompresses the modules once, so that no guest has to do it without KVM.
fn decompress(tools: &Tools, tree: &Path) -> Result<(), VmError> {
    let mut files = Vec::new();
    walk(tree, &mut files)?;
    files.retain(|f| f.extension().is_some_and(|x| x == "xz"));
    // 500 paths stay far below the kernel's limit of one argument list.
    for some in files.chunks(500) {
        apt::run(tools.command("usr/bin/xz", "xz").arg("-dq").args(some), "decompress the modules", tree)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        assert!(KernelChoice::V5_10.accepts("5.10.223-1"));
        assert!(!KernelChoice::V5_10.accepts("5.1.21-1"));
        assert!(KernelChoice::V6_1.accepts("6.1.176-1"));
        assert!(!KernelChoice::V6_1.accepts("6.12.95-1~bpo12+1"));
        assert!(KernelChoice::V6_12.accepts("6.12.95-1~bpo12+1"));
        assert!(KernelChoice::Newest.accepts("7.3.4-1~bpo13+1"));
        assert!(KernelChoice::Newest.accepts("6.18.5-1~bpo13+1"));
        assert!(!KernelChoice::Newest.accepts("6.12.95-1"));
    }

    #[test]
    fn lab_drivers_are_kept_and_others_are_not() {
        for kept in ["drivers/net/ethernet/intel/igb/igb.ko.xz", "drivers/net/veth.ko.xz", "net/sched/sch_fq.ko.xz"] {
            assert!(keeps(kept, &[]), "{kept}");
        }
        for gone in ["drivers/net/ethernet/mellanox/mlx5/core/mlx5_core.ko.xz", "drivers/gpu/a.ko", "library/x.ko"] {
            assert!(!keeps(gone, &[]), "{gone}");
        }
    }

    #[test]
    fn an_absent_image_names_what_to_remove() {
        let dir = std::env::temp_dir().join(format!("lowlat-kernel-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("release"), "6.12.0-x").unwrap();
        let error = Kernel::at(KernelChoice::V6_12, &dir).unwrap_err().to_string();
        assert!(error.starts_with("find kernel 6.12: read its image: "), "{error}");
        assert!(error.contains(&format!("remove {}", dir.display())), "{error}");
        fs::remove_dir_all(&dir).unwrap();
    }
}

//! A hard disk with a small Debian that boots on its own: BIOS, GRUB, kernel, systemd. What a host's own boot does with files
//! under `/etc` and `/boot` is then seen, and not believed; and what one boot writes the next one finds.
//!
//! The packages are unpacked and not installed, so that it is the same on every host: no maintainer script has run, and
//! what those make (accounts, above all) is written here. The first root (initrd) is the lab's own, and does nothing but
//! mount the disk.

use std::fmt::Write as _;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::apt::{self, Apt};
use super::cache::{self, TempDir};
use super::cpio::Cpio;
use super::error::VmError;
use super::kernel::{self, KernelChoice};
use super::tools::{BASE_SUITES, Tools, relocated};
use super::{guest, initramfs};

/// Raised when what is on it changes, so that one of before is not taken.
const RECIPE: u32 = 1;
/// `ethtool`, `tc` and a shell are what a unit of `lowlat persist` calls; the rest boots or is tried against.
const PACKAGES: [&str; 22] = [
    "systemd",
    "udev",
    "kmod",
    "mount",
    "util-linux",
    "dash",
    "coreutils",
    "grep",
    "sed",
    "gawk",
    "tar",
    "findutils",
    "debianutils",
    "iproute2",
    "ethtool",
    "grub-pc-bin",
    "grub2-common",
    // For bootctl.
    "systemd-boot",
    "e2fsprogs",
    // Programs that turn the same knobs.
    "irqbalance",
    "tuned",
    "network-manager",
];

/// The groups that udev's rules name (`50-udev-default.rules`), so that it does not complain of each.
const GROUPS: [&str; 12] =
    ["root", "tty", "disk", "dialout", "kmem", "input", "kvm", "render", "video", "audio", "cdrom", "tape"];
/// Accounts that units of the boot run as.
const USERS: [&str; 5] = ["systemd-network", "systemd-resolve", "systemd-timesync", "messagebus", "polkitd"];

/// Units of a boot that say nothing of what is tried here.
const MASKED: [&str; 31] = [
    "getty.target",
    "systemd-logind.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-journal-flush.service",
    "systemd-firstboot.service",
    "systemd-sysusers.service",
    "systemd-random-seed.service",
    "systemd-pcrphase.service",
    "systemd-pcrphase-sysinit.service",
    "systemd-repart.service",
    "systemd-binfmt.service",
    "systemd-machine-id-commit.service",
    "proc-sys-fs-binfmt_misc.automount",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-user-sessions.service",
    "systemd-initctl.socket",
    "systemd-journald-audit.socket",
    "systemd-rfkill.socket",
    "systemd-ask-password-wall.path",
    "systemd-ask-password-console.path",
    "systemd-tmpfiles-clean.timer",
    "systemd-tmpfiles-setup-dev.service",
    "kmod-static-nodes.service",
    "systemd-hwdb-update.service",
    "e2scrub_reap.service",
];

/// Where the one partition begins: after the boot loader's own, as partitioning tools have it (1 MiB).
const START: u64 = 1 << 20;
/// The file system, KiB. Files are written where they are needed, so the image is as large as its contents.
const SIZE_KIB: u64 = 900 << 10;
/// What the first root needs to reach the disk.
const BOOT_MODULES: [&str; 4] = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"];
/// Modules of the kernel that only this guest needs.
const DISK_MODULES: [&str; 4] = ["fs/ext4", "fs/jbd2", "fs/mbcache", "drivers/block"];

fn image(cache: &Path, choice: KernelChoice) -> PathBuf {
    cache.join(format!("disk-{}-{RECIPE}", choice.name()))
}

/// Whether nothing has to be fetched.
pub(super) fn cached(cache: &Path, choice: KernelChoice) -> bool {
    image(cache, choice).exists()
}

/// The image in the cache, made when it is not there yet. It is copied, never booted.
pub(super) fn open(cache: &Path, tools: &Tools, choice: KernelChoice) -> Result<PathBuf, VmError> {
    let made = image(cache, choice);
    if !made.exists() {
        let temp = TempDir::new(cache)?;
        let tree = temp.path().join("tree");
        let apt = Apt::open(cache, "base", &apt::mirror(cache)?, &BASE_SUITES)?;
        apt.unpack_closure(BASE_SUITES[0], &PACKAGES, &tree)?;
        let release = kernel::unpack(cache, tools, choice, &temp.path().join("kernel"), &tree, &DISK_MODULES)?;
        finish(&tree)?;
        bootable(&tree, &release, &tools.busybox()?)?;
        let part = temp.path().join("disk");
        write(&tree, &part)?;
        fs::rename(&part, &made).map_err(VmError::io("rename", &made))?;
    }
    Ok(made)
}

fn put(tree: &Path, file: &str, text: impl AsRef<[u8]>) -> Result<(), VmError> {
    let path = tree.join(file);
    cache::make(path.parent().unwrap_or(tree))?;
    fs::write(&path, text).map_err(VmError::io("write", path.clone()))
}

fn link(tree: &Path, file: &str, to: &str) -> Result<(), VmError> {
    let path = tree.join(file);
    cache::make(path.parent().unwrap_or(tree))?;
    if fs::symlink_metadata(&path).is_ok() {
        return Ok(());
    }
    symlink(to, &path).map_err(VmError::io("link", path.clone()))
}

/// What maintainer scripts would have made, and the unit that runs a guest's script.
fn finish(tree: &Path) -> Result<(), VmError> {
    for dir in ["dev", "proc", "sys", "run", "tmp", "var/log", "var/lib", "root", "etc", "usr/bin"] {
        cache::make(&tree.join(dir))?;
    }
    let mut groups = String::new();
    let mut users = "root:x:0:0:root:/root:/bin/sh\n".to_owned();
    for (id, name) in GROUPS.iter().enumerate() {
        let _ = writeln!(groups, "{name}:x:{id}:");
    }
    for (id, name) in (990..).zip(USERS) {
        let _ = writeln!(groups, "{name}:x:{id}:");
        let _ = writeln!(users, "{name}:x:{id}:{id}::/:/usr/sbin/nologin");
    }
    put(tree, "etc/group", groups)?;
    put(tree, "etc/passwd", users)?;
    put(tree, "etc/machine-id", "6c6f776c617420746865206c61620000\n")?;
    put(tree, "etc/os-release", "ID=debian\nPRETTY_NAME=lab\n")?;
    put(tree, "etc/hostname", "lowlat-lab\n")?;
    // An emulated machine on a busy host is slow, so no unit's patience says anything here.
    put(tree, "etc/systemd/system.conf.d/10-lab.conf", "[Manager]\nDefaultTimeoutStartSec=900\n")?;
    link(tree, "bin/sh", "dash")?;
    link(tree, "usr/bin/awk", "gawk")?;
    for unit in MASKED {
        link(tree, &format!("etc/systemd/system/{unit}"), "/dev/null")?;
    }
    put(tree, "etc/systemd/system/lab.service", UNIT)?;
    put(tree, "lab/run", include_str!("disk-run.sh"))
}

/// Started by the kernel's command line (`systemd.unit=`), and so after all that an ordinary boot starts.
const UNIT: &str = "[Unit]\nRequires=multi-user.target\nAfter=multi-user.target\n\n\
                    [Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=/bin/sh /lab/run\n";

/// Kernel, first root and boot loader below `/boot`. The menu is as short as one can be; `grub-mkconfig` replaces it.
fn bootable(tree: &Path, release: &str, busybox: &[u8]) -> Result<(), VmError> {
    let modules = tree.join("lib/modules").join(release);
    put(tree, &format!("boot/initrd.img-{release}"), first_root(&modules, busybox)?)?;
    let cmdline = format!(
        "console=ttyS0 loglevel=4 panic=-1 oops=panic random.trust_cpu=on cryptomgr.notests {} net.ifnames=0 \
         printk.devkmsg=on systemd.unit=lab.service systemd.show_status=0 systemd.log_target=kmsg",
        guest::MARK
    );
    put(
        tree,
        "boot/grub/grub.cfg",
        format!("linux /boot/vmlinuz-{release} root=/dev/vda1 {cmdline}\ninitrd /boot/initrd.img-{release}\nboot\n"),
    )?;
    put(
        tree,
        "etc/default/grub",
        format!(
            "GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=lab\nGRUB_CMDLINE_LINUX=\"{cmdline}\"\n\
             GRUB_TERMINAL=serial\nGRUB_SERIAL_COMMAND=\"serial --unit=0\"\nGRUB_DISABLE_LINUX_UUID=true\n\
             GRUB_DISABLE_OS_PROBER=true\nGRUB_DISABLE_RECOVERY=true\nGRUB_DISABLE_SUBMENU=y\n"
        ),
    )?;
    // GRUB manual, "Environment block": 1024 bytes.
    put(tree, "boot/grub/grubenv", format!("{:#<1024}", "# GRUB Environment Block\n"))?;
    let from = tree.join("usr/lib/grub/i386-pc");
    for entry in fs::read_dir(&from).map_err(VmError::io("read", &from))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if matches!(name.rsplit_once('.'), Some((_, "mod" | "lst"))) {
            let text = fs::read(entry.path()).map_err(VmError::io("read", entry.path()))?;
            put(tree, &format!("boot/grub/i386-pc/{name}"), text)?;
        }
    }
    Ok(())
}

fn first_root(modules: &Path, busybox: &[u8]) -> Result<Vec<u8>, VmError> {
    let mut cpio = Cpio::default();
    for dir in ["bin", "dev", "proc", "sys", "mod"] {
        cpio.dir(dir);
    }
    // The kernel opens /dev/console for init before anything is mounted.
    cpio.char_device("dev/console", 5, 1);
    cpio.file("init", 0o755, include_bytes!("disk-init.sh"));
    cpio.file("bin/busybox", 0o755, busybox);
    for applet in ["sh", "mount", "mkdir", "cat", "insmod", "poweroff", "sleep"] {
        cpio.symlink(&format!("bin/{applet}"), "busybox");
    }
    initramfs::add_modules(&mut cpio, modules, &initramfs::closure(modules, &BOOT_MODULES)?)?;
    Ok(cpio.finish())
}

/// The image: GRUB's first sector with a partition table, its core behind it, and the file system.
fn write(tree: &Path, to: &Path) -> Result<(), VmError> {
    let io = |what| VmError::io(what, to);
    let core = to.with_extension("core");
    let mut mkimage = relocated(tree, "usr/bin/grub-mkimage", "grub-mkimage");
    mkimage.args(["-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-d"]).arg(tree.join("usr/lib/grub/i386-pc"));
    mkimage.arg("-o").arg(&core).args(["biosdisk", "part_msdos", "ext2"]);
    apt::run(&mut mkimage, "make GRUB's core", to)?;
    let file = fs::File::create(to).map_err(io("create"))?;
    file.set_len(START + SIZE_KIB * 1024).map_err(io("extend"))?;
    drop(file);
    // Without a journal what is synced is where it belongs, and GRUB, which reads no journal, finds it.
    let mut mke2fs = relocated(tree, "sbin/mke2fs", "mke2fs");
    mke2fs.env("MKE2FS_CONFIG", tree.join("etc/mke2fs.conf"));
    mke2fs.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal,^metadata_csum,^metadata_csum_seed,^orphan_file"]);
    mke2fs.args(["-E", &format!("offset={START},root_owner=0:0,lazy_itable_init=1"), "-d"]).arg(tree).arg(to);
    mke2fs.arg(format!("{SIZE_KIB}k"));
    apt::run(&mut mke2fs, "make the file system", to)?;

    let read = |path: &Path| fs::read(path).map_err(VmError::io("read", path));
    let mut sector = read(&tree.join("usr/lib/grub/i386-pc/boot.img"))?;
    sector.resize(512, 0);
    sector[446..510].fill(0);
    // One partition of kind Linux; its place by sectors alone, as BIOS disks beyond cylinders have it.
    let sectors = |bytes: u64| u32::try_from(bytes / 512).unwrap_or(u32::MAX).to_le_bytes();
    let entry = [[0x80, 0xfe, 0xff, 0xff], [0x83, 0xfe, 0xff, 0xff], sectors(START), sectors(SIZE_KIB * 1024)];
    sector[446..462].copy_from_slice(&entry.concat());
    sector[510..512].copy_from_slice(&[0x55, 0xaa]);
    // boot.img loads the sector behind it, and that one the core (GRUB's diskboot.S), each where it was built to be.
    let mut file = fs::OpenOptions::new().write(true).open(to).map_err(io("open"))?;
    file.seek(SeekFrom::Start(0)).map_err(io("seek"))?;
    file.write_all(&sector).and_then(|()| file.write_all(&read(&core).unwrap_or_default())).map_err(io("write"))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o644)).map_err(io("change the mode of"))
}

//! A host with UEFI up to the first line of its kernel: Debian's OVMF, and systemd-boot from a folder that stands for the EFI
//! system partition. What a boot loader makes of an entry is then seen, and not believed.
//!
//! The kernel has no root and ends in a panic, so such a boot takes some ten seconds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::apt::{self, Apt};
use super::cache::{self, TempDir};
use super::error::VmError;
use super::guest::{comma_safe, last_line};
use super::process::{Ended, Guarded, tied};
use super::tools::BASE_SUITES;
use super::{Lab, lock};

/// Raised when the packages change.
const RECIPE: u32 = 1;
/// Firmware and boot loader; neither depends on another package.
const PACKAGES: [&str; 2] = ["ovmf", "systemd-boot-efi"];
const CODE: &str = "usr/share/OVMF/OVMF_CODE.fd";
const VARIABLES: &str = "usr/share/OVMF/OVMF_VARS.fd";
const LOADER: &str = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";
/// Where firmware looks for a loader of a disk that no variable names (UEFI specification, "Removable Media Boot Behavior").
const REMOVABLE: &str = "EFI/BOOT/BOOTX64.EFI";
/// Seen: 9 to 20 s; it guards against a machine that hangs.
const LIMIT: Duration = Duration::from_secs(300);
const NAME: &str = "efi";

/// The variables of the boot loader's interface (systemd, "The Boot Loader Interface"), as their GUID lies in memory.
const VENDOR: [u8; 16] =
    [0x82, 0xb0, 0x67, 0x4a, 0x4c, 0x0a, 0xcf, 0x41, 0xb6, 0xc7, 0x44, 0x0b, 0x29, 0xbb, 0x8c, 0x4f];
/// In the store: `VARIABLE_DATA`, and the size of an `AUTHENTICATED_VARIABLE_HEADER` (edk2,
/// MdeModulePkg/Include/Guid/VariableFormat.h).
const START_ID: [u8; 2] = [0xaa, 0x55];
const HEADER: usize = 60;
/// `VAR_ADDED`; each step of deleting one clears a bit (the same file).
const ADDED: u8 = 0x3f;
/// Non-volatile, for the boot loader and for the running system (UEFI specification, "GetVariable()").
const ATTRIBUTES: u32 = 7;

fn root(cache: &Path) -> PathBuf {
    cache.join(format!("{NAME}-{RECIPE}"))
}

/// The unpacked packages, fetched when they are not there yet.
pub(super) fn open(cache: &Path) -> Result<PathBuf, VmError> {
    let root = root(cache);
    if !root.exists() {
        let _lock = lock::Lock::take(cache)?;
        let apt = Apt::open(cache, "base", &apt::mirror(cache)?, &BASE_SUITES)?;
        let temp = TempDir::new(cache)?;
        let tree = temp.path().join("tree");
        apt.unpack_only(&PACKAGES.map(|p| format!("{p}/{}", BASE_SUITES[0])), &tree)?;
        // Another that waited for the lock may have been first.
        if !root.exists() {
            fs::rename(&tree, &root).map_err(VmError::io("rename", &root))?;
        }
    }
    Ok(root)
}

/// Such a host: the folder of its boot menu, and what its firmware keeps from one boot to the next.
#[derive(Debug)]
pub struct EfiHost<'a> {
    lab: &'a Lab,
    packages: PathBuf,
    dir: TempDir,
}

impl<'a> EfiHost<'a> {
    /// A host with these entries, name and text, and the kernel that they call `/vmlinuz`.
    pub(super) fn new(lab: &'a Lab, kernel: &Path, entries: &[(&str, &str)]) -> Result<Self, VmError> {
        let packages = open(&lab.cache)?;
        let host = Self { lab, packages, dir: TempDir::new(&lab.cache)? };
        let copy = |from: &Path, to: PathBuf| {
            cache::make(to.parent().unwrap_or(&to))?;
            fs::copy(from, &to).map(drop).map_err(VmError::io("copy", from))
        };
        copy(&host.packages.join(LOADER), host.partition().join(REMOVABLE))?;
        copy(kernel, host.partition().join("vmlinuz"))?;
        copy(&host.packages.join(VARIABLES), host.variables())?;
        let folder = host.partition().join("loader/entries");
        cache::make(&folder)?;
        for (name, text) in entries {
            fs::write(folder.join(name), text).map_err(VmError::io("write", &folder))?;
        }
        Ok(host)
    }

    fn partition(&self) -> PathBuf {
        self.dir.path().join("esp")
    }

    fn variables(&self) -> PathBuf {
        self.dir.path().join("variables")
    }

    /// What `bootctl set-oneshot` does: the variable `LoaderEntryOneShot`, which the loader deletes when it has read it. It is
    /// written into the firmware's store and not by a running system.
    pub fn set_oneshot(&self, id: &str) -> Result<(), VmError> {
        let path = self.variables();
        let mut store = fs::read(&path).map_err(VmError::io("read", &path))?;
        if !add(&mut store, "LoaderEntryOneShot", id) {
            return Err(VmError::BadGuest { detail: format!("no room for a variable in {}", path.display()) });
        }
        fs::write(&path, store).map_err(VmError::io("write", &path))
    }

    /// Boots it, and gives the command line that its kernel reports. Its firmware keeps what the loader changed.
    pub fn boot(&self) -> Result<String, VmError> {
        let console = self.dir.path().join("console");
        let mut command = self.lab.qemu.command();
        command.args(["-accel", "tcg", "-cpu", "max,-erms,-fsrm", "-M", "q35", "-m", "512"]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        let pflash = |unit: u8, path: &Path| Ok(format!("if=pflash,unit={unit},format=raw,file={}", comma_safe(path)?));
        command.arg("-drive").arg(pflash(0, &self.packages.join(CODE))? + ",readonly=on");
        command.arg("-drive").arg(pflash(1, &self.variables())?);
        let partition = comma_safe(&self.partition())?;
        command.arg("-drive").arg(format!("file=fat:{partition},format=raw,if=none,id=esp,readonly=on"));
        command.args(["-device", "virtio-blk-pci,bus=pcie.0,drive=esp,bootindex=0"]);
        command.args(["-serial", &format!("file:{}", comma_safe(&console)?)]);
        let mut command = tied(&command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let failed = |detail: String| VmError::QemuFailed { topology: NAME.into(), detail };
        let mut child = Guarded::spawn(&mut command).map_err(|e| failed(e.to_string()))?;
        let ended = child.wait(LIMIT, || false).map_err(|e| failed(e.to_string()))?;
        let text = fs::read(&console).map(|b| String::from_utf8_lossy(&b).replace('\r', "")).unwrap_or_default();
        match (command_line(&text), ended) {
            (Some(line), Ended::Exit(_)) => Ok(line),
            (_, ended) => Err(failed(format!("no kernel came up ({ended:?}); the console ends: {}", last_line(&text)))),
        }
    }
}

/// `[    0.1] Kernel command line: …` (init/main.c, `start_kernel`).
fn command_line(console: &str) -> Option<String> {
    console.lines().rev().find_map(|l| l.split_once("Kernel command line: ")).map(|(_, rest)| rest.trim().to_owned())
}

/// Adds a variable behind those of a store; false where there is no room or the file is no store.
fn add(volume: &mut [u8], name: &str, value: &str) -> bool {
    let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect() };
    let (name, value) = (utf16(name), utf16(value));
    let Some(mut at) = first_variable(volume) else { return false };
    while volume.get(at..at + 2) == Some(&START_ID[..]) {
        let Some(next) = behind(volume, at) else { return false };
        at = next;
    }
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut record = [&START_ID[..], &[ADDED, 0], &ATTRIBUTES.to_le_bytes(), &[0; 28]].concat();
    record.extend([&size(&name)[..], &size(&value), &VENDOR, &name, &value].concat());
    let Some(room) = volume.get_mut(at..at + record.len()).filter(|room| room.iter().all(|b| *b == 0xff)) else {
        return false;
    };
    room.copy_from_slice(&record);
    true
}

/// Behind the headers of the firmware volume, whose length is at 48 (UEFI Platform Initialization, "Firmware Volume Header"), and
/// of the store, 28 bytes.
fn first_variable(volume: &[u8]) -> Option<usize> {
    (volume.get(40..44)? == b"_FVH").then_some(())?;
    let header = u16::from_le_bytes(volume.get(48..50)?.try_into().ok()?);
    Some(usize::from(header) + 28)
}

fn behind(volume: &[u8], at: usize) -> Option<usize> {
    let size = |from: usize| Some(u32::from_le_bytes(volume.get(from..from + 4)?.try_into().ok()?) as usize);
    Some((at + HEADER + size(at + 36)? + size(at + 40)?).next_multiple_of(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Vec<u8> {
        let mut volume = vec![0xff; 400];
        volume[..100].fill(0);
        volume[40..44].copy_from_slice(b"_FVH");
        volume[48] = 72;
        volume
    }

    #[test]
    fn a_variable_goes_behind_the_last_one_and_nowhere_else() {
        let mut volume = empty();
        assert!(add(&mut volume, "A", "b"));
        assert_eq!(volume[100..104], [0xaa, 0x55, 0x3f, 0]);
        assert_eq!((volume[136], volume[140]), (4, 4));
        assert_eq!(volume[160..168], [b'A', 0, 0, 0, b'b', 0, 0, 0]);
        assert_eq!(volume[168], 0xff);
        assert!(add(&mut volume, "A", "b"));
        assert_eq!((volume[168], volume[236]), (0xaa, 0xff));
        assert!(!add(&mut volume, "A", &"b".repeat(200)), "there is no room");
        assert!(!add(&mut [0; 400], "A", "b"), "this is no store");
    }

    #[test]
    fn the_kernel_s_line_is_found() {
        let console = "BdsDxe: starting\n[    0.1] Kernel command line: root=/dev/vda1 ro skew_tick=1 \n[    1.0] x\n";
        assert_eq!(command_line(console).as_deref(), Some("root=/dev/vda1 ro skew_tick=1"));
        assert_eq!(command_line("x"), None);
    }
}

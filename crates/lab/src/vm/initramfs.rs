//! The guest's first root: busybox, the modules needed to reach the host's files, `init.sh`, and of the host's programs
//! those that nearly every guest starts.
//!
//! Those are there for speed alone. Opening a file over 9p is a handful of exchanges with the host, and a start of a
//! program opens each of its libraries: 500 starts of `/bin/true` took a guest 10 to 80 s, and 4 s with the libraries
//! in its memory.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::cpio::Cpio;
use super::error::VmError;

const INIT: &str = include_str!("init.sh");
/// Modules without which the host's files are out of reach; all others are loaded from there.
const BOOT_MODULES: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];
/// Commands of `init.sh`, and `modprobe` at the path that the kernel itself calls (`kernel.modprobe`).
const APPLETS: [&str; 16] = [
    "sh", "mount", "mkdir", "cat", "cp", "cut", "chroot", "insmod", "modprobe", "ip", "hostname", "sync", "poweroff",
    "sleep", "ls", "dmesg",
];

/// Programs of the host that nearly every guest starts, and the loader's list of libraries.
const PROGRAMS: [&str; 11] = [
    "/bin/sh",
    "/bin/cat",
    "/bin/ls",
    "/bin/sed",
    "/bin/sleep",
    "/bin/true",
    "/bin/ping",
    "/usr/sbin/ip",
    "/usr/sbin/tc",
    "/usr/sbin/ethtool",
    "/etc/ld.so.cache",
];
/// Libraries of those and of our own, by the start of their names.
const LIBRARIES: [&str; 13] = [
    "ld-linux-",
    "libc.so",
    "libm.so",
    "libgcc_s.so",
    "libmnl.so",
    "libbpf.so",
    "libelf.so",
    "libz.so",
    "libcap.so",
    "libbsd.so",
    "libmd.so",
    "libselinux.so",
    "libpcre2-8.so",
];
/// Where libraries are, with Debian's folder for the machine's kind and without.
const LIBRARY_DIRS: [&str; 2] = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64"];
/// The folder that `init.sh` lays over the host's root.
const ABOVE: &str = "rw/up";

/// Loaded by themselves these modules would make interfaces of their own, and the name that a test asks for exists
/// already (drivers/net/ifb.c `numifbs`, drivers/net/dummy.c `numdummies`, drivers/net/bonding/bond_main.c
/// `max_bonds`).
const MODPROBE_CONF: &str = "options ifb numifbs=0\noptions dummy numdummies=0\noptions bonding max_bonds=0\n";

/// The initramfs of the kernel in `dir`, written when its parts changed.
pub(crate) fn ensure(dir: &Path, modules: &Path, busybox: &[u8]) -> Result<PathBuf, VmError> {
    let closure = closure(modules, &BOOT_MODULES)?;
    let programs = programs();
    let mut hash = DefaultHasher::new();
    (INIT, &closure, APPLETS, MODPROBE_CONF, busybox, &programs).hash(&mut hash);
    let path = dir.join(format!("initramfs-{:016x}.cpio", hash.finish()));
    if path.exists() {
        return Ok(path);
    }
    let archive = build(modules, &closure, busybox, &programs)?;
    // Written beside and renamed: another process may be booting from the same cache.
    let part = dir.join(format!("initramfs.{}.part", std::process::id()));
    fs::write(&part, archive).map_err(VmError::io("write", &part))?;
    fs::rename(&part, &path).map_err(VmError::io("rename", &path))?;
    Ok(path)
}

/// The host's [`PROGRAMS`] and [`LIBRARIES`] that are there, by their real paths. One that is not costs time and no
/// more.
fn programs() -> Vec<(PathBuf, Vec<u8>)> {
    let libraries = LIBRARY_DIRS.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
    let libraries = libraries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        LIBRARIES.iter().any(|start| name.starts_with(start))
    });
    let paths: BTreeSet<PathBuf> =
        PROGRAMS.iter().map(PathBuf::from).chain(libraries).filter_map(|path| fs::canonicalize(path).ok()).collect();
    paths.into_iter().filter_map(|path| fs::read(&path).ok().map(|data| (path, data))).collect()
}

fn build(
    modules: &Path,
    closure: &[String],
    busybox: &[u8],
    programs: &[(PathBuf, Vec<u8>)],
) -> Result<Vec<u8>, VmError> {
    let mut cpio = Cpio::default();
    for dir in ["bin", "sbin", "dev", "proc", "sys", "lib", "mod", "etc"] {
        cpio.dir(dir);
    }
    // The kernel opens /dev/console for init before anything is mounted.
    cpio.char_device("dev/console", 5, 1);
    cpio.file("init", 0o755, INIT.as_bytes());
    cpio.file("bin/busybox", 0o755, busybox);
    for applet in APPLETS {
        cpio.symlink(&format!("bin/{applet}"), "busybox");
    }
    cpio.symlink("sbin/modprobe", "../bin/busybox");
    cpio.file("etc/modprobe.conf", 0o644, MODPROBE_CONF.as_bytes());
    add_modules(&mut cpio, modules, closure)?;
    let mut dirs = BTreeSet::new();
    for (path, data) in programs {
        let name = format!("{ABOVE}{}", path.display());
        for (end, _) in name.match_indices('/') {
            if dirs.insert(name[..end].to_owned()) {
                cpio.dir(&name[..end]);
            }
        }
        cpio.file(&name, 0o755, data);
    }
    Ok(cpio.finish())
}

/// The modules below `mod`, and `boot-modules` with their paths in loading order.
pub(crate) fn add_modules(cpio: &mut Cpio, modules: &Path, closure: &[String]) -> Result<(), VmError> {
    let mut list = String::new();
    for module in closure {
        let from = modules.join(module);
        let name = module.rsplit('/').next().unwrap_or(module);
        cpio.file(&format!("mod/{name}"), 0o644, &fs::read(&from).map_err(VmError::io("read", &from))?);
        list.extend(["/mod/", name, "\n"]);
    }
    cpio.file("boot-modules", 0o644, list.as_bytes());
    Ok(())
}

/// The files of `wanted` and of all they depend on, in loading order. Names that are built in need no file.
pub(crate) fn closure(modules: &Path, wanted: &[&str]) -> Result<Vec<String>, VmError> {
    let path = modules.join("modules.dep");
    let text = fs::read_to_string(&path).map_err(VmError::io("read", &path))?;
    let builtin = fs::read_to_string(modules.join("modules.builtin")).unwrap_or_default();
    closure_of(&text, &builtin, wanted).map_err(|name| VmError::Kernel {
        kernel: modules.display().to_string(),
        detail: format!("module {name} is neither a file nor built in"),
        cache: modules.into(),
    })
}

fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

/// modules.dep(5): each line names a module and all it needs, to be loaded from right to left.
fn closure_of(dep: &str, builtin: &str, wanted: &[&str]) -> Result<Vec<String>, String> {
    let mut order: Vec<String> = Vec::new();
    for name in wanted {
        let line = dep.lines().filter_map(|l| l.split_once(':')).find(|(file, _)| module_name(file) == *name);
        let Some((file, needs)) = line else {
            if builtin.lines().any(|l| module_name(l) == *name) {
                continue;
            }
            return Err((*name).to_owned());
        };
        for next in needs.split_whitespace().rev().chain([file]) {
            if !order.iter().any(|have| have == next) {
                order.push(next.to_owned());
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/a/virtio-ring.ko:\nkernel/b/p.ko: kernel/c/q.ko kernel/a/virtio-ring.ko\nkernel/c/q.ko: kernel/a/virtio-ring.ko\n";

    #[test]
    fn the_closure_is_in_loading_order_and_has_no_doubles() {
        let got = closure_of(DEP, "kernel/x/in.ko\n", &["p", "q", "virtio_ring", "in"]).unwrap();
        assert_eq!(got, ["kernel/a/virtio-ring.ko", "kernel/c/q.ko", "kernel/b/p.ko"]);
        assert_eq!(closure_of(DEP, "", &["nope"]), Err("nope".to_owned()));
    }
}

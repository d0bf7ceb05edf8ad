//! Programs unpacked into the cache and run from there, with their own C library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::apt::{self, Apt};
use super::cache::TempDir;
use super::error::VmError;

/// Packages of the tool tree; all from one release, so that it is the same tree on every host.
const PACKAGES: [&str; 5] = ["qemu-system-x86", "busybox-static", "kmod", "xz-utils", "zstd"];
/// Raised with the packages, so that a tree without one of them is not taken.
const RECIPE: u32 = 2;
/// The release that the kernels 6.1 and 6.12 come from; its backports carry QEMU 10.0, which has igb (since 8.0).
pub(crate) const BASE_SUITES: [&str; 2] = ["bookworm", "bookworm-backports"];
const LIBRARY_DIRS: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];

/// The unpacked tool tree.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    root: PathBuf,
}

impl Tools {
    /// Whether nothing has to be fetched.
    pub(crate) fn cached(cache: &Path) -> bool {
        dir(cache).exists()
    }

    /// The tree in the cache, fetched when it is not there yet.
    pub(crate) fn open(cache: &Path) -> Result<Self, VmError> {
        let root = dir(cache);
        if !root.exists() {
            let apt = Apt::open(cache, "base", &apt::mirror(cache)?, &BASE_SUITES)?;
            let temp = TempDir::new(cache)?;
            let tree = temp.path().join("tools");
            apt.unpack_closure(BASE_SUITES[1], &PACKAGES, &tree)?;
            fs::rename(&tree, &root).map_err(VmError::io("rename", &root))?;
        }
        Ok(Self { root })
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// A command for a program of the tree: its own loader is called, because the host's C library may be older or
    /// newer.
    pub(crate) fn command(&self, program: &str, argv0: &str) -> Command {
        relocated(&self.root, program, argv0)
    }

    /// The static busybox, which is also the guest's.
    pub(crate) fn busybox(&self) -> Result<Vec<u8>, VmError> {
        read_first(&[self.path("bin/busybox"), self.path("usr/bin/busybox")])
    }
}

fn dir(cache: &Path) -> PathBuf {
    cache.join(format!("tools-{RECIPE}"))
}

/// A command for a program of an unpacked tree, by the tree's own loader and libraries.
pub(crate) fn relocated(root: &Path, program: &str, argv0: &str) -> Command {
    let dirs = LIBRARY_DIRS.map(|d| root.join(d));
    let loader = dirs.iter().map(|d| d.join("ld-linux-x86-64.so.2")).find(|p| p.exists());
    let program = [root.join(program), root.join("usr").join(program)];
    let program = program.iter().find(|p| p.exists()).unwrap_or(&program[0]);
    let Some(loader) = loader else { return Command::new(program) };
    let path: Vec<_> = dirs.iter().map(|d| d.display().to_string()).collect();
    let mut command = Command::new(loader);
    command.arg("--argv0").arg(argv0).arg("--library-path").arg(path.join(":")).arg(program);
    command
}

fn read_first(paths: &[PathBuf]) -> Result<Vec<u8>, VmError> {
    let path = paths.iter().find(|p| p.exists()).unwrap_or(&paths[0]);
    fs::read(path).map_err(VmError::io("read", path))
}

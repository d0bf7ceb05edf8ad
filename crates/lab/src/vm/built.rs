//! Modules that are built for a kernel of the lab: netdevsim, and two of ours, of which one gives a driver's errors on
//! request and one hides MSI-X from the drivers.
//!
//! Debian's kernels come without netdevsim (`CONFIG_NETDEVSIM` is not set), but its source is in their source package.
//! All are built on the machine that runs the lab, with the compiler that the kernel's headers name, in a root of its
//! own: so they are the same modules on every host.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;

use super::apt::{self, Apt};
use super::cache::{self, TempDir};
use super::error::VmError;
use super::lock::Lock;
use super::{KernelChoice, Lab};

/// What `make` and the kernel's build scripts call; an empty root has nothing, not even what Debian calls essential.
const TOOLS: [&str; 13] = [
    "base-files",
    "binutils",
    "bash",
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "grep",
    "make",
    "mawk",
    "sed",
    "tar",
    "xz-utils",
];

/// Enters that root, with a `/proc` that goes with the process: objtool of 7.3 asks there for its stack's limit.
const ENTER: &str =
    r#"mkdir -p "$1/proc" && mount -t proc proc "$1/proc" && exec chroot "$1" /bin/sh /build.sh "$2" "$3""#;

/// Runs inside that root. Packages are only unpacked there, never configured, so what their scripts would make is made
/// here: `awk`, and a `/dev/null`. The mock PTP clock is a module of its own since 6.7 (drivers/ptp/ptp_mock.c), and is
/// not set in Debian's kernels either.
const BUILD: &str = r#"set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
release=$1
source=$2
[ -c /dev/null ] || { rm -f /dev/null; umask 0; mknod /dev/null c 1 3; umask 022; }
[ -e /usr/bin/awk ] || ln -s mawk /usr/bin/awk
mkdir -p /tmp /module
tar -xJf "/usr/src/$source.tar.xz" -C /module --strip-components=3 "$source/drivers/net/netdevsim" "$source/drivers/ptp/ptp_mock.c" 2>/dev/null || [ -d /module/netdevsim ]
cd /module
cp /lowlat_fault.c /lowlat_nomsix.c .
printf '%s\n' 'obj-m += netdevsim/' 'obj-m += lowlat_fault.o' 'obj-m += lowlat_nomsix.o' > Kbuild
if [ -e ptp_mock.c ]; then
	echo 'obj-m += ptp_mock.o' >> Kbuild
	set -- KCFLAGS=-DCONFIG_PTP_1588_CLOCK_MOCK_MODULE=1
else
	set --
fi
make -s -C "/usr/src/linux-headers-$release" M=/module CONFIG_NETDEVSIM=m CONFIG_DEBUG_INFO_BTF_MODULES= "$@" modules 2>/tmp/errors || { grep -i -m 1 error /tmp/errors >&2; exit 1; }
mkdir /out
find /module -name '*.ko' -exec strip --strip-debug {} +
find /module -name '*.ko' -exec cp {} /out ';'
"#;

/// Stands before a driver and gives its errors: `modprobe lowlat_fault dev=eth0`.
const FAULT: &str = include_str!("fault.c");

/// Before a driver is loaded, its device loses MSI-X.
const NOMSIX: &str = include_str!("nomsix.c");

/// What a topology may name in addition to the kernel's own modules.
const MODULES: [&str; 3] = ["netdevsim", "lowlat_fault", "lowlat_nomsix"];

/// Whether one of these modules is not the kernel's own.
pub(super) fn among(modules: &[&str]) -> bool {
    modules.iter().any(|m| MODULES.contains(m))
}

impl Lab {
    /// Builds netdevsim, `lowlat_fault` and `lowlat_nomsix` for the lab's kernel, once. [`Lab::run`] does it for a
    /// topology that names one of them. Downloads some 230 MB the first time and needs root, for a root of its own.
    pub fn build_modules(&self) -> Result<(), VmError> {
        let release = &self.kernel.release;
        let extra = self.kernel.modules().join(release).join("extra");
        let mut hash = DefaultHasher::new();
        (BUILD, FAULT, NOMSIX).hash(&mut hash);
        let (made_of, stamp) = (format!("{:016x}", hash.finish()), extra.join("made-of"));
        let there = || fs::read_to_string(&stamp).is_ok_and(|have| have == made_of);
        if there() {
            return Ok(());
        }
        let _lock = Lock::take(&self.cache)?;
        if there() {
            return Ok(());
        }
        let temp = TempDir::new(&self.cache)?;
        let root = temp.path().join("root");
        let source = unpack(&self.cache, self.kernel.choice, release, &root)?;
        for (name, text) in [("build.sh", BUILD), ("lowlat_fault.c", FAULT), ("lowlat_nomsix.c", NOMSIX)] {
            let path = root.join(name);
            fs::write(&path, text).map_err(VmError::io("write", &path))?;
        }
        let mut build = Command::new("unshare");
        build.args(["--mount", "--", "/bin/sh", "-c", ENTER, "build"]).arg(&root).args([release, &source]);
        apt::run(&mut build, &format!("build the lab's modules for {release}, as root"), &self.cache)?;
        install(&root.join("out"), &extra)?;
        let base = self.kernel.modules();
        let base = base.parent().and_then(Path::parent).unwrap_or(&base);
        let mut depmod = self.tools.command("bin/kmod", "depmod");
        apt::run(depmod.arg("-b").arg(base).arg(release), &format!("index the modules of {release}"), &self.cache)?;
        fs::write(&stamp, made_of).map_err(VmError::io("write", &stamp))
    }
}

/// Suites with the kernel's packages and the compiler of the release they were made for.
fn suites(choice: KernelChoice) -> (&'static str, &'static [&'static str]) {
    match choice {
        KernelChoice::V5_10 => ("build-5.10", &["bullseye"]),
        KernelChoice::V6_1 => ("build-6.1", &["bookworm"]),
        KernelChoice::V6_12 => ("build-6.12", &["bookworm-backports", "bookworm"]),
        KernelChoice::Newest => ("build-newest", &["trixie-backports", "trixie"]),
    }
}

/// Unpacks compiler, headers and source into `root`; gives the name of the source tree.
fn unpack(cache: &Path, choice: KernelChoice, release: &str, root: &Path) -> Result<String, VmError> {
    let (name, suites) = suites(choice);
    let apt = Apt::open(cache, name, &apt::mirror(cache)?, suites)?;
    let headers = format!("linux-headers-{release}");
    let gone = |what: &str| VmError::Kernel {
        kernel: release.to_owned(),
        detail: format!("{} offers no {what} for it any more", suites.join(", ")),
        cache: cache.join(format!("kernel-{}", choice.name())),
    };
    let version = apt.versions(&headers)?.into_iter().next().ok_or_else(|| gone(&headers))?;
    let needs = apt.depends(&headers)?;
    let of = |wanted: &dyn Fn(&str) -> bool| needs.iter().filter(|n| wanted(n)).cloned().collect::<Vec<_>>();
    // linux-compiler-gcc-12-x86 depends on the compiler (up to 6.1), later headers name it themselves.
    let compiler = of(&|n| n.starts_with("linux-compiler-") || n.starts_with("gcc-"));
    let kbuild = of(&|n| n.starts_with("linux-kbuild-"));
    if compiler.is_empty() || kbuild.is_empty() {
        return Err(gone("compiler and build scripts"));
    }
    let mut closure: Vec<&str> = TOOLS.to_vec();
    closure.extend(compiler.iter().chain(&kbuild).map(String::as_str));
    apt.unpack_closure(suites[0], &closure, root)?;
    let source = source_name(&version).ok_or_else(|| gone("readable version"))?;
    let mut only = of(&|n| n.starts_with("linux-headers-") && n.contains("-common"));
    only.push(format!("{headers}={version}"));
    only.push(format!("{source}={version}"));
    apt.unpack_only(&only, root)?;
    Ok(source)
}

/// `linux-source-6.12` of `6.12.95-1~bpo12+1`.
fn source_name(version: &str) -> Option<String> {
    let mut parts = version.split('.');
    let number = |p: Option<&str>| {
        p.map(|p| p.chars().take_while(char::is_ascii_digit).collect::<String>()).filter(|p| !p.is_empty())
    };
    Some(format!("linux-source-{}.{}", number(parts.next())?, number(parts.next())?))
}

/// Each module is renamed into place: another guest may be reading the folder.
fn install(out: &Path, extra: &Path) -> Result<(), VmError> {
    cache::make(extra)?;
    for entry in fs::read_dir(out).map_err(VmError::io("read", out))?.flatten() {
        let (from, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let part = extra.join(format!("{name}.part"));
        fs::copy(&from, &part).map_err(VmError::io("copy", &from))?;
        fs::rename(&part, extra.join(name)).map_err(VmError::io("rename", &part))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_package_is_named_after_the_version() {
        assert_eq!(source_name("6.12.95-1~bpo12+1").as_deref(), Some("linux-source-6.12"));
        assert_eq!(source_name("7.3~rc1-1").as_deref(), Some("linux-source-7.3"));
        assert_eq!(source_name("nonsense"), None);
    }
}

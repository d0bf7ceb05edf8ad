//! Which distribution a host runs, and where it keeps a real-time kernel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `os-release` says (man 5 os-release).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OsRelease {
    /// `ID`: `debian`, `ubuntu`, `rhel`, …
    pub id: String,
    /// `VERSION_ID`; empty where there is none, as for a rolling one.
    pub version: String,
    /// `ID_LIKE`, the nearest first.
    pub like: Vec<String>,
}

/// The distribution, and how its real-time kernel is installed. Names of packages and repositories are those of 2025.
const REAL_TIME: &[(&[&str], &str)] = &[
    (&["ubuntu"], "`pro attach`, then `pro enable realtime-kernel` (Ubuntu Pro)"),
    (&["debian"], "`apt install linux-image-rt-amd64` (on arm64 linux-image-rt-arm64)"),
    (
        &["rhel", "centos", "rocky", "almalinux", "ol"],
        "`dnf install kernel-rt` from the real-time repository (of RHEL: rhel-VERSION-for-x86_64-rt-rpms)",
    ),
    (
        &["sles", "sle-micro", "suse", "opensuse"],
        "`zypper install kernel-rt` (SUSE Linux Enterprise: the Real Time product)",
    ),
    (&["arch"], "`pacman -S linux-rt`"),
];

impl OsRelease {
    /// Reads the file; `None` where it names no distribution.
    pub fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let of = |line: &str| line.trim().strip_prefix(key)?.strip_prefix('=').map(unquoted);
            text.lines().find_map(of).unwrap_or_default()
        };
        let id = value("ID").to_ascii_lowercase();
        let like = value("ID_LIKE").split_whitespace().map(str::to_ascii_lowercase).collect();
        (!id.is_empty()).then(|| Self { id, version: value("VERSION_ID"), like })
    }

    /// How its real-time kernel is installed, or that of the nearest one that it is like; `None` where none is known.
    pub fn real_time_kernel(&self) -> Option<&'static str> {
        let known = |name: &str| REAL_TIME.iter().find(|(names, _)| names.contains(&name)).map(|(_, how)| *how);
        // opensuse-leap and opensuse-tumbleweed are like opensuse and suse.
        known(&self.id).or_else(|| self.like.iter().find_map(|name| known(name)))
    }
}

/// The value of an assignment as a shell reads it, for the values that the file may have.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inner = ['"', '\''].into_iter().find_map(|q| value.strip_prefix(q)?.strip_suffix(q));
    inner.unwrap_or(value).chars().filter(|c| !c.is_control() && *c != '\\').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_own_real_time_kernel() {
        for (text, id, how) in [
            ("PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\n", "debian", "linux-image-rt-amd64"),
            ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\n", "ubuntu", "pro enable realtime-kernel"),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "linuxmint", "pro enable realtime-kernel"),
            ("ID=raspbian\nID_LIKE=debian\n", "raspbian", "linux-image-rt-amd64"),
            ("ID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.4\"\n", "rhel", "dnf install kernel-rt"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "rocky", "dnf install kernel-rt"),
            ("ID=\"sles\"\nID_LIKE=\"suse\"\n", "sles", "zypper install kernel-rt"),
            ("ID='opensuse-leap'\nID_LIKE=\"suse opensuse\"\n", "opensuse-leap", "zypper install kernel-rt"),
        ] {
            let found = OsRelease::parse(text).unwrap();
            assert_eq!(found.id, id);
            assert!(found.real_time_kernel().unwrap().contains(how), "{found:?}");
        }
        let fedora = OsRelease::parse("ID=fedora\nVERSION_ID=41\n").unwrap();
        assert_eq!((fedora.version.as_str(), fedora.real_time_kernel()), ("41", None), "it has none of its own");
        assert_eq!(OsRelease::parse("NAME=x\nVARIANT_ID=y\n"), None);
        assert_eq!(OsRelease::parse(""), None);
        assert_eq!(OsRelease::parse("ID=\"").unwrap().id, "\"", "whatever it is");
    }
}

//! What is stored of a file, by the place it has.

use super::{Mask, parameters};

/// Processes that the probes look for. What else runs on a host is its owner's business.
const COMMANDS: &[&str] = &["ptp4l", "phc2sys", "ts2phc", "chronyd", "systemd-timesyn", "ntpd", "irqbalance"];

/// Files and folders with nothing but the kernel's own words and numbers: a user called `cpu` is not in them, and to
/// replace that word would make them unreadable. Addresses are looked for anyway.
const OF_THE_KERNEL: &[&str] = &[
    "/proc/stat",
    "/proc/softirqs",
    "/proc/vmstat",
    "/proc/net/snmp",
    "/proc/net/snmp6",
    "/proc/net/netstat",
    "/proc/net/softnet_stat",
    "/proc/irq/",
    "/proc/sys/net/",
    "/proc/sys/vm/",
    "/sys/devices/system/",
];

/// Folders whose files are not the kernel's.
const OF_THE_ADMINISTRATOR: &[&str] = &["/etc/", "/usr/", "/opt/", "/run/", "/var/"];

fn is_os_release(path: &str) -> bool {
    matches!(path, "/etc/os-release" | "/usr/lib/os-release")
}

/// The distribution and its version. The other lines may name a vendor or a house's own build.
fn os_release(text: &str) -> String {
    let kept = |line: &&str| ["ID=", "ID_LIKE=", "VERSION_ID="].iter().any(|key| line.starts_with(key));
    text.lines().filter(kept).fold(String::new(), |all, line| all + line + "\n")
}

/// What becomes of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Stored, masked.
    Bytes(Vec<u8>),
    /// Left out, as if it were not there.
    Nothing,
}

/// The id of a process whose name is not kept.
fn is_process(entry: &str) -> bool {
    !entry.is_empty() && entry.bytes().all(|b| b.is_ascii_digit())
}

/// The process that a path below `/proc` belongs to.
pub(crate) fn process_of(path: &str) -> Option<&str> {
    path.strip_prefix("/proc/")?.split('/').next().filter(|p| is_process(p))
}

/// Whether a process's name may be stored.
pub(crate) fn kept_command(comm: &[u8]) -> bool {
    std::str::from_utf8(comm).is_ok_and(|c| {
        let name = c.trim_end_matches('\n');
        COMMANDS.contains(&name) || name.starts_with("ksoftirqd/")
    })
}

/// Whether a text holds nothing but numbers.
fn numbers_only(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| b.is_ascii_digit() || b.is_ascii_whitespace())
}

impl Mask {
    /// What is stored of a file with these bytes.
    pub(crate) fn file(&mut self, path: &str, bytes: &[u8]) -> Kept {
        let kept =
            path.ends_with("/comm") && kept_command(bytes) || path.ends_with("/schedstat") && numbers_only(bytes);
        if process_of(path).is_some() && !kept {
            return Kept::Nothing;
        }
        // Files of the administrator may say anything: a ptp4l's describes its user and its place.
        if OF_THE_ADMINISTRATOR.iter().any(|dir| path.starts_with(dir)) && !is_os_release(path) {
            return Kept::Nothing;
        }
        if path == "/proc/config.gz" {
            return packed_configuration(bytes);
        }
        let of_kernel = OF_THE_KERNEL.iter().any(|k| if k.ends_with('/') { path.starts_with(k) } else { path == *k });
        let mut one = |mask: &mut Self, text: &str| match path {
            "/proc/self/cgroup" => mask.memberships(text),
            "/proc/cmdline" => mask.text(&parameters::known_only(text)),
            _ if path.starts_with("/boot/config-") => configuration(text),
            "/proc/cpuinfo" => mask.text(&without_serial(text)),
            _ if is_os_release(path) => mask.text(&os_release(text)),
            _ if of_kernel => mask.addresses(text),
            _ => mask.text(text),
        };
        Kept::Bytes(self.bytes(bytes, &mut one))
    }

    /// `4:cpu,cpuacct:/docker/0a1b`, a line for each hierarchy (man 7 cgroups).
    fn memberships(&mut self, text: &str) -> String {
        let mut one = |line: &str| match line.match_indices(':').nth(1) {
            Some((at, _)) => format!("{}:{}", &line[..at], self.groups(&line[at + 1..])),
            None => self.text(line),
        };
        text.split('\n').map(&mut one).collect::<Vec<_>>().join("\n")
    }
}

/// Options with a number or a letter: a text may be a host name, a path or a user (`CONFIG_DEFAULT_HOSTNAME`,
/// `CONFIG_INITRAMFS_SOURCE`, `CONFIG_CC_VERSION_TEXT`).
fn configuration(text: &str) -> String {
    let kept = |line: &&str| {
        let unset = line.strip_prefix("# ").and_then(|l| l.strip_suffix(" is not set"));
        let name = |n: &str| n.starts_with("CONFIG_") && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let value = |v: &str| {
            matches!(v, "y" | "m" | "n") || (!v.is_empty() && v.len() < 12 && v.bytes().all(|b| b.is_ascii_digit()))
        };
        unset.is_some_and(name) || line.split_once('=').is_some_and(|(n, v)| name(n) && value(v))
    };
    text.lines().filter(kept).fold(String::new(), |all, line| all + line + "\n")
}

fn packed_configuration(bytes: &[u8]) -> Kept {
    use std::io::{Read as _, Write as _};
    let mut text = String::new();
    // A kernel configuration is about 300 kB; more than this is none.
    if flate2::read::GzDecoder::new(bytes).take(16 << 20).read_to_string(&mut text).is_err() {
        return Kept::Nothing;
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    match packed.write_all(configuration(&text).as_bytes()).and_then(|()| packed.finish()) {
        Ok(bytes) => Kept::Bytes(bytes),
        Err(_) => Kept::Nothing,
    }
}

/// Boards with an Arm processor show their serial number there (arch/arm/kernel/setup.c, `c_show`).
fn without_serial(text: &str) -> String {
    text.split_inclusive('\n').filter(|l| !l.to_ascii_lowercase().starts_with("serial")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(path: &str, text: &str) -> String {
        match Mask::default().file(path, text.as_bytes()) {
            Kept::Bytes(b) => String::from_utf8_lossy(&b).into_owned(),
            Kept::Nothing => "nothing".into(),
        }
    }

    #[test]
    fn a_group_gives_nobody_s_name_away_and_is_the_same_everywhere() {
        let mut mask = Mask::default();
        let Kept::Bytes(text) =
            mask.file("/proc/self/cgroup", b"4:cpu,cpuacct:/docker/0a1b\n0::/user.slice/alice.service\n")
        else {
            panic!("left out")
        };
        assert_eq!(String::from_utf8(text).unwrap(), "4:cpu,cpuacct:/group1/group2\n0::/user.slice/group3.service\n");
        for (path, stored) in [
            ("/sys/fs/cgroup/cpu,cpuacct/docker/0a1b/cpu.stat", "/sys/fs/cgroup/cpu,cpuacct/group1/group2/cpu.stat"),
            ("/sys/fs/cgroup/user.slice/alice.service/cpu.stat", "/sys/fs/cgroup/user.slice/group3.service/cpu.stat"),
            ("/sys/fs/cgroup/cpuset.cpus.effective", "/sys/fs/cgroup/cpuset.cpus.effective"),
        ] {
            assert_eq!(mask.path(path), stored);
        }
    }

    #[test]
    fn a_process_is_kept_only_by_a_known_name() {
        assert_eq!(stored("/proc/7/comm", "chronyd\n"), "chronyd\n");
        assert_eq!(stored("/proc/7/comm", "alpha-strategy\n"), "nothing");
        assert_eq!(stored("/proc/7/cmdline", "chronyd"), "nothing");
    }

    #[test]
    fn of_the_administrators_files_the_distribution_alone_is_kept() {
        let text = "PRETTY_NAME=\"house build 7\"\nID=debian\nVERSION_ID=\"12\"\nHOME_URL=\"https://x\"\n";
        assert_eq!(stored("/etc/os-release", text), "ID=debian\nVERSION_ID=\"12\"\n");
        assert_eq!(stored("/etc/linuxptp/ptp4l.conf", "userDescription rack 7"), "nothing");
        assert_eq!(stored("/run/ptp4l.0.config", "x"), "nothing");
    }

    #[test]
    fn a_configuration_loses_its_texts() {
        let text =
            "CONFIG_HZ=250\n# CONFIG_X is not set\nCONFIG_DEFAULT_HOSTNAME=\"trader7\"\n# by alice\nCONFIG_A=y\n";
        assert_eq!(stored("/boot/config-6.1", text), "CONFIG_HZ=250\n# CONFIG_X is not set\nCONFIG_A=y\n");
        assert_eq!(stored("/proc/config.gz", "no gzip"), "nothing");
    }

    #[test]
    fn a_boards_serial_number_goes() {
        assert_eq!(stored("/proc/cpuinfo", "model\t: 7\nSerial\t\t: 00ab\nflags: a\n"), "model\t: 7\nflags: a\n");
    }
}

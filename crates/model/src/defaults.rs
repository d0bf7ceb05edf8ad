//! What the kernel itself sets, by release and by machine: the one place for the numbers that rules compare with and pages
//! state.

/// A kernel release: `6.12` is (6, 12).
pub type Release = (u32, u32);

/// A default of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelDefault {
    /// `net.core.rmem_default`: a sysctl, or what a page calls it.
    pub key: &'static str,
    /// From this release on, until the next entry of the key; (0, 0) for all that lowlat runs on.
    pub since: Release,
    /// Machines of so many bits alone; `None` for all.
    pub bits: Option<u8>,
    /// The value as `/proc/sys` shows it. Where it depends on the memory, the most that it is.
    pub value: &'static str,
    /// Where it stands.
    pub source: &'static str,
}

const fn all(key: &'static str, value: &'static str, source: &'static str) -> KernelDefault {
    KernelDefault { key, since: (0, 0), bits: None, value, source }
}

const fn of_bits(key: &'static str, bits: u8, value: &'static str, source: &'static str) -> KernelDefault {
    KernelDefault { key, since: (0, 0), bits: Some(bits), value, source }
}

const fn from(major: u32, minor: u32, default: KernelDefault) -> KernelDefault {
    KernelDefault { since: (major, minor), ..default }
}

/// `SKB_TRUESIZE(256)` is 832 bytes with pointers of 64 bits and 640 with those of 32, times 256.
const BUFFER: &str = "include/net/sock.h in linux 6.12: SK_RMEM_MAX, SK_WMEM_MAX (256 times SKB_TRUESIZE)";
const FOUR_MIB: &str = "linux commit a6d4f25888b83b8300aef28d9ee22765c1cc9b34: net: set net.core.rmem_max and net.core.wmem_max to 4 MB (6.18)";
const LIMIT_4_MIB: &str = "linux commit 9ea3bfa61b09e5ae4802661fa9a54438c615c096: tcp: increase tcp_limit_output_bytes default value to 4MB (6.16)";

/// Every default, by key and rising release.
pub static DEFAULTS: &[KernelDefault] = &[
    of_bits("net.core.rmem_default", 64, "212992", BUFFER),
    of_bits("net.core.rmem_default", 32, "163840", BUFFER),
    of_bits("net.core.wmem_default", 64, "212992", BUFFER),
    of_bits("net.core.wmem_default", 32, "163840", BUFFER),
    of_bits("net.core.rmem_max", 64, "212992", BUFFER),
    of_bits("net.core.rmem_max", 32, "163840", BUFFER),
    from(6, 18, all("net.core.rmem_max", "4194304", FOUR_MIB)),
    of_bits("net.core.wmem_max", 64, "212992", BUFFER),
    of_bits("net.core.wmem_max", 32, "163840", BUFFER),
    from(6, 18, all("net.core.wmem_max", "4194304", FOUR_MIB)),
    all("net.ipv4.tcp_rmem", "4096 131072 6291456", "net/ipv4/tcp.c in linux 6.1, 6.12: tcp_init (at most 6 MiB)"),
    from(
        6,
        16,
        all(
            "net.ipv4.tcp_rmem",
            "4096 131072 33554432",
            "linux commit 572be9bf9d0d: tcp: increase tcp_rmem[2] to 32 MB (6.16)",
        ),
    ),
    all("net.ipv4.tcp_wmem", "4096 16384 4194304", "net/ipv4/tcp.c in linux 6.1, 6.12: tcp_init (at most 4 MiB)"),
    all("net.ipv4.tcp_limit_output_bytes", "1048576", "net/ipv4/tcp_ipv4.c in linux 6.1, 6.12: tcp_sk_init"),
    from(6, 16, all("net.ipv4.tcp_limit_output_bytes", "4194304", LIMIT_4_MIB)),
    all("net.ipv4.tcp_sack", "1", "net/ipv4/tcp_ipv4.c in linux 6.1, 6.12: tcp_sk_init"),
    all("net.ipv4.tcp_timestamps", "1", "net/ipv4/tcp_ipv4.c in linux 6.1, 6.12: tcp_sk_init"),
    all("net.ipv4.tcp_window_scaling", "1", "net/ipv4/tcp_ipv4.c in linux 6.1, 6.12: tcp_sk_init"),
    all("net.core.netdev_budget", "300", "Documentation/admin-guide/sysctl/net.rst in linux 6.12: netdev_budget"),
    all("net.core.netdev_max_backlog", "1000", "net/core/dev.c in linux 6.1: netdev_max_backlog"),
    all("net.core.somaxconn", "128", "Documentation/networking/ip-sysctl.rst in linux 6.12: Was 128 before linux-5.4"),
    from(5, 4, all("net.core.somaxconn", "4096", "Documentation/networking/ip-sysctl.rst in linux 6.12: somaxconn")),
    all("net.ipv4.igmp_max_memberships", "20", "Documentation/networking/ip-sysctl.rst in linux 6.12: Default: 20"),
    all("kernel.sched_rt_runtime_us", "950000", "kernel/sched/rt.c in linux 6.12: sysctl_sched_rt_runtime"),
    all("vm.swappiness", "60", "Documentation/admin-guide/sysctl/vm.rst in linux 6.12: The default value is 60"),
    all("timer slack of a thread, ns", "50000", "init/init_task.c in linux 6.12: timer_slack_ns"),
];

/// The default of a key on a kernel of this name and a machine of this one (`uname -r`, `uname -m`). What is not known is
/// taken for the oldest kernel and the smallest value.
pub fn of(key: &str, release: Option<&str>, machine: Option<&str>) -> Option<&'static str> {
    let release = release.and_then(release_of).unwrap_or_default();
    let bits = machine.map_or(32, bits_of);
    let fits = |d: &&KernelDefault| d.key == key && d.since <= release && d.bits.is_none_or(|b| b == bits);
    DEFAULTS.iter().filter(fits).max_by_key(|d| d.since).map(|d| d.value)
}

/// The number that a default is, or the one at this place of several.
pub fn number(key: &str, place: usize, release: Option<&str>, machine: Option<&str>) -> Option<u64> {
    of(key, release, machine)?.split_whitespace().nth(place)?.parse().ok()
}

/// `6.12.48-amd64` → (6, 12).
pub fn release_of(name: &str) -> Option<Release> {
    let mut numbers = name.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Bits of a machine by its name of `uname -m`. A 64-bit kernel calls itself by a name of 32 bits only for a process that
/// asked for it (personality).
pub fn bits_of(machine: &str) -> u8 {
    const BITS_32: [&str; 10] = ["arm", "i386", "i486", "i586", "i686", "mips", "ppc", "riscv32", "m68k", "sh4"];
    if BITS_32.contains(&machine) || machine.starts_with("armv") { 32 } else { 64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_of_a_release_and_a_machine() {
        for (key, release, machine, want) in [
            ("net.core.rmem_max", "6.12.48-amd64", "x86_64", "212992"),
            ("net.core.rmem_max", "6.18.0-rc1", "aarch64", "4194304"),
            ("net.core.rmem_max", "7.0.0", "armv7l", "4194304"),
            ("net.core.rmem_max", "6.6.93", "mips", "163840"),
            ("net.core.rmem_default", "6.18.2-arch1-1", "x86_64", "212992"),
            ("net.core.rmem_default", "5.15.0-91-generic", "i686", "163840"),
            ("net.ipv4.tcp_rmem", "6.16.1", "x86_64", "4096 131072 33554432"),
            ("net.ipv4.tcp_rmem", "6.15.9", "x86_64", "4096 131072 6291456"),
            ("net.ipv4.tcp_limit_output_bytes", "6.15.11", "x86_64", "1048576"),
            ("net.ipv4.tcp_limit_output_bytes", "6.16.0", "x86_64", "4194304"),
            ("net.core.somaxconn", "4.19.0-26-amd64", "x86_64", "128"),
        ] {
            assert_eq!(of(key, Some(release), Some(machine)), Some(want), "{key} {release} {machine}");
        }
        assert_eq!(of("net.core.rmem_default", None, None), Some("163840"), "the smallest where nothing is known");
        assert_eq!(of("net.core.nothing", Some("6.12"), Some("x86_64")), None);
        assert_eq!(number("net.ipv4.tcp_rmem", 1, Some("6.1.0"), Some("x86_64")), Some(131_072));
    }

    #[test]
    fn the_table_is_in_order_and_every_source_can_be_opened() {
        for pair in DEFAULTS.windows(2).filter(|p| p[0].key == p[1].key) {
            assert!(pair[0].since <= pair[1].since, "{}", pair[0].key);
        }
        for default in DEFAULTS {
            assert!(crate::source::has_form(default.source), "{}", default.source);
        }
        assert_eq!(release_of("gibberish"), None);
        assert_eq!(release_of("6"), None);
    }
}

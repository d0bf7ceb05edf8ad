//! Kernel, machine, virtualization, memory.

use std::collections::BTreeMap;
use std::io::Read;

use lowlat_model::facts::Host;
use lowlat_model::{OsRelease, Reading};
use lowlat_sys::{Sys, query};

use crate::text::{garbled, trimmed};

crate::collector! {
    /// Which kernel runs, how it was configured and started, whether it is a real-time kernel, whether the machine is
    /// metal or virtual, its clock source, which huge pages it has, and its policies for transparent huge pages,
    /// same-page merging and the power of PCI Express links. Also which vulnerabilities of the processor the kernel
    /// mitigates, where it lets another task in, and which distribution it is.
    ///
    /// The hypervisor is identified by the firmware's vendor and product strings, else by `/sys/hypervisor`, else by
    /// signs of it in the processor and the clock sources. `unknown-hypervisor` means that there certainly is one, of
    /// an unknown kind.
    pub HOST = "host";
    reads [
        "net:uname",
        "net:netns-inode",
        "/proc/config.gz",
        "/boot/config-*",
        "/proc/cmdline",
        "/sys/kernel/realtime",
        "/sys/class/dmi/id/sys_vendor",
        "/sys/class/dmi/id/product_name",
        "/sys/hypervisor/type",
        "/proc/cpuinfo",
        "/sys/devices/system/clocksource/clocksource0/*",
        "/sys/devices/system/node/*/hugepages/*/nr_hugepages",
        "/proc/sys/kernel/random/boot_id",
        "/sys/kernel/mm/transparent_hugepage/{enabled,defrag}",
        "/sys/kernel/mm/ksm/run",
        "/sys/module/pcie_aspm/parameters/policy",
        "/sys/devices/system/cpu/vulnerabilities/*",
        "/sys/kernel/debug/sched/preempt",
        "/etc/os-release",
        "/usr/lib/os-release",
    ];
    sources [
        "man 5 proc (/proc/cmdline)",
        "man 5 os-release",
        "Documentation/admin-guide/mm/hugetlbpage.rst in linux 6.12: nr_hugepages (of a node)",
        "Documentation/ABI/testing/sysfs-devices-system-cpu in linux 6.12: vulnerabilities",
        "kernel/sched/debug.c in linux 6.12: sched_dynamic_show",
        "kernel/sched/core.c in linux 6.12: preempt_dynamic_init",
        "https://github.com/systemd/systemd/blob/v256/src/basic/virt.c (detect_vm_dmi_vendor)",
    ];
}

/// The options that rules, knobs and engines ask about.
const OPTIONS: &[&str] = &["CONFIG_NO_HZ_FULL", "CONFIG_RT_GROUP_SCHED"];

/// The clocksource in use.
pub(crate) fn clocksource(sys: &dyn Sys) -> Reading<String> {
    trimmed(sys.read("/sys/devices/system/clocksource/clocksource0/current_clocksource"))
}

/// All of it.
pub(crate) fn read(sys: &dyn Sys) -> Host {
    let uname = query::uname(sys);
    let release = match uname.as_ref().map(|u| u.release.clone()) {
        Reading::Value(release) => Reading::Value(release),
        _ => sys.sysctl("kernel.osrelease"),
    };
    let version = match uname.as_ref().map(|u| u.version.clone()) {
        Reading::Value(version) => Reading::Value(version),
        _ => sys.sysctl("kernel.version"),
    };
    // Packed in the kernel, some 100 kB unpacked: once for all that ask.
    let config = config_text(sys, &release);
    Host {
        preemption: preemption(sys, &config, &version),
        config: config.map(|text| options(&text)),
        cmdline: trimmed(sys.read("/proc/cmdline")),
        realtime: realtime(sys, &version),
        virtualization: virtualization(sys),
        clocksource: clocksource(sys),
        netns: query::netns_inode(sys).map(|inode| format!("net:[{inode}]")),
        hugepages: hugepages(sys),
        boot_id: sys.sysctl("kernel.random.boot_id"),
        thp: chosen(sys, "/sys/kernel/mm/transparent_hugepage/enabled"),
        thp_defrag: chosen(sys, "/sys/kernel/mm/transparent_hugepage/defrag"),
        ksm: sys.read("/sys/kernel/mm/ksm/run").parse("ksm/run"),
        aspm_policy: chosen(sys, "/sys/module/pcie_aspm/parameters/policy"),
        vulnerabilities: vulnerabilities(sys),
        distribution: distribution(sys),
        machine: uname.map(|u| u.machine),
        release,
        version,
    }
}

/// The administrator's file, else that of the vendor (man 5 os-release).
fn distribution(sys: &dyn Sys) -> Reading<OsRelease> {
    let parsed = |path: &str| {
        sys.read(path).and_then(|text| OsRelease::parse(&text).map_or_else(|| garbled(path, &text), Reading::Value))
    };
    match parsed("/etc/os-release") {
        Reading::Absent(_) => parsed("/usr/lib/os-release"),
        other => other,
    }
}

/// A file that lists its words, the one that acts in brackets: `always [madvise] never`.
fn chosen(sys: &dyn Sys, path: &str) -> Reading<String> {
    sys.read(path).and_then(|text| {
        match text.split_whitespace().find_map(|w| w.strip_prefix('[').and_then(|w| w.strip_suffix(']'))) {
            Some(word) => Reading::Value(word.to_owned()),
            None => garbled(path, &text),
        }
    })
}

/// One file for each vulnerability that this kernel knows: `Not affected`, `Vulnerable`, `Mitigation: …`.
fn vulnerabilities(sys: &dyn Sys) -> Reading<BTreeMap<String, String>> {
    const DIR: &str = "/sys/devices/system/cpu/vulnerabilities";
    sys.list(DIR).and_then(|names| {
        let mut all = BTreeMap::new();
        for name in names {
            match trimmed(sys.read(&format!("{DIR}/{name}"))) {
                Reading::Value(text) => drop(all.insert(name, text)),
                other => return other.map(|_| BTreeMap::new()),
            }
        }
        Reading::Value(all)
    })
}

/// What the kernel's own switch says; else what the build and the boot parameter leave open. A kernel with the switch
/// (`PREEMPT_DYNAMIC`) begins with what it was configured for (kernel/sched/core.c, `preempt_dynamic_init`).
fn preemption(sys: &dyn Sys, config: &Reading<String>, version: &Reading<String>) -> Reading<String> {
    const SWITCH: &str = "/sys/kernel/debug/sched/preempt";
    let switch = sys.read(SWITCH);
    if let Reading::Value(text) = &switch {
        let word = text.split_whitespace().find_map(|w| w.strip_prefix('(').and_then(|w| w.strip_suffix(')')));
        // An RT kernel has the switch too, between its two ways to be preempted.
        let rt = version.value().is_some_and(|v| v.contains("PREEMPT_RT"));
        return word.map_or_else(|| garbled(SWITCH, text), |w| Reading::Value(if rt { "rt" } else { w }.to_owned()));
    }
    let version = match version {
        Reading::Value(version) => version,
        other => return other.clone(),
    };
    if version.contains("PREEMPT_RT") {
        return Reading::Value("rt".to_owned());
    }
    let words = || version.split_whitespace();
    if words().any(|w| w == "PREEMPT") {
        return Reading::Value("full".to_owned());
    }
    let cmdline = sys.read("/proc/cmdline").into_value().unwrap_or_default();
    let asked = cmdline.split_whitespace().rev().find_map(|w| w.strip_prefix("preempt="));
    match asked.filter(|_| words().any(|w| w == "PREEMPT_DYNAMIC")) {
        Some(mode) => Reading::Value(mode.to_owned()),
        None => config.as_ref().and_then(|text| configured(text)),
    }
}

/// The model that the kernel was configured for.
fn configured(config: &str) -> Reading<String> {
    let set = |option: &str| config.lines().any(|l| l.strip_prefix(option) == Some("=y"));
    for (option, mode) in [
        ("CONFIG_PREEMPT_NONE", "none"),
        ("CONFIG_PREEMPT_VOLUNTARY", "voluntary"),
        ("CONFIG_PREEMPT_LAZY", "lazy"),
        ("CONFIG_PREEMPT", "full"),
    ] {
        if set(option) {
            return Reading::Value(mode.to_owned());
        }
    }
    Reading::Absent("the kernel's configuration names no preemption model".to_owned())
}

/// From the running kernel itself, else from the file that the distribution put next to its image.
fn config_text(sys: &dyn Sys, release: &Reading<String>) -> Reading<String> {
    let own = sys.read_bytes("/proc/config.gz").and_then(|packed| gunzip(&packed));
    if own.value().is_some() {
        return own;
    }
    release.as_ref().and_then(|release| sys.read(&format!("/boot/config-{release}")))
}

/// A kernel configuration is about 300 kB; more than this is none.
const CONFIG_LIMIT: u64 = 16 << 20;

fn gunzip(packed: &[u8]) -> Reading<String> {
    let mut text = String::new();
    match flate2::read::GzDecoder::new(packed).take(CONFIG_LIMIT).read_to_string(&mut text) {
        Ok(_) => Reading::Value(text),
        Err(e) => Reading::Garbled(format!("/proc/config.gz: {e}")),
    }
}

/// `CONFIG_X=y`, and `# CONFIG_X is not set` as `n`; only [`OPTIONS`].
fn options(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| {
            line.strip_prefix("# ")
                .and_then(|l| Some((l.strip_suffix(" is not set")?, "n")))
                .or_else(|| line.split_once('='))
        })
        .filter(|(name, _)| OPTIONS.contains(name))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

/// `/sys/kernel/realtime` is there only under PREEMPT_RT (kernel/ksysfs.c of the RT tree, mainline since 6.12 keeps
/// the word in `uname -v`).
fn realtime(sys: &dyn Sys, version: &Reading<String>) -> Reading<bool> {
    match trimmed(sys.read("/sys/kernel/realtime")) {
        Reading::Value(flag) if flag == "1" || flag == "0" => Reading::Value(flag == "1"),
        Reading::Value(flag) => garbled("/sys/kernel/realtime", &flag),
        _ => version.as_ref().map(|v| v.contains("PREEMPT_RT")),
    }
}

fn virtualization(sys: &dyn Sys) -> Reading<String> {
    let file = |path: &str| trimmed(sys.read(path)).into_value().unwrap_or_default();
    let vendor = file("/sys/class/dmi/id/sys_vendor");
    let product = file("/sys/class/dmi/id/product_name");
    let hypervisor = file("/sys/hypervisor/type");
    let clocksources = file("/sys/devices/system/clocksource/clocksource0/available_clocksource");
    trimmed(sys.read("/proc/cpuinfo")).map(|cpuinfo| {
        guess(&Clues {
            vendor: &vendor,
            product: &product,
            hypervisor: &hypervisor,
            clocksources: &clocksources,
            cpuinfo: &cpuinfo,
        })
        .to_owned()
    })
}

struct Clues<'a> {
    vendor: &'a str,
    product: &'a str,
    hypervisor: &'a str,
    clocksources: &'a str,
    cpuinfo: &'a str,
}

/// Firmware strings first, as systemd's `detect_vm_dmi` does: they name the product, the CPU only says that there is
/// a hypervisor.
fn guess(clues: &Clues<'_>) -> &'static str {
    let kvm = clues.clocksources.split_whitespace().any(|c| c == "kvm-clock");
    let either = |word: &str| clues.vendor.starts_with(word) || clues.product.starts_with(word);
    // A metal instance of a cloud has the cloud's vendor string and no hypervisor under it
    // (https://docs.aws.amazon.com/ec2/, product names end in `.metal`).
    if clues.product.contains(".metal") {
        return "metal";
    }
    for (word, name) in [
        ("Amazon EC2", "amazon"),
        ("Google", "google"),
        ("VMware", "vmware"),
        ("VMW", "vmware"),
        ("innotek GmbH", "virtualbox"),
        ("VirtualBox", "virtualbox"),
        ("Xen", "xen"),
        ("Parallels", "parallels"),
        ("Apple Virtualization", "apple"),
        ("Alibaba Cloud", "alibaba"),
        ("DigitalOcean", "kvm"),
        ("OpenStack", "kvm"),
        ("KubeVirt", "kvm"),
        ("KVM", "kvm"),
    ] {
        if either(word) {
            return name;
        }
    }
    if clues.vendor == "Microsoft Corporation" && clues.product == "Virtual Machine" {
        return "hyperv";
    }
    if either("QEMU") || either("Bochs") {
        return if kvm { "kvm" } else { "qemu-tcg" };
    }
    if clues.hypervisor == "xen" {
        return "xen";
    }
    if kvm {
        return "kvm";
    }
    if clues.clocksources.contains("hyperv") {
        return "hyperv";
    }
    let flagged = clues
        .cpuinfo
        .lines()
        .filter(|l| l.starts_with("flags"))
        .any(|l| l.split_whitespace().any(|flag| flag == "hypervisor"));
    if flagged { "unknown-hypervisor" } else { "metal" }
}

fn hugepages(sys: &dyn Sys) -> Reading<BTreeMap<String, u64>> {
    sys.list("/sys/devices/system/node").map(|nodes| {
        let mut pages = BTreeMap::new();
        for node in nodes.iter().filter(|n| n.strip_prefix("node").is_some_and(|d| d.parse::<u32>().is_ok())) {
            let dir = format!("/sys/devices/system/node/{node}/hugepages");
            for size in sys.list(&dir).into_value().unwrap_or_default() {
                let Some(kb) = size.strip_prefix("hugepages-").and_then(|s| s.strip_suffix("kB")) else { continue };
                let count = sys.read(&format!("{dir}/{size}/nr_hugepages")).parse("nr_hugepages");
                if let Reading::Value(count) = count {
                    pages.insert(format!("{node}/{kb}"), count);
                }
            }
        }
        pages
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lowlat_testkit::FakeSys;

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text.as_bytes()).unwrap();
        gz.finish().unwrap()
    }

    #[test]
    fn configuration_from_the_kernel_or_from_boot() {
        let text = "CONFIG_NO_HZ_FULL=y\n# CONFIG_RT_GROUP_SCHED is not set\nCONFIG_SOMETHING_ELSE=y\n";
        let want =
            BTreeMap::from([("CONFIG_NO_HZ_FULL".into(), "y".into()), ("CONFIG_RT_GROUP_SCHED".into(), "n".into())]);
        let config = |sys: &FakeSys, release: &Reading<String>| config_text(sys, release).map(|text| options(&text));
        let sys = FakeSys::new().bytes("/proc/config.gz", &packed(text));
        assert_eq!(config(&sys, &Reading::Value("6.1".into())), Reading::Value(want.clone()));
        let sys = FakeSys::new().file("/boot/config-6.1", text);
        assert_eq!(config(&sys, &Reading::Value("6.1".into())), Reading::Value(want));
        let sys = FakeSys::new().bytes("/proc/config.gz", b"no gzip");
        assert!(matches!(config(&sys, &Reading::Value("6.1".into())), Reading::Absent(_)));
    }

    fn clues<'a>(vendor: &'a str, product: &'a str, clocksources: &'a str, cpuinfo: &'a str) -> Clues<'a> {
        Clues { vendor, product, hypervisor: "", clocksources, cpuinfo }
    }

    #[test]
    fn hypervisors() {
        for (vendor, product, clocks, cpuinfo, want) in [
            ("Dell Inc.", "PowerEdge R650", "tsc hpet acpi_pm", "flags\t\t: fpu vme\n", "metal"),
            ("QEMU", "Standard PC (Q35 + ICH9, 2009)", "kvm-clock tsc acpi_pm", "flags\t: hypervisor\n", "kvm"),
            ("QEMU", "Standard PC (Q35 + ICH9, 2009)", "tsc hpet acpi_pm", "flags\t: hypervisor\n", "qemu-tcg"),
            ("Amazon EC2", "c6i.large", "tsc kvm-clock", "flags\t: hypervisor\n", "amazon"),
            ("Amazon EC2", "c6i.metal", "tsc", "flags\t: fpu\n", "metal"),
            ("Microsoft Corporation", "Virtual Machine", "hyperv_clocksource_tsc_page", "", "hyperv"),
            ("", "", "tsc kvm-clock ", "flags\t: hypervisor\n", "kvm"),
            ("", "", "tsc", "flags\t: fpu hypervisor lahf_lm\n", "unknown-hypervisor"),
        ] {
            assert_eq!(guess(&clues(vendor, product, clocks, cpuinfo)), want, "{vendor} {product} {clocks}");
        }
    }

    #[test]
    fn realtime_kernels() {
        let none = FakeSys::new();
        assert_eq!(realtime(&none, &Reading::Value("#1 SMP PREEMPT_RT Debian".into())), Reading::Value(true));
        assert_eq!(realtime(&none, &Reading::Value("#1 SMP PREEMPT_DYNAMIC".into())), Reading::Value(false));
        let flag = FakeSys::new().file("/sys/kernel/realtime", "1\n");
        assert_eq!(realtime(&flag, &Reading::Denied("x".into())), Reading::Value(true));
    }

    #[test]
    fn the_preemption_model() {
        let asked = |sys: &FakeSys, version: &str| {
            let config = config_text(sys, &Reading::Value("6.12".into()));
            preemption(sys, &config, &Reading::Value(version.to_owned()))
        };
        let value = |mode: &str| Reading::Value(mode.to_owned());
        let switch = FakeSys::new().file("/sys/kernel/debug/sched/preempt", "none voluntary (full) lazy \n");
        assert_eq!(asked(&switch, "#1 SMP PREEMPT_DYNAMIC x"), value("full"));
        assert_eq!(asked(&switch, "#1 SMP PREEMPT_RT x"), value("rt"));
        let strange = FakeSys::new().file("/sys/kernel/debug/sched/preempt", "none voluntary\n");
        assert!(matches!(asked(&strange, "#1 SMP PREEMPT_DYNAMIC x"), Reading::Garbled(_)));
        let boot = FakeSys::new()
            .denied("/sys/kernel/debug/sched/preempt")
            .file("/proc/cmdline", "quiet preempt=none preempt=voluntary\n")
            .file("/boot/config-6.12", "CONFIG_PREEMPT_DYNAMIC=y\nCONFIG_PREEMPT_NONE=y\n");
        assert_eq!(asked(&boot, "#1 SMP PREEMPT_DYNAMIC x"), value("voluntary"));
        assert_eq!(asked(&boot, "#1 SMP x"), value("none"), "a kernel without the switch ignores the parameter");
        assert_eq!(asked(&FakeSys::new(), "#1 SMP PREEMPT x"), value("full"));
        assert!(matches!(asked(&FakeSys::new(), "#1 SMP PREEMPT_DYNAMIC x"), Reading::Absent(_)));
    }

    #[test]
    fn one_vulnerability_that_is_denied_is_not_dropped() {
        let dir = "/sys/devices/system/cpu/vulnerabilities";
        let sys = FakeSys::new().file(&format!("{dir}/meltdown"), "Mitigation: PTI\n");
        assert_eq!(vulnerabilities(&sys).into_value().unwrap()["meltdown"], "Mitigation: PTI");
        let sys = sys.denied(&format!("{dir}/retbleed"));
        assert!(matches!(vulnerabilities(&sys), Reading::Denied(_)));
        assert!(matches!(vulnerabilities(&FakeSys::new()), Reading::Absent(_)));
    }

    #[test]
    fn hugepages_per_node_and_size() {
        let sys = FakeSys::new()
            .file("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "1024\n")
            .file("/sys/devices/system/node/possible", "0-1\n");
        assert_eq!(hugepages(&sys), Reading::Value(BTreeMap::from([("node1/2048".into(), 1024)])));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*", bytes: Vec<u8>) {
            let _ = options(&text);
            let _ = configured(&text);
            let _ = gunzip(&bytes);
            let _ = guess(&clues(&text, &text, &text, &text));
        }
    }
}

//! Processors, their power policy and their isolation.

use std::collections::{BTreeMap, BTreeSet};

use lowlat_model::Reading;
use lowlat_model::facts::{CpuPower, Cpus, CpusetPartition, FairServer, IdleState, UncoreLimits};
use lowlat_model::site::CpuTopology;
use lowlat_sys::{Sys, query};

use crate::cpusets;
use crate::text::{cpu_list, cpu_mask, trimmed};

crate::collector! {
    /// Which processors there are, how they are isolated, which share a core or a NUMA node, and how each one saves
    /// power: frequency governor and preference, idle states with their exit latency and use, and the limits that
    /// programs have set on their exit latency. Also the CPUs on which the kernel's unbound workqueues may run, the
    /// frequency limits of what the cores of an Intel package share, whether there is MWAIT, and in a guest how long an
    /// idle virtual CPU polls. For root also what ordinary tasks are given while real-time tasks want a CPU for themselves.
    ///
    /// In a virtual machine most of the power policy belongs to the host and is absent here.
    pub CPUS = "cpus";
    reads [
        "/sys/devices/system/cpu/{online,isolated,nohz_full}",
        "/sys/devices/system/cpu/smt/control",
        "/sys/devices/system/cpu/cpu*/topology/thread_siblings_list",
        "/sys/devices/system/cpu/cpu*/cpufreq/*",
        "/sys/devices/system/cpu/cpu*/cpuidle/state*/{name,latency,disable,usage}",
        "/sys/devices/system/cpu/cpu*/power/pm_qos_resume_latency_us",
        "/sys/devices/system/cpu/cpuidle/*",
        "/sys/devices/system/cpu/{intel_pstate/no_turbo,cpufreq/boost}",
        "/sys/devices/system/node/node*/cpulist",
        "/proc/cpuinfo",
        "net:cpu-dma-latency",
        "/sys/devices/virtual/workqueue/cpumask",
        "/sys/devices/system/cpu/intel_uncore_frequency/*/{min,max}_freq_khz",
        "/sys/module/haltpoll/parameters/guest_halt_poll_ns",
        "/sys/kernel/debug/sched/fair_server/cpu*/{runtime,period}",
    ];
    sources [
        "Documentation/admin-guide/pm/cpuidle.rst in linux 6.12: Representation of Idle States",
        "Documentation/admin-guide/pm/cpufreq.rst in linux 6.12: Policy Interface in ``sysfs``",
        "Documentation/admin-guide/pm/intel_pstate.rst in linux 6.12: no_turbo",
        "Documentation/admin-guide/cputopology.rst in linux 6.12: How CPU topology info is exported via sysfs",
        "Documentation/ABI/testing/sysfs-devices-system-cpu in linux 6.12: smt, isolated, nohz_full",
        "Documentation/admin-guide/pm/intel_uncore_frequency_scaling.rst in linux 6.12: min_freq_khz, max_freq_khz",
        "Documentation/virt/guest-halt-polling.rst in linux 6.12: guest_halt_poll_ns",
        "kernel/sched/debug.c in linux 6.12: debugfs_fair_server_init",
    ];
}

const CPU: &str = "/sys/devices/system/cpu";
/// Of Intel's processors with a frequency of its own for what the cores share.
const UNCORE: &str = "/sys/devices/system/cpu/intel_uncore_frequency";

/// The online processors.
pub(crate) fn online(sys: &dyn Sys) -> Reading<Vec<u32>> {
    sys.read(&format!("{CPU}/online")).and_then(|t| cpu_list(&t))
}

/// All of it.
pub(crate) fn read(sys: &dyn Sys) -> Cpus {
    let partitions = cpusets::read(sys);
    let CpuTopology { online, isolated, nohz_full, siblings, node_of } = topology_with(sys, &partitions);
    let each = online.value().cloned().unwrap_or_default();
    Cpus {
        model: sys.read("/proc/cpuinfo").and_then(|t| model(&t)),
        mwait: sys.read("/proc/cpuinfo").and_then(|t| mwait(&t)),
        isolated,
        partitions,
        nohz_full,
        smt: trimmed(sys.read(&format!("{CPU}/smt/control"))),
        siblings,
        node_of,
        power: each.iter().map(|n| (*n, power(sys, *n))).collect(),
        idle_driver: idle_driver(sys),
        dma_latency_us: dma_latency_us(sys),
        boost: boost(sys),
        workqueue: sys.read("/sys/devices/virtual/workqueue/cpumask").and_then(|t| cpu_mask(&t)),
        uncore: uncore(sys),
        fair_server: fair_server(sys, &each),
        halt_poll_ns: sys.read("/sys/module/haltpoll/parameters/guest_halt_poll_ns").parse("guest_halt_poll_ns"),
        online,
    }
}

fn list(sys: &dyn Sys, file: &str) -> Reading<Vec<u32>> {
    sys.read(&format!("{CPU}/{file}")).and_then(|t| cpu_list(&t))
}

/// Which CPUs there are and what they share.
pub(crate) fn topology(sys: &dyn Sys) -> CpuTopology {
    topology_with(sys, &cpusets::read(sys))
}

fn topology_with(sys: &dyn Sys, partitions: &Reading<BTreeMap<String, CpusetPartition>>) -> CpuTopology {
    let online = online(sys);
    let each = online.value().map_or(&[][..], Vec::as_slice);
    CpuTopology {
        isolated: isolated(list(sys, "isolated"), partitions),
        nohz_full: list(sys, "nohz_full"),
        siblings: of_each(sys, each, "topology/thread_siblings_list"),
        node_of: nodes(sys),
        online,
    }
}

/// Those of `isolcpus=` and those of isolated partitions: the kernel's own list is what housekeeping leaves out since the
/// boot (drivers/base/cpu.c in linux 6.12, print_cpus_isolated).
fn isolated(boot: Reading<Vec<u32>>, partitions: &Reading<BTreeMap<String, CpusetPartition>>) -> Reading<Vec<u32>> {
    let more: BTreeSet<u32> = partitions.value().into_iter().flat_map(cpusets::isolated).collect();
    match boot {
        boot if more.is_empty() => boot,
        Reading::Value(list) => {
            Reading::Value(more.into_iter().chain(list).collect::<BTreeSet<u32>>().into_iter().collect())
        }
        _ => Reading::Value(more.into_iter().collect()),
    }
}

/// The third level is the last on the processors that have one (Documentation/ABI/testing/sysfs-devices-system-cpu).
pub(crate) fn caches(sys: &dyn Sys, cpus: &[u32]) -> BTreeMap<u32, Vec<u32>> {
    of_each(sys, cpus, "cache/index3/shared_cpu_list")
}

fn of_each(sys: &dyn Sys, cpus: &[u32], file: &str) -> BTreeMap<u32, Vec<u32>> {
    cpus.iter().filter_map(|n| Some((*n, list(sys, &format!("cpu{n}/{file}")).into_value()?))).collect()
}

/// What `/dev/cpu_dma_latency` gives.
pub(crate) fn dma_latency_us(sys: &dyn Sys) -> Reading<i64> {
    query::cpu_dma_latency(sys).map(i64::from)
}

/// `intel_pstate` has `no_turbo`, other drivers that can switch it have `cpufreq/boost`.
fn boost(sys: &dyn Sys) -> Reading<bool> {
    let file = |name: &str| sys.read(&format!("{CPU}/{name}")).parse::<u8>(name);
    match file("intel_pstate/no_turbo") {
        Reading::Absent(_) => file("cpufreq/boost").map(|on| on != 0),
        no_turbo => no_turbo.map(|off| off == 0),
    }
}

/// Each package and die has a folder; from 6.5 on there may also be `uncoreNN` for each cluster
/// (drivers/platform/x86/intel/uncore-frequency).
fn uncore(sys: &dyn Sys) -> Reading<BTreeMap<String, UncoreLimits>> {
    sys.list(UNCORE).and_then(|names| {
        let mut all = BTreeMap::new();
        for name in names.into_iter().filter(|n| n.starts_with("package_") || n.starts_with("uncore")) {
            let khz = |file: &str| sys.read(&format!("{UNCORE}/{name}/{file}")).parse::<u64>(file);
            let limits = khz("min_freq_khz")
                .and_then(|floor_khz| khz("max_freq_khz").map(|ceiling_khz| UncoreLimits { floor_khz, ceiling_khz }));
            match limits {
                Reading::Value(limits) => drop(all.insert(name, limits)),
                other => return other.map(|_| BTreeMap::new()),
            }
        }
        Reading::Value(all)
    })
}

/// The cpufreq governor of one processor.
pub(crate) fn governor(sys: &dyn Sys, n: u32) -> Reading<String> {
    trimmed(sys.read(&format!("{CPU}/cpu{n}/cpufreq/scaling_governor")))
}

/// Of each of these CPUs, or the reason of the first without one: a kernel before 6.12 has none, and debugfs is root's.
fn fair_server(sys: &dyn Sys, cpus: &[u32]) -> Reading<BTreeMap<u32, FairServer>> {
    let mut all = BTreeMap::new();
    for cpu in cpus {
        let ns =
            |file: &str| sys.read(&format!("/sys/kernel/debug/sched/fair_server/cpu{cpu}/{file}")).parse::<u64>(file);
        let of =
            ns("runtime").and_then(|runtime_ns| ns("period").map(|period_ns| FairServer { runtime_ns, period_ns }));
        match of {
            Reading::Value(server) => drop(all.insert(*cpu, server)),
            other => return other.map(|_| BTreeMap::new()),
        }
    }
    Reading::Value(all)
}

/// Whether the first processor's flags have `monitor` (X86_FEATURE_MWAIT). Only x86 has such a line of flags.
fn mwait(cpuinfo: &str) -> Reading<bool> {
    let flags = cpuinfo.lines().filter_map(|l| l.split_once(':')).find(|(key, _)| key.trim() == "flags");
    match flags {
        Some((_, flags)) => Reading::Value(flags.split_whitespace().any(|f| f == "monitor")),
        None => Reading::Unsupported("/proc/cpuinfo has no line of flags: only x86 processors have MWAIT".into()),
    }
}

/// `model name` on x86, `cpu model`, `Processor` or `Hardware` elsewhere; arm64 gives only numbers, which are shown.
fn model(cpuinfo: &str) -> Reading<String> {
    let field = |wanted: &str| {
        cpuinfo.lines().filter_map(|l| l.split_once(':')).find(|(k, _)| k.trim() == wanted).map(|(_, v)| v.trim())
    };
    for key in ["model name", "cpu model", "Processor", "Hardware", "cpu"] {
        if let Some(name) = field(key) {
            return Reading::Value(name.to_owned());
        }
    }
    match (field("CPU implementer"), field("CPU part")) {
        (Some(implementer), Some(part)) => Reading::Value(format!("implementer {implementer} part {part}")),
        _ => Reading::Absent("/proc/cpuinfo names no model".into()),
    }
}

fn nodes(sys: &dyn Sys) -> BTreeMap<u32, u32> {
    let mut node_of = BTreeMap::new();
    for name in sys.list("/sys/devices/system/node").into_value().unwrap_or_default() {
        let Some(node) = name.strip_prefix("node").and_then(|n| n.parse().ok()) else { continue };
        let cpus = sys.read(&format!("/sys/devices/system/node/{name}/cpulist")).and_then(|t| cpu_list(&t));
        node_of.extend(cpus.into_value().unwrap_or_default().into_iter().map(|cpu| (cpu, node)));
    }
    node_of
}

/// `intel_idle/menu`. The governor's file is `current_governor` and, before 5.4 alone, `current_governor_ro`.
fn idle_driver(sys: &dyn Sys) -> Reading<String> {
    let file = |name: &str| trimmed(sys.read(&format!("{CPU}/cpuidle/{name}")));
    file("current_driver").map(|driver| {
        match file("current_governor_ro").into_value().or_else(|| file("current_governor").into_value()) {
            Some(governor) => format!("{driver}/{governor}"),
            None => driver,
        }
    })
}

fn power(sys: &dyn Sys, n: u32) -> CpuPower {
    let file = |name: &str| trimmed(sys.read(&format!("{CPU}/cpu{n}/{name}")));
    let khz = |name: &str| file(&format!("cpufreq/{name}")).parse(name);
    CpuPower {
        governor: governor(sys, n),
        epp: file("cpufreq/energy_performance_preference"),
        cur_khz: khz("scaling_cur_freq"),
        min_khz: khz("scaling_min_freq"),
        max_khz: khz("scaling_max_freq"),
        hardware_max_khz: khz("cpuinfo_max_freq"),
        idle_states: idle_states(sys, n),
        resume_latency: file("power/pm_qos_resume_latency_us"),
    }
}

/// Where the idle states of a processor are: the indexes under `cpuidle/`, in order.
pub(crate) fn state_indexes(sys: &dyn Sys, cpu: u32) -> Reading<Vec<u32>> {
    sys.list(&format!("{CPU}/cpu{cpu}/cpuidle")).map(|names| {
        let mut states: Vec<u32> = names.iter().filter_map(|s| s.strip_prefix("state")?.parse().ok()).collect();
        states.sort_unstable();
        states
    })
}

/// All states of one processor; one that cannot be read makes the whole list say why.
pub(crate) fn idle_states(sys: &dyn Sys, cpu: u32) -> Reading<Vec<IdleState>> {
    state_indexes(sys, cpu).and_then(|states| {
        let mut all = Vec::with_capacity(states.len());
        for n in states {
            let file = |name: &str| trimmed(sys.read(&format!("{CPU}/cpu{cpu}/cpuidle/state{n}/{name}")));
            let state = file("name").and_then(|name| {
                file("latency").parse("idle state latency").and_then(|latency_us| {
                    file("disable").parse::<u64>("idle state disable").and_then(|disable| {
                        file("usage").parse("idle state usage").map(|usage| IdleState {
                            name,
                            latency_us,
                            disabled: disable != 0,
                            usage,
                        })
                    })
                })
            });
            match state {
                Reading::Value(state) => all.push(state),
                other => return other.map(|_| Vec::new()),
            }
        }
        Reading::Value(all)
    })
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    fn host() -> FakeSys {
        let mut sys = FakeSys::new()
            .file("/sys/devices/system/cpu/online", "0-1\n")
            .file("/sys/devices/system/cpu/isolated", "1\n")
            .file("/sys/devices/system/cpu/nohz_full", "(null)\n")
            .file("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0-1\n")
            .file("/sys/devices/system/node/node0/cpulist", "0-1\n")
            .file("/sys/devices/system/node/has_cpu", "0\n")
            .file("/sys/devices/system/cpu/cpuidle/current_driver", "intel_idle\n")
            .file("/sys/devices/system/cpu/cpuidle/current_governor_ro", "menu\n")
            .file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
            .file("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n");
        for (n, name, latency) in [(0, "POLL", "0"), (10, "C10", "890"), (2, "C1E", "10")] {
            let dir = format!("/sys/devices/system/cpu/cpu0/cpuidle/state{n}");
            sys = sys
                .file(&format!("{dir}/name"), &format!("{name}\n"))
                .file(&format!("{dir}/latency"), latency)
                .file(&format!("{dir}/disable"), "0\n")
                .file(&format!("{dir}/usage"), "7\n");
        }
        sys
    }

    #[test]
    fn processors_and_their_policy() {
        let cpus = read(&host());
        assert_eq!(cpus.isolated, Reading::Value(vec![1]));
        assert_eq!(cpus.nohz_full, Reading::Value(vec![]));
        assert_eq!(cpus.model, Reading::Value("Some CPU @ 3 GHz".into()));
        assert_eq!(cpus.node_of, BTreeMap::from([(0, 0), (1, 0)]));
        assert_eq!(cpus.siblings, BTreeMap::from([(0, vec![0, 1])]));
        assert_eq!(cpus.idle_driver, Reading::Value("intel_idle/menu".into()));
        assert_eq!(cpus.power[&0].governor, Reading::Value("powersave".into()));
        let states = cpus.power[&0].idle_states.value().unwrap();
        assert_eq!(states.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["POLL", "C1E", "C10"]);
        assert_eq!(states[2].latency_us, 890);
        assert!(matches!(cpus.power[&1].idle_states, Reading::Absent(_)));
    }

    #[test]
    fn one_idle_state_that_is_denied_is_not_dropped() {
        let sys = host().denied("/sys/devices/system/cpu/cpu0/cpuidle/state2/usage");
        assert!(matches!(read(&sys).power[&0].idle_states, Reading::Denied(_)));
    }

    #[test]
    fn what_the_cores_share_has_limits_of_its_own() {
        assert!(matches!(uncore(&FakeSys::new()), Reading::Absent(_)));
        let dir = format!("{UNCORE}/package_00_die_00");
        let sys = FakeSys::new()
            .file(&format!("{dir}/min_freq_khz"), "800000\n")
            .file(&format!("{dir}/max_freq_khz"), "2400000\n");
        let limits = UncoreLimits { floor_khz: 800_000, ceiling_khz: 2_400_000 };
        assert_eq!(uncore(&sys), Reading::Value(BTreeMap::from([("package_00_die_00".into(), limits)])));
        assert!(matches!(uncore(&sys.denied(&format!("{dir}/max_freq_khz"))), Reading::Denied(_)));
    }

    #[test]
    fn arm_gives_numbers() {
        let text = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n";
        assert_eq!(model(text), Reading::Value("implementer 0x41 part 0xd40".into()));
        assert!(matches!(model(""), Reading::Absent(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = model(&text);
        }
    }
}

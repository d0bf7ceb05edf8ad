//! Where a measurement takes place: which CPUs the prober gets and why, and what affects its figures.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use lowlat_collect::path;
use lowlat_measure::placement::Placed;
use lowlat_model::cpus::{parse_list, parse_mask};
use lowlat_model::{Conditions, NotSeen, Reading, tune};
use lowlat_sys::{Sys, irqs, query};
use lowlat_transport::Proto;
use lowlat_tune::placement;

use crate::path::Path;

/// Where a measurement takes place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Interface of the path.
    pub iface: Option<String>,
    /// Its NUMA node.
    pub nic_node: Option<u32>,
    /// Where the prober runs, and why.
    pub near: tune::Placed,
}

/// The interface by which the kernel sends to `to`; the first of several next hops.
fn route(to: SocketAddr, sys: &dyn Sys) -> Option<String> {
    match path::route_of(sys, to.into()) {
        path::Route::Local => Some("lo".to_owned()),
        path::Route::Out(hops) => hops.into_iter().next().map(|h| h.iface),
        path::Route::Refused(_) | path::Route::Unknown(_) => None,
    }
}

/// NUMA node of an interface's device; a virtio device's stands one level up, and -1 means none.
fn node_of(iface: &str, sys: &dyn Sys) -> Option<u32> {
    ["device/numa_node", "device/../numa_node"]
        .iter()
        .find_map(|file| sys.read(&format!("/sys/class/net/{iface}/{file}")).into_value()?.trim().parse().ok())
}

/// CPUs of each NUMA node that has any.
fn nodes(sys: &dyn Sys) -> BTreeMap<u32, BTreeSet<u32>> {
    let base = "/sys/devices/system/node";
    let names = sys.list(base).into_value().unwrap_or_default();
    let node = |name: &String| {
        let number = name.strip_prefix("node")?.parse().ok()?;
        Some((number, parse_list(&sys.read(&format!("{base}/{name}/cpulist")).into_value()?).ok()?))
    };
    names.iter().filter_map(node).collect()
}

/// The path's interface, and the CPU that was decided on or, where nothing was yet, that the rule gives now
/// ([`placement::near`]).
pub fn choose(path: &Path, sys: &dyn Sys) -> Choice {
    let iface = path.iface.clone().or_else(|| route(path.remote, sys));
    let nic = nic(iface.as_deref(), sys);
    let decided = path.placed.as_ref().map(|p| p.near.clone());
    let near = decided.unwrap_or_else(|| placement::near(&cpus(sys), &nic, path.cpu));
    Choice { iface, nic_node: nic.node, near }
}

/// The CPUs of this host, and those that this process may use. Isolated ones are in no thread's affinity to begin with;
/// they count where the kernel lets a thread go there, unless the user has kept this process to fewer CPUs than the
/// rest.
pub fn cpus(sys: &dyn Sys) -> placement::Cpus {
    let list = |path: &str| sys.read(path).into_value().and_then(|t| parse_list(&t).ok()).unwrap_or_default();
    let cpu = |file: &str| list(&format!("/sys/devices/system/cpu/{file}"));
    let (online, isolated) = (cpu("online"), cpu("isolated"));
    let mut allowed: BTreeSet<u32> =
        lowlat_measure::placement::allowed_cpus().unwrap_or_default().into_iter().collect();
    if online.difference(&isolated).all(|c| allowed.contains(c)) {
        allowed.extend(lowlat_measure::placement::pinnable(isolated.iter().copied()));
    }
    let shared = |file: &str| {
        let of = |c: &u32| (*c, cpu(&format!("cpu{c}/{file}")));
        allowed.iter().map(of).filter(|(_, with)| !with.is_empty()).collect::<BTreeMap<_, _>>()
    };
    placement::Cpus {
        isolated,
        nohz_full: cpu("nohz_full"),
        cores: shared("topology/thread_siblings_list"),
        // The third level is the last on the processors that have one
        // (Documentation/ABI/testing/sysfs-devices-system-cpu).
        caches: shared("cache/index3/shared_cpu_list"),
        nodes: nodes(sys),
        allowed,
    }
}

/// The interface of a path and where it is received.
pub fn nic(iface: Option<&str>, sys: &dyn Sys) -> placement::Nic {
    let Some(iface) = iface else { return placement::Nic::default() };
    let mut out = placement::Nic { name: iface.to_owned(), ..placement::Nic::default() };
    for link in with_lower(iface, sys) {
        out.node = out.node.or_else(|| node_of(&link, sys));
        let lines = irqs::of_interface(sys, &link).into_value().unwrap_or_default();
        // The lines of reception, where the driver names them: `virtio0-input.0` (drivers/net/virtio_net.c),
        // `eth0-rx-0`, `eth0-TxRx-0`; else all.
        let receives = |action: &str| {
            let action = action.to_ascii_lowercase();
            action.contains("rx") || action.contains("input")
        };
        let named = lines.iter().any(|l| receives(&l.action));
        let lines = lines.iter().filter(|l| !named || receives(&l.action));
        out.interrupts.extend(lines.flat_map(|l| irq_cpus(l.irq, sys)));
        let queues = sys.list(&format!("/sys/class/net/{link}/queues")).into_value().unwrap_or_default();
        for queue in queues.iter().filter(|q| q.starts_with("rx-")) {
            let mask = sys.read(&format!("/sys/class/net/{link}/queues/{queue}/rps_cpus")).into_value();
            out.rps.extend(mask.and_then(|m| parse_mask(&m).ok()).unwrap_or_default());
        }
    }
    out
}

/// An interface and those below it (`lower_*`: a bond's slaves, a VLAN's device), each once.
fn with_lower(iface: &str, sys: &dyn Sys) -> Vec<String> {
    let mut all = vec![iface.to_owned()];
    let mut at = 0;
    while let Some(link) = all.get(at).cloned() {
        for name in sys.list(&format!("/sys/class/net/{link}")).into_value().unwrap_or_default() {
            if let Some(lower) = name.strip_prefix("lower_").filter(|l| !all.iter().any(|a| a == l)) {
                all.push(lower.to_owned());
            }
        }
        at += 1;
    }
    all
}

/// CPUs where an interrupt fires, or where the kernel does not report, where it may.
fn irq_cpus(irq: u32, sys: &dyn Sys) -> BTreeSet<u32> {
    ["effective_affinity_list", "smp_affinity_list"]
        .iter()
        .find_map(|f| parse_list(&sys.read(&format!("/proc/irq/{irq}/{f}")).into_value()?).ok())
        .unwrap_or_default()
}

/// Steal and all time of each CPU, in ticks (`/proc/stat`, proc_stat(5)).
#[derive(Debug, Clone, Default)]
pub struct Ticks(BTreeMap<u32, (u64, u64)>);

impl Ticks {
    /// Now.
    pub fn read(sys: &dyn Sys) -> Self {
        let text = sys.read("/proc/stat").into_value().unwrap_or_default();
        let line = |l: &str| {
            let mut words = l.split_whitespace();
            let cpu = words.next()?.strip_prefix("cpu")?.parse().ok()?;
            let ticks: Vec<u64> = words.map_while(|w| w.parse().ok()).collect();
            // user, nice, system, idle, iowait, irq, softirq, steal; guest times are within user.
            Some((cpu, (*ticks.get(7)?, ticks.iter().take(8).sum())))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// Share of the time until `later` that was stolen, over these CPUs; `None` where no tick passed.
    fn stolen(&self, later: &Self, cpus: &[u32]) -> Option<f64> {
        let (mut steal, mut all) = (0, 0);
        for cpu in cpus {
            let (from, to) = (self.0.get(cpu)?, later.0.get(cpu)?);
            steal += to.0.saturating_sub(from.0);
            all += to.1.saturating_sub(from.1);
        }
        (all > 0).then(|| steal as f64 / all as f64)
    }
}

/// What there is to say about a run besides the path itself.
#[derive(Debug, Default)]
pub struct Run {
    /// The CPUs.
    pub choice: Choice,
    /// CPUs the prober had, while it had them.
    pub cpus: Vec<u32>,
    /// SCHED_FIFO priority.
    pub rt: Option<u8>,
    /// Memory was locked, or why not; `None` where it was not asked for.
    pub memory: Option<Result<(), String>>,
    /// At the start.
    pub ticks: Ticks,
}

impl Run {
    /// While placed.
    pub fn of(choice: Choice, placed: &Placed, rt: Option<u8>, ticks: Ticks) -> Self {
        let cpus = lowlat_measure::placement::allowed_cpus().unwrap_or_default();
        Self { choice, cpus, rt, memory: placed.memory().cloned(), ticks }
    }
}

/// A reading's value, or its name and reason among `not_seen`.
fn keep<T>(not_seen: &mut Vec<NotSeen>, fact: &str, reading: Reading<T>) -> Option<T> {
    if let Some((kind, why)) = reading.why_not() {
        not_seen.push(NotSeen { fact: fact.to_owned(), why: format!("{kind}: {why}") });
    }
    reading.into_value()
}

/// Reads the conditions of a run that has just ended.
pub fn read(path: &Path, run: &Run, sys: &dyn Sys) -> Conditions {
    let mut out = Conditions {
        iface: run.choice.iface.clone(),
        cpus: run.cpus.clone(),
        placement: run.choice.near.why.clone(),
        nic_node: run.choice.nic_node,
        rt_priority: run.rt,
        memory_locked: matches!(run.memory, Some(Ok(()))),
        memory_refused: run.memory.clone().and_then(Result::err),
        steal_ratio: run.ticks.stolen(&Ticks::read(sys), &run.cpus),
        tcp_nodelay: (path.proto == Proto::Tcp).then_some(true),
        ..Conditions::default()
    };
    let mut not_seen = Vec::new();
    processors(&mut out, &mut not_seen, sys);
    let text = |path: &str| sys.read(path).map(|t| t.trim().to_owned());
    out.clocksource =
        keep(&mut not_seen, "clocksource", text("/sys/devices/system/clocksource/clocksource0/current_clocksource"));
    // The kernel's PM_QOS_CPU_LATENCY_DEFAULT_VALUE, 2 000 000 000, is "no limit" (include/linux/pm_qos.h).
    let limit = keep(&mut not_seen, "cpu_dma_latency", query::cpu_dma_latency(sys)).map(i64::from);
    out.cpu_dma_latency_us = limit.filter(|us| *us < 2_000_000_000);
    out.busy_read_us = keep(&mut not_seen, "busy_read", sys.sysctl("net.core.busy_read").parse("net.core.busy_read"));
    out.clock_sync = keep(&mut not_seen, "clock_sync", query::clock(sys)).map(|c| {
        let state = if c.synchronized { "synchronized" } else { "not synchronized" };
        format!("{state}, estimated error {} µs (adjtimex)", c.estimated_error_ns / 1_000)
    });
    out.ptp = keep(&mut not_seen, "ptp", query::ptp(sys));
    if let Some(iface) = run.choice.iface.clone() {
        interface(&mut out, &mut not_seen, &iface, sys);
    }
    out.not_seen = not_seen;
    out
}

fn processors(out: &mut Conditions, not_seen: &mut Vec<NotSeen>, sys: &dyn Sys) {
    let nodes = nodes(sys);
    let mine: BTreeSet<u32> =
        nodes.iter().filter(|(_, cpus)| out.cpus.iter().any(|c| cpus.contains(c))).map(|(n, _)| *n).collect();
    out.node = if mine.len() == 1 { mine.first().copied() } else { None };
    let of = |cpu: u32, file: &str| {
        sys.read(&format!("/sys/devices/system/cpu/cpu{cpu}/{file}")).map(|t| t.trim().to_owned())
    };
    let Some(&first) = out.cpus.first() else { return };
    out.governor = keep(not_seen, "governor", of(first, "cpufreq/scaling_governor")).map(|governor| {
        let others = out.cpus.iter().filter_map(|c| of(*c, "cpufreq/scaling_governor").into_value());
        let all: BTreeSet<String> = others.chain([governor]).collect();
        all.into_iter().collect::<Vec<_>>().join(", ")
    });
    let names = sys.list(&format!("/sys/devices/system/cpu/cpu{first}/cpuidle"));
    out.idle_states = keep(not_seen, "idle_states", names).map(|names| {
        let state = |name: &String| {
            let file = |what: &str| of(first, &format!("cpuidle/{name}/{what}")).into_value();
            let enabled = file("disable")? == "0";
            enabled.then_some((file("name")?, file("latency")?.parse().ok()?))
        };
        names.iter().filter_map(state).collect()
    });
    if let [cpu] = out.cpus[..] {
        let siblings = of(cpu, "topology/thread_siblings_list");
        out.smt_siblings = keep(not_seen, "smt_siblings", siblings)
            .and_then(|t| parse_list(&t).ok())
            .map(|all| all.into_iter().filter(|c| *c != cpu).collect());
    }
}

fn interface(out: &mut Conditions, not_seen: &mut Vec<NotSeen>, iface: &str, sys: &dyn Sys) {
    out.coalesce = keep(not_seen, "coalesce", query::coalesce(sys, iface));
    out.qdisc = keep(not_seen, "qdisc", query::qdiscs(sys)).and_then(|all| {
        let root = all.into_iter().find(|q| q.qdisc.iface == iface && q.qdisc.parent == "root")?;
        Some(format!("{} {}", root.qdisc.kind, root.qdisc.summary).trim().to_owned())
    });
    // Names as in ETHTOOL_MSG_FEATURES: include/linux/netdev_features.h, net/ethtool/common.c.
    let offloads =
        [("gro", "rx-gro"), ("lro", "rx-lro"), ("tso", "tx-tcp-segmentation"), ("gso", "tx-generic-segmentation")];
    out.offloads = keep(not_seen, "offloads", query::features(sys, iface)).map(|all| {
        offloads.iter().filter_map(|(name, key)| Some(((*name).to_owned(), all.get(*key)?.active))).collect()
    });
    out.hardware_stamps = keep(not_seen, "hardware_stamps", query::hw_timestamp(sys, iface)).map(|mode| {
        let get = |which: &str| mode.get(which).copied().unwrap_or(0);
        // HWTSTAMP_TX_OFF and HWTSTAMP_FILTER_NONE are 0 (include/uapi/linux/net_tstamp.h).
        match (get("tx"), get("rx")) {
            (0, 0) => {
                // What the driver says it can stamp of the received: not every one can stamp them all.
                let all = query::timestamping(sys, iface)
                    .into_value()
                    .is_some_and(|t| t.rx_filters.iter().any(|f| f == "all"));
                let value = if all { "on" } else { "tx" };
                format!("off; `lowlat plan --set nic.hw-timestamping {iface} {value}` plans them")
            }
            (tx, rx) => format!("on: tx type {tx}, rx filter {rx}"),
        }
    });
    let lines = keep(not_seen, "irq_cpus", irqs::of_interface(sys, iface));
    out.irq_cpus = lines.map(|lines| {
        lines.iter().map(|l| (format!("{} {}", l.irq, l.action), irq_cpus(l.irq, sys).into_iter().collect())).collect()
    });
    out.irq_on_prober_cpu = out.irq_cpus.as_ref().map(|irqs| irqs.values().flatten().any(|c| out.cpus.contains(c)));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may end by panic
mod tests {
    use super::*;
    use lowlat_testkit::FakeSys;

    fn host() -> FakeSys {
        FakeSys::new()
            .file("/sys/class/net/eth0/device/numa_node", "1\n")
            .file("/sys/class/net/eth1/device/numa_node", "-1\n")
            .file("/sys/devices/system/node/node0/cpulist", "0\n")
            .file("/sys/devices/system/node/node1/cpulist", "1-8000\n")
            .file("/sys/devices/system/node/has_cpu", "0-1\n")
    }

    fn path(cpu: Option<u32>, iface: &str) -> Path {
        Path {
            remote: ([192, 0, 2, 1], 7).into(),
            words: "far".into(),
            proto: Proto::Udp,
            peer: "lowlat".into(),
            size: 64,
            cpu,
            timeout_ns: 1,
            dscp: None,
            priority: None,
            iface: Some(iface.into()),
            stamps: false,
            key: None,
            busy_poll_us: None,
            placed: None,
        }
    }

    #[test]
    fn the_prober_is_placed_by_the_nic_unless_a_cpu_is_named() {
        let asked = choose(&path(Some(0), "eth0"), &host());
        assert_eq!((asked.near.cpu, asked.nic_node), (Some(0), Some(1)));
        assert!(asked.near.why.contains("crosses"), "{}", asked.near.why);
        let allowed = lowlat_measure::placement::allowed_cpus().unwrap();
        let chosen = choose(&path(None, "eth0"), &host());
        assert!(chosen.near.cpu.is_some_and(|c| allowed.contains(&c)), "{:?}", chosen.near);
        assert!(chosen.near.why.starts_with("CPU "), "{}", chosen.near.why);
        let none = choose(&path(None, "eth1"), &host());
        assert!(none.nic_node.is_none() && none.near.cpu == chosen.near.cpu, "{none:?}");
        // What was decided stands, whatever the host says later.
        let placed = tune::Placement {
            near: tune::Placed { cpu: Some(77), why: "CPU 77: decided".into() },
            ..tune::Placement::default()
        };
        let stays = choose(&Path { placed: Some(placed), ..path(None, "eth0") }, &host());
        assert_eq!((stays.near.cpu, stays.near.why.as_str()), (Some(77), "CPU 77: decided"));
    }

    #[test]
    fn where_a_path_is_received_is_read_down_to_the_device() {
        let sys = FakeSys::new()
            .file("/sys/class/net/bond0/lower_eth0", "")
            .file("/sys/class/net/eth0/device/numa_node", "1\n")
            .file("/sys/class/net/eth0/device/msi_irqs/40", "")
            .file("/sys/class/net/eth0/device/msi_irqs/41", "")
            .file("/sys/class/net/eth0/queues/rx-0/rps_cpus", "00000000,00000000\n")
            .file(
                "/proc/interrupts",
                "      CPU0 CPU1\n 40: 1 0 PCI-MSI 1-edge eth0-rx-0\n 41: 0 1 PCI-MSI 2-edge eth0-tx-0\n",
            )
            .file("/proc/irq/40/effective_affinity_list", "3\n")
            .file("/proc/irq/41/effective_affinity_list", "4\n");
        let got = nic(Some("bond0"), &sys);
        assert_eq!((got.name.as_str(), got.node), ("bond0", Some(1)));
        assert_eq!(got.interrupts, BTreeSet::from([3]), "the sending queue's line says nothing of reception");
        assert!(got.rps.is_empty());
        let rps = sys.file("/sys/class/net/eth0/queues/rx-0/rps_cpus", "6\n");
        assert_eq!(nic(Some("bond0"), &rps).rps, BTreeSet::from([1, 2]));
        assert_eq!(nic(None, &FakeSys::new()), placement::Nic::default());
    }

    #[test]
    fn steal_is_a_share_of_the_cpus_meant() {
        let stat =
            |steal| FakeSys::new().file("/proc/stat", &format!("cpu 1\ncpu0 0 0 0 100 0 0 0 {steal} 0 0\ncpu1 x\n"));
        let (before, after) = (Ticks::read(&stat(0)), Ticks::read(&stat(50)));
        assert_eq!(before.stolen(&after, &[0]), Some(1.0));
        assert_eq!(before.stolen(&before, &[0]), None, "no tick passed");
        assert_eq!(before.stolen(&after, &[1]), None);
    }

    #[test]
    fn what_cannot_be_read_is_named_and_null() {
        let sys = host()
            .denied("/proc/interrupts")
            .file("/sys/devices/system/cpu/cpu0/cpuidle/state0/name", "C1\n")
            .file("/sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "2\n")
            .file("/sys/devices/system/cpu/cpu0/cpuidle/state0/disable", "0\n")
            .file("/sys/devices/system/cpu/cpu0/cpuidle/state1/name", "C6\n")
            .file("/sys/devices/system/cpu/cpu0/cpuidle/state1/latency", "133\n")
            .file("/sys/devices/system/cpu/cpu0/cpuidle/state1/disable", "1\n")
            .file("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,4\n");
        let path = path(Some(0), "eth0");
        let run = Run { choice: choose(&path, &sys), cpus: vec![0], ..Run::default() };
        let c = read(&path, &run, &sys);
        assert_eq!(c.idle_states, Some(BTreeMap::from([("C1".to_owned(), 2)])));
        assert_eq!((c.smt_siblings, c.node, c.nic_node), (Some(vec![4]), Some(0), Some(1)));
        assert_eq!((c.irq_cpus, c.irq_on_prober_cpu, c.governor), (None, None, None));
        assert!(c.not_seen.iter().any(|n| n.fact == "irq_cpus" && n.why.starts_with("denied")), "{:?}", c.not_seen);
        assert!(c.not_seen.iter().any(|n| n.fact == "governor" && n.why.starts_with("absent")), "{:?}", c.not_seen);
    }
}

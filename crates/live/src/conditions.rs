//! Where a measurement takes place: which CPUs the prober gets and why, and what affects its figures.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use lowlat_collect::path;
use lowlat_measure::placement::PlacedThread;
use lowlat_model::conditions::WakeUp;
use lowlat_model::site::{Site, SiteIface, SiteLink, SiteState};
use lowlat_model::{Conditions, NotSeen, Reading, tune};
use lowlat_sys::Sys;
use lowlat_transport::Proto;
use lowlat_tune::placement;

use crate::path::ProbePath;

/// Where a measurement takes place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Interface of the path.
    pub iface: Option<String>,
    /// Its NUMA node.
    pub nic_node: Option<u32>,
    /// Where the prober runs, and why.
    pub near: tune::Placed,
    /// A CPU from which it is woken, as far as that is known; `None` where the prober is not pinned.
    pub woken_from: Option<u32>,
}

/// The interface by which the kernel sends to `to`; the first of several next hops.
fn route(to: SocketAddr, sys: &dyn Sys) -> Option<String> {
    match path::route_of(sys, to.into()) {
        path::RouteTo::Local => Some("lo".to_owned()),
        path::RouteTo::Out(hops) => hops.into_iter().next().map(|h| h.iface),
        path::RouteTo::Refused(_) | path::RouteTo::Unknown(_) => None,
    }
}

/// The path's interface, and the CPU that was decided on or, where nothing was yet, that the rule gives now
/// ([`placement::near`]).
pub fn choose(path: &ProbePath, sys: &dyn Sys) -> Choice {
    let iface = path.iface.clone().or_else(|| route(path.remote, sys));
    let site = lowlat_collect::site(sys, iface.as_deref());
    let nic = placement::Nic::of(&site.links);
    let decided = path.placed.as_ref().map(|p| p.near.clone());
    let usable = cpus(&site);
    let near = decided.unwrap_or_else(|| placement::near(&usable, &nic, path.cpu));
    let far = path.placed.as_ref().and_then(|p| p.far.as_ref()).filter(|far| far.same_host).and_then(|far| far.cpu);
    let woken_from = near.cpu.map(|near| {
        let received = nic.rps.iter().chain(&nic.interrupts).chain(&usable.allowed).copied();
        far.into_iter().chain(received).find(|cpu| *cpu != near).unwrap_or(near)
    });
    Choice { iface, nic_node: nic.node, near, woken_from }
}

/// What a wake-up costs now on the prober's CPU, or why that could not be measured.
pub fn wake_up(choice: &Choice) -> Result<WakeUp, String> {
    match (choice.near.cpu, choice.woken_from) {
        (Some(near), Some(from)) => lowlat_measure::wake::wake_up(near, from),
        _ => Err("the prober is not pinned to a CPU".to_owned()),
    }
}

/// The CPUs of this host, and those that this process may use. Isolated ones are in no thread's affinity to begin with;
/// they count where the kernel lets a thread go there, unless the user has kept this process to fewer CPUs than the rest.
pub fn cpus(site: &Site) -> placement::UsableCpus {
    let allowed = lowlat_measure::placement::allowed_cpus().unwrap_or_default().into_iter().collect();
    let mut cpus = placement::UsableCpus::of(site, allowed);
    let online = site.topology.online.value().into_iter().flatten();
    if online.into_iter().filter(|c| !cpus.isolated.contains(c)).all(|c| cpus.allowed.contains(c)) {
        cpus.allowed.extend(lowlat_measure::placement::pinnable(cpus.isolated.iter().copied()));
    }
    cpus
}

/// Steal and all time of each CPU, in ticks (`/proc/stat`, proc_stat(5)).
#[derive(Debug, Clone, Default)]
pub struct Ticks(BTreeMap<u32, (u64, u64)>);

impl Ticks {
    /// Now.
    pub fn read(sys: &dyn Sys) -> Self {
        // Guest times are within user (proc_stat(5)); the collector leaves them out.
        let of = |ticks: &BTreeMap<String, u64>| Some((*ticks.get("steal")?, ticks.values().sum()));
        Self(lowlat_collect::cpu_ticks(sys).iter().filter_map(|(cpu, ticks)| Some((*cpu, of(ticks)?))).collect())
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
    /// What a wake-up cost before it, or why that is not known; `None` where it was not measured.
    pub wake_up: Option<Result<WakeUp, String>>,
}

impl Run {
    /// While placed.
    pub fn of(choice: Choice, placed: &PlacedThread, rt: Option<u8>, ticks: Ticks) -> Self {
        let cpus = lowlat_measure::placement::allowed_cpus().unwrap_or_default();
        Self { choice, cpus, rt, memory: placed.memory().cloned(), ticks, wake_up: None }
    }
}

/// A reading's value, or its name and reason among `not_seen`.
fn keep<'r, T>(not_seen: &mut Vec<NotSeen>, fact: &str, reading: &'r Reading<T>) -> Option<&'r T> {
    if let Some((kind, why)) = reading.why_not() {
        not_seen.push(NotSeen { fact: fact.to_owned(), why: format!("{kind}: {why}") });
    }
    reading.value()
}

/// Reads the conditions of a run that has just ended.
pub fn read(path: &ProbePath, run: &Run, sys: &dyn Sys) -> Conditions {
    let state = lowlat_collect::site_state(sys, run.choice.iface.as_deref(), &run.cpus);
    Conditions {
        steal_ratio: run.ticks.stolen(&Ticks::read(sys), &run.cpus),
        tcp_nodelay: matches!(path.proto, Proto::Tcp | Proto::TcpConnect | Proto::Tls).then_some(true),
        ..of(run, &state)
    }
}

/// The conditions of a run on a host in that state.
fn of(run: &Run, state: &SiteState) -> Conditions {
    let mut out = Conditions {
        iface: run.choice.iface.clone(),
        cpus: run.cpus.clone(),
        placement: run.choice.near.why.clone(),
        nic_node: run.choice.nic_node,
        rt_priority: run.rt,
        memory_locked: matches!(run.memory, Some(Ok(()))),
        memory_refused: run.memory.clone().and_then(Result::err),
        ..Conditions::default()
    };
    let mut not_seen = Vec::new();
    processors(&mut out, &mut not_seen, state);
    out.clocksource = keep(&mut not_seen, "clocksource", &state.clocksource).cloned();
    // The kernel's PM_QOS_CPU_LATENCY_DEFAULT_VALUE, 2 000 000 000, is "no limit" (include/linux/pm_qos.h).
    let limit = keep(&mut not_seen, "cpu_dma_latency", &state.dma_latency_us).copied();
    out.cpu_dma_latency_us = limit.filter(|us| *us < 2_000_000_000);
    out.busy_read_us = keep(&mut not_seen, "busy_read", &state.busy_read_us).copied();
    out.clock_sync = keep(&mut not_seen, "clock_sync", &state.synchronized).map(|synchronized| {
        let word = if *synchronized { "synchronized" } else { "not synchronized" };
        format!("{word}, estimated error {} µs (adjtimex)", state.estimated_error_ns.value().unwrap_or(&0) / 1_000)
    });
    out.ptp = keep(&mut not_seen, "ptp", &state.ptp).cloned();
    match &run.wake_up {
        Some(Ok(wake_up)) => out.wake_up = Some(wake_up.clone()),
        Some(Err(why)) => not_seen.push(NotSeen { fact: "wake_up".to_owned(), why: why.clone() }),
        None => {}
    }
    if let (Some(link), Some(iface)) = (state.site.links.first(), &state.iface) {
        interface(&mut out, &mut not_seen, link, iface);
    }
    out.not_seen = not_seen;
    out
}

fn processors(out: &mut Conditions, not_seen: &mut Vec<NotSeen>, state: &SiteState) {
    let topology = &state.site.topology;
    let mine: BTreeSet<u32> = out.cpus.iter().filter_map(|c| topology.node_of.get(c)).copied().collect();
    out.node = if mine.len() == 1 { mine.first().copied() } else { None };
    let Some(first) = out.cpus.first() else { return };
    out.governor = state.governors.get(first).and_then(|own| keep(not_seen, "governor", own)).map(|_| {
        let all: BTreeSet<&str> = state.governors.values().filter_map(|g| g.value().map(String::as_str)).collect();
        all.into_iter().collect::<Vec<_>>().join(", ")
    });
    out.idle_states = keep(not_seen, "idle_states", &state.idle_states)
        .map(|all| all.iter().filter(|s| !s.disabled).map(|s| (s.name.clone(), s.latency_us)).collect());
    if let [cpu] = out.cpus[..] {
        let siblings = topology.siblings.get(&cpu).cloned();
        let siblings =
            siblings.map_or_else(|| Reading::Absent(format!("the kernel names none of CPU {cpu}")), Reading::Value);
        out.smt_siblings =
            keep(not_seen, "smt_siblings", &siblings).map(|all| all.iter().copied().filter(|c| *c != cpu).collect());
    }
}

fn interface(out: &mut Conditions, not_seen: &mut Vec<NotSeen>, link: &SiteLink, iface: &SiteIface) {
    out.coalesce = keep(not_seen, "coalesce", &iface.coalesce).cloned();
    out.qdisc = keep(not_seen, "qdisc", &iface.qdiscs).and_then(|all| {
        let root = all.iter().find(|q| q.iface == link.name && q.parent == "root")?;
        Some(format!("{} {}", root.kind, root.summary).trim().to_owned())
    });
    // Names as in ETHTOOL_MSG_FEATURES: include/linux/netdev_features.h, net/ethtool/common.c.
    let offloads =
        [("gro", "rx-gro"), ("lro", "rx-lro"), ("tso", "tx-tcp-segmentation"), ("gso", "tx-generic-segmentation")];
    out.offloads = keep(not_seen, "offloads", &iface.features).map(|all| {
        offloads.iter().filter_map(|(name, key)| Some(((*name).to_owned(), all.get(*key)?.active))).collect()
    });
    out.hardware_stamps = keep(not_seen, "hardware_stamps", &iface.hardware_stamps).map(|mode| {
        let get = |which: &str| mode.get(which).copied().unwrap_or(0);
        // HWTSTAMP_TX_OFF and HWTSTAMP_FILTER_NONE are 0 (include/uapi/linux/net_tstamp.h).
        match (get("tx"), get("rx")) {
            (0, 0) => {
                // What the driver says it can stamp of the received: not every one can stamp them all.
                let all = iface.timestamping.value().is_some_and(|t| t.rx_filters.iter().any(|f| f == "all"));
                let value = if all { "on" } else { "tx" };
                format!("off; `lowlat plan --set nic.hw-timestamping {} {value}` plans them", link.name)
            }
            (tx, rx) => format!("on: tx type {tx}, rx filter {rx}"),
        }
    });
    let lines = keep(not_seen, "irq_cpus", &link.irqs);
    out.irq_cpus =
        lines.map(|lines| lines.iter().map(|l| (format!("{} {}", l.irq, l.action), l.cpus().to_vec())).collect());
    out.irq_on_prober_cpu = out.irq_cpus.as_ref().map(|irqs| irqs.values().flatten().any(|c| out.cpus.contains(c)));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may end by panic
mod tests {
    use super::*;
    use lowlat_testkit::FakeSys;

    fn host() -> FakeSys {
        FakeSys::new()
            .link("/sys/class/net/eth0", "../../devices/pci0000:00/0000:00:03.0/virtio2/net/eth0")
            .file("/sys/devices/pci0000:00/0000:00:03.0/numa_node", "1\n")
            .link("/sys/class/net/eth1", "../../devices/platform/fec/net/eth1")
            .file("/sys/devices/platform/fec/numa_node", "-1\n")
            .file("/sys/devices/system/cpu/online", "0-1\n")
            .file("/sys/devices/system/node/node0/cpulist", "0\n")
            .file("/sys/devices/system/node/node1/cpulist", "1-8000\n")
            .file("/sys/devices/system/node/has_cpu", "0-1\n")
    }

    fn path(cpu: Option<u32>, iface: &str) -> ProbePath {
        ProbePath {
            remote: ([192, 0, 2, 1], 7).into(),
            words: "far".into(),
            silent: Vec::new(),
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
            dpdk: None,
            found: crate::path::KnownPace::default(),
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
            near: tune::Placed { cpu: Some(77), why: "CPU 77: decided".into(), ..tune::Placed::default() },
            ..tune::Placement::default()
        };
        let stays = choose(&ProbePath { placed: Some(placed), ..path(None, "eth0") }, &host());
        assert_eq!((stays.near.cpu, stays.near.why.as_str()), (Some(77), "CPU 77: decided"));
    }

    #[test]
    fn where_a_path_is_received_is_read_down_to_the_device() {
        let sys = FakeSys::new()
            .file("/sys/class/net/bond0/lower_eth0", "")
            .link("/sys/class/net/eth0", "../../devices/pci0000:00/0000:00:03.0/net/eth0")
            .file("/sys/devices/pci0000:00/0000:00:03.0/numa_node", "1\n")
            .file("/sys/class/net/eth0/device/msi_irqs/40", "")
            .file("/sys/class/net/eth0/device/msi_irqs/41", "")
            .file("/sys/class/net/eth0/queues/rx-0/rps_cpus", "00000000,00000000\n")
            .file(
                "/proc/interrupts",
                "      CPU0 CPU1\n 40: 1 0 PCI-MSI 1-edge eth0-rx-0\n 41: 0 1 PCI-MSI 2-edge eth0-tx-0\n",
            )
            .file("/proc/irq/40/effective_affinity_list", "3\n")
            .file("/proc/irq/41/effective_affinity_list", "4\n");
        let nic = |sys: &FakeSys| placement::Nic::of(&lowlat_collect::site(sys, Some("bond0")).links);
        let got = nic(&sys);
        assert_eq!((got.name.as_str(), got.node), ("bond0", Some(1)));
        assert_eq!(got.interrupts, BTreeSet::from([3]), "the sending queue's line says nothing of reception");
        assert!(got.rps.is_empty());
        let rps = sys.file("/sys/class/net/eth0/queues/rx-0/rps_cpus", "6\n");
        assert_eq!(nic(&rps).rps, BTreeSet::from([1, 2]));
        assert_eq!(placement::Nic::of(&[]), placement::Nic::default());
    }

    #[test]
    fn steal_is_a_share_of_the_cpus_meant() {
        let stat = |steal| FakeSys::new().file("/proc/stat", &format!("cpu 1\ncpu0 0 0 0 100 0 0 0 {steal} 0 0\n"));
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
            .file("/sys/devices/system/cpu/cpu0/cpuidle/state0/usage", "9\n")
            .file("/sys/devices/system/cpu/cpu0/cpuidle/state1/usage", "0\n")
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

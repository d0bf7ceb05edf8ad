//! Where the probers run: decided once, by a stated rule, for the whole run.
//!
//! A prober that the scheduler moves measures the scheduler: over one idle veth pair the median was 6 µs while both
//! ends shared a CPU and 84 to 95 µs while they woke each other across two. So a prober is pinned, in this order:
//!
//! 1. The CPU that was asked for (`--cpu`).
//! 2. An isolated CPU this process may use, on the NIC's NUMA node; `nohz_full` ones first. Such a CPU is kept free of
//!    other threads for exactly this (`isolcpus=`, `nohz_full=`: Documentation/admin-guide/kernel-parameters.txt).
//! 3. On the NIC's node, a core of its own that shares the last-level cache with the CPU that receives
//!    from the interface: the packet's data is then in that cache, while neither the CPU (which "already performs much work",
//!    Documentation/networking/scaling.rst, on RPS) nor its SMT sibling competes for the core. "Where it is received"
//!    is where its interrupts fire, or where RPS sends its packets.
//! 4. Where every other core is taken, the SMT sibling of that CPU; where there is no other CPU at all, that CPU.
//! 5. Where the interface has no interrupts (veth, loopback), the lowest CPU of the node but CPU 0. The boot CPU keeps
//!    time for the host (`tick_setup_device`, kernel/time/tick-common.c).
//!
//! The rule is one for engines that sleep and that spin, so that engines are compared on the same CPU. A reader that
//! sleeps on the interrupt's own CPU is woken without an interprocessor interrupt, which is faster on an idle host; but
//! then every packet of any other flow is handled on the prober's CPU, and a spinning engine would keep the interrupt
//! waiting.
//!
//! A far end on the same host takes another core than the near one, as it would have on a host of its own; one on
//! another host takes the CPU that this rule gives there.

use std::collections::{BTreeMap, BTreeSet};

use lowlat_model::Reading;
use lowlat_model::facts::Irq;
use lowlat_model::site::{Site, SiteLink};
use lowlat_model::tune::Placed;

/// The CPUs of a host, as far as placing needs them. What could not be read is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsableCpus {
    /// Those this process may run on.
    pub allowed: BTreeSet<u32>,
    /// `/sys/devices/system/cpu/isolated`.
    pub isolated: BTreeSet<u32>,
    /// `/sys/devices/system/cpu/nohz_full`.
    pub nohz_full: BTreeSet<u32>,
    /// CPU → the threads of its core, itself included.
    pub cores: BTreeMap<u32, BTreeSet<u32>>,
    /// CPU → those that share its last-level cache, itself included.
    pub caches: BTreeMap<u32, BTreeSet<u32>>,
    /// NUMA node → its CPUs.
    pub nodes: BTreeMap<u32, BTreeSet<u32>>,
}

/// The interface of a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nic {
    /// Name; empty where the route is not known.
    pub name: String,
    /// NUMA node of the device.
    pub node: Option<u32>,
    /// CPUs where the interrupts of the path's devices fire.
    pub interrupts: BTreeSet<u32>,
    /// CPUs to which RPS sends what the interface receives.
    pub rps: BTreeSet<u32>,
}

impl UsableCpus {
    /// The CPUs of a host, of which this process may use the `allowed` ones.
    pub fn of(site: &Site, allowed: BTreeSet<u32>) -> Self {
        let set = |list: &Reading<Vec<u32>>| list.value().into_iter().flatten().copied().collect();
        let sets = |of: &BTreeMap<u32, Vec<u32>>| {
            of.iter()
                .filter(|(_, with)| !with.is_empty())
                .map(|(c, with)| (*c, with.iter().copied().collect()))
                .collect()
        };
        let mut nodes: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for (cpu, node) in &site.topology.node_of {
            nodes.entry(*node).or_default().insert(*cpu);
        }
        Self {
            allowed,
            isolated: set(&site.topology.isolated),
            nohz_full: set(&site.topology.nohz_full),
            cores: sets(&site.topology.siblings),
            caches: sets(&site.caches),
            nodes,
        }
    }

    fn core(&self, cpu: u32) -> BTreeSet<u32> {
        self.cores.get(&cpu).cloned().unwrap_or_else(|| BTreeSet::from([cpu]))
    }

    fn share_a_core(&self, a: u32, b: u32) -> bool {
        a == b || self.core(a).contains(&b)
    }

    fn share_a_cache(&self, a: u32, b: u32) -> bool {
        a == b || self.caches.get(&a).is_some_and(|with| with.contains(&b))
    }

    fn node(&self, cpu: u32) -> Option<u32> {
        self.nodes.iter().find(|(_, cpus)| cpus.contains(&cpu)).map(|(node, _)| *node)
    }
}

impl Nic {
    /// The first of a path's interfaces, and where it and those below it are received.
    pub fn of(links: &[SiteLink]) -> Self {
        let Some(first) = links.first() else { return Self::default() };
        let mut out = Self { name: first.name.clone(), ..Self::default() };
        // The lines of reception, where the driver names them: `virtio0-input.0` (drivers/net/virtio_net.c), `eth0-rx-0`,
        // `eth0-TxRx-0`; else all.
        let receives = |action: &str| {
            let action = action.to_ascii_lowercase();
            action.contains("rx") || action.contains("input")
        };
        for link in links {
            out.node = out.node.or(link.numa_node.value().copied());
            let irqs = link.irqs.value().map_or(&[][..], Vec::as_slice);
            let named = irqs.iter().any(|l| receives(&l.action));
            let irqs = irqs.iter().filter(|l| !named || receives(&l.action));
            out.interrupts.extend(irqs.flat_map(Irq::cpus));
            out.rps.extend(link.rx_queues.iter().filter_map(|q| q.rps_cpus.value()).flatten());
        }
        out
    }

    fn name(&self) -> &str {
        if self.name.is_empty() { "the path's interface" } else { &self.name }
    }

    /// Where received packets are processed, and by what.
    fn received(&self) -> (&BTreeSet<u32>, &'static str) {
        if self.rps.is_empty() { (&self.interrupts, "interrupts fire") } else { (&self.rps, "packets go by RPS") }
    }
}

/// The CPU of a prober beside `nic`, and why it. `asked` is taken as it is: whether it may be used, who asks has
/// checked.
pub fn near(cpus: &UsableCpus, nic: &Nic, asked: Option<u32>) -> Placed {
    if let Some(cpu) = asked {
        return Placed { cpu: Some(cpu), why: as_asked(cpus, nic, cpu), ..Placed::default() };
    }
    let mut allowed = cpus.allowed.iter();
    let (first, more) = (allowed.next(), allowed.next().is_some());
    match first {
        None => Placed {
            cpu: None,
            why: "not pinned: which CPUs this process may use is unknown".to_owned(),
            ..Placed::default()
        },
        Some(only) if !more => placed(*only, "the only one this process may use"),
        Some(_) => by_rule(cpus, nic),
    }
}

/// The CPU of a far end on the prober's own host: on another core than the prober's if there is one, and on its NUMA
/// node if it can be; `None` where this process may use no other CPU.
pub fn beside(cpus: &UsableCpus, near: u32) -> Option<u32> {
    let node = cpus.node(near);
    let others = cpus.allowed.iter().copied().filter(|c| *c != near);
    others.min_by_key(|c| (cpus.share_a_core(*c, near), cpus.node(*c) != node, *c == 0, *c))
}

fn placed(cpu: u32, why: &str) -> Placed {
    Placed { cpu: Some(cpu), why: format!("CPU {cpu}: {why}"), ..Placed::default() }
}

fn as_asked(cpus: &UsableCpus, nic: &Nic, cpu: u32) -> String {
    let crosses = match (cpus.node(cpu), nic.node) {
        (Some(here), Some(there)) if here != there => {
            format!("; it is of NUMA node {here}, {} is at node {there}: each probe crosses between them", nic.name())
        }
        _ => String::new(),
    };
    format!("CPU {cpu}, set by --cpu{crosses}")
}

/// The CPUs to choose one of, and what to add where the NIC's node has none of them.
fn candidates(cpus: &UsableCpus, nic: &Nic) -> (BTreeSet<u32>, String, String) {
    let node = nic.node.filter(|_| cpus.nodes.len() > 1);
    let Some((node, all)) = node.and_then(|n| Some((n, cpus.nodes.get(&n)?))) else {
        return (cpus.allowed.clone(), String::new(), String::new());
    };
    let here: BTreeSet<u32> = cpus.allowed.intersection(all).copied().collect();
    if here.is_empty() {
        let but = format!("; this process may use no CPU of NUMA node {node}, where {} is", nic.name());
        return (cpus.allowed.clone(), String::new(), but);
    }
    (here, format!(", on NUMA node {node} with {}", nic.name()), String::new())
}

fn by_rule(cpus: &UsableCpus, nic: &Nic) -> Placed {
    let (among, at, but) = candidates(cpus, nic);
    let (received, how) = nic.received();
    let busy = |c: u32| received.iter().any(|r| cpus.share_a_core(c, *r));
    let say = |cpu: u32, why: String| placed(cpu, &format!("{why}{but}"));
    let isolated = among.intersection(&cpus.isolated).copied();
    if let Some(cpu) = isolated.min_by_key(|c| (busy(*c), !cpus.nohz_full.contains(c), *c)) {
        let full = if cpus.nohz_full.contains(&cpu) { " and nohz_full" } else { "" };
        return say(cpu, format!("isolated{full}{at}"));
    }
    let lowest = among.iter().copied().min_by_key(|c| (*c == 0, *c));
    if received.is_empty() {
        let why = format!(
            "the lowest except CPU 0, which keeps time for the host{at}; {} has no interrupts of its own",
            nic.name()
        );
        return lowest.map_or_else(Placed::default, |cpu| if cpu == 0 { say(cpu, alone(nic)) } else { say(cpu, why) });
    }
    let cached = |c: u32| received.iter().copied().find(|r| cpus.share_a_cache(c, *r));
    let free = among.iter().copied().filter(|c| !received.contains(c));
    let Some(cpu) = free.min_by_key(|c| (busy(*c), cached(*c).is_none(), *c == 0, *c)) else {
        let why = format!("{}'s {how} on every CPU to choose from{at}", nic.name());
        return lowest.map_or_else(Placed::default, |cpu| say(cpu, why));
    };
    let there = |r: u32| format!("CPU {r}, where {}'s {how}", nic.name());
    let sibling = received.iter().copied().find(|r| cpus.share_a_core(cpu, *r));
    let why = match (sibling, cached(cpu), received.first()) {
        (Some(r), ..) => format!("same core as {}; no other core is free of them", there(r)),
        (None, Some(r), _) => format!("a core of its own, sharing the last-level cache with {}", there(r)),
        (None, None, Some(r)) => format!("a core of its own, next to {}{at}", there(*r)),
        (None, None, None) => at.clone(),
    };
    say(cpu, why)
}

fn alone(nic: &Nic) -> String {
    format!("the only one to choose from; {} has no interrupts of its own", nic.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(cpus: &[u32]) -> BTreeSet<u32> {
        cpus.iter().copied().collect()
    }

    /// Two nodes of two cores with two threads each: CPUs 0, 4 | 1, 5 on node 0, and 2, 6 | 3, 7 on node 1; a cache for
    /// each node.
    fn host() -> UsableCpus {
        let both = |lists: [&[u32]; 4]| {
            let each = |l: &&[u32]| l.iter().map(|c| (*c, set(l))).collect::<Vec<_>>();
            lists.iter().flat_map(each).collect::<BTreeMap<_, _>>()
        };
        let (zero, one): (&[u32], &[u32]) = (&[0, 1, 4, 5], &[2, 3, 6, 7]);
        UsableCpus {
            allowed: (0..8).collect(),
            cores: both([&[0, 4], &[1, 5], &[2, 6], &[3, 7]]),
            caches: both([zero, zero, one, one]),
            nodes: BTreeMap::from([(0, set(zero)), (1, set(one))]),
            ..UsableCpus::default()
        }
    }

    fn nic(node: Option<u32>, interrupts: &[u32]) -> Nic {
        Nic { name: "eth0".into(), node, interrupts: set(interrupts), rps: BTreeSet::new() }
    }

    #[test]
    fn the_cpu_asked_for_wins_and_a_far_node_is_said() {
        let got = near(&host(), &nic(Some(1), &[2]), Some(0));
        assert_eq!(got.cpu, Some(0));
        assert!(got.why.contains("set by --cpu") && got.why.contains("crosses"), "{}", got.why);
        assert_eq!(near(&host(), &nic(Some(1), &[2]), Some(3)).why, "CPU 3, set by --cpu");
    }

    #[test]
    fn an_isolated_cpu_of_the_nic_s_node_comes_next() {
        let mut cpus = host();
        cpus.isolated = set(&[1, 3, 7]);
        let got = near(&cpus, &nic(Some(1), &[2]), None);
        assert_eq!((got.cpu, got.why.as_str()), (Some(3), "CPU 3: isolated, on NUMA node 1 with eth0"));
        cpus.nohz_full = set(&[7]);
        let got = near(&cpus, &nic(Some(1), &[2]), None);
        assert_eq!((got.cpu, got.why.as_str()), (Some(7), "CPU 7: isolated and nohz_full, on NUMA node 1 with eth0"));
        // One that an interrupt fires on is isolated in name only.
        cpus.nohz_full = set(&[]);
        cpus.isolated = set(&[2, 7]);
        assert_eq!(near(&cpus, &nic(Some(1), &[2]), None).cpu, Some(7));
        cpus.allowed = set(&[0, 2]);
        cpus.isolated = set(&[7]);
        assert_eq!(near(&cpus, &nic(Some(1), &[2]), None).cpu, Some(2), "one it may not use is none");
    }

    #[test]
    fn then_a_core_of_its_own_by_the_interrupt_s_cache() {
        let got = near(&host(), &nic(Some(1), &[2]), None);
        assert_eq!(got.cpu, Some(3));
        assert_eq!(
            got.why,
            "CPU 3: a core of its own, sharing the last-level cache with CPU 2, where eth0's interrupts fire"
        );
        // The interrupt is on the other node: the NIC's node counts.
        let far = near(&host(), &nic(Some(1), &[0]), None);
        assert_eq!(far.cpu, Some(2));
        assert!(far.why.contains("next to CPU 0") && far.why.contains("NUMA node 1"), "{}", far.why);
        // RPS moves the work away from where the interrupt fires.
        let rps = Nic { rps: set(&[3]), ..nic(Some(1), &[2]) };
        let got = near(&host(), &rps, None);
        assert_eq!(got.cpu, Some(2));
        assert!(got.why.contains("CPU 3, where eth0's packets go by RPS"), "{}", got.why);
    }

    #[test]
    fn then_the_sibling_and_at_last_an_interrupt_s_own_cpu() {
        let mut cpus = host();
        cpus.allowed = set(&[2, 6]);
        let got = near(&cpus, &nic(Some(1), &[2]), None);
        assert_eq!(got.cpu, Some(6));
        assert!(got.why.starts_with("CPU 6: same core as CPU 2, where eth0's interrupts fire"), "{}", got.why);
        let got = near(&host(), &nic(Some(1), &[2, 3, 6, 7]), None);
        assert_eq!(got.cpu, Some(2));
        assert!(got.why.contains("every CPU to choose from"), "{}", got.why);
    }

    #[test]
    fn without_interrupts_the_lowest_but_cpu_0() {
        let got = near(&host(), &nic(None, &[]), None);
        assert_eq!(got.cpu, Some(1));
        assert!(got.why.contains("except CPU 0") && got.why.contains("eth0 has no interrupts"), "{}", got.why);
        assert_eq!(near(&host(), &nic(Some(1), &[]), None).cpu, Some(2));
        assert!(near(&host(), &Nic::default(), None).why.contains("the path's interface"));
    }

    #[test]
    fn there_is_always_a_reason() {
        let mut cpus = UsableCpus { allowed: set(&[5]), ..UsableCpus::default() };
        assert_eq!(near(&cpus, &nic(Some(1), &[5]), None).why, "CPU 5: the only one this process may use");
        cpus.allowed.clear();
        let none = near(&cpus, &nic(None, &[]), None);
        assert_eq!(none.cpu, None);
        assert!(none.why.starts_with("not pinned: "), "{}", none.why);
        let mut cpus = host();
        cpus.allowed = set(&[0, 1]);
        let got = near(&cpus, &nic(Some(1), &[2]), None);
        assert_eq!(got.cpu, Some(1));
        assert!(got.why.contains("no CPU of NUMA node 1"), "{}", got.why);
    }

    #[test]
    fn every_choice_is_allowed_and_has_words() {
        for bits in 1u32..256 {
            let allowed: BTreeSet<u32> = (0..8).filter(|c| bits & (1 << c) != 0).collect();
            for interrupts in [&[][..], &[0], &[2], &[2, 3, 6, 7], &[0, 1, 2, 3, 4, 5, 6, 7]] {
                for node in [None, Some(0), Some(1), Some(9)] {
                    let cpus = UsableCpus { allowed: allowed.clone(), isolated: set(&[3, 5]), ..host() };
                    let got = near(&cpus, &nic(node, interrupts), None);
                    assert!(got.cpu.is_some_and(|c| allowed.contains(&c)), "{allowed:?} {interrupts:?} {node:?}");
                    assert!(got.why.starts_with("CPU ") && got.why.len() > 12, "{}", got.why);
                    assert_eq!(got, near(&cpus, &nic(node, interrupts), None), "the same each time");
                }
            }
        }
    }

    #[test]
    fn a_far_end_on_the_same_host_takes_another_core() {
        assert_eq!(beside(&host(), 1), Some(4), "another core of the same node, and not CPU 0");
        assert_eq!(beside(&host(), 3), Some(2));
        let mut cpus = host();
        cpus.allowed = set(&[3, 7]);
        assert_eq!(beside(&cpus, 3), Some(7), "the sibling, where there is nothing else");
        cpus.allowed = set(&[3]);
        assert_eq!(beside(&cpus, 3), None);
    }
}

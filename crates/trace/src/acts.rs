//! What acts on each stage: the rules whose faults lengthen it and the knobs that shorten it.
//!
//! So that the largest stage leads to what can be done about it, and what acts on stages alone that cost nothing is tried
//! last. A knob that is in no line acts on no stage that is known, and is never put off. A knob is in the line of every
//! stage in which its effect may show: interrupts that are held back lie before the interrupt, so coalescing acts on the
//! wire. A rule is named of a stage only where its fault can make that much of it, the rules of the stage's own place first.

use std::collections::BTreeSet;

use lowlat_model::TraceDocument;
use lowlat_model::trace::{How, Side, StageKey, TraceDirection};

use crate::stage::{ANSWER, WIRE_AND_FAR};

/// One stage, whichever side and direction.
struct Acts {
    stage: &'static str,
    /// What holds a packet at this very place comes first.
    rules: &'static [&'static str],
    knobs: &'static [&'static str],
}

/// Stages in which a packet may be at a device that it was redirected to, whose queue a knob of that device replaces.
const REDIRECTED: ([&str; 2], &str) = (["wire", "redirection"], "qdisc.kind");

/// What shortens every piece of work of a CPU.
const SPEED: [&str; 4] = ["cpu.governor", "cpu.min-frequency", "cpu.energy-preference", "cpu.uncore-frequency"];

/// Every stage. Names are those of the catalogue; a test of `live`, which knows all three crates, holds that.
static ACTS: &[Acts] = &[
    Acts {
        stage: "system call",
        rules: &[
            "long-filter-chain",
            "connection-tracking-full",
            "traffic-control-filters",
            "neighbour-table-full",
            "mitigations-in-system-calls",
            "small-writes-held-by-nagle",
            "autocorking",
            "messages-wait-behind-unsent-data",
            "frequency-capped",
            "governor-not-performance",
        ],
        knobs: &["sysctl.net.ipv4.tcp_autocorking", "sysctl.net.ipv4.tcp_notsent_lowat", "boot.mitigations"],
    },
    Acts {
        stage: "queue discipline",
        rules: &[
            "shaper-below-line-rate",
            "netem-on-path",
            "plain-fifo-backlog",
            "transmit-queue-backlog",
            "pause-frames",
            "packet-sockets",
        ],
        knobs: &[
            "qdisc.kind",
            "sysctl.net.core.default_qdisc",
            "nic.bql-limit-max",
            "nic.pause",
            "sysctl.net.ipv4.tcp_limit_output_bytes",
            "sysctl.net.ipv4.tcp_notsent_lowat",
            "sysctl.net.ipv4.tcp_autocorking",
        ],
    },
    Acts {
        stage: "driver",
        rules: &["strict-iommu", "transmit-completes-on-another-node", "pci-express-errors"],
        knobs: &["steer.xps", "nic.feature.tso", "nic.feature.gso", "nic.ring.tx"],
    },
    Acts {
        stage: "wire",
        rules: &[
            "shaper-below-line-rate",
            "netem-on-path",
            "plain-fifo-backlog",
            "pause-frames",
            "instance-allowance-exceeded",
            "wireless-link",
            "interrupt-coalescing",
            "link-below-capability",
            "gro-flush-without-poller",
            "eee-active",
            "forward-error-correction",
            "pci-express-link-sleeps",
            "steal-time",
            "idle-state-exit-latency",
            "virtual-cpu-halts",
        ],
        knobs: &[
            "nic.coalesce.rx",
            "nic.coalesce.rx-usecs",
            "nic.coalesce.rx-frames",
            "nic.coalesce.adaptive-rx",
            "nic.coalesce.tx-usecs",
            "nic.coalesce.adaptive-tx",
            "nic.eee",
            "nic.fec",
            "nic.pause",
            "nic.bql-limit-max",
            "nic.napi-defer-hard-irqs",
            "nic.gro-flush-timeout",
            "nic.irq-suspend-timeout",
            "pcie.aspm-l1",
            "pcie.aspm-policy",
            "cpu.idle-states",
            "cpu.dma-latency",
            "cpu.resume-latency",
            "cpu.halt-polling",
            "sysctl.net.core.busy_read",
            "sysctl.net.core.busy_poll",
            "sysctl.net.ipv4.tcp_limit_output_bytes",
        ],
    },
    Acts {
        stage: "interrupt",
        rules: &[
            "irq-off-node-or-app-cpu",
            "interrupts-on-one-cpu",
            "interrupts-outside-their-affinity",
            "interrupts-moved-by-irqbalance",
            "system-management-interrupts",
        ],
        knobs: &["irq.affinity", "irq.irqbalance"],
    },
    Acts {
        stage: "softirq",
        rules: &[
            "softirqs-left-to-threads",
            "softnet-time-squeeze",
            "one-queue-carries-most",
            "interrupts-on-one-cpu",
            "irq-off-node-or-app-cpu",
            "receive-pages-not-recycled",
            "kernel-not-preemptible",
            "busy-smt-sibling",
        ],
        knobs: &[
            "irq.affinity",
            "irq.irqbalance",
            "sysctl.net.core.netdev_budget",
            "sysctl.net.core.netdev_budget_usecs",
            "nic.napi-threaded",
            "nic.channels.combined",
            "nic.rss",
            "steer.flow-rule",
            "sysctl.net.core.busy_read",
            "sysctl.net.core.busy_poll",
        ],
    },
    Acts {
        stage: "steering",
        rules: &["rps-remote-cpu", "flow-limit-drops", "interprocessor-interrupts"],
        knobs: &[
            "steer.rps",
            "steer.rfs",
            "sysctl.net.core.rps_sock_flow_entries",
            "sysctl.net.core.netdev_max_backlog",
            "irq.affinity",
        ],
    },
    Acts {
        stage: "GRO",
        rules: &["gro-flush-without-poller"],
        knobs: &["nic.gro-flush-timeout", "nic.napi-defer-hard-irqs", "nic.feature.gro", "nic.feature.lro"],
    },
    Acts {
        stage: "redirection",
        rules: &["shaper-below-line-rate", "netem-on-path", "plain-fifo-backlog", "traffic-control-filters"],
        knobs: &[],
    },
    Acts {
        stage: "IP",
        rules: &[
            "long-filter-chain",
            "connection-tracking-full",
            "traffic-control-filters",
            "generic-xdp",
            "packet-sockets",
            "frequency-capped",
            "governor-not-performance",
        ],
        knobs: &[],
    },
    Acts { stage: "socket", rules: &["tcp-backlog-drops", "packet-sockets"], knobs: &[] },
    Acts {
        stage: "wake-up",
        rules: &[
            "thread-sleeps-for-packets",
            "reader-asleep-past-goal",
            "interprocessor-interrupts",
            "thread-off-nic-node",
            "idle-state-exit-latency",
            "virtual-cpu-halts",
            "steal-time",
        ],
        knobs: &[
            "sysctl.net.core.busy_read",
            "sysctl.net.core.busy_poll",
            "cpu.idle-states",
            "cpu.dma-latency",
            "cpu.resume-latency",
            "cpu.halt-polling",
            "irq.affinity",
        ],
    },
    Acts {
        stage: "scheduling",
        rules: &[
            "tasks-wait-for-cpu",
            "thread-waits-for-cpu",
            "idle-state-exit-latency",
            "thread-on-interrupt-cpu",
            "kernel-not-preemptible",
            "cpu-quota-throttled",
            "steal-time",
            "tick-on-isolated-cpu",
            "workqueues-on-isolated-cpus",
            "numa-balancing-faults",
        ],
        knobs: &[
            "sysctl.net.core.busy_read",
            "sysctl.net.core.busy_poll",
            "cpu.idle-states",
            "cpu.dma-latency",
            "cpu.resume-latency",
            "cpu.halt-polling",
            "cpu.workqueue-mask",
            "irq.affinity",
            "sched.rt-priority",
            "sched.cpu-affinity",
            "sysctl.kernel.numa_balancing",
            "boot.isolcpus",
            "boot.nohz_full",
        ],
    },
    Acts {
        stage: "return",
        rules: &[
            "socket-read-late",
            "coarse-timer-slack",
            "mitigations-in-system-calls",
            "process-page-faults",
            "major-faults",
            "frequency-capped",
            "governor-not-performance",
        ],
        knobs: &["boot.mitigations", "sched.cpu-affinity", "memory.mlock"],
    },
    Acts {
        stage: "program",
        rules: &[
            "major-faults",
            "process-page-faults",
            "memory-not-locked",
            "thread-migrates",
            "thread-waits-for-cpu",
            "coarse-timer-slack",
        ],
        knobs: &["memory.mlock", "sched.cpu-affinity"],
    },
];

/// Stages in which a CPU works; in the others something is waited for.
const WORK: [&str; 8] = ["system call", "driver", "softirq", "GRO", "IP", "socket", "return", "program"];

/// Stages in which a packet waits and no thread does.
const PACKET_WAITS: [&str; 4] = ["queue discipline", "driver", "wire", "redirection"];

/// Rules about threads and the CPUs that they wait for: named last of a stage in which no thread waits.
const OF_THREADS: [&str; 9] = [
    "kernel-not-preemptible",
    "virtual-cpu-halts",
    "steal-time",
    "idle-state-exit-latency",
    "busy-smt-sibling",
    "tasks-wait-for-cpu",
    "softirqs-left-to-threads",
    "thread-on-interrupt-cpu",
    "interrupts-moved-by-irqbalance",
];

/// Faults that make a packet's work longer, or wait for hardware to wake: the slowest idle state takes 0.9 ms to leave
/// (drivers/idle/intel_idle.c in linux 6.12, C10 of `skl_cstates`: 890 µs), all others less.
const BRIEF: [&str; 25] = [
    "busy-smt-sibling",
    "eee-active",
    "forward-error-correction",
    "frequency-capped",
    "generic-xdp",
    "governor-not-performance",
    "idle-state-exit-latency",
    "interprocessor-interrupts",
    "irq-off-node-or-app-cpu",
    "mitigations-in-system-calls",
    "packet-sockets",
    "pci-express-link-sleeps",
    "process-page-faults",
    "reader-asleep-past-goal",
    "receive-pages-not-recycled",
    "rps-remote-cpu",
    "strict-iommu",
    "thread-migrates",
    "thread-off-nic-node",
    "thread-sleeps-for-packets",
    "tick-on-isolated-cpu",
    "transmit-completes-on-another-node",
    "virtual-cpu-halts",
    "coarse-timer-slack",
    "numa-balancing-faults",
];
/// …each at most so long, ns.
const BRIEF_NS: u64 = 1_000_000;

/// Faults that hold a packet until a timer, a tick or other work of its CPU is over: a tick is 10 ms at most (CONFIG_HZ=100),
/// and no driver of the families holds interrupts back longer (igb: 10 ms, `IGB_MAX_ITR_USECS`, igb.h in linux 6.12).
const BOUNDED: [&str; 17] = [
    "autocorking",
    "connection-tracking-full",
    "gro-flush-without-poller",
    "interrupt-coalescing",
    "interrupts-moved-by-irqbalance",
    "interrupts-on-one-cpu",
    "interrupts-outside-their-affinity",
    "kernel-not-preemptible",
    "link-below-capability",
    "long-filter-chain",
    "one-queue-carries-most",
    "pci-express-errors",
    "softnet-time-squeeze",
    "system-management-interrupts",
    "thread-on-interrupt-cpu",
    "traffic-control-filters",
    "workqueues-on-isolated-cpus",
];
/// …each at most so long, ns.
const BOUNDED_NS: u64 = 10_000_000;

/// A fault explains a stage if it can make this part of it, one of so many.
const EXPLAINS_PART: u64 = 2;

/// The longest that a rule's fault holds one packet, ns. What is in neither list is a queue, or a thread that waits for
/// something else, and has no bound.
fn most_ns(rule: &str) -> u64 {
    if BRIEF.contains(&rule) {
        BRIEF_NS
    } else if BOUNDED.contains(&rule) {
        BOUNDED_NS
    } else {
        u64::MAX
    }
}

/// A stage costs nothing if it takes less than this in the median round trip, ns: half of what a stage of an idle host
/// takes at least (0.3 to 5 µs, veth, kernel 6.18) and what some five trace points cost, so there is nothing to gain…
const NOTHING_P50_NS: u64 = 500;
/// …and less than this in the slowest hundredth, ns: a stage that is short at the median may still make the tail.
const NOTHING_P99_NS: u64 = 5_000;

/// The names of all stages in the table.
pub fn stages() -> impl Iterator<Item = &'static str> {
    ACTS.iter().map(|a| a.stage)
}

/// The rules whose faults lengthen a stage, and the knobs that act on it.
pub fn acts_on(stage: &str) -> (Vec<&'static str>, Vec<&'static str>) {
    // Of what lies between this host's driver and its interrupt, the wire alone is for this host to set.
    let stage = if matches!(stage, WIRE_AND_FAR | ANSWER) { "wire" } else { stage };
    let (mut rules, mut knobs) = (Vec::new(), Vec::new());
    for acts in ACTS.iter().filter(|a| a.stage == stage) {
        rules.extend_from_slice(acts.rules);
        if REDIRECTED.0.contains(&acts.stage) {
            knobs.push(REDIRECTED.1);
        }
        knobs.extend_from_slice(acts.knobs);
        if WORK.contains(&acts.stage) {
            knobs.extend(SPEED);
        }
    }
    (rules, knobs)
}

/// Those of several stages, each once: what lies between two time stamps.
pub fn acts_on_all(stages: &[&str]) -> (Vec<String>, Vec<String>) {
    let (mut rules, mut knobs) = (Vec::new(), Vec::new());
    let add = |to: &mut Vec<String>, from: Vec<&str>| {
        for name in from {
            if !to.iter().any(|known| known == name) {
                to.push(name.to_owned());
            }
        }
    };
    for stage in stages {
        let (of_rules, of_knobs) = acts_on(stage);
        add(&mut rules, of_rules);
        add(&mut knobs, of_knobs);
    }
    (rules, knobs)
}

/// What acts on a stage of that length, which spans these: the rules whose faults can make at least half of it, and the
/// knobs. The stage's own name is the first; where a packet and no thread waits there, rules about threads stand last.
pub fn acts_on_length(stages: &[&str], length_ns: Option<u64>) -> (Vec<String>, Vec<String>) {
    let (mut rules, knobs) = acts_on_all(stages);
    if let Some(length) = length_ns {
        rules.retain(|rule| most_ns(rule) >= length / EXPLAINS_PART);
    }
    let first = stages.first().map_or("", |s| if matches!(*s, WIRE_AND_FAR | ANSWER) { "wire" } else { s });
    if PACKET_WAITS.contains(&first) {
        rules.sort_by_key(|rule| OF_THREADS.contains(&rule.as_str()));
    }
    (rules, knobs)
}

/// Rules and knobs of a TCP connection's own data. (How much of other connections waits before a probe, which
/// `tcp_limit_output_bytes` and TSO bound, concerns every protocol.)
const OF_TCP: [&str; 6] = [
    "small-writes-held-by-nagle",
    "autocorking",
    "messages-wait-behind-unsent-data",
    "tcp-backlog-drops",
    "sysctl.net.ipv4.tcp_autocorking",
    "sysctl.net.ipv4.tcp_notsent_lowat",
];

/// As [`acts_on_length`], of what concerns probes of this protocol (`icmp`, `udp`, `tcp`, `tcp-connect`, …).
pub fn acts_on_probes(proto: &str, stages: &[&str], length_ns: Option<u64>) -> (Vec<String>, Vec<String>) {
    let (mut rules, mut knobs) = acts_on_length(stages, length_ns);
    // A handshake (`tcp-connect`) carries no data.
    if proto != "tcp" {
        rules.retain(|rule| !OF_TCP.contains(&rule.as_str()));
        knobs.retain(|knob| !OF_TCP.contains(&knob.as_str()));
    }
    (rules, knobs)
}

/// Rules about a queue that packets wait in, and the knob of one.
const OF_QUEUES: [&str; 4] = ["shaper-below-line-rate", "netem-on-path", "plain-fifo-backlog", "qdisc.kind"];

/// Whether what a rule or a knob is about lies in the stage: a queue of a device that received packets are redirected to
/// (`is_ifb`) on their way in, any other queue on the way out of this host.
pub fn is_in(stage: &StageKey, name: &str, is_ifb: bool) -> bool {
    if !OF_QUEUES.contains(&name) {
        return true;
    }
    match (stage.name.as_str(), stage.side, stage.direction) {
        ("system call" | "queue discipline" | "driver", side, _) => side == Side::Near && !is_ifb,
        // From the driver that sent the answer to this host's protocol.
        (_, _, TraceDirection::Back) => is_ifb,
        (..) => false,
    }
}

/// The names of the stages that cost nothing, on either side and in both directions. A stage that was not seen is none of
/// them, unless it is known that no probe passes through it.
pub fn costless(d: &TraceDocument) -> BTreeSet<String> {
    let nothing = |at: &StageKey| {
        let mut seen = false;
        let all = d.stages.iter().filter(|s| s.name == at.name).all(|s| {
            let small = |ns: Option<u64>, most| ns.is_some_and(|ns| ns < most);
            let is = s.not_passed
                || (s.how != How::Unseen && small(s.at_p50_ns, NOTHING_P50_NS) && small(s.p99_ns, NOTHING_P99_NS));
            seen |= is;
            // What the far host does is not known here, and no setting of this one's changes it.
            is || (s.how == How::Unseen && s.side == Side::Far && !d.far_seen)
        });
        seen && all
    };
    let key =
        |s: &lowlat_model::trace::TraceStage| StageKey { name: s.name.clone(), side: s.side, direction: s.direction };
    d.stages.iter().map(key).filter(nothing).map(|k| k.name).collect()
}

/// Whether these knobs act on stages alone that cost nothing. A knob that acts on no known stage does not.
pub fn only_costless(knobs: &[&str], costless: &BTreeSet<String>) -> bool {
    let on = |knob: &str| -> Vec<&str> {
        ACTS.iter()
            .filter(|a| a.knobs.contains(&knob) || (SPEED.contains(&knob) && WORK.contains(&a.stage)))
            .map(|a| a.stage)
            .collect()
    };
    !knobs.is_empty()
        && knobs.iter().all(|knob| {
            let stages = on(knob);
            !stages.is_empty() && stages.iter().all(|s| costless.contains(*s))
        })
}

#[cfg(test)]
mod tests {
    use lowlat_model::trace::TraceStage;

    use super::*;

    fn stage(name: &str, p50: u64, p99: u64) -> TraceStage {
        TraceStage {
            name: name.into(),
            at_p50_ns: Some(p50),
            p99_ns: Some(p99),
            how: How::Trace,
            samples: 1_000,
            ..TraceStage::default()
        }
    }

    fn unseen(name: &str, not_passed: bool) -> TraceStage {
        TraceStage { name: name.into(), how: How::Unseen, not_passed, ..TraceStage::default() }
    }

    fn document(stages: Vec<TraceStage>) -> TraceDocument {
        TraceDocument { stages, ..TraceDocument::default() }
    }

    fn names(d: &TraceDocument) -> Vec<String> {
        costless(d).into_iter().collect()
    }

    #[test]
    fn every_stage_has_a_line_and_every_line_a_stage() {
        let known: BTreeSet<&str> = crate::stage::ALL.iter().skip(1).map(|p| crate::stage::kind(*p).name).collect();
        assert_eq!(stages().collect::<BTreeSet<_>>(), known);
        assert_eq!(stages().count(), known.len(), "a stage has two lines");
        assert!(WORK.iter().all(|s| known.contains(s)));
    }

    #[test]
    fn what_is_short_in_the_median_and_in_the_tail_costs_nothing() {
        let d =
            document(vec![stage("queue discipline", 300, 900), stage("IP", 300, 90_000), stage("driver", 900, 900)]);
        assert_eq!(names(&d), ["queue discipline"]);
    }

    #[test]
    fn a_stage_that_was_not_seen_is_not_known_to_cost_nothing() {
        let d = document(vec![unseen("steering", true), unseen("GRO", false)]);
        assert_eq!(names(&d), ["steering"]);
        let no_figures = TraceStage { p99_ns: None, ..stage("IP", 1, 1) };
        assert!(names(&document(vec![no_figures])).is_empty());
    }

    #[test]
    fn the_longest_of_a_name_counts_and_the_far_host_s_unknown_one_does_not() {
        let far = |s: TraceStage| TraceStage { side: Side::Far, direction: TraceDirection::Back, ..s };
        let short = || stage("queue discipline", 300, 900);
        assert!(names(&document(vec![short(), far(stage("queue discipline", 9_000, 9_000))])).is_empty());
        assert_eq!(names(&document(vec![short(), far(unseen("queue discipline", false))])), ["queue discipline"]);
        // On one kernel its settings are those of both ends, and what was not seen may cost.
        let one = TraceDocument { far_seen: true, ..document(vec![short(), far(unseen("queue discipline", false))]) };
        assert!(names(&one).is_empty());
        assert!(names(&document(vec![far(unseen("queue discipline", false))])).is_empty(), "no side of it was seen");
    }

    #[test]
    fn a_knob_of_several_stages_is_put_off_only_where_all_cost_nothing() {
        let all = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<String>>();
        assert!(only_costless(&["qdisc.kind"], &all(&["queue discipline"])));
        assert!(!only_costless(&["irq.affinity"], &all(&["interrupt", "softirq"])));
        assert!(!only_costless(&["cpu.governor"], &all(&["system call", "IP"])));
        // A joint step is put off as a whole or not at all.
        assert!(!only_costless(&["qdisc.kind", "nic.eee"], &all(&["queue discipline"])));
        // Of what acts on no stage nothing is known; without stages nothing is put off.
        assert!(!only_costless(&["sysctl.vm.swappiness"], &all(&["queue discipline"])));
        assert!(!only_costless(&["qdisc.kind"], &BTreeSet::new()));
        assert!(!only_costless(&[], &all(&["queue discipline"])));
    }

    #[test]
    fn what_acts_on_a_stage_is_named_once() {
        let (rules, knobs) = acts_on_all(&["GRO", "IP", "socket", "wake-up", "scheduling", "return"]);
        let once = |all: &[String]| all.iter().collect::<BTreeSet<_>>().len() == all.len();
        assert!(once(&rules) && once(&knobs));
        assert!(rules.iter().any(|r| r == "long-filter-chain") && knobs.iter().any(|k| k == "cpu.governor"));
        assert_eq!(acts_on(WIRE_AND_FAR), acts_on("wire"));
        assert_eq!(acts_on("no such stage"), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_rule_is_named_where_its_fault_can_make_that_much_and_threads_are_not_blamed_for_what_packets_wait_for() {
        let ms = |n: u64| Some(n * 1_000_000);
        let spans = ["wire", "GRO", "softirq", "interrupt", "driver"];
        let (rules, knobs) = acts_on_length(&spans, ms(3));
        let place = |rule: &str| rules.iter().position(|r| r == rule);
        assert_eq!(place("shaper-below-line-rate"), Some(0), "{rules:?}");
        assert!(place("interrupt-coalescing") < place("kernel-not-preemptible"), "{rules:?}");
        assert!(place("steal-time") > place("one-queue-carries-most"), "threads last: {rules:?}");
        assert_eq!((place("virtual-cpu-halts"), place("eee-active")), (None, None), "{rules:?}");
        let (brief, _) = acts_on_length(&spans, Some(20_000));
        assert!(brief.iter().any(|r| r == "virtual-cpu-halts") && brief[0] == rules[0], "{brief:?}");
        assert!(knobs.iter().any(|k| k == "qdisc.kind") && knobs.iter().any(|k| k == "nic.eee"));
        // A second is no tick and no timer.
        let (rules, _) = acts_on_length(&spans, ms(1_000));
        assert!(rules.iter().all(|r| most_ns(r) == u64::MAX) && rules[0] == "shaper-below-line-rate", "{rules:?}");
        // Where a thread waits, its rules keep their place, and without a length none is left out.
        let (rules, _) = acts_on_length(&["scheduling"], ms(3));
        assert_eq!(rules[0], "tasks-wait-for-cpu");
        assert_eq!(acts_on_length(&spans, None).0.len(), acts_on_all(&spans).0.len());
        assert_eq!(acts_on_length(&[WIRE_AND_FAR], ms(2)), acts_on_length(&["wire"], ms(2)));
    }

    #[test]
    fn what_acts_on_tcp_data_alone_is_named_of_no_other_protocol() {
        let spans: Vec<&str> = stages().collect();
        let named = |proto: &str| {
            let (rules, knobs) = acts_on_probes(proto, &spans, None);
            OF_TCP.iter().filter(|name| rules.iter().chain(&knobs).any(|n| n == *name)).count()
        };
        assert_eq!(named("tcp"), OF_TCP.len(), "each is one of some stage");
        for proto in ["icmp", "udp", "tcp-connect", "udp-closed", "arp", "nd"] {
            assert_eq!(named(proto), 0, "{proto}");
        }
        let (_, knobs) = acts_on_probes("icmp", &spans, None);
        assert!(
            knobs.iter().any(|k| k == "sysctl.net.ipv4.tcp_limit_output_bytes"),
            "other connections' data waits too"
        );
    }

    #[test]
    fn every_rule_with_a_bound_is_one_of_a_stage() {
        let (all, _) = acts_on_all(&stages().collect::<Vec<_>>());
        for rule in BRIEF.iter().chain(&BOUNDED).chain(&OF_THREADS).chain(&OF_QUEUES[..3]) {
            assert!(all.iter().any(|r| r == rule), "{rule}");
        }
        assert!(BRIEF.iter().all(|r| !BOUNDED.contains(r)));
    }

    #[test]
    fn a_queue_is_in_the_stage_of_its_own_side_and_direction() {
        let key = |name: &str, side, direction| StageKey { name: name.into(), side, direction };
        let (out, back) = (TraceDirection::Out, TraceDirection::Back);
        for (stage, here, redirected) in [
            (key("queue discipline", Side::Near, out), true, false),
            (key("queue discipline", Side::Far, back), false, false),
            (key("wire", Side::Far, out), false, false),
            (key("wire", Side::Far, back), false, true),
            (key(WIRE_AND_FAR, Side::Far, back), false, true),
            (key("redirection", Side::Near, back), false, true),
        ] {
            let is = |is_ifb| is_in(&stage, "shaper-below-line-rate", is_ifb);
            assert_eq!((is(false), is(true)), (here, redirected), "{stage:?}");
            assert!(is_in(&stage, "interrupt-coalescing", false));
        }
    }
}

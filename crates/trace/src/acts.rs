//! What acts on each stage: the rules whose faults lengthen it and the knobs that shorten it.
//!
//! So that the largest stage leads to what can be done about it, and what acts on stages alone that cost nothing is tried
//! last. A knob that is in no line acts on no stage that is known, and is never put off. A knob is in the line of every
//! stage in which its effect may show: interrupts that are held back lie before the interrupt, so coalescing acts on the
//! wire.

use std::collections::BTreeSet;

use lowlat_model::TraceDocument;
use lowlat_model::trace::{How, StageKey};

use crate::stage::{ANSWER, WIRE_AND_FAR};

/// One stage, whichever side and direction.
struct Acts {
    stage: &'static str,
    rules: &'static [&'static str],
    knobs: &'static [&'static str],
}

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
            "interrupt-coalescing",
            "eee-active",
            "forward-error-correction",
            "link-below-capability",
            "pause-frames",
            "pci-express-link-sleeps",
            "idle-state-exit-latency",
            "gro-flush-without-poller",
            "wireless-link",
            "steal-time",
            "virtual-cpu-halts",
            "instance-allowance-exceeded",
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
            is || (s.how == How::Unseen && s.side == lowlat_model::trace::Side::Far && !d.far_seen)
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
    use lowlat_model::trace::{Side, TraceDirection, TraceStage};

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
}

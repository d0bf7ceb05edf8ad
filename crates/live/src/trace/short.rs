//! The short phase next to a measurement: where its round trips take their time.
//!
//! By trace points where they are available, else by time stamps; where neither shows anything, why. It is a flow of its
//! own after the measurement, so that no figure of the measurement holds what watching costs.

use lowlat_measure::Mode;
use lowlat_model::trace::{Largest, RunStages, Side, TraceDocument};
use lowlat_model::{Facts, Finding, Measurement, Plan, PlannedStep};
use lowlat_sys::Sys;
use lowlat_transport::Proto;

use super::{TraceAsk, stamps, start, trace};
use crate::path::ProbePath;
use crate::probe::Ask;
use crate::signals;

/// The phase takes this part of the measurement's length…
const PART: u64 = 10;
/// …at least this, ns: shorter ones hold no pair of rounds…
const LEAST_NS: u64 = 100_000_000;
/// …and at most this, ns.
const MOST_NS: u64 = 500_000_000;

/// The phase next to a measurement of that length and median; why there is none otherwise.
pub(crate) fn short(
    path: &ProbePath,
    (engine, rt): (&str, Option<u8>),
    interval_ns: Option<u64>,
    (measured_ns, median_ns): (u64, Option<u64>),
    sys: &dyn Sys,
) -> Result<TraceDocument, String> {
    let duration_ns = (measured_ns / PART).min(MOST_NS);
    if duration_ns < LEAST_NS {
        return Err(format!("left out of a run shorter than {} s", LEAST_NS * PART / 1_000_000_000));
    }
    let Some(median_ns) = median_ns else { return Err("no median was measured".to_owned()) };
    if let Some(why) = blind(engine, path.proto) {
        return Err(why);
    }
    if signals::stopped() {
        return Err("the run was interrupted before".to_owned());
    }
    let ask = TraceAsk { path, engine, duration_ns, rt, interval_ns, short_at_ns: Some(median_ns) };
    trace(&ask, sys, &mut |_| {}).map_err(|failure| failure.to_string())
}

/// Why the stages of this engine and protocol cannot be seen by such a phase.
fn blind(engine: &str, proto: Proto) -> Option<String> {
    let engine = engine.split(':').next().unwrap_or(engine);
    if proto == Proto::TcpConnect {
        return Some("a handshake passes no socket that a program reads from".to_owned());
    }
    if proto == Proto::Tls {
        return Some("a greeting waits for the work of a server, on a connection of its own each time".to_owned());
    }
    if proto == Proto::UdpClosed {
        return Some("an ICMP error reaches its socket by no stage of a received datagram".to_owned());
    }
    if matches!(proto, Proto::Arp | Proto::Nd) {
        return Some("a request of the link layer passes no stage above the driver".to_owned());
    }
    // Opening it once more would attach and detach its program once more, which resets some links.
    if matches!(engine, lowlat_transport_xdp::NAME | lowlat_transport_dpdk::NAME) {
        return Some(format!("engine {engine} goes past the stack whose stages these are"));
    }
    (engine == lowlat_transport::suspend::NAME)
        .then(|| format!("engine {engine} sets NAPI values around its rounds; choose --engine epoll"))
}

/// Adds the stages to a measurement of this ask: by the time stamps that it took, or by a phase of its own.
pub fn with_stages(m: &mut Measurement, ask: &Ask<'_>, sys: &dyn Sys) {
    let about = TraceAsk {
        path: ask.path,
        engine: ask.engine,
        duration_ns: ask.duration_ns,
        rt: ask.rt,
        interval_ns: None,
        short_at_ns: None,
    };
    let found = match ask.mode {
        _ if ask.path.stamps => stamps::of(m, start(&about, sys), "no time stamp bounds it")
            .ok_or_else(|| "none of the time stamps that came bounds one".to_owned()),
        _ if ask.load_streams > 0 => Err("left out under load, where the kernel's ring would overrun".to_owned()),
        _ if ask.count.is_some() => Err("left out with --count: they need probes of their own".to_owned()),
        Mode::OpenLoop { .. } => {
            Err("left out in open loop: a probe is followed while it is alone on its way".to_owned())
        }
        Mode::PingPong { interval_ns } => {
            let length = (ask.duration_ns, m.rtt.p50_ns);
            short(ask.path, (ask.engine, ask.rt), interval_ns, length, sys)
        }
    };
    match found {
        Ok(document) => m.trace = Some(Box::new(document)),
        Err(why) => m.trace_why_not = Some(why),
    }
}

/// Puts what acts on stages alone that cost nothing last, and names what acts on the largest stage.
pub(crate) fn lead(
    before: Result<TraceDocument, String>,
    facts: &Facts,
    findings: &[Finding],
    plan: &mut Plan,
) -> RunStages {
    let before = match before {
        Ok(before) => before,
        Err(why) => return RunStages { why_not: Some(why), ..RunStages::default() },
    };
    let costless = lowlat_trace::costless(&before);
    let tried_last = lowlat_plan::try_last(plan, &|step| {
        step.judged_by == lowlat_model::plan::JudgedBy::RoundTrips
            && on_first(step, facts)
            && lowlat_trace::only_costless(&knobs(step), &costless)
    });
    let (of_largest, settings) = before.largest.as_ref().map_or_else(Default::default, |l| {
        let is_here = before.far_seen || l.stage.side == Side::Near || l.stage.name.starts_with("wire");
        if is_here { explains(l, facts, findings, plan) } else { Default::default() }
    });
    RunStages { before: Some(before), findings: of_largest, settings, tried_last, ..RunStages::default() }
}

/// The findings that explain the largest stage, by rule, and the settings of the plan that act on it, with their targets:
/// what lies at its place first.
fn explains(largest: &Largest, facts: &Facts, findings: &[Finding], plan: &Plan) -> (Vec<String>, Vec<String>) {
    let is_ifb = |name: &str| facts.interfaces.get(name).is_some_and(|i| i.kind.as_deref() == Some(IFB));
    let rank = |all: &[String], name: &str| all.iter().position(|known| known == name);
    let mut rules: Vec<(usize, &str)> = findings
        .iter()
        .filter(|f| lowlat_trace::is_in(&largest.stage, &f.rule, ifaces(f).any(is_ifb)))
        .filter_map(|f| Some((rank(&largest.rules, &f.rule)?, f.rule.as_str())))
        .collect();
    rules.sort_unstable();
    rules.dedup();
    let acts = |s: &PlannedStep, knob: &str| lowlat_trace::is_in(&largest.stage, knob, s.ifaces().any(is_ifb));
    let mut steps: Vec<(usize, String)> = plan
        .steps
        .iter()
        .filter_map(|s| {
            let ranks = knobs(s).into_iter().filter(|knob| acts(s, knob)).filter_map(|knob| rank(&largest.knobs, knob));
            Some((ranks.min()?, format!("{} on {}", s.knob, s.target)))
        })
        .collect();
    steps.sort_by_key(|(rank, _)| *rank);
    steps.dedup();
    (
        rules.into_iter().map(|(_, rule)| rule.to_owned()).collect(),
        steps.into_iter().map(|(_, setting)| setting).collect(),
    )
}

/// The kind of a device that received packets are redirected to.
const IFB: &str = "ifb";

/// The interfaces that a finding is about: those of its settings; a title without settings names them.
fn ifaces(finding: &Finding) -> impl Iterator<Item = &str> {
    let settings = finding.remedy.settings.iter().filter_map(|s| s.target.iface());
    let words = if finding.remedy.settings.is_empty() { finding.title.as_str() } else { "" };
    settings.chain(words.split(' '))
}

/// The knobs of a step.
fn knobs(step: &PlannedStep) -> Vec<&str> {
    if step.members.is_empty() {
        vec![step.knob.as_str()]
    } else {
        step.members.iter().map(|m| m.knob.as_str()).collect()
    }
}

/// Whether its interfaces are the one that the route leads over. The queue of one beneath it lies within that one's
/// driver stage, and the queue of an ifb between the driver and IP of received packets.
fn on_first(step: &PlannedStep, facts: &Facts) -> bool {
    step.ifaces().all(|iface| facts.iface.as_deref() == Some(iface))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lowlat_model::finding::{Remedy, Setting};
    use lowlat_model::trace::{How, StageKey, TraceDirection, TraceStage};
    use lowlat_model::{Risk, Schema, Severity};

    use super::*;

    #[test]
    fn every_rule_and_knob_that_acts_on_a_stage_exists() {
        let rules: BTreeSet<&str> = lowlat_rules::RULES.iter().map(|r| r.meta().name).collect();
        for stage in lowlat_trace::stages() {
            let (of_rules, of_knobs) = lowlat_trace::acts_on(stage);
            for rule in of_rules {
                assert!(rules.contains(rule), "{stage}: there is no rule {rule}");
            }
            for knob in of_knobs {
                assert!(lowlat_knobs::find(knob).is_some(), "{stage}: there is no knob {knob}");
            }
        }
    }

    fn step(knob: &str, target: &str) -> PlannedStep {
        PlannedStep { knob: knob.into(), target: target.parse().unwrap(), risk: Risk::Low, ..PlannedStep::default() }
    }

    fn plan() -> Plan {
        let steps = vec![
            step("qdisc.kind", "eth0/qdisc-root"),
            step("steer.rps", "eth0/rx-0"),
            step("cpu.governor", "cpu0"),
            step("sysctl.vm.swappiness", "host"),
        ];
        Plan { schema: Schema::current("plan"), iface: Some("eth0".into()), steps, left_out: Vec::new() }
    }

    fn order(plan: &Plan) -> Vec<&str> {
        plan.steps.iter().map(|s| s.knob.as_str()).collect()
    }

    fn stage(name: &str, ns: u64) -> TraceStage {
        TraceStage {
            name: name.into(),
            at_p50_ns: Some(ns),
            p99_ns: Some(ns),
            how: How::Trace,
            ..TraceStage::default()
        }
    }

    #[test]
    fn what_acts_on_stages_that_cost_nothing_is_tried_last_and_nothing_known_changes_nothing() {
        let mut facts = lowlat_testkit::facts::healthy();
        facts.iface = Some("eth0".to_owned());
        let mut led = plan();
        let (rules, knobs) = lowlat_trace::acts_on_all(&["IP"]);
        let before = TraceDocument {
            stages: vec![stage("queue discipline", 300), stage("steering", 90_000), stage("IP", 200_000)],
            largest: Some(Largest { rules, knobs, ..Largest::default() }),
            ..TraceDocument::default()
        };
        let shown = lead(Ok(before.clone()), &facts, &[], &mut led);
        assert_eq!(order(&led), ["steer.rps", "cpu.governor", "sysctl.vm.swappiness", "qdisc.kind"]);
        assert_eq!(shown.tried_last, ["qdisc.kind on eth0/qdisc-root"]);
        assert_eq!(shown.settings, ["cpu.governor on cpu0"]);

        let mut same = plan();
        let shown = lead(Err("denied".into()), &facts, &[], &mut same);
        assert_eq!((same, shown.why_not.as_deref()), (plan(), Some("denied")));
        let mut same = plan();
        lead(Ok(TraceDocument::default()), &facts, &[], &mut same);
        assert_eq!(same, plan());
    }

    fn found(rule: &str, title: &str, queue: Option<&str>) -> Finding {
        let setting = |iface: &str| Setting {
            knob: "qdisc.kind".into(),
            target: format!("{iface}/qdisc-root").parse().unwrap(),
            value: "default".into(),
            joint: None,
        };
        Finding {
            rule: rule.into(),
            severity: Severity::Warning,
            title: title.into(),
            evidence: Vec::new(),
            remedy: Remedy { advice: String::new(), settings: queue.map(setting).into_iter().collect() },
            follows: None,
        }
    }

    fn largest(name: &str, (side, direction): (Side, TraceDirection), ns: u64) -> TraceDocument {
        let (rules, knobs) = lowlat_trace::acts_on_length(&[name, "softirq"], Some(ns));
        let stage = StageKey { name: name.into(), side, direction };
        let largest = Some(Largest { stage, at_p50_ns: Some(ns), rules, knobs, ..Largest::default() });
        TraceDocument { stages: vec![self::stage(name, ns)], largest, ..TraceDocument::default() }
    }

    #[test]
    fn what_explains_the_largest_stage_is_named_and_nothing_else_is() {
        let mut facts = lowlat_testkit::facts::healthy();
        let mut ifb = facts.interfaces["eth0"].clone();
        ifb.kind = Some("ifb".into());
        facts.interfaces.insert("ifb0".into(), ifb);
        let all = [
            found("kernel-not-preemptible", "the kernel is not preemptible", None),
            found("virtual-cpu-halts", "virtual CPUs halt", None),
            found("plain-fifo-backlog", "a FIFO on eth0 fills up", Some("eth0")),
            found("shaper-below-line-rate", "a shaper on ifb0 is too slow", Some("ifb0")),
            found("netem-on-path", "a network emulator (netem) delays packets on ifb0", None),
        ];
        let steps = vec![
            step("irq.affinity", "eth0/irq-24"),
            step("qdisc.kind", "eth0/qdisc-root"),
            step("qdisc.kind", "ifb0/qdisc-root"),
        ];
        let plan = || Plan { steps: steps.clone(), ..self::plan() };
        let ends = |at, name, ns, findings: &[Finding]| {
            let led = lead(Ok(largest(name, at, ns)), &facts, findings, &mut plan());
            (led.findings.join(" "), led.settings.join(" "))
        };
        let (back, out) = ((Side::Far, TraceDirection::Back), (Side::Near, TraceDirection::Out));
        let (findings, settings) = ends(back, "wire", 3_000_000, &all);
        assert_eq!(findings, "shaper-below-line-rate netem-on-path kernel-not-preemptible");
        assert_eq!(settings, "qdisc.kind on ifb0/qdisc-root irq.affinity on eth0/irq-24");
        // The receive side's queue is none of the way out.
        let (findings, settings) = ends(out, "queue discipline", 3_000_000, &all);
        assert_eq!(
            (findings.as_str(), settings.as_str()),
            ("plain-fifo-backlog kernel-not-preemptible", "qdisc.kind on eth0/qdisc-root irq.affinity on eth0/irq-24")
        );
        // Nothing explains it, and nothing is named: not for want of findings, but for want of one at that place of that size.
        assert_eq!(ends(back, "wire", 3_000_000, &all[1..3]).0, "");
        assert_eq!(
            ends((Side::Far, TraceDirection::Out), "scheduling", 3_000_000, &all),
            (String::new(), String::new())
        );
    }

    #[test]
    fn the_queue_of_an_interface_beneath_or_of_an_ifb_is_not_put_off() {
        let mut facts = lowlat_testkit::facts::healthy();
        for (iface, is_moved) in [("eth0", true), ("bond0", false)] {
            facts.iface = Some(iface.to_owned());
            let mut led = plan();
            let before = TraceDocument { stages: vec![stage("queue discipline", 300)], ..TraceDocument::default() };
            let moved = lead(Ok(before), &facts, &[], &mut led).tried_last;
            assert_eq!(!moved.is_empty(), is_moved, "{moved:?}");
        }
    }

    #[test]
    fn a_phase_is_left_out_where_it_would_show_nothing() {
        assert!(blind("af-xdp", Proto::Udp).is_some_and(|w| w.contains("past the stack")));
        assert!(blind("suspend", Proto::Udp).is_some() && blind("block", Proto::TcpConnect).is_some());
        assert!(blind("block", Proto::Arp).is_some() && blind("spin", Proto::Nd).is_some());
        assert!(blind("block", Proto::UdpClosed).is_some());
        for engine in ["block", "spin", "io-uring:sleep", "epoll"] {
            assert_eq!(blind(engine, Proto::Udp), None);
        }
    }
}

//! A finished run, for the tests of what comes after it.

use std::collections::BTreeMap;

use lowlat_model::document::{
    ChecklistItem, ConfidencePart, EngineResult, Planted, RunDocument, StepResult, SummaryLine, item as id,
    part as names,
};
use lowlat_model::engine::{EngineCost, EngineState};
use lowlat_model::finding::{Remedy, Setting};
use lowlat_model::op::Target;
use lowlat_model::tune::{Disposition, Headline};
use lowlat_model::verdict::{Comparison, Design, QuantileDifference};
use lowlat_model::{
    Finding, GoalQuantile, GoalResult, Measurement, NotSeen, PathLink, PathRole, Quantiles, Schema, Severity, Verdict,
};

/// A UDP measurement of 20 000 probes without a loss, whose other quantiles stand in a fixed relation to its median.
pub fn measurement(p50_ns: u64) -> Measurement {
    let at = |hundredths: u64| Some(p50_ns * hundredths / 100);
    Measurement {
        schema: Schema::current("measure"),
        target: "192.0.2.2:11200".into(),
        proto: "udp".into(),
        peer: "lowlat".into(),
        engine: "block".into(),
        mode: "ping-pong".into(),
        size_bytes: 64,
        rate_pps: None,
        cpu: Some(2),
        sent: 20_000,
        received: 20_000,
        lost: 0,
        duplicates: 0,
        reordered: 0,
        late: 0,
        foreign: 0,
        warmup: 500,
        loss_ratio: Some(0.0),
        duration_ns: 5_000_000_000,
        rtt: Quantiles {
            samples: 20_000,
            min_ns: at(80),
            p50_ns: at(100),
            p90_ns: at(120),
            p99_ns: at(150),
            p999_ns: at(300),
            p9999_ns: None,
            p99999_ns: None,
            max_ns: at(900),
            mean_ns: at(105),
        },
        jitter_ratio: Some(1.5),
        environment: BTreeMap::from([("governor".into(), "performance".into())]),
        ..Measurement::default()
    }
}

/// A comparison around A's median: B − A with its interval, all in ns.
pub fn comparison(a_ns: u64, diff_ns: i64, low_ns: i64, high_ns: i64, verdict: Verdict) -> Comparison {
    let ratio = |ns: i64| Some(ns as f64 / a_ns as f64);
    let difference = |q: f64| QuantileDifference {
        q,
        from: lowlat_model::verdict::Clock::Send,
        a_ns: Some(a_ns),
        b_ns: a_ns.checked_add_signed(diff_ns),
        diff_ns: Some(diff_ns),
        low_ns: Some(low_ns),
        high_ns: Some(high_ns),
        change_ratio: ratio(diff_ns),
        change_low: ratio(low_ns),
        change_high: ratio(high_ns),
        verdict,
    };
    let words = match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        _ => "no difference shown (smallest detectable difference 4.00 µs)",
    };
    Comparison {
        schema: Schema::current("compare"),
        a: "without".into(),
        b: "with".into(),
        quantiles: vec![difference(0.5), difference(0.99)],
        smallest_detectable_ns: Some(4_000),
        verdict,
        words: words.into(),
        design: Design::Alternated,
        seed: 1,
        warnings: vec![],
        sequential: None,
        figure: None,
        placed: vec![],
    }
}

/// A step that its A/B test judged; kept when it was better.
pub fn step(knob: &str, target: Target, before: &str, after: &str, judged: Comparison) -> StepResult {
    let p50 = judged.quantiles.first().cloned();
    let kept = judged.verdict == Verdict::Better;
    StepResult {
        knob: knob.into(),
        phase: 2,
        target,
        before: before.into(),
        after: after.into(),
        verdict: judged.verdict,
        kept,
        p50_change_ratio: p50.as_ref().and_then(|q| q.change_ratio),
        p50_change_low: p50.as_ref().and_then(|q| q.change_low),
        p50_change_high: p50.as_ref().and_then(|q| q.change_high),
        note: format!("{}; {}", judged.words, if kept { "kept" } else { "put back" }),
        comparison: Some(judged),
        undo: format!("undo {knob}"),
        disposition: if kept { Disposition::Kept } else { Disposition::PutBack },
        attempt: 1,
        ..StepResult::default()
    }
}

/// The headline that this test of the whole gives.
pub fn headline(whole: Comparison) -> Headline {
    let (p50, p99) = (whole.quantiles.first().cloned(), whole.quantiles.last().cloned());
    Headline {
        p50_change_ratio: p50.as_ref().and_then(|q| q.change_ratio),
        p50_change_low: p50.as_ref().and_then(|q| q.change_low),
        p50_change_high: p50.as_ref().and_then(|q| q.change_high),
        p99_change_ratio: p99.as_ref().and_then(|q| q.change_ratio),
        p99_change_low: p99.as_ref().and_then(|q| q.change_low),
        p99_change_high: p99.as_ref().and_then(|q| q.change_high),
        confidence: 0.95,
        false_keep_bound: Some(0.05),
        idle: Some(whole),
        loaded: None,
    }
}

/// A finding with one setting.
pub fn finding(rule: &str, severity: Severity, knob: &str, target: Target, value: &str) -> Finding {
    Finding {
        rule: rule.into(),
        severity,
        title: format!("{rule} on the path"),
        evidence: vec![format!("evidence of {rule}")],
        remedy: Remedy {
            advice: format!("fix {rule}"),
            settings: vec![Setting { knob: knob.into(), target, value: value.into(), joint: None }],
        },
        follows: None,
    }
}

/// A whole run: from 200 µs to 80 µs by one kept step, one put back, one refused; three engines, one of which could
/// not run; two faults planted.
pub fn document() -> RunDocument {
    let whole = comparison(200_000, -120_000, -123_000, -117_500, Verdict::Better);
    let better = comparison(200_000, -118_000, -121_000, -115_500, Verdict::Better);
    let unclear = comparison(82_000, -300, -1_900, 1_400, Verdict::Unclear);
    let mut refused = step("nic.ring.rx", Target::Iface("eth0".into()), "512", "1024", unclear.clone());
    refused.verdict = Verdict::Refused;
    refused.comparison = None;
    (refused.p50_change_ratio, refused.p50_change_low, refused.p50_change_high) = (None, None, None);
    refused.note = "refused: write ring rx of eth0: operation not supported".into();
    let qdisc = Target::Qdisc("eth0".into(), "root".into());
    RunDocument {
        schema: Schema::current("optimize"),
        run: "20260102T030405-1".into(),
        started_unix_ns: 1_767_323_045_000_000_000,
        iface: "eth0".into(),
        driver: "ixgbe".into(),
        driver_version: "6.12.43-amd64".into(),
        kernel: "6.12.43-amd64".into(),
        target: "192.0.2.2 (udp, lowlat)".into(),
        dry_run: false,
        baseline: Some(measurement(200_000)),
        result: Some(measurement(80_000)),
        loaded: Some(measurement(110_000)),
        loaded_baseline: Some(measurement(420_000)),
        findings: vec![
            finding("netem-on-path", Severity::Critical, "qdisc.kind", qdisc.clone(), "default"),
            finding("rps-remote-cpu", Severity::Warning, "steer.rps", Target::RxQueue("eth0".into(), 0), "off"),
        ],
        not_seen: vec![NotSeen { fact: "SMI count".into(), why: "denied: reading MSR 0x34 needs root".into() }],
        steps: vec![
            step("qdisc.kind", qdisc, "netem limit 1000 delay 100us", "fq_codel", better),
            step("steer.rps", Target::RxQueue("eth0".into(), 0), "3", "off", unclear),
            refused,
        ],
        engines: engines(),
        checklist: checklist(),
        confidence: 78,
        confidence_parts: confidence_parts(),
        goal_ns: Some(50_000),
        goal_met: Some(false),
        headline: headline(whole),
        goals: vec![GoalResult {
            quantile: GoalQuantile::P50,
            goal_ns: 50_000,
            measured_ns: Some(80_000),
            met: Some(false),
        }],
        path: vec!["eth0".into()],
        path_links: vec![PathLink { name: "eth0".into(), role: PathRole::Route, kind: None, above: None }],
        summary: summary(),
        escalations: vec!["the baseline is below 100 µs: what is left is expert work".into()],
        escalations_rest_on: vec![vec!["run.baseline.rtt.p50_ns".into()]],
        next_steps: vec!["move the application to spin: p50 52.0 µs on this path".into()],
        planted: Some(vec![
            Planted { fault: "netem delay 100us".into(), rule: "netem-on-path".into(), found: true, fixed: Some(true) },
            Planted {
                fault: "RPS to the wrong core".into(),
                rule: "rps-remote-cpu".into(),
                found: true,
                fixed: Some(false),
            },
        ]),
        lab: Some("a pair of namespaces: no interrupts.".to_owned()),
        rollback_verified: Some(true),
        ..RunDocument::default()
    }
}

/// Three engines, one of which could not run.
fn engines() -> Vec<EngineResult> {
    vec![
        engine("block", Some(80_000), None, None, "nothing"),
        engine(
            "spin",
            Some(52_000),
            None,
            Some(comparison(80_000, -28_000, -29_000, -27_000, Verdict::Better)),
            "a whole core",
        ),
        engine("af-xdp", None, Some("bind AF_XDP to eth0 queue 0: operation not supported"), None, ""),
    ]
}

/// One item met, one not, one that cannot be determined.
fn checklist() -> Vec<ChecklistItem> {
    vec![
        ChecklistItem {
            id: id::BASELINE.into(),
            item: "baseline documented".into(),
            met: Some(true),
            evidence: "median 200 µs over 20000 probes".into(),
            rests_on: vec!["run.baseline.rtt.p50_ns".into()],
        },
        ChecklistItem {
            id: id::PERSISTED.into(),
            item: "settings persisted".into(),
            met: Some(false),
            evidence: "1 kept, 0 written".into(),
            rests_on: vec!["run.steps[qdisc.kind on eth0/qdisc-root]".into()],
        },
        ChecklistItem {
            id: id::STAMPS.into(),
            item: "hardware timestamps on where available".into(),
            met: None,
            evidence: "eth0 has none".into(),
            rests_on: vec![],
        },
    ]
}

/// The three parts that the report's block shows.
fn confidence_parts() -> Vec<ConfidencePart> {
    vec![
        ConfidencePart {
            what: names::HARDWARE.into(),
            points: 15,
            of: 15,
            why: "driver, features, rings, coalescing and stamping were read".into(),
            rests_on: vec!["facts-after.interfaces.eth0".into()],
        },
        part(names::VERSIONS, 10, 10, "kernel 6.12.43-amd64"),
        part(names::LOAD, 0, 15, "the path was measured idle only"),
    ]
}

fn part(what: &str, points: i32, of: i32, why: &str) -> ConfidencePart {
    ConfidencePart { what: what.into(), points, of, why: why.into(), rests_on: vec![] }
}

/// The verdict of [`document`].
fn summary() -> Vec<SummaryLine> {
    vec![
        SummaryLine::new("Cause", "netem delays every packet, fixed (netem-on-path)"),
        SummaryLine::new("Changed", "1 setting kept: qdisc.kind on eth0/qdisc-root = fq_codel"),
        SummaryLine::new(
            "Gain",
            "P50 200 µs to 80.0 µs, 60.0 % lower [58.8, 61.5]; P99 300 µs to 120 µs, 60.0 % lower [58.8, 61.5] \
             (95 % intervals)",
        ),
        SummaryLine::new("Goal", "p50 at most 50.0 µs: missed (80.0 µs)"),
        SummaryLine::new("Next", "`lowlat explain spin` (move the application to spin)"),
    ]
}

fn engine(
    name: &str,
    p50_ns: Option<u64>,
    why_not: Option<&str>,
    against_block: Option<Comparison>,
    costs: &str,
) -> EngineResult {
    EngineResult {
        engine: name.into(),
        measurement: p50_ns.map(|p50| Measurement { engine: name.into(), ..measurement(p50) }),
        why_not: why_not.map(Into::into),
        against_block,
        costs: costs.into(),
        state: EngineState::default(),
        cost: EngineCost::default(),
    }
}

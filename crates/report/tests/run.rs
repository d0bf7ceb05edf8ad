//! The run's report: the mandated lines, the snapshots, and what holds for any document.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use lowlat_model::Verdict;
use lowlat_model::document::{RunDocument, StepResult};
use lowlat_model::op::Target;
use lowlat_testkit::run;
use proptest::prelude::*;
use regex::Regex;

#[test]
fn text_snapshot() {
    insta::assert_snapshot!(lowlat_report::text(&run::document()));
}

#[test]
fn markdown_snapshot() {
    insta::assert_snapshot!(lowlat_report::markdown(&run::document()));
}

#[test]
fn dry_run_snapshot() {
    let mut d = run::document();
    d.dry_run = true;
    d.steps.clear();
    d.engines.clear();
    (d.result, d.loaded, d.loaded_baseline, d.goal_met) = (None, None, None, None);
    (d.lab, d.planted, d.rollback_verified) = (None, None, None);
    insta::assert_snapshot!(lowlat_report::text(&d));
}

/// The brief's block, line by line; `μ` is U+03BC as there.
const LINES: &[&str] = &[
    r"^=== Network Latency Optimization Report ===$",
    r"^$",
    r"^BASELINE:$",
    r"^- Interface: \S+ \(Driver: .+, Version: .+\)$",
    r"^- Median Latency: [0-9.]+\u{3bc}s$",
    r"^- P99 Latency: [0-9.]+\u{3bc}s$",
    r"^- Jitter \(P99/P50\): [0-9.]+$",
    r"^- Packet Loss: [0-9.]+%$",
    r"^$",
    r"^OPTIMIZATIONS APPLIED:$",
    r"^1\. \[Phase 2\] Kernel tuning: .+$",
    r"^2\. \[Phase 2\] IRQ affinity: CPU [0-9]+( .+)?$",
    r"^3\. \[Phase 3\] Kernel bypass: .+$",
    r"^$",
    r"^RESULTS:$",
    r"^- Median Latency: [0-9.]+\u{3bc}s \([0-9.]+% reduction\)$",
    r"^- P99 Latency: [0-9.]+\u{3bc}s \([0-9.]+% reduction\)$",
    r"^- Jitter \(P99/P50\): [0-9.]+ \([+-][0-9.]+\)$",
    r"^- Packet Loss: [0-9.]+%$",
    r"^$",
    r"^CONFIDENCE: [0-9]+/100$",
    r"^- Hardware support verified: (Yes|No)$",
    r"^- Version compatibility: (Yes|No)$",
    r"^- Benchmarked under load: (Yes|No)$",
    r"^$",
    r"^NEXT STEPS:$",
    r"^- \[ \] .+$",
];

fn full() -> RunDocument {
    let mut d = run::document();
    let better = || run::comparison(80_000, -9_000, -9_900, -8_000, Verdict::Better);
    d.steps.push(run::step("irq.affinity", Target::Irq("eth0".into(), 0), "0-3", "2", better()));
    let mut bypass = run::step("bypass.xdp", Target::Iface("eth0".into()), "none", "native", better());
    bypass.phase = 3;
    d.steps.push(bypass);
    d
}

#[test]
fn the_mandated_lines_stand_to_the_letter() {
    let text = lowlat_report::text(&full());
    let lines: Vec<&str> = text.lines().collect();
    for (n, pattern) in LINES.iter().enumerate() {
        assert!(Regex::new(pattern).unwrap().is_match(lines[n]), "line {}: {:?} is not {pattern}", n + 1, lines[n]);
    }
}

#[test]
fn what_is_missing_is_never_zero() {
    let mut d = run::document();
    d.baseline = None;
    let r = d.result.as_mut().unwrap();
    (r.rtt.p99_ns, r.jitter_ratio, r.lost) = (None, None, 7);
    let text = lowlat_report::text(&d);
    for line in [
        "- Median Latency: n/a (not measured)",
        "- Packet Loss: n/a (not measured)",
        "- P99 Latency: n/a (7 of 20000 probes lost)",
        "- Jitter (P99/P50): n/a (7 of 20000 probes lost)",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}

#[test]
fn an_undecided_step_says_what_would_have_shown() {
    let mut d = run::document();
    d.steps[1].note = "put back".into();
    let text = lowlat_report::text(&d);
    assert!(text.contains("no difference shown (would have shown 4.00 µs); put back"), "{text}");
}

#[test]
fn what_stands_applied_says_how_it_is_undone() {
    let mut d = run::document();
    d.rollback_verified = None;
    let text = lowlat_report::text(&d);
    assert!(text.contains(
        "With lowlat, verified:\n    lowlat rollback\nWithout it, last change first:\n    undo qdisc.kind\n"
    ));
    assert!(!lowlat_report::text(&run::document()).contains("lowlat rollback"), "the demo has already put it back");
}

#[test]
fn the_page_needs_nothing_else() {
    let page = lowlat_report::html(&full());
    for word in ["<script", "<link", "<img", "<iframe", "@import", "url(", "src=", "href=", "http:", "https:"] {
        assert!(!page.contains(word), "the page holds {word}");
    }
    for word in ["<svg", "prefers-color-scheme:dark", "@media print", "class=\"ci better\""] {
        assert!(page.contains(word), "the page lacks {word}");
    }
}

#[test]
fn tags_close_in_order() {
    let page = lowlat_report::html(&full());
    let tag = Regex::new(r"<(/?)([a-z][a-z0-9]*)[^>]*?(/?)>").unwrap();
    let mut open = Vec::new();
    for t in tag.captures_iter(&page) {
        match (&t[1], &t[3]) {
            ("/", _) => assert_eq!(open.pop().as_deref(), Some(&t[2]), "in {}", &t[0]),
            (_, "/") => {}
            _ => open.push(t[2].to_owned()),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

/// What a hostile host or far end could put into a text.
fn words() -> BoxedStrategy<String> {
    prop_oneof![
        "\\PC{0,24}",
        "[a-z0-9./_-]{1,16}",
        Just("</td><script>alert(1)</script>".to_owned()),
        Just("a|b\n- [ ] forged\n\u{1b}[31m\r\0".to_owned()),
    ]
    .boxed()
}

/// Times as they come, and those at the edges.
fn ns() -> BoxedStrategy<Option<u64>> {
    prop_oneof![Just(None), Just(Some(0)), Just(Some(u64::MAX)), (1_u64..10_000_000_000).prop_map(Some)].boxed()
}

fn fraction() -> BoxedStrategy<Option<f64>> {
    prop_oneof![
        Just(None),
        Just(Some(0.0)),
        Just(Some(f64::NAN)),
        Just(Some(f64::NEG_INFINITY)),
        (-5.0..5.0).prop_map(Some)
    ]
    .boxed()
}

prop_compose! {
    fn step()(
        knob in words(), note in words(), before in words(), after in words(), undo in words(), iface in "[a-z0-9.]{1,8}",
        kept: bool, phase in 0_u8..9, change in fraction(), low in fraction(), high in fraction(), nth in 0_u32..9,
    ) -> StepResult {
        let judged = run::comparison(1_000, 1, -1, 2, Verdict::Unclear);
        let mut s = run::step(&knob, Target::RxQueue(iface, nth), &before, &after, judged);
        (s.kept, s.phase, s.note, s.undo) = (kept, phase, note, undo);
        (s.p50_change_ratio, s.p50_change_low, s.p50_change_high) = (change, low, high);
        s
    }
}

prop_compose! {
    fn documents()(
        iface in words(), driver in words(), kernel in words(), target in words(),
        p50 in ns(), p99 in ns(), max in ns(), after in ns(), after99 in ns(), loss in fraction(), jitter in fraction(),
        measured: bool, again: bool, dry_run: bool, goal_ns in ns(), confidence: u8,
        steps in prop::collection::vec(step(), 0..4), next_steps in prop::collection::vec(words(), 0..4),
        warning in words(), evidence in words(), points: i8, planted: bool,
    ) -> RunDocument {
        let mut d = run::document();
        (d.iface, d.driver, d.kernel, d.target) = (iface, driver, kernel, target);
        let b = d.baseline.as_mut().unwrap();
        (b.rtt.p50_ns, b.rtt.p99_ns, b.rtt.max_ns, b.loss_ratio, b.jitter_ratio) = (p50, p99, max, loss, jitter);
        b.warnings = vec![warning];
        let r = d.result.as_mut().unwrap();
        (r.rtt.p50_ns, r.rtt.p99_ns, r.lost) = (after, after99, 3);
        if !measured { d.baseline = None; }
        if !again { d.result = None; }
        (d.dry_run, d.goal_ns, d.confidence, d.steps, d.next_steps) = (dry_run, goal_ns, confidence, steps, next_steps);
        d.findings[0].evidence = vec![evidence];
        d.confidence_parts[0].points = points.into();
        if !planted { d.planted = None; }
        d
    }
}

/// Every run of digits with its decimals.
fn numbers(text: &str) -> Vec<String> {
    static NUMBER: std::sync::LazyLock<Regex> = std::sync::LazyLock::new(|| Regex::new(r"[0-9]+(\.[0-9]+)?").unwrap());
    NUMBER.find_iter(text).map(|m| m.as_str().to_owned()).collect()
}

/// Every number that may stand in a report: those of the document, as times, as percent and with two decimals, and the
/// document's own derived figures.
fn allowed(d: &RunDocument) -> std::collections::HashSet<String> {
    fn walk(v: &serde_json::Value, out: &mut std::collections::HashSet<String>) {
        match v {
            serde_json::Value::Number(n) => {
                if let Some(i) = n.as_i64().map(i64::unsigned_abs).or(n.as_u64()) {
                    out.insert(i.to_string());
                    out.insert(lowlat_model::units::us(i));
                }
                if let Some(f) = n.as_f64() {
                    figures(f, out);
                }
            }
            serde_json::Value::String(s) => out.extend(numbers(s)),
            serde_json::Value::Array(a) => a.iter().for_each(|v| walk(v, out)),
            serde_json::Value::Object(o) => o.values().for_each(|v| walk(v, out)),
            _ => {}
        }
    }
    fn figures(f: f64, out: &mut std::collections::HashSet<String>) {
        for text in
            [format!("{f:.2}"), format!("{:.1}", f * 100.0), format!("{:.4}", f * 100.0), format!("{:.1e}", f * 100.0)]
        {
            out.extend(numbers(&text));
        }
    }
    let mut out = std::collections::HashSet::new();
    walk(&serde_json::to_value(d).unwrap(), &mut out);
    for f in [d.p50_reduction(), d.p99_reduction(), d.jitter_change()].into_iter().flatten() {
        figures(f, &mut out);
    }
    // Fixed words (P99.9, [Phase 2], 95 %, /100), and the numbering of what was kept.
    out.extend(numbers("P50 P99 P99.9 P99/P50 95 100 0"));
    out.extend((1..=d.steps.len()).map(|n| n.to_string()));
    out
}

proptest! {
    #[test]
    fn rendering_never_panics_and_keeps_its_shape(d in documents()) {
        let text = lowlat_report::text(&d);
        let lines = |start: &str| text.lines().filter(|l| l.starts_with(start)).count();
        prop_assert_eq!(lines("=== Network Latency Optimization Report ==="), 1);
        prop_assert_eq!(lines("- Median Latency: "), 2);
        prop_assert_eq!(lines("CONFIDENCE: "), 1);
        prop_assert_eq!(lines("- [ ] "), d.next_steps.len());
        lowlat_report::markdown(&d);
        let page = lowlat_report::html(&d);
        prop_assert!(!page.contains("<script"), "{}", page);
        prop_assert!(!page.contains("NaN\"") && !page.contains("inf\""), "a coordinate is no number");
    }

    #[test]
    fn every_number_comes_from_the_document(d in documents()) {
        let allowed = allowed(&d);
        for number in numbers(&lowlat_report::text(&d)) {
            prop_assert!(allowed.contains(&number), "{} is not in the document", number);
        }
    }
}

//! The run's report: the mandated lines, the snapshots, and what holds for any document.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end by panic

use lowlat_model::Verdict;
use lowlat_model::document::{RunDocument, StepResult, SummaryLine};
use lowlat_model::op::Target;
use lowlat_model::stored::StoredRun;
use lowlat_model::tune::{Disposition, Headline, Modes, Placed};
use lowlat_report::Format;
use lowlat_testkit::run;
use proptest::prelude::*;
use regex::Regex;

#[test]
fn text_snapshot() {
    insta::assert_snapshot!(lowlat_report::text(&run::document()));
}

#[test]
fn text_snapshots_at_other_widths() {
    for width in [60, 120] {
        let text = lowlat_report::text_at(&run::document(), width);
        insta::assert_snapshot!(format!("text_{width}_columns"), text);
    }
}

#[test]
fn markdown_snapshot() {
    insta::assert_snapshot!(lowlat_report::markdown(&run::document()));
}

#[test]
fn dry_run_snapshot() {
    insta::assert_snapshot!(lowlat_report::text(&dry_run()));
}

fn dry_run() -> RunDocument {
    let mut d = run::document();
    d.dry_run = true;
    d.steps.clear();
    d.engines.clear();
    (d.result, d.loaded, d.loaded_baseline, d.goal_met) = (None, None, None, None);
    (d.headline, d.goals, d.summary) = (Headline::default(), vec![], vec![]);
    (d.lab, d.planted, d.rollback_verified) = (None, None, None);
    d
}

/// The prescribed block, line by line; `μ` is U+03BC as there.
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
    r"^- Median Latency: [0-9.]+\u{3bc}s \([0-9.]+% reduction\)( \[[0-9.]+% to [0-9.]+%, 95% interval\])?$",
    r"^- P99 Latency: [0-9.]+\u{3bc}s \([0-9.]+% reduction\)( \[[0-9.]+% to [0-9.]+%, 95% interval\])?$",
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
    let text = lowlat_report::text_at(&full(), usize::MAX);
    let lines: Vec<&str> = text.lines().skip_while(|l| !l.starts_with("===")).collect();
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
fn an_undecided_step_says_its_smallest_detectable_difference() {
    let mut d = run::document();
    d.steps[1].note = "put back".into();
    let text = lowlat_report::text_at(&d, usize::MAX);
    assert!(text.contains("smallest detectable 4.00 µs"), "{text}");
}

/// Nothing was kept; the path read 83 µs at the start and 5.55 µs at the end.
fn nothing_kept() -> RunDocument {
    let mut d = run::document();
    d.steps.retain(|s| !s.kept);
    (d.baseline, d.result) = (Some(run::measurement(83_100)), Some(run::measurement(5_550)));
    (d.loaded, d.loaded_baseline) = (Some(run::measurement(9_000)), Some(run::measurement(90_000)));
    (d.headline, d.planted, d.lab, d.rollback_verified) = (Headline::default(), None, None, None);
    d.engines.clear();
    d.summary = vec![
        SummaryLine::new("Cause", "no fault was found on eth0"),
        SummaryLine::new("Changed", "nothing; 2 settings were tried and none was kept"),
        SummaryLine::new("Gain", "nothing changed; the path is at P50 5.55 µs, P99 8.32 µs"),
        SummaryLine::new("Goal", "p50 at most 50.0 µs: met (5.55 µs)"),
        SummaryLine::new("Next", "nothing is open"),
    ];
    d
}

#[test]
fn where_nothing_was_kept_no_format_prints_a_reduction() {
    let d = nothing_kept();
    let text = lowlat_report::text(&d);
    assert!(text.contains("- Median Latency: 5.55\u{3bc}s (nothing changed)\n"), "{text}");
    assert!(text.contains("- Jitter (P99/P50): 1.50 (nothing changed)\n"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&lowlat_report::json(&d)).unwrap();
    for key in ["p50_change_ratio", "p50_change_low", "p99_change_ratio", "idle", "loaded"] {
        assert!(json["headline"][key].is_null(), "{key}: {}", json["headline"]);
    }
    for (format, page) in [("text", text), ("md", lowlat_report::markdown(&d)), ("html", lowlat_report::html(&d))] {
        for word in ["reduction", "93.3 %", "93.3%", "% lower", "% higher", "slower", " → 5.55"] {
            assert!(!page.contains(word), "{format} holds {word:?}: {page}");
        }
        assert!(page.contains("nothing changed"), "{format}: {page}");
    }
}

#[test]
fn an_interval_that_holds_zero_claims_nothing() {
    let mut d = run::document();
    (d.headline.p50_change_high, d.headline.p99_change_high) = (Some(0.01), Some(0.02));
    d.summary.clear(); // the stage before writes them
    let text = lowlat_report::text(&d);
    assert!(text.contains("- Median Latency: 80.0\u{3bc}s (no change shown)\n"), "{text}");
    for page in [text, lowlat_report::markdown(&d), lowlat_report::html(&d)] {
        assert!(!page.contains("reduction") && !page.contains("60.0 % lower"), "{page}");
    }
}

/// The whole was kept, and is slower.
fn slower() -> RunDocument {
    let mut d = run::document();
    let h = &mut d.headline;
    (h.p50_change_ratio, h.p50_change_low, h.p50_change_high) = (Some(0.609), Some(0.5), Some(0.7));
    d
}

#[test]
fn a_slower_configuration_is_called_slower() {
    let d = slower();
    let text = lowlat_report::text_at(&d, usize::MAX);
    assert!(text.contains("80.0\u{3bc}s (60.9% slower than the baseline) [50.0% to 70.0%, 95% interval]\n"), "{text}");
    assert!(lowlat_report::html(&d).contains("60.9 % slower than the baseline [50.0, 70.0]"));
}

#[test]
fn the_verdict_stands_first_and_last() {
    let mut d = nothing_kept();
    d.summary[4].text = "a command with many words ".repeat(6);
    let text = lowlat_report::text(&d);
    assert!(text.starts_with("Cause:   no fault was found on eth0\nChanged: nothing; 2"), "{text}");
    let (first, rest) = text.split_once("\n\n").unwrap();
    assert!(rest.starts_with("=== Network Latency Optimization Report ===\n"), "{text}");
    assert!(text.ends_with(&format!("\n\n{first}\n")), "{text}");
    assert!(first.lines().all(|l| l.chars().count() <= 80), "{first}");
    let md = lowlat_report::markdown(&d);
    assert!(md.starts_with("- **Cause:** no fault") && md.matches("- **Goal:**").count() == 2, "{md}");
    let page = lowlat_report::html(&d);
    let at = |n: usize| page.match_indices("<h2>Verdict</h2>").nth(n).unwrap().0;
    assert!(at(0) < page.find("class=\"cards\"").unwrap() && at(1) > page.find("<summary>").unwrap());
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut d = full();
    d.next_steps.push("a step of many words that a terminal of eighty columns cannot show on one line of it".into());
    d.next_steps.push("look again: `lowlat explain sysctl.net.ipv4.tcp_limit_output_bytes`".into());
    let stored = |m| StoredRun::Measure(Box::new(m));
    for width in [60, 80, 120] {
        let fits = |what: &str, text: &str| {
            let wide: Vec<&str> = text.lines().filter(|l| l.chars().count() > width).collect();
            assert!(wide.is_empty(), "{what} at {width}: {wide:#?}");
        };
        let text = lowlat_report::text_at(&d, width);
        fits("full", &text);
        assert!(text.contains("columns cannot") || text.contains("columns\n"), "{text}");
        for document in [run::document, dry_run, nothing_kept, slower] {
            let d = document();
            fits(&d.run, &lowlat_report::text_at(&d, width));
        }
        let measured = stored(run::measurement(80_000));
        fits("measurement", &lowlat_report::stored(&measured, Format::Text, width));
        fits("facts", &lowlat_report::facts(&lowlat_testkit::facts::healthy(), width));
    }
}

/// The prescribed part of a line stands whole at any width; only its interval may stand below.
#[test]
fn an_interval_that_does_not_fit_stands_below_its_line() {
    let text = lowlat_report::text_at(&slower(), 80);
    let below = "- Median Latency: 80.0\u{3bc}s (60.9% slower than the baseline)\n  [50.0% to 70.0%, 95% interval]\n";
    assert!(text.contains(below), "{text}");
}

/// A run as lowlat stored it before there was a headline: none of the newer keys is in it.
#[test]
fn a_run_of_an_older_version_still_renders_and_claims_nothing() {
    let mut value = serde_json::to_value(run::document()).unwrap();
    let newer = ["headline", "goals", "path", "path_links", "elsewhere", "placement", "modes", "summary"];
    for key in newer {
        assert!(value.as_object_mut().unwrap().remove(key).is_some(), "{key}");
    }
    for step in value["steps"].as_array_mut().unwrap() {
        for key in ["disposition", "why", "rules", "members", "attempt", "took_ns"] {
            assert!(step.as_object_mut().unwrap().remove(key).is_some(), "{key}");
        }
    }
    for (list, keys) in [("checklist", &["id", "rests_on"][..]), ("confidence_parts", &["rests_on"])] {
        for item in value[list].as_array_mut().unwrap() {
            for key in keys {
                item.as_object_mut().unwrap().remove(*key);
            }
        }
    }
    let d: RunDocument = serde_json::from_value(value).unwrap();
    let text = lowlat_report::text(&d);
    assert!(text.starts_with("=== Network Latency Optimization Report ===\n"), "{text}");
    assert!(text.contains("- Median Latency: 80.0\u{3bc}s (change not tested)\n"), "{text}");
    let page = lowlat_report::html(&d);
    assert!(page.contains("change not tested; 200 µs at the start") && !page.contains("200 µs → "), "{page}");
    for title in ["KEPT:", "TRIED AND UNDONE:", "REFUSED:", "GOALS:", "CHECKLIST:"] {
        assert!(text.contains(title), "{title}: {text}");
    }
    for page in [text, lowlat_report::markdown(&d), lowlat_report::html(&d)] {
        assert!(!page.contains("reduction") && !page.contains("% lower"), "{page}");
    }
}

/// What is not met can be looked up: the report says in which of the run's documents.
#[test]
fn what_a_line_of_the_checklist_rests_on_is_named() {
    let d = run::document();
    let place = "run.steps[qdisc.kind on eth0/qdisc-root]";
    let text = lowlat_report::text(&d).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&format!("settings persisted rests on {place}")), "{text}");
    assert!(!text.contains("baseline documented rests on"), "what is met needs no second look: {text}");
    let page = lowlat_report::html(&d);
    assert!(page.contains(&format!("rests on {place}")) && page.contains("rests on run.baseline.rtt.p50_ns"), "{page}");
}

#[test]
fn what_affects_the_proof_is_shown() {
    let mut d = run::document();
    d.placement.near =
        Placed { cpu: Some(3), why: "CPU 3: eth0's interrupt fires on its core".into(), ..Placed::default() };
    d.placement.far_why_not = Some("the far end is older than placement requests".into());
    d.modes = Some(Modes {
        fast_ns: 6_000,
        slow_ns: 83_800,
        fast_rounds: 3,
        slow_rounds: 7,
        differs: vec!["CPU of the wake-up".into()],
    });
    d.elsewhere = vec![run::finding("netem-on-path", lowlat_model::Severity::Critical, "x", Target::Host, "y")];
    d.steps[1].disposition = Disposition::TakenOut;
    d.steps[2].disposition = Disposition::Reset;
    d.steps[2].why = Some("carrier changed twice".into());
    let text = lowlat_report::text_at(&d, usize::MAX);
    for line in [
        "- this end: CPU 3: eth0's interrupt fires on its core",
        "- far end not placed: the far end is older than placement requests",
        "This path has two modes: P50 6.00 µs in 3 rounds and 83.8 µs in 7.",
        "- differs: CPU of the wake-up",
        "ELSEWHERE ON THIS HOST:",
        "REMOVED AGAIN:",
        "RESET THE LINK OR ITS QUEUES:",
        "carrier changed twice",
        "- eth0: the interface of the route",
        "- chance that a kept step has no effect: at most 5 %",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn what_is_applied_says_how_it_is_undone() {
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
    // The jitter's change between the two arms of the headline's test.
    let jitter = |m: &Option<lowlat_model::Measurement>| m.as_ref().and_then(|m| m.jitter_ratio);
    if let (Some(a), Some(b)) = (jitter(&d.result), jitter(&d.baseline)) {
        figures(a - b, &mut out);
    }
    // Fixed words (P99.9, [Phase 2], 95 %, /100), and the numbering of what was kept.
    out.extend(numbers("P50 P99 P99.9 P99/P50 95 100 0 5"));
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
        for width in [0, 1, 40] {
            lowlat_report::text_at(&d, width);
        }
        lowlat_report::markdown(&d);
        let page = lowlat_report::html(&d);
        prop_assert!(!page.contains("<script"), "{}", page);
        prop_assert!(!page.contains("NaN\"") && !page.contains("inf\""), "a coordinate is not a number");
    }

    #[test]
    fn every_number_comes_from_the_document(d in documents()) {
        let allowed = allowed(&d);
        for number in numbers(&lowlat_report::text(&d)) {
            prop_assert!(allowed.contains(&number), "{} is not in the document", number);
        }
    }
}

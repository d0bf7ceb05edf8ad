//! The block whose lines are prescribed to the letter, and the verdict around the report.

use std::fmt::Write as _;

use lowlat_model::Verdict;
use lowlat_model::document::{RunDocument, StepResult, part};
use lowlat_model::judge::{OwnFigure, OwnSource};
use lowlat_model::measurement::Measurement;

use crate::figures::{
    change, judged_by, line, micros, not_known, number, percent, ratio, verdict as verdict_word, why_none,
};
use crate::fill::fill;

/// The verdict's lines as label and text: `Cause`, `Changed`, `Gain`, `Goal`, `Next`. Empty for runs of older versions.
pub(crate) fn verdict(d: &RunDocument) -> Vec<(String, String)> {
    d.summary.iter().map(|l| (line(&l.label), line(&l.text))).collect()
}

/// The verdict as text, the words below each other.
pub(crate) fn verdict_text(d: &RunDocument, width: usize) -> String {
    let lines = verdict(d);
    let widest = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0) + 2;
    let mut out = String::new();
    for (label, words) in lines {
        fill(&mut out, &format!("{:widest$}", format!("{label}:")), &words, widest, width);
    }
    out
}

/// From `=== Network Latency Optimization Report ===` to the last next step. What is prescribed of a line of figures is
/// never broken; an interval that does not fit behind it stands below.
pub(crate) fn block(d: &RunDocument, width: usize) -> String {
    let mut out = String::from("=== Network Latency Optimization Report ===\n");
    baseline(&mut out, d);
    applied(&mut out, d, width);
    results(&mut out, d, width);
    confidence(&mut out, d);
    next(&mut out, d, width);
    out
}

fn baseline(out: &mut String, d: &RunDocument) {
    let _ = writeln!(out, "\nBASELINE:");
    let _ = writeln!(
        out,
        "- Interface: {} (Driver: {}, Version: {})",
        line(&d.iface),
        line(&d.driver),
        line(&d.driver_version)
    );
    let why = d.baseline.as_ref().map_or_else(|| "not measured".to_owned(), why_none);
    let of = |f: fn(&Measurement) -> Option<u64>| micros(d.baseline.as_ref().and_then(f), &why);
    let _ = writeln!(out, "- Median Latency: {}", of(|m| m.rtt.p50_ns));
    let _ = writeln!(out, "- P99 Latency: {}", of(|m| m.rtt.p99_ns));
    let jitter = d.baseline.as_ref().and_then(|m| m.jitter_ratio);
    let _ = writeln!(out, "- Jitter (P99/P50): {}", ratio(jitter, &why));
    let _ = writeln!(out, "- Packet Loss: {}", loss(d.baseline.as_ref(), "not measured"));
    if let Some(j) = &d.judge {
        let runs = j.before.len();
        let (name, median) = (own_name(j), number(j.median_before()));
        let _ = writeln!(out, "- {name}: {median} (median of {runs} runs, {})", j.direction());
    }
}

fn applied(out: &mut String, d: &RunDocument, width: usize) {
    let _ = writeln!(out, "\nOPTIMIZATIONS APPLIED:");
    let kept: Vec<&StepResult> = d.steps.iter().filter(|s| s.kept).collect();
    for (n, step) in kept.iter().enumerate() {
        fill(out, &format!("{}. ", n + 1), &format!("[Phase {}] {}", step.phase, optimization(step)), 3, width);
    }
    if kept.is_empty() {
        let why = if d.dry_run {
            "dry run: nothing was changed"
        } else if d.steps.is_empty() {
            "no step was tried"
        } else {
            "no tried step was kept"
        };
        let _ = writeln!(out, "none ({why})");
    }
}

/// `Kernel tuning: …`, `IRQ affinity: CPU …` or `Kernel bypass: …`.
fn optimization(step: &StepResult) -> String {
    let (before, after) = (line(&step.before), line(&step.after));
    if step.phase >= 3 {
        format!("Kernel bypass: {} on {}: {before} -> {after}", line(&step.knob), step.target)
    } else if step.knob.starts_with("irq.") {
        format!("IRQ affinity: CPU {after} ({}, was CPU {before})", step.target)
    } else {
        format!("Kernel tuning: {} on {}: {before} -> {after}", line(&step.knob), step.target)
    }
}

fn results(out: &mut String, d: &RunDocument, width: usize) {
    let _ = writeln!(out, "\nRESULTS:");
    let missing = if d.dry_run { "dry run: not measured again" } else { "not measured again" };
    let why = d.result.as_ref().map_or_else(|| missing.to_owned(), why_none);
    let h = &d.headline;
    let of = |f: fn(&Measurement) -> Option<u64>, claim: Option<f64>, change: [Option<f64>; 3]| {
        let ns = d.result.as_ref().and_then(f);
        let figure = micros(ns, &why);
        if ns.is_none() {
            return (figure, None);
        }
        let (words, interval) = shown(d, claim, change);
        (format!("{figure} {words}"), interval)
    };
    let mut put = |name: &str, (words, interval): (String, Option<String>)| {
        let head = format!("- {name}: {words}");
        let _ = match interval {
            None => writeln!(out, "{head}"),
            Some(i) if head.chars().count() + 1 + i.chars().count() > width => writeln!(out, "{head}\n  {i}"),
            Some(i) => writeln!(out, "{head} {i}"),
        };
    };
    let p50 = of(|m| m.rtt.p50_ns, h.p50_claim(), [h.p50_change_ratio, h.p50_change_low, h.p50_change_high]);
    let p99 = of(|m| m.rtt.p99_ns, h.p99_claim(), [h.p99_change_ratio, h.p99_change_low, h.p99_change_high]);
    put("Median Latency", p50);
    put("P99 Latency", p99);
    let of = |m: &Option<Measurement>| m.as_ref().and_then(|m| m.jitter_ratio);
    // The two arms of one test may be set against each other; two measurements may not.
    let proven = h.p50_claim().is_some() || h.p99_claim().is_some();
    let jitter = match (of(&d.result), of(&d.baseline).filter(|_| proven)) {
        (Some(after), Some(before)) => format!("{after:.2} ({:+.2})", after - before),
        (Some(after), None) => format!("{after:.2} {}", shown(d, None, [None; 3]).0),
        (None, _) => not_known(&why),
    };
    put("Jitter (P99/P50)", (jitter, None));
    put("Packet Loss", (loss(d.result.as_ref(), missing), None));
    if let Some(j) = &d.judge {
        put(own_name(j), own(d));
    }
}

/// `(60.0% reduction)` and `[58.8% to 61.5%, 95% interval]`, or why no reduction is claimed.
fn shown(d: &RunDocument, claim: Option<f64>, [ratio, low, high]: [Option<f64>; 3]) -> (String, Option<String>) {
    let Some(claim) = claim else {
        let why = match ratio {
            _ if !d.steps.iter().any(|s| s.kept) => "(nothing changed)",
            None if d.judge.is_some() => return (format!("({})", judged_by(d)), None),
            None if d.headline.idle.is_none() => "(change not tested)",
            None => "(change not judged)",
            Some(_) => "(no change shown)",
        };
        return (why.to_owned(), None);
    };
    let faster = claim >= 0.0;
    let words = if faster {
        format!("({}% reduction)", percent(claim))
    } else {
        format!("({}% slower than the baseline)", percent(-claim))
    };
    let (Some(low), Some(high)) = (low, high) else { return (words, None) };
    // Of a reduction the ends of the change stand the other way round.
    let (from, to) = if faster { (-high, -low) } else { (low, high) };
    let interval = format!("[{:.1}% to {:.1}%, {}% interval]", from * 100.0, to * 100.0, confidence_of(d));
    (words, Some(interval))
}

/// `95`: of the headline's intervals.
fn confidence_of(d: &RunDocument) -> String {
    let of = d.headline.confidence;
    format!("{:.0}", if of > 0.0 { of * 100.0 } else { 95.0 })
}

/// The user's own number in the block.
fn own_name(j: &OwnFigure) -> &'static str {
    match j.source {
        OwnSource::Command => "Command",
        OwnSource::Histogram => "Histogram",
        OwnSource::Connections => "Connections (us)",
    }
}

/// What the test of the whole shows of the user's own number.
fn own(d: &RunDocument) -> (String, Option<String>) {
    let Some(f) = d.headline.idle.as_ref().and_then(|c| c.figure.as_ref()) else {
        return (not_known(if d.dry_run { "dry run: nothing was changed" } else { "nothing is kept" }), None);
    };
    let shown = match f.verdict {
        Verdict::Better | Verdict::Worse => change(f.change_ratio, f.change_low, f.change_high),
        _ => "no change shown".to_owned(),
    };
    (format!("{} ({shown}, {})", number(f.b), verdict_word(f.verdict)), None)
}

fn loss(m: Option<&Measurement>, missing: &str) -> String {
    match m {
        None => not_known(missing),
        Some(m) => m.loss_ratio.map_or_else(|| not_known("nothing was sent"), |r| format!("{}%", percent(r))),
    }
}

fn confidence(out: &mut String, d: &RunDocument) {
    let _ = writeln!(out, "\nCONFIDENCE: {}/100", d.confidence);
    for (label, name) in [
        ("Hardware support verified", part::HARDWARE),
        ("Version compatibility", part::VERSIONS),
        ("Benchmarked under load", part::LOAD),
    ] {
        let given = d.confidence_parts.iter().any(|p| p.what == name && p.points > 0);
        let _ = writeln!(out, "- {label}: {}", if given { "Yes" } else { "No" });
    }
}

fn next(out: &mut String, d: &RunDocument, width: usize) {
    let _ = writeln!(out, "\nNEXT STEPS:");
    for step in &d.next_steps {
        fill(out, "- [ ] ", &line(step), 6, width);
    }
    if d.next_steps.is_empty() {
        let _ = writeln!(out, "- [x] nothing is open");
    }
}

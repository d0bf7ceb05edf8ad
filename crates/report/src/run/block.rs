//! The block whose lines the brief prescribes to the letter.

use std::fmt::Write as _;

use lowlat_model::document::{RunDocument, StepResult, part};
use lowlat_model::measurement::Measurement;

use crate::figures::{line, micros, not_known, percent, ratio, why_none};

/// From `=== Network Latency Optimization Report ===` to the last next step.
pub(crate) fn block(d: &RunDocument) -> String {
    let mut out = String::from("=== Network Latency Optimization Report ===\n");
    baseline(&mut out, d);
    applied(&mut out, d);
    results(&mut out, d);
    confidence(&mut out, d);
    next(&mut out, d);
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
}

fn applied(out: &mut String, d: &RunDocument) {
    let _ = writeln!(out, "\nOPTIMIZATIONS APPLIED:");
    let kept: Vec<&StepResult> = d.steps.iter().filter(|s| s.kept).collect();
    for (n, step) in kept.iter().enumerate() {
        let _ = writeln!(out, "{}. [Phase {}] {}", n + 1, step.phase, optimization(step));
    }
    if kept.is_empty() {
        let why = if d.dry_run {
            "dry run: nothing was changed"
        } else if d.steps.is_empty() {
            "no step was tried"
        } else {
            "no step tried was better; all were put back"
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

fn results(out: &mut String, d: &RunDocument) {
    let _ = writeln!(out, "\nRESULTS:");
    let missing = if d.dry_run { "dry run: not measured again" } else { "not measured again" };
    let why = d.result.as_ref().map_or_else(|| missing.to_owned(), why_none);
    let of = |f: fn(&Measurement) -> Option<u64>, reduction: Option<f64>| {
        let ns = d.result.as_ref().and_then(f);
        let figure = micros(ns, &why);
        match (ns, reduction) {
            (None, _) => figure,
            (Some(_), Some(r)) => format!("{figure} ({}% reduction)", percent(r)),
            (Some(_), None) => format!("{figure} (reduction n/a: no baseline)"),
        }
    };
    let _ = writeln!(out, "- Median Latency: {}", of(|m| m.rtt.p50_ns, d.p50_reduction()));
    let _ = writeln!(out, "- P99 Latency: {}", of(|m| m.rtt.p99_ns, d.p99_reduction()));
    let jitter = match (d.result.as_ref().and_then(|m| m.jitter_ratio), d.jitter_change()) {
        (Some(j), Some(change)) => format!("{j:.2} ({change:+.2})"),
        (Some(j), None) => format!("{j:.2} (change n/a: no baseline)"),
        (None, _) => not_known(&why),
    };
    let _ = writeln!(out, "- Jitter (P99/P50): {jitter}");
    let _ = writeln!(out, "- Packet Loss: {}", loss(d.result.as_ref(), missing));
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

fn next(out: &mut String, d: &RunDocument) {
    let _ = writeln!(out, "\nNEXT STEPS:");
    for step in &d.next_steps {
        let _ = writeln!(out, "- [ ] {}", line(step));
    }
    if d.next_steps.is_empty() {
        let _ = writeln!(out, "- [x] nothing is open");
    }
}

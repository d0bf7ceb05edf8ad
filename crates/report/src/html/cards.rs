//! The figures at the top: median, P99, jitter, confidence. What is claimed is the headline's.

use lowlat_model::Measurement;
use lowlat_model::document::RunDocument;

use super::ring;
use super::writer::Html;
use crate::figures::{judged_by, not_known, percent, time, why_none};

/// The cards.
pub(super) fn cards(h: &mut Html, d: &RunDocument) {
    let head = &d.headline;
    h.open("div", &[("class", &"cards")]);
    median(h, d);
    let p99 = Claim {
        ratio: head.p99_change_ratio,
        claimed: head.p99_claim(),
        low: head.p99_change_low,
        high: head.p99_change_high,
    };
    figure(h, d, "P99", |m| m.rtt.p99_ns, &p99);
    jitter(h, d);
    ring::confidence(h, d.confidence);
    h.close("div");
}

/// A reduction that may be claimed, with the interval of the change.
struct Claim {
    ratio: Option<f64>,
    claimed: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

impl Claim {
    /// `60.0 % lower [58.8, 61.5]`, or `60.9 % slower than the baseline [50.0, 70.0]`.
    fn words(&self) -> Option<String> {
        let r = self.claimed?;
        let words = if r >= 0.0 {
            format!("{} % lower", percent(r))
        } else {
            format!("{} % slower than the baseline", percent(-r))
        };
        let (Some(low), Some(high)) = (self.low, self.high) else { return Some(words) };
        // Of a reduction the ends of the change stand the other way round.
        let (from, to) = if r >= 0.0 { (-high, -low) } else { (low, high) };
        Some(format!("{words} [{:.1}, {:.1}]", from * 100.0, to * 100.0))
    }
}

/// Why no gain is claimed.
fn unclaimed(d: &RunDocument, ratio: Option<f64>) -> &'static str {
    match ratio {
        _ if !kept(d) => "nothing changed",
        None if d.judge.is_some() => judged_by(d),
        None if d.headline.idle.is_none() => "change not tested",
        None => "change not judged",
        Some(_) => "no change shown",
    }
}

/// Something was kept, so that baseline and result are the two arms of one test.
fn kept(d: &RunDocument) -> bool {
    d.steps.iter().any(|s| s.kept)
}

fn median(h: &mut Html, d: &RunDocument) {
    h.open("div", &[("class", &"card")]);
    h.classed("p", "label", "Median round trip");
    let missing = |m: Option<&Measurement>| m.map_or_else(|| not_known("not measured"), |m| not_known(&why_none(m)));
    let of = |m: Option<&Measurement>| match m.and_then(|m| m.rtt.p50_ns) {
        None => missing(m),
        p50 => time(p50),
    };
    h.open("p", &[("class", &"big")]);
    if d.result.is_some() {
        // An arrow is a claim.
        if d.headline.p50_claim().is_some() {
            h.classed("span", "from", &format!("{} → ", of(d.baseline.as_ref())));
        }
        h.text(&of(d.result.as_ref()));
    } else {
        h.text(&of(d.baseline.as_ref()));
    }
    h.close("p");
    h.open("p", &[("class", &"note")]);
    let head = &d.headline;
    let claim = Claim {
        ratio: head.p50_change_ratio,
        claimed: head.p50_claim(),
        low: head.p50_change_low,
        high: head.p50_change_high,
    };
    match claim.words() {
        Some(words) => h.classed("span", if claim.claimed > Some(0.0) { "good" } else { "bad" }, &words),
        None => h.text(&format!("{}; {} at the start", unclaimed(d, head.p50_change_ratio), of(d.baseline.as_ref()))),
    }
    h.close("p");
    goals(h, d);
    h.close("div");
}

/// Each goal, met or missed.
fn goals(h: &mut Html, d: &RunDocument) {
    h.open("p", &[("class", &"note")]);
    let judged = |h: &mut Html, words: &str, met: Option<bool>| match met {
        Some(true) => h.classed("span", "good", &format!("{words} met")),
        Some(false) => h.classed("span", "bad", &format!("{words} missed")),
        None => h.text(&format!("{words} not judged")),
    };
    for (n, g) in d.goals.iter().enumerate() {
        if n > 0 {
            h.text(" · ");
        }
        judged(h, &format!("goal {} ≤ {}", g.quantile, time(Some(g.goal_ns))), g.met);
    }
    match d.goal_ns {
        _ if !d.goals.is_empty() => {}
        None => h.text("no goal given"),
        goal => judged(h, &format!("goal {}", time(goal)), d.goal_met),
    }
    h.close("p");
}

fn figure(h: &mut Html, d: &RunDocument, label: &str, of: fn(&Measurement) -> Option<u64>, claim: &Claim) {
    h.open("div", &[("class", &"card")]);
    h.classed("p", "label", label);
    let last = d.result.as_ref().or(d.baseline.as_ref());
    let figure = last.and_then(of);
    h.classed("p", "mid", &time(figure));
    if let Some(m) = last.filter(|_| figure.is_none()) {
        h.classed("p", "note", &why_none(m));
        h.close("div");
        return;
    }
    let before = d.baseline.as_ref().filter(|_| d.result.is_some());
    let mut words = before.map_or_else(
        || "before any change".to_owned(),
        |m| format!("{}: {}", if kept(d) { "before" } else { "at the start" }, time(of(m))),
    );
    if let Some(claim) = claim.words() {
        words.push_str(" · ");
        words.push_str(&claim);
    } else if before.is_some() {
        words.push_str(" · ");
        words.push_str(unclaimed(d, claim.ratio));
    }
    h.classed("p", "note", &words);
    h.close("div");
}

fn jitter(h: &mut Html, d: &RunDocument) {
    let of = |m: &Measurement| m.jitter_ratio.map_or_else(|| "n/a".to_owned(), |j| format!("{j:.2}"));
    h.open("div", &[("class", &"card")]);
    h.classed("p", "label", "Jitter (P99/P50)");
    let last = d.result.as_ref().or(d.baseline.as_ref());
    h.classed("p", "mid", &last.map_or_else(|| "n/a".to_owned(), of));
    let loss = |m: &Measurement| m.loss_ratio.map_or_else(|| "n/a".to_owned(), |r| format!("{}\u{a0}%", percent(r)));
    let before = d.baseline.as_ref().filter(|_| d.result.is_some());
    let from = before
        .map_or_else(String::new, |m| format!("{}: {} · ", if kept(d) { "before" } else { "at the start" }, of(m)));
    h.classed("p", "note", &format!("{from}loss {}", last.map_or_else(|| "n/a".to_owned(), loss)));
    h.close("div");
}

//! `lowlat trace`: where the time of a round trip goes.

use lowlat_model::TraceDocument;
use lowlat_model::trace::{How, Largest, Side, SlowProbe, StageKey, TraceDirection, TraceStage};

use crate::drawing::{Plot, Stage};
use crate::figures::{line, percent, seconds, signed_time, time};
use crate::page::{Block, Section, Table, text_at};

/// Cells of the waterfall: with them the table fits into 80 columns.
const BAR: usize = 16;
/// A stage with less of both the median and the tail is named without a row.
const SMALL: f64 = 0.02;
/// Slow probes that are listed, and stages and neighbours of each.
const SLOWEST: usize = 3;
const NAMED: usize = 2;

/// The document as text.
pub(crate) fn trace(d: &TraceDocument, width: usize) -> String {
    text_at(&sections(d), width).trim_start().to_owned()
}

/// The document laid out.
pub(crate) fn sections(d: &TraceDocument) -> Vec<Section> {
    let mut sections = vec![Section::new("Trace", head(d)), Section::new("Waterfall", waterfall(d))];
    sections.extend(tail(d));
    if !d.slowest.is_empty() {
        sections.push(Section::new(
            "Slowest probes",
            vec![Block::List(d.slowest.iter().take(SLOWEST).map(slow).collect())],
        ));
    }
    let notes: Vec<String> = d.notes.iter().map(|n| line(n)).collect();
    if !notes.is_empty() {
        sections.push(Section::new("Notes", vec![Block::List(notes)]));
    }
    if !d.not_seen.is_empty() {
        sections.push(Section::new("Could not be checked", vec![super::not_seen(&d.not_seen)]));
    }
    sections
}

fn head(d: &TraceDocument) -> Vec<Block> {
    let path = format!(
        "{} over {} ({}, engine {}), {} bytes, kernel {}",
        line(&d.target),
        line(&d.proto),
        line(&d.peer),
        line(&d.engine),
        d.size_bytes,
        line(&d.kernel)
    );
    let counted = if d.how == How::Trace {
        format!(
            "{} probes in {} traced rounds; {} could not be followed, {} lost, {} events overrun",
            d.probes, d.rounds, d.incomplete, d.lost, d.overruns
        )
    } else {
        format!("{} probes by time stamps, {} lost", d.probes, d.lost)
    };
    let sum = d
        .sum_ratio
        .map_or_else(String::new, |r| format!("; the stages add up to {} ({} %)", time(d.sum_p50_ns), percent(r)));
    let trip = format!("round trip: P50 {}, P99 {}{sum}", time(d.rtt.p50_ns), time(d.rtt.p99_ns));
    let mut blocks = vec![Block::Words(path), Block::Words(counted), Block::Words(trip)];
    if d.how == How::Trace {
        blocks.push(Block::Words(cost(d)));
    }
    if d.interrupted {
        blocks.push(Block::Words("interrupted: these are the figures up to then".to_owned()));
    }
    blocks
}

fn cost(d: &TraceDocument) -> String {
    let without = format!("without tracing P50 {}", time(d.rtt_untraced.p50_ns));
    let Some(cost) = d.trace_cost_ns else {
        return format!("what tracing costs: n/a ({} pairs of rounds are too few); {without}", d.trace_cost_pairs);
    };
    let interval = match (d.trace_cost_low_ns, d.trace_cost_high_ns) {
        (Some(low), Some(high)) => format!(" ({} to {})", signed_time(low), signed_time(high)),
        _ => String::new(),
    };
    let pairs = d.trace_cost_pairs;
    format!("tracing itself: {}{interval} on the median, by {pairs} pairs of rounds; {without}", signed_time(cost))
}

/// `near scheduling`, `far system call`: the direction is known by the place in the list.
fn name(name: &str, side: Side) -> String {
    let side = if side == Side::Near { "near" } else { "far" };
    format!("{side} {}", line(name))
}

/// With the direction, where there is no list.
fn named(key: &StageKey) -> String {
    let way = if key.direction == TraceDirection::Out { "out" } else { "back" };
    format!("{} ({way})", name(&key.name, key.side))
}

fn share(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "n/a".to_owned(), |r| format!("{:.1} %", r * 100.0))
}

/// A bar of the stage's share at its place in the way.
fn bar(before: f64, share: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // shares are within 0 and 1; casts saturate
    let cell = |at: f64| ((at * BAR as f64).round() as usize).min(BAR);
    let (from, to) = (cell(before), cell(before + share));
    let to = to.max((from + 1).min(BAR));
    let from = from.min(to.saturating_sub(1));
    "·".repeat(from) + &"█".repeat(to - from) + &"·".repeat(BAR - to)
}

fn waterfall(d: &TraceDocument) -> Vec<Block> {
    let mut rows = Vec::new();
    let (mut small, mut before) = (Vec::new(), 0.0);
    for s in d.stages.iter().filter(|s| s.how != How::Unseen) {
        let of_median = s.share_p50_ratio.unwrap_or(0.0);
        if of_median < SMALL && s.share_tail_ratio.unwrap_or(0.0) < SMALL {
            small.push(name(&s.name, s.side));
        } else {
            rows.push(vec![
                name(&s.name, s.side),
                time(s.at_p50_ns),
                time(s.p99_ns),
                share(s.share_p50_ratio),
                share(s.share_tail_ratio),
                bar(before, of_median),
            ]);
        }
        before += of_median;
    }
    let mut blocks = Vec::new();
    if rows.is_empty() {
        blocks.push(Block::Words("no stage was seen".to_owned()));
    } else {
        blocks.push(Table::block(&["stage", "at P50", "P99", "median", "tail", "median's parts"], rows));
        blocks.push(drawing(d));
    }
    if !small.is_empty() {
        blocks.push(Block::Words(format!("below 2 %: {}", small.join(", "))));
    }
    blocks.extend(unseen(&d.stages).map(Block::Words));
    blocks.extend(d.largest.as_ref().map(|l| Block::Words(largest(l, d.conspicuous.is_some()))));
    blocks
}

/// The waterfall drawn, with every stage that was seen.
fn drawing(d: &TraceDocument) -> Block {
    let (mut before, mut stages, mut rows) = (0.0, Vec::new(), Vec::new());
    for s in d.stages.iter().filter(|s| s.how != How::Unseen) {
        let share_of = s.share_p50_ratio.unwrap_or(0.0);
        let largest = d
            .largest
            .as_ref()
            .is_some_and(|l| l.stage.name == s.name && l.stage.side == s.side && l.stage.direction == s.direction);
        let name = name(&s.name, s.side);
        rows.push(vec![
            name.clone(),
            time(s.at_p50_ns),
            time(s.p50_ns),
            time(s.p99_ns),
            time(s.max_ns),
            share(s.share_p50_ratio),
            share(s.share_tail_ratio),
        ]);
        let time = time(s.at_p50_ns);
        stages.push(Stage { name, time, from: before, share: share_of, tail: s.share_tail_ratio, largest });
        before += share_of;
    }
    let table = Table::new(&["stage", "at P50", "P50", "P99", "longest", "of the median", "of the tail"], rows);
    let legend = "bar: the stage in the median round trip · line below it: its share of the slowest hundredth";
    Block::drawing("Stages of the median round trip", legend, Plot::Stages(stages), table)
}

/// The stages that were not seen, reason by reason.
fn unseen(stages: &[TraceStage]) -> impl Iterator<Item = String> {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for s in stages.iter().filter(|s| s.how == How::Unseen) {
        let why = s.why_unseen.as_deref().map_or_else(|| "not known".to_owned(), line);
        let name = name(&s.name, s.side);
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => reasons.push((why, vec![name])),
        }
    }
    reasons.into_iter().map(|(why, names)| format!("unseen: {}: {why}", names.join(", ")))
}

fn largest(l: &Largest, conspicuous: bool) -> String {
    let words = format!(
        "largest: {}, {}, {} of the median round trip",
        named(&l.stage),
        time(l.at_p50_ns),
        share(Some(l.share_ratio))
    );
    if conspicuous { format!("{words}: conspicuous; usually behind it: {}", line(&l.why)) } else { words }
}

fn tail(d: &TraceDocument) -> Option<Section> {
    let t = d.tail.as_ref()?;
    let words = format!(
        "the slowest {} probes, from {} on: {} makes {} of what they take longer than the median",
        t.probes,
        time(Some(t.from_ns)),
        named(&t.stage),
        share(Some(t.share_of_growth_ratio))
    );
    let common = t.common.iter().map(|c| {
        format!("{}: {} of them, {} of all", line(&c.what), share(Some(c.tail_ratio)), share(Some(c.all_ratio)))
    });
    let common: Vec<String> = common.collect();
    let mut blocks = vec![Block::Words(words)];
    blocks.push(if common.is_empty() {
        Block::Words("their CPUs, interrupts and neighbours are those of all probes".to_owned())
    } else {
        Block::List(common)
    });
    Some(Section::new("What the slowest have in common", blocks))
}

fn slow(s: &SlowProbe) -> String {
    let stages: Vec<String> = s
        .stages
        .iter()
        .take(NAMED)
        .map(|stage| {
            let cpu = stage.cpu.map_or_else(String::new, |cpu| format!(" on CPU {cpu}"));
            format!("{} {}{cpu}", named(&stage.stage), time(Some(stage.length_ns)))
        })
        .collect();
    let ran: Vec<String> = s
        .meanwhile
        .iter()
        .take(NAMED)
        .map(|m| format!("{} {} on CPU {}", line(&m.who), time(Some(m.length_ns)), m.cpu))
        .collect();
    let ran = if ran.is_empty() { String::new() } else { format!("; meanwhile {}", ran.join(", ")) };
    format!("{} after {}: {}{ran}", time(Some(s.rtt_ns)), seconds(s.at_ns), stages.join(", "))
}

//! `lowlat trace`: where the time of a round trip goes.

use lowlat_model::trace::{How, Largest, RunStages, Side, SlowProbe, StageKey, TraceStage};
use lowlat_model::{Measurement, TraceDocument};

use crate::drawing::{Plot, Stage};
use crate::figures::{line, percent, seconds, signed_time, time};
use crate::page::{Block, Id, Section, Table, text_at};

/// Cells of the waterfall: with them the table fits into 80 columns.
const BAR: usize = 16;
/// Cells of each of two bars next to one another.
const HALF_BAR: usize = 14;
/// Rules and knobs that are named of a stage.
const ACTS: usize = 4;
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
    line(&key.words())
}

fn share(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "n/a".to_owned(), |r| format!("{:.1} %", r * 100.0))
}

/// A bar of the stage's share at its place in the way.
fn bar(before: f64, share: f64, cells: usize) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // shares are within 0 and 1; casts saturate
    let cell = |at: f64| ((at * cells as f64).round() as usize).min(cells);
    let (from, to) = (cell(before), cell(before + share));
    let to = to.max((from + 1).min(cells));
    let from = from.min(to.saturating_sub(1));
    "·".repeat(from) + &"█".repeat(to - from) + &"·".repeat(cells - to)
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
                bar(before, of_median, BAR),
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
    if let Some(l) = &d.largest {
        blocks.push(Block::Words(largest(l, d.conspicuous.is_some())));
        blocks.extend(acts(l).map(Block::Words));
    }
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

/// The first few names, and how many there are besides.
fn few(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(ACTS).map(|n| line(n)).collect();
    let more = names.len().saturating_sub(ACTS);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{rest}", shown.join(", "))
}

/// Where to go from the largest stage; nothing for documents of older versions.
fn acts(l: &Largest) -> Option<String> {
    let mut parts = Vec::new();
    if !l.rules.is_empty() {
        parts.push(format!("faults that lengthen it, which `lowlat check` looks for: {}", few(&l.rules)));
    }
    if !l.knobs.is_empty() {
        parts.push(format!("settings that act on it, which `lowlat optimize` tries: {}", few(&l.knobs)));
    }
    let there = l.stage.side == Side::Far && !l.stage.name.starts_with("wire");
    let there = if there { "; it is the far host's: look there" } else { "" };
    (!parts.is_empty()).then(|| format!("{}{there}", parts.join("; ")))
}

/// The stages at the end of a measurement, on one screen.
pub(crate) fn waterfall_of(m: &Measurement) -> Option<Section> {
    let blocks: Vec<Block> = match (&m.trace, &m.trace_why_not) {
        (Some(d), _) => std::iter::once(Block::Words(seen_by(d))).chain(waterfall(d)).collect(),
        (None, Some(why)) => vec![Block::Words(format!("not seen: {}; `lowlat trace` shows them", line(why)))],
        (None, None) => return None,
    };
    Some(Section::of(Id::Waterfall, "Waterfall", blocks))
}

/// How the stages were seen, by how many probes, and what watching costs.
fn seen_by(d: &TraceDocument) -> String {
    let trip = time(d.rtt.p50_ns);
    let sum = d.sum_ratio.map_or_else(String::new, |r| format!(", of which the stages make {} %", percent(r)));
    if d.how != How::Trace {
        let refused = d.not_seen.iter().find(|n| n.fact == "the kernel's trace points");
        let why = refused.map_or_else(String::new, |n| format!("; no trace: {}", line(&n.why)));
        return format!("by time stamps, {} probes, P50 {trip}{sum}{why}", d.probes);
    }
    format!("by the kernel's trace points, {} probes, P50 {trip}{sum}; {}", d.probes, cost(d))
}

/// The stages of a run, before and after next to one another.
pub(crate) fn waterfall_of_run(stages: &RunStages) -> Section {
    let mut blocks = Vec::new();
    match (&stages.before, &stages.after) {
        (Some(before), Some(after)) if before.stages.len() == after.stages.len() => {
            blocks.push(Block::Words(format!("before: {}", seen_by(before))));
            blocks.push(Block::Words(format!("after: {}", seen_by(after))));
            blocks.push(side_by_side(before, after));
            blocks.extend(unseen(&after.stages).map(Block::Words));
        }
        (Some(d), None) => {
            blocks.push(Block::Words(seen_by(d)));
            blocks.extend(waterfall(&TraceDocument { largest: None, ..d.clone() }));
        }
        (before, after) => {
            for (when, d) in [("before", before), ("after", after)] {
                let Some(d) = d else { continue };
                blocks.push(Block::Words(format!("{when}: {}", seen_by(d))));
                blocks.extend(waterfall(&TraceDocument { largest: None, ..d.clone() }));
            }
        }
    }
    blocks.extend(led_to(stages).into_iter().map(Block::Words));
    Section::of(Id::Waterfall, "Waterfall", blocks)
}

fn side_by_side(before: &TraceDocument, after: &TraceDocument) -> Block {
    let part = |s: &TraceStage| s.share_p50_ratio.unwrap_or(0.0);
    let mut rows = Vec::new();
    let (mut sum_before, mut sum_after) = (0.0, 0.0);
    for (b, a) in before.stages.iter().zip(&after.stages) {
        let seen = b.how != How::Unseen || a.how != How::Unseen;
        if seen && (part(b) >= SMALL || part(a) >= SMALL) {
            let shown = |s: &TraceStage, sum: f64| match s.how {
                How::Unseen if s.not_passed => ("-".to_owned(), String::new()),
                How::Unseen => ("n/a".to_owned(), String::new()),
                _ => (time(s.at_p50_ns), bar(sum, part(s), HALF_BAR)),
            };
            let ((of_before, bar_before), (of_after, bar_after)) = (shown(b, sum_before), shown(a, sum_after));
            let of = if b.how == How::Unseen { a } else { b };
            rows.push(vec![name(&of.name, of.side), of_before, of_after, bar_before, bar_after]);
        }
        sum_before += part(b);
        sum_after += part(a);
    }
    rows.push(vec![
        "round trip, P50".to_owned(),
        time(before.rtt.p50_ns),
        time(after.rtt.p50_ns),
        String::new(),
        String::new(),
    ]);
    Table::block(&["stage", "before", "after", "before's parts", "after's parts"], rows)
}

/// What the largest stage led to.
fn led_to(stages: &RunStages) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(l) = stages.before.as_ref().and_then(|b| b.largest.as_ref()) {
        let before = if stages.after.is_some() { "largest before" } else { "largest" };
        lines.push(format!(
            "{before}: {}, {}, {} of the median round trip",
            named(&l.stage),
            time(l.at_p50_ns),
            share(Some(l.share_ratio))
        ));
        lines.push(if stages.findings.is_empty() && stages.settings.is_empty() {
            format!("no finding and no setting of this run acts on it; {}", acts(l).unwrap_or_default())
        } else {
            let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { few(names) };
            format!(
                "findings that lengthen it: {}; settings of this run that act on it: {}",
                list(&stages.findings),
                list(&stages.settings)
            )
        });
    }
    if let Some(l) = stages.after.as_ref().and_then(|a| a.largest.as_ref()) {
        let words = named(&l.stage);
        lines.push(format!("largest after: {words}, {}, {}", time(l.at_p50_ns), share(Some(l.share_ratio))));
    }
    if !stages.tried_last.is_empty() {
        lines.push(format!("tried last, since their stages cost nothing here: {}", few(&stages.tried_last)));
    }
    lines.extend(stages.why_not.as_ref().map(|why| format!("not seen: {}", line(why))));
    lines
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

#[cfg(test)]
mod tests {
    use lowlat_model::Quantiles;
    use lowlat_model::trace::TraceDirection;

    use super::*;
    use crate::page::WIDTH;

    fn stage(name: &str, side: Side, (ns, share): (u64, f64)) -> TraceStage {
        TraceStage {
            name: name.into(),
            side,
            direction: TraceDirection::Out,
            how: How::Trace,
            at_p50_ns: Some(ns),
            p99_ns: Some(2 * ns),
            share_p50_ratio: Some(share),
            samples: 500,
            ..TraceStage::default()
        }
    }

    fn unseen_stage(name: &str, not_passed: bool, why: &str) -> TraceStage {
        let why_unseen = Some(why.to_owned());
        TraceStage { name: name.into(), how: How::Unseen, not_passed, why_unseen, ..TraceStage::default() }
    }

    fn document(queue: (u64, f64), rtt: u64) -> TraceDocument {
        let key = StageKey { name: "queue discipline".into(), ..StageKey::default() };
        let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect();
        TraceDocument {
            probes: 500,
            rtt: Quantiles::of(&mut vec![rtt; 500]),
            stages: vec![
                stage("queue discipline", Side::Near, queue),
                stage("scheduling", Side::Far, (20_000, 1.0 - queue.1)),
                unseen_stage("steering", true, "no probe passed through it, or hardly any"),
                unseen_stage("interrupt", false, "absent: this kernel has no trace point irq_handler_entry"),
            ],
            sum_ratio: Some(1.0),
            largest: Some(Largest {
                stage: key,
                at_p50_ns: Some(queue.0),
                share_ratio: queue.1,
                rules: names(&["shaper-below-line-rate", "netem-on-path", "plain-fifo-backlog", "pause-frames", "e"]),
                knobs: names(&["qdisc.kind"]),
                ..Largest::default()
            }),
            ..TraceDocument::default()
        }
    }

    fn shown(section: Section) -> String {
        let text = text_at(&[section], WIDTH);
        assert!(text.lines().all(|l| l.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().count() <= 24, "one screen: {text}");
        text
    }

    #[test]
    fn a_measurement_ends_with_its_stages_and_what_acts_on_the_largest() {
        let m = Measurement { trace: Some(Box::new(document((80_000, 0.8), 100_000))), ..Measurement::default() };
        let text = shown(waterfall_of(&m).unwrap());
        for wanted in [
            "by the kernel's trace points, 500 probes",
            "near queue discipline  80.0 µs",
            "unseen: near interrupt: absent: this kernel",
            "largest: near queue discipline (out), 80.0 µs, 80.0 %",
            "shaper-below-line-rate, netem-on-path, plain-fifo-backlog, pause-frames and",
            "qdisc.kind",
        ] {
            assert!(text.replace("\n  ", " ").contains(wanted), "no {wanted}: {text}");
        }
        let all = measured(&m);
        assert!(all.trim_end().ends_with(text.trim()), "{all}");
    }

    fn measured(m: &Measurement) -> String {
        crate::documents::measurement(m, WIDTH)
    }

    #[test]
    fn stages_that_were_not_looked_at_have_their_reason_and_older_documents_no_section() {
        let m = Measurement { trace_why_not: Some("left out with --count".into()), ..Measurement::default() };
        assert!(shown(waterfall_of(&m).unwrap()).contains("not seen: left out with --count; `lowlat trace`"));
        assert!(waterfall_of(&Measurement::default()).is_none());
    }

    #[test]
    fn before_and_after_stand_side_by_side() {
        let stages = RunStages {
            before: Some(document((80_000, 0.8), 100_000)),
            after: Some(document((1_000, 0.05), 21_000)),
            findings: vec!["plain-fifo-backlog".into()],
            settings: vec!["qdisc.kind on lan0/qdisc-root".into()],
            tried_last: vec!["steer.rps on lan0/rx-0".into()],
            why_not: None,
        };
        let text = shown(waterfall_of_run(&stages)).replace("\n  ", " ");
        for wanted in [
            "near queue discipline  80.0 µs  1.00 µs  ███████████···  █·············",
            "round trip, P50         100 µs  21.0 µs",
            "largest before: near queue discipline (out), 80.0 µs, 80.0 %",
            "findings that lengthen it: plain-fifo-backlog; settings of this run that act on it: qdisc.kind on",
            "largest after: near queue discipline",
            "tried last, since their stages cost nothing here: steer.rps on lan0/rx-0",
        ] {
            assert!(text.contains(wanted), "no {wanted}: {text}");
        }
        let alone = shown(waterfall_of_run(&RunStages { after: None, ..stages.clone() }));
        assert!(alone.contains("median's parts") && alone.contains("largest: near queue"), "{alone}");
        let none = RunStages { why_not: Some("denied".into()), ..RunStages::default() };
        assert!(shown(waterfall_of_run(&none)).contains("not seen: denied"));
    }
}

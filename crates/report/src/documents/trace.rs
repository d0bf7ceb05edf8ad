//! `lowlat trace`: where the time of a round trip goes.

use lowlat_model::trace::{How, Largest, RunStages, Side, SlowProbe, StageKey, TraceDirection, TraceStage};
use lowlat_model::{Measurement, TraceDocument};

use crate::drawing::{Plot, Stage};
use crate::figures::{line, percent, seconds, signed_time, time};
use crate::page::{Block, Id, Section, Table, text_at};

/// Cells of the waterfall: with them the table fits into 80 columns.
const BAR: usize = 16;
/// Cells of each of two bars next to one another.
const HALF_BAR: usize = 14;
/// Rules and knobs that are named of a stage, and how many on one screen.
const ACTS: usize = 4;
const SCREEN_ACTS: usize = 3;
/// Unseen stages that are named of each reason on one screen.
const UNSEEN: usize = 2;
/// A stage with less of both the median and the tail is named without a row.
const SMALL: f64 = 0.02;
/// At the end of another document the stages have one screen: 22 of its 24 lines, so that the prompt and the last line before
/// them are there too. So many rows, the largest ones, and so many lines for each text, with its heading and an empty line
/// before it: 2 + 2 to 3 + 10 + 2 + 5 to 6.
const ROWS: usize = 8;
const RUN_ROWS: usize = 7;
const SEEN_LINES: usize = 3;
const RUN_SEEN_LINES: usize = 2;
const TEXT_LINES: usize = 2;
const ACT_LINES: usize = 3;
/// Slow probes that are listed, and stages and neighbours of each.
const SLOWEST: usize = 3;
const NAMED: usize = 2;

/// The document as text.
pub(crate) fn trace(d: &TraceDocument, width: usize) -> String {
    text_at(&sections(d), width).trim_start().to_owned()
}

/// The document laid out.
pub(crate) fn sections(d: &TraceDocument) -> Vec<Section> {
    let mut sections = vec![Section::new("Trace", head(d)), Section::new("Waterfall", waterfall(d, None))];
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

/// `near scheduling`, `far system call`: the direction is known by the place in the list, but for the wire, of which a side
/// has two.
fn name(s: &TraceStage) -> String {
    let side = if s.side == Side::Near { "near" } else { "far" };
    let way = if s.direction == TraceDirection::Out { " (out)" } else { " (back)" };
    format!("{side} {}{}", line(&s.name), if s.name == "wire" { way } else { "" })
}

/// The place of a stage.
fn key(s: &TraceStage) -> StageKey {
    StageKey { name: s.name.clone(), side: s.side, direction: s.direction }
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

/// The stages as a table, with what is to be said about them; `rows` is how many have room, all without it.
fn waterfall(d: &TraceDocument, rows: Option<usize>) -> Vec<Block> {
    let mut blocks = table(d, rows);
    if rows.is_some() {
        blocks.extend(unseen_in_short(&d.stages));
    } else {
        blocks
            .extend(unseen(&d.stages).map(|(names, why)| Block::Words(format!("unseen: {}: {why}", names.join(", ")))));
    }
    if let Some(l) = &d.largest {
        let (words, acting) = (largest(l, d.conspicuous.is_some()), acts(l, rows.map_or(ACTS, |_| SCREEN_ACTS)));
        let lines = |most| if rows.is_some() { most } else { usize::MAX };
        blocks.push(Block::Bounded(words, lines(TEXT_LINES)));
        blocks.extend(acting.map(|acts| Block::Bounded(acts, lines(ACT_LINES))));
    }
    blocks
}

fn table(d: &TraceDocument, most: Option<usize>) -> Vec<Block> {
    let of_median = |s: &TraceStage| s.share_p50_ratio.unwrap_or(0.0);
    let is_small = |s: &TraceStage| of_median(s) < SMALL && s.share_tail_ratio.unwrap_or(0.0) < SMALL;
    let seen: Vec<&TraceStage> = d.stages.iter().filter(|s| s.how != How::Unseen).collect();
    let large: Vec<_> = seen.iter().map(|s| if is_small(s) { None } else { Some(of_median(s)) }).collect();
    let shown = most_of(&large, most);
    let (mut rows, mut small, mut before) = (Vec::new(), Vec::new(), 0.0);
    for (s, shown) in seen.iter().zip(shown) {
        if shown {
            rows.push(vec![
                name(s),
                time(s.at_p50_ns),
                time(s.p99_ns),
                share(s.share_p50_ratio),
                share(s.share_tail_ratio),
                bar(before, of_median(s), BAR),
            ]);
        } else {
            small.push(*s);
        }
        before += of_median(s);
    }
    if rows.is_empty() {
        return vec![Block::Words("no stage was seen".to_owned())];
    }
    let names = if most.is_none() && !small.is_empty() {
        let names: Vec<String> = small.iter().map(|s| name(s)).collect();
        Some(Block::Words(format!("below 2 %: {}", names.join(", "))))
    } else {
        if !small.is_empty() {
            let ns = small.iter().filter_map(|s| s.at_p50_ns).sum();
            let part = small.iter().map(|s| of_median(s)).sum();
            let rest = format!("{} other stages", small.len());
            rows.push(vec![rest, time(Some(ns)), String::new(), share(Some(part)), String::new(), String::new()]);
        }
        None
    };
    let table = Table::block(&["stage", "at P50", "P99", "median", "tail", "median's parts"], rows);
    [table, drawing(d)].into_iter().chain(names).collect()
}

/// Which rows are shown: those that are large, and of them the largest, where not all have room.
fn most_of(large: &[Option<f64>], most: Option<usize>) -> Vec<bool> {
    let mut order: Vec<usize> = (0..large.len()).filter(|i| large[*i].is_some()).collect();
    order.sort_by(|a, b| large[*b].unwrap_or(0.0).total_cmp(&large[*a].unwrap_or(0.0)));
    order.truncate(most.unwrap_or(usize::MAX));
    (0..large.len()).map(|i| order.contains(&i)).collect()
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
        let name = name(s);
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
fn few(names: &[String], most: usize) -> String {
    let shown: Vec<String> = names.iter().take(most).map(|n| line(n)).collect();
    let more = names.len().saturating_sub(most);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{rest}", shown.join(", "))
}

/// Where to go from the largest stage; nothing for documents of older versions.
fn acts(l: &Largest, most: usize) -> Option<String> {
    let mut parts = Vec::new();
    if !l.rules.is_empty() {
        parts.push(format!("faults that lengthen it (`lowlat check`): {}", few(&l.rules, most)));
    }
    if !l.knobs.is_empty() {
        parts.push(format!("settings that act on it (`lowlat optimize`): {}", few(&l.knobs, most)));
    }
    (!parts.is_empty()).then(|| format!("{}{}", parts.join("; "), there(l)))
}

/// Where else to look, for a stage that is not this host's alone.
fn there(l: &Largest) -> &'static str {
    if l.stage.name.starts_with("wire") {
        "; or the network, or the far host: look there too"
    } else if l.stage.side == Side::Far {
        "; it is the far host's: look there"
    } else {
        ""
    }
}

/// The stages at the end of a measurement, on one screen.
pub(crate) fn waterfall_of(m: &Measurement) -> Option<Section> {
    let blocks: Vec<Block> = match (&m.trace, &m.trace_why_not) {
        (Some(d), _) => {
            std::iter::once(Block::Bounded(seen_by(d), SEEN_LINES)).chain(waterfall(d, Some(ROWS))).collect()
        }
        (None, Some(why)) => {
            vec![Block::Bounded(format!("not seen: {}; `lowlat trace` shows them", line(why)), SEEN_LINES)]
        }
        (None, None) => return None,
    };
    Some(Section::of(Id::Waterfall, "Waterfall", blocks))
}

/// How the stages were seen, by how many probes, and what watching costs.
fn seen_by(d: &TraceDocument) -> String {
    let trip = time(d.rtt.p50_ns);
    let sum = d.sum_ratio.map_or_else(String::new, |r| format!(", of which the stages make {} %", percent(r)));
    if d.how != How::Trace {
        return format!("by time stamps, {} probes, P50 {trip}{sum}{}", d.probes, refused(d));
    }
    format!("by the kernel's trace points, {} probes, P50 {trip}{sum}; {}", d.probes, cost(d))
}

/// The stages of a run, before and after next to one another, on one screen.
pub(crate) fn waterfall_of_run(stages: &RunStages) -> Section {
    let mut blocks = Vec::new();
    match (&stages.before, &stages.after) {
        (Some(before), Some(after)) => {
            blocks.push(Block::Bounded(seen_by_both(before, after), RUN_SEEN_LINES));
            blocks.push(side_by_side(before, after));
            blocks.extend(unseen_in_short(&after.stages));
        }
        (Some(d), None) | (None, Some(d)) => {
            blocks.push(Block::Bounded(seen_by(d), RUN_SEEN_LINES));
            blocks.extend(waterfall(&TraceDocument { largest: None, ..d.clone() }, Some(RUN_ROWS + 1)));
        }
        (None, None) => {}
    }
    blocks.extend(led_to(stages));
    Section::of(Id::Waterfall, "Waterfall", blocks)
}

/// How the stages were seen before and after, by how many probes; what watching costs is in the documents.
fn seen_by_both(before: &TraceDocument, after: &TraceDocument) -> String {
    if before.how != after.how {
        return format!("before {}; after {}", seen_by(before), seen_by(after));
    }
    let probes = format!("{} probes before and {} after", before.probes, after.probes);
    if before.how != How::Trace {
        return format!("by time stamps, {probes}{}", refused(after));
    }
    let cost = after.trace_cost_ns.map_or_else(String::new, |c| format!("; tracing costs {}", signed_time(c)));
    format!("by the kernel's trace points, {probes}{cost}")
}

/// Why there was no trace.
fn refused(d: &TraceDocument) -> String {
    let refused = d.not_seen.iter().find(|n| n.fact == "the kernel's trace points");
    refused.map_or_else(String::new, |n| format!("; no trace: {}", line(&n.why)))
}

fn side_by_side(before: &TraceDocument, after: &TraceDocument) -> Block {
    let part = |s: Option<&TraceStage>| s.and_then(|s| s.share_p50_ratio).unwrap_or(0.0);
    let pairs = paired(before, after);
    let large = |(b, a): &Pair<'_>| {
        let seen = [b, a].into_iter().flatten().any(|s| s.how != How::Unseen);
        // By time: what takes most of the longer round trip is what the run is about.
        let ns = [b, a].into_iter().flatten().filter_map(|s| s.at_p50_ns).max().unwrap_or(0);
        (seen && (part(*b) >= SMALL || part(*a) >= SMALL)).then_some(ns as f64)
    };
    let shown = most_of(&pairs.iter().map(large).collect::<Vec<_>>(), Some(RUN_ROWS));
    let (mut rows, mut rest) = (Vec::new(), Vec::new());
    let (mut sum_before, mut sum_after) = (0.0, 0.0);
    for ((b, a), shown) in pairs.iter().zip(shown) {
        if shown {
            let cells = |s: Option<&TraceStage>, sum: f64| match s {
                Some(s) if s.how != How::Unseen => (time(s.at_p50_ns), bar(sum, part(Some(s)), HALF_BAR)),
                Some(s) if s.not_passed => ("-".to_owned(), String::new()),
                _ => ("n/a".to_owned(), String::new()),
            };
            let ((of_before, bar_before), (of_after, bar_after)) = (cells(*b, sum_before), cells(*a, sum_after));
            let of = b.filter(|s| s.how != How::Unseen).or(*a).or(*b);
            rows.push(vec![of.map_or_else(String::new, name), of_before, of_after, bar_before, bar_after]);
        } else {
            rest.push((*b, *a));
        }
        sum_before += part(*b);
        sum_after += part(*a);
    }
    let seen = |s: Option<&TraceStage>| s.is_some_and(|s| s.how != How::Unseen);
    rest.retain(|(b, a)| seen(*b) || seen(*a));
    if !rest.is_empty() {
        let ns = |s: Option<&TraceStage>| s.and_then(|s| s.at_p50_ns).unwrap_or(0);
        let of_before = time(Some(rest.iter().map(|(b, _)| ns(*b)).sum()));
        let of_after = time(Some(rest.iter().map(|(_, a)| ns(*a)).sum()));
        rows.push(vec![format!("{} other stages", rest.len()), of_before, of_after, String::new(), String::new()]);
    }
    let (of_before, of_after) = (time(before.rtt.p50_ns), time(after.rtt.p50_ns));
    rows.push(vec!["round trip, P50".to_owned(), of_before, of_after, String::new(), String::new()]);
    Table::block(&["stage", "before", "after", "before's parts", "after's parts"], rows)
}

/// A stage before and after.
type Pair<'a> = (Option<&'a TraceStage>, Option<&'a TraceStage>);

/// The stages of two documents by their place, in the order of the way: a far end that was seen once has other stages than
/// one that was not.
fn paired<'a>(before: &'a TraceDocument, after: &'a TraceDocument) -> Vec<Pair<'a>> {
    let find = |d: &'a TraceDocument, wanted: &StageKey| d.stages.iter().find(|s| key(s) == *wanted);
    let mut pairs: Vec<_> = before.stages.iter().map(|b| (Some(b), find(after, &key(b)))).collect();
    for (i, a) in after.stages.iter().enumerate().filter(|(_, a)| find(before, &key(a)).is_none()) {
        pairs.insert(i.min(pairs.len()), (None, Some(a)));
    }
    pairs
}

/// What the largest stage led to.
fn led_to(stages: &RunStages) -> Vec<Block> {
    let mut blocks = Vec::new();
    let of = |d: &Option<TraceDocument>| d.as_ref().and_then(|d| d.largest.clone());
    let one = |l: &Largest| format!("{}, {}, {}", named(&l.stage), time(l.at_p50_ns), share(Some(l.share_ratio)));
    let (before, after) = (of(&stages.before), of(&stages.after));
    let text = match (&before, &after) {
        (Some(b), Some(a)) => Some(format!("largest before: {}; after: {}", one(b), one(a))),
        (Some(l), None) if stages.after.is_none() => Some(format!("largest: {} of the median round trip", one(l))),
        (Some(l), None) => Some(format!("largest before: {} of the median round trip", one(l))),
        (None, Some(l)) => Some(format!("largest after: {} of the median round trip", one(l))),
        (None, None) => None,
    };
    blocks.extend(text.map(|text| Block::Bounded(text, TEXT_LINES)));
    blocks.extend(before.map(|l| Block::Bounded(explained(&l, stages), TEXT_LINES)));
    if !stages.tried_last.is_empty() {
        let text = format!("tried last, since their stages cost nothing here: {}", few(&stages.tried_last, ACTS));
        blocks.push(Block::Bounded(text, 1));
    }
    blocks.extend(stages.why_not.as_ref().map(|why| Block::Bounded(format!("not seen: {}", line(why)), 1)));
    blocks
}

/// What of this run explains the largest stage; where nothing does, that.
fn explained(l: &Largest, stages: &RunStages) -> String {
    let settings = format!("settings of this run that act on it: {}", few(&stages.settings, ACTS));
    match (stages.findings.is_empty(), stages.settings.is_empty()) {
        (false, false) => format!("explained by: {}; {settings}", few(&stages.findings, ACTS)),
        (false, true) => format!("explained by: {}; no setting of this run acts on it", few(&stages.findings, ACTS)),
        (true, false) => format!("no finding of this run explains it{}; {settings}", there(l)),
        (true, true) => format!("no finding of this run explains it, and no setting acts on it{}", there(l)),
    }
}

/// The stages that were not seen, reason by reason, each with its direction.
fn unseen(stages: &[TraceStage]) -> impl Iterator<Item = (Vec<String>, String)> {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for s in stages.iter().filter(|s| s.how == How::Unseen) {
        let why = s.why_unseen.as_deref().map_or_else(|| "not known".to_owned(), line);
        let name = named(&key(s));
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => reasons.push((why, vec![name])),
        }
    }
    reasons.into_iter().map(|(why, names)| (names, why))
}

/// The same on two lines: what no probe passed through is counted, since that costs nothing.
fn unseen_in_short(stages: &[TraceStage]) -> Option<Block> {
    let (passed_by, hidden): (Vec<TraceStage>, Vec<TraceStage>) =
        stages.iter().filter(|s| s.how == How::Unseen).cloned().partition(|s| s.not_passed);
    let mut parts: Vec<String> = unseen(&hidden)
        .map(|(names, why)| {
            let more = names.len().saturating_sub(UNSEEN);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            format!("{}{more}: {why}", names[..names.len().min(UNSEEN)].join(", "))
        })
        .collect();
    if !passed_by.is_empty() {
        parts.push(format!("{} that no probe passed through", passed_by.len()));
    }
    (!parts.is_empty()).then(|| Block::Bounded(format!("unseen: {}", parts.join("; ")), TEXT_LINES))
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
    use lowlat_model::{NotSeen, Quantiles};

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
        assert!(text.lines().count() <= 22, "one screen of 24 lines with a prompt: {text}");
        text
    }

    #[test]
    fn a_measurement_ends_with_its_stages_and_what_acts_on_the_largest() {
        let m = Measurement { trace: Some(Box::new(document((80_000, 0.8), 100_000))), ..Measurement::default() };
        let text = shown(waterfall_of(&m).unwrap());
        for wanted in [
            "by the kernel's trace points, 500 probes",
            "near queue discipline  80.0 µs",
            "unseen: near interrupt (out): absent: this kernel has no trace point irq_handler_entry; 1 that no probe passed",
            "largest: near queue discipline (out), 80.0 µs, 80.0 %",
            "shaper-below-line-rate, netem-on-path, plain-fifo-backlog and 2 more; settings",
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
            "largest before: near queue discipline (out), 80.0 µs, 80.0 %; after: near queue discipline (out)",
            "explained by: plain-fifo-backlog; settings of this run that act on it: qdisc.kind on",
            "tried last, since their stages cost nothing here: steer.rps on lan0/rx-0",
        ] {
            assert!(text.contains(wanted), "no {wanted}: {text}");
        }
        // Where nothing explains it, that is said, and nothing else is named in its place.
        let unexplained = RunStages { findings: Vec::new(), ..stages.clone() };
        let text = shown(waterfall_of_run(&unexplained)).replace("\n  ", " ");
        assert!(text.contains("no finding of this run explains it; settings of this run that act"), "{text}");
        let text = shown(waterfall_of_run(&RunStages { settings: Vec::new(), ..unexplained })).replace("\n  ", " ");
        assert!(text.contains("no finding of this run explains it, and no setting acts on it"), "{text}");
        assert!(!text.contains("shaper"), "{text}");
        let alone = shown(waterfall_of_run(&RunStages { after: None, ..stages.clone() }));
        assert!(alone.contains("median's parts") && alone.contains("largest: near queue"), "{alone}");
        let none = RunStages { why_not: Some("denied".into()), ..RunStages::default() };
        assert!(shown(waterfall_of_run(&none)).contains("not seen: denied"));
    }

    /// Every stage seen or unseen with a reason of its own, and every list long.
    fn crowded(how: How) -> TraceDocument {
        let long = |what: &str| (0..9).map(|i| format!("{what}-of-a-long-name-{i}")).collect::<Vec<String>>();
        let names = ["system call", "queue discipline", "wire", "redirection", "scheduling"];
        let seen = (0..25).map(|i| TraceStage {
            direction: if i < 12 { TraceDirection::Out } else { TraceDirection::Back },
            how,
            ..stage(names[i % 5], if i % 2 == 0 { Side::Near } else { Side::Far }, (1_000_000 + i as u64, 0.04))
        });
        let hidden =
            (0..6).map(|i| unseen_stage("interrupt", false, &format!("absent: reason {i} that is long enough")));
        let largest = Largest {
            rules: long("rule"),
            knobs: long("setting"),
            why: long("why").join(" "),
            ..document((1, 0.5), 1).largest.unwrap()
        };
        let why = "absent: tracefs is not mounted; `mount -t tracefs none /sys/kernel/tracing` mounts it ".repeat(3);
        TraceDocument {
            how,
            stages: seen.chain(hidden).collect(),
            conspicuous: Some(largest.clone()),
            largest: Some(largest),
            not_seen: vec![NotSeen { fact: "the kernel's trace points".into(), why }],
            trace_cost_ns: Some(1_200),
            ..document((1, 0.5), 1)
        }
    }

    #[test]
    fn whatever_there_is_to_say_fits_one_screen() {
        for how in [How::Trace, How::Stamp] {
            let m = Measurement { trace: Some(Box::new(crowded(how))), ..Measurement::default() };
            let text = shown(waterfall_of(&m).unwrap());
            assert!(text.contains("17 other stages") && text.contains("17000 µs") && text.contains('…'), "{text}");
            let names: Vec<String> = (0..9).map(|i| format!("setting-of-some-name-{i} on lan0/rx-{i}")).collect();
            let stages = RunStages {
                before: Some(crowded(how)),
                after: Some(crowded(How::Trace)),
                why_not: Some("a reason ".repeat(20)),
                findings: names.clone(),
                settings: names.clone(),
                tried_last: names,
            };
            let text = shown(waterfall_of_run(&stages));
            assert!(text.contains("round trip, P50") && text.contains("other stages"), "{text}");
            shown(waterfall_of_run(&RunStages { after: None, ..stages.clone() }));
            shown(waterfall_of_run(&RunStages { before: None, ..stages }));
        }
        // A far end that was seen once only has stages of its own.
        let near = TraceDocument {
            stages: vec![stage("wire and far end", Side::Far, (90_000, 0.9))],
            ..document((1, 0.1), 100_000)
        };
        let text = shown(waterfall_of_run(&RunStages {
            before: Some(near),
            after: Some(document((2_000, 0.1), 20_000)),
            ..RunStages::default()
        }));
        assert!(text.contains("far wire and far end") && text.contains("n/a"), "{text}");
    }

    #[test]
    fn both_wires_are_told_apart_and_what_is_unseen_has_its_direction() {
        let wire = |direction| TraceStage { direction, ..stage("wire", Side::Far, (40_000, 0.4)) };
        let hidden = |direction| TraceStage { direction, ..unseen_stage("IP", false, "hidden") };
        let stages = vec![wire(TraceDirection::Out), wire(TraceDirection::Back), hidden(TraceDirection::Back)];
        let d = TraceDocument { stages, ..document((1, 0.1), 100_000) };
        let text = shown(Section::new("Waterfall", waterfall(&d, None)));
        for wanted in ["far wire (out)", "far wire (back)", "unseen: near IP (back): hidden"] {
            assert!(text.contains(wanted), "no {wanted}: {text}");
        }
    }
}

//! `lowlat measure --engine all`: engines side by side.

use lowlat_model::EnginesDocument;
use lowlat_model::document::EngineResult;
use lowlat_model::engine::EngineCost;

use crate::drawing::{Engine, Plot};
use crate::figures::{change, line, percent, time, verdict};
use crate::page::{Block, Section, Table, text_at};
use crate::run;

/// The document as text.
pub(crate) fn engines(d: &EnginesDocument, width: usize) -> String {
    text_at(&sections(d), width).trim_start().to_owned()
}

/// The document laid out.
pub(crate) fn sections(d: &EnginesDocument) -> Vec<Section> {
    let head = format!(
        "{} over {} ({}), {} bytes, {}; {} rounds of each engine, alternated in an order drawn by seed {}",
        line(&d.target),
        line(&d.proto),
        line(&d.peer),
        d.size_bytes,
        d.iface.as_deref().map_or_else(|| "interface not known".to_owned(), line),
        d.laps,
        d.seed
    );
    let mut sections = vec![Section::new("Engines on one path", vec![Block::Words(head), figures(&d.engines)])];
    sections[0].blocks.extend(drawing("Engines on the same path", &d.engines));
    if d.load_streams > 0 {
        sections.push(Section::new(&format!("Under load ({} streams)", d.load_streams), vec![figures(&d.loaded)]));
        sections[1].blocks.extend(drawing("Engines under load", &d.loaded));
    }
    let mut cost = vec![costs(&d.engines)];
    cost.extend(not_counted(&d.engines).map(Block::Words));
    sections.push(Section::new("Cost for each probe", cost));
    sections.push(Section::new("What each was", vec![Block::List(d.engines.iter().flat_map(was).collect())]));
    sections.extend(run::placement(&d.placed));
    let ran = d.engines.iter().find(|e| !e.state.placement.is_empty());
    let placed = ran.iter().flat_map(|e| &e.state.placement).chain([&d.memory]).filter(|o| !o.option.is_empty());
    let placed: Vec<String> = placed.map(|o| line(&o.words())).collect();
    if !placed.is_empty() {
        sections.push(Section::new("Thread and memory of each engine", vec![Block::List(placed)]));
    }
    if !d.warnings.is_empty() {
        sections.push(Section::new("Warnings", vec![Block::List(d.warnings.iter().map(|w| line(w)).collect())]));
    }
    sections
}

/// Median and P99 of each; nothing where none ran.
pub(crate) fn drawing(title: &str, engines: &[EngineResult]) -> Option<Block> {
    let row = |e: &EngineResult| {
        let figures = e.measurement.as_ref().map(|m| m.rtt).unwrap_or_default();
        let not_run = e.measurement.is_none();
        let why_not = not_run.then(|| line(e.why_not.as_deref().unwrap_or("not measured")));
        Engine { name: line(&e.engine), p50_ns: figures.p50_ns, p99_ns: figures.p99_ns, why_not }
    };
    let rows: Vec<Engine> = engines.iter().map(row).collect();
    let cells =
        |e: &Engine| vec![e.name.clone(), time(e.p50_ns), time(e.p99_ns), e.why_not.clone().unwrap_or_default()];
    let table = Table::new(&["engine", "P50", "P99", "could not run"], rows.iter().map(cells).collect());
    let legend = "dot: median · mark: P99 · interleaved in one run (logarithmic)";
    rows.iter()
        .any(|e| e.p50_ns.is_some() || e.p99_ns.is_some())
        .then(|| Block::drawing(title, legend, Plot::Engines(rows), table))
}

fn figures(engines: &[EngineResult]) -> Block {
    let against = |e: &EngineResult| match &e.against_block {
        Some(c) => {
            let p50 = c.quantiles.iter().find(|q| (q.q - 0.5).abs() < 1e-9);
            let shown = p50.map_or_else(|| "n/a".to_owned(), |q| change(q.change_ratio, q.change_low, q.change_high));
            format!("{}: {shown}", verdict(c.verdict))
        }
        None => "-".to_owned(),
    };
    let row = |e: &EngineResult| {
        let Some(m) = &e.measurement else {
            let mut row = vec![line(&e.engine)];
            row.resize(6, "n/a".to_owned());
            return row;
        };
        let loss = m.loss_ratio.map_or_else(|| "n/a".to_owned(), |r| format!("{} %", percent(r)));
        let mut row = vec![line(&e.engine)];
        row.extend([m.rtt.p50_ns, m.rtt.p99_ns, m.rtt.p999_ns].map(time));
        row.extend([loss, against(e)]);
        row
    };
    let columns = ["engine", "P50", "P99", "P99.9", "lost", "against block (95 %)"];
    Table::block(&columns, engines.iter().map(row).collect())
}

fn costs(engines: &[EngineResult]) -> Block {
    let per = |n: Option<f64>| n.map_or_else(|| "n/a".to_owned(), |n| format!("{n:.2}"));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; the cast saturates
    let cpu = |ns: Option<f64>| time(ns.map(|ns| ns.round() as u64));
    let row = |e: &EngineResult| {
        let EngineCost { cpu_ratio, cpu_ns_per_message, syscalls_per_message, sleeps_per_message, .. } = e.cost;
        let share = cpu_ratio.map_or_else(|| "n/a".to_owned(), |r| format!("{:.0} %", r * 100.0));
        let mut row = vec![line(&e.engine), share, cpu(cpu_ns_per_message)];
        let EngineCost { interrupts_per_message, net_rx_per_message, .. } = e.cost;
        row.extend([syscalls_per_message, sleeps_per_message, interrupts_per_message, net_rx_per_message].map(per));
        row
    };
    let columns = ["engine", "of one CPU", "CPU time", "system calls", "sleeps", "interrupts", "softirqs"];
    Table::block(&columns, engines.iter().filter(|e| e.measurement.is_some()).map(row).collect())
}

/// What was not counted, reason by reason.
fn not_counted(engines: &[EngineResult]) -> impl Iterator<Item = String> {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for (engine, n) in engines.iter().flat_map(|e| e.cost.not_counted.iter().map(move |n| (&e.engine, n))) {
        let why = format!("{} not counted: {}", line(&n.fact), line(&n.why));
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(line(engine)),
            None => reasons.push((why, vec![line(engine)])),
        }
    }
    reasons.into_iter().map(|(why, names)| format!("{}: {why}", names.join(", ")))
}

/// What an engine was, its options, and its price; or why it could not run.
fn was(e: &EngineResult) -> Vec<String> {
    let name = line(&e.engine);
    if let Some(why) = &e.why_not {
        return vec![format!("{name}: not measured: {}", line(why))];
    }
    let mut lines = vec![format!("{name}: {}; costs {}", line(&e.state.words), line(&e.costs))];
    let options: Vec<String> = e.state.options.iter().map(|o| line(&o.words())).collect();
    if !options.is_empty() {
        lines.push(format!("{name}, options: {}", options.join("; ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::engine::{EngineOption, EngineState};
    use lowlat_model::{NotSeen, Schema};

    #[test]
    fn what_is_lacking_is_in_the_page_with_its_reason() {
        let measured = EngineResult {
            engine: "spin".into(),
            measurement: Some(lowlat_testkit::run::measurement(40_000)),
            why_not: None,
            against_block: None,
            costs: "one core".into(),
            state: EngineState {
                words: "spinning".into(),
                options: vec![EngineOption::lacking("EPIOCSPARAMS", "needs Linux 6.9")],
                placement: vec![EngineOption::got("buffers", "on NUMA node 1")],
            },
            cost: EngineCost {
                cpu_ratio: Some(0.97),
                syscalls_per_message: Some(12.5),
                not_counted: vec![NotSeen { fact: "interrupts".into(), why: "veth has none".into() }],
                ..EngineCost::default()
            },
        };
        let lacking = EngineResult {
            engine: "af-xdp".into(),
            measurement: None,
            why_not: Some("it carries UDP alone".into()),
            cost: EngineCost::default(),
            ..measured.clone()
        };
        let document = EnginesDocument {
            schema: Schema::current("engines"),
            engines: vec![measured, lacking],
            laps: 12,
            ..EnginesDocument::default()
        };
        let text = engines(&document, 200);
        for part in [
            "97 %",
            "12.50",
            "spin: interrupts not counted: veth has none",
            "EPIOCSPARAMS lacking: needs Linux 6.9",
            "- buffers on NUMA node 1",
            "af-xdp: not measured: it carries UDP alone",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }
}

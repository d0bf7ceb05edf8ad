//! `lowlat noise`: what the host itself adds.

use lowlat_model::NoiseDocument;

use crate::figures::{line, percent, time};
use crate::page::{Block, Section, Table, text_at};

/// Longest interruptions that are listed for each CPU.
const GAPS: usize = 5;
/// Sources that are listed for each CPU.
const SOURCES: usize = 8;

/// The document as text.
pub(crate) fn noise(d: &NoiseDocument, width: usize) -> String {
    text_at(&sections(d), width).trim_start().to_owned()
}

/// The document laid out.
pub(crate) fn sections(d: &NoiseDocument) -> Vec<Section> {
    let rows = d
        .cpus
        .iter()
        .map(|c| {
            vec![
                c.cpu.to_string(),
                c.wakeup_policy.as_deref().map_or_else(|| "n/a".to_owned(), line),
                time(c.wakeup.p50_ns),
                time(c.wakeup.p99_ns),
                time(c.wakeup.max_ns),
                c.gaps_seen.to_string(),
                time(c.interruption.p50_ns),
                time(c.interruption.max_ns),
                format!("{} %", percent(c.stolen_ratio)),
            ]
        })
        .collect();
    let columns = ["cpu", "sleeper", "wake-up P50", "P99", "max", "interruptions", "P50", "max", "time lost"];
    let words = format!("{} a CPU; interruptions from {}", time(Some(d.duration_ns)), time(Some(d.gap_threshold_ns)));
    let mut sections = vec![Section::new("Noise", vec![Block::Words(words), Table::block(&columns, rows)])];
    if !d.goals.is_empty() {
        let figures = d.cpus.first().map(|c| c.wakeup).unwrap_or_default();
        let mut blocks = vec![Block::List(super::goals::lines(&d.goals, &figures))];
        if !d.advice.is_empty() {
            blocks.push(Block::List(d.advice.iter().map(|a| line(a)).collect()));
        }
        sections.push(Section::new("Goals, by the wake-up of the slowest CPU alone", blocks));
    }
    let gaps: Vec<Vec<String>> = d
        .cpus
        .iter()
        .flat_map(|c| c.gaps.iter().take(GAPS).map(move |g| (c.cpu, g)))
        .map(|(cpu, g)| {
            let cause = g.cause.as_deref().map_or_else(|| "unknown to the kernel".to_owned(), line);
            vec![cpu.to_string(), time(Some(g.length_ns)), time(Some(g.at_ns)), cause]
        })
        .collect();
    if !gaps.is_empty() {
        sections
            .push(Section::new("Longest interruptions", vec![Table::block(&["cpu", "length", "at", "cause"], gaps)]));
    }
    for c in &d.cpus {
        let Some(traced) = &c.traced else { continue };
        let rows = traced.sources.iter().take(SOURCES).map(|s| {
            let share = if traced.watched_ns > 0 { s.total_ns as f64 / traced.watched_ns as f64 } else { 0.0 };
            let row = [line(&s.source), s.count.to_string(), time(Some(s.total_ns)), time(Some(s.longest_ns))];
            row.into_iter().chain([format!("{} %", percent(share))]).collect()
        });
        let mut blocks = vec![Table::block(&["who", "times", "in all", "longest", "of the time"], rows.collect())];
        let worst = traced.gaps.iter().take(GAPS).map(|g| {
            format!(
                "{}: {}",
                time(Some(g.length_ns)),
                g.cause.as_deref().map_or_else(|| "no trace point".to_owned(), line)
            )
        });
        blocks.push(Block::List(worst.collect()));
        if traced.lost_events > 0 {
            blocks.push(Block::Words(format!("{} events were lost: the trace buffer was full", traced.lost_events)));
        }
        sections.push(Section::new(&format!("Who interrupts CPU {}, by trace points", c.cpu), blocks));
    }
    if !d.not_seen.is_empty() {
        sections.push(Section::new("Could not be checked", vec![super::not_seen(&d.not_seen)]));
    }
    sections
}

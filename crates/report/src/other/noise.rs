//! `lowlat noise`: what the host itself adds.

use lowlat_model::NoiseDocument;

use crate::figures::{line, percent, time};
use crate::page::{Section, Table, text};

/// Longest interruptions that are listed for each CPU.
const GAPS: usize = 5;

/// The document as text.
pub fn noise(d: &NoiseDocument) -> String {
    let rows = d
        .cpus
        .iter()
        .map(|c| {
            vec![
                c.cpu.to_string(),
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
    let columns = ["cpu", "wake-up P50", "P99", "max", "interruptions", "P50", "max", "time lost"];
    let title = format!(
        "Noise over {} a CPU, interruptions from {}",
        time(Some(d.duration_ns)),
        time(Some(d.gap_threshold_ns))
    );
    let mut sections = vec![Section::new(&title, vec![Table::block(&columns, rows)])];
    let gaps: Vec<Vec<String>> = d
        .cpus
        .iter()
        .flat_map(|c| c.gaps.iter().take(GAPS).map(move |g| (c.cpu, g)))
        .map(|(cpu, g)| {
            let cause = g.cause.as_deref().map_or_else(|| "not told by the kernel".to_owned(), line);
            vec![cpu.to_string(), time(Some(g.length_ns)), time(Some(g.at_ns)), cause]
        })
        .collect();
    if !gaps.is_empty() {
        sections
            .push(Section::new("Longest interruptions", vec![Table::block(&["cpu", "length", "at", "cause"], gaps)]));
    }
    if !d.not_seen.is_empty() {
        sections.push(Section::new("Not seen", vec![super::not_seen(&d.not_seen)]));
    }
    text(&sections).trim_start().to_owned()
}

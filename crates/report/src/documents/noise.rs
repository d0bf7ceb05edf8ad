//! `lowlat noise`: what the host itself adds.

use lowlat_model::noise::CpuNoise;
use lowlat_model::{Distribution, NoiseDocument};

use crate::drawing::{BINS, Histograms, Plot, bins};
use crate::figures::{line, percent, seconds, time};
use crate::page::{Block, Section, Table, text_at};

/// Longest interruptions that are listed for each CPU.
const GAPS: usize = 5;
/// Sources that are listed for each CPU.
const SOURCES: usize = 8;

/// The document as text.
pub(crate) fn noise(d: &NoiseDocument, width: usize) -> String {
    text_at(&sections(d), width).trim_start().to_owned()
}

/// Whether the CPUs keep within the goal: only what was seen is claimed.
fn verdict(d: &NoiseDocument) -> Option<String> {
    let goal = d.goal_ns?;
    let named = |met: Option<bool>| {
        let cpus: Vec<u32> = d.cpus.iter().filter(|c| c.meets(goal) == met).map(|c| c.cpu).collect();
        (!cpus.is_empty()).then(|| lowlat_model::cpus::print_list(&cpus))
    };
    let parts = [
        named(Some(true)).map(|cpus| format!("CPU {cpus}: nothing longer was seen in {}", span(d.duration_ns))),
        named(Some(false)).map(|cpus| format!("CPU {cpus}: missed")),
        named(None).map(|cpus| format!("CPU {cpus}: not judged, the watch was not finished")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let whole = if d.met() == Some(true) { "met" } else { "missed" };
    Some(format!("goal: at most {} for a wake-up or an interruption: {whole}; {}", time(Some(goal)), parts.join("; ")))
}

/// Both histograms of each CPU: as tables by bins of 1, 2 and 5, and drawn on the page.
fn histograms(d: &NoiseDocument) -> Vec<Section> {
    let of = |get: fn(&CpuNoise) -> &Option<Distribution>| {
        d.cpus.iter().filter_map(|c| Some((format!("CPU {}", c.cpu), get(c).clone()?))).collect::<Vec<_>>()
    };
    let both = [
        ("Late wake-ups", "How late each wake-up was", of(|c| &c.wakeup_distribution)),
        ("Interruptions", "How long each interruption was", of(|c| &c.interruption_distribution)),
    ];
    let section = |(title, drawn, rows): (&str, &str, Vec<(String, Distribution)>)| {
        let counts = rows.iter().map(|(cpu, d)| {
            let counted = d.binned(&BINS);
            let shown = SHOWN.iter().map(|bins| counted[bins.clone()].iter().sum::<u64>().to_string());
            std::iter::once(cpu.clone()).chain(shown).collect()
        });
        let table = Table::block(&["", "≤ 5 µs", "≤ 20", "≤ 50", "≤ 100", "≤ 500", "≤ 1 ms", "more"], counts.collect());
        let legend = "heights are logarithms of the counts, so that a single outlier is seen; time is logarithmic";
        let bins = bins(&rows);
        let plot = Plot::Histograms(Histograms { rows, log_counts: true, goal_ns: d.goal_ns });
        Section::new(title, vec![table, Block::drawing(drawn, legend, plot, bins)])
    };
    both.into_iter().filter(|(_, _, rows)| !rows.is_empty()).map(section).collect()
}

/// A length of the watch: `2.0 s`, `50 ms`.
fn span(ns: u64) -> String {
    if ns >= 1_000_000_000 { seconds(ns) } else { format!("{} ms", ns as f64 / 1e6) }
}

/// Bins of [`BINS`] that one column of the terminal's table holds.
const SHOWN: [std::ops::Range<usize>; 7] = [0..3, 3..5, 5..6, 6..7, 7..9, 9..10, 10..14];

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
    let words = format!("{} a CPU; interruptions from {}", span(d.duration_ns), time(Some(d.gap_threshold_ns)));
    let mut blocks = vec![Block::Words(words), Table::block(&columns, rows)];
    blocks.extend(verdict(d).map(Block::Words));
    let mut sections = vec![Section::new("Noise", blocks)];
    sections.extend(histograms(d));
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

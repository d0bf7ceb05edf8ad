//! `lowlat measure`: one path.

use std::fmt::Write as _;

use lowlat_model::{Measurement, Quantiles};

use crate::figures::{line, percent, time};
use crate::page::{Block, Section, Table, text};

/// The document as text.
pub fn measurement(m: &Measurement) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} over {} ({}, engine {}, {}), {} bytes",
        line(&m.target),
        line(&m.proto),
        line(&m.peer),
        line(&m.engine),
        line(&m.mode),
        m.size_bytes
    );
    let loss = m.loss_ratio.map_or_else(|| "n/a".to_owned(), |r| format!("{} %", percent(r)));
    let _ = writeln!(
        out,
        "sent {}, received {}, lost {} ({loss}), late {}, duplicates {}, reordered {}, foreign {}",
        m.sent, m.received, m.lost, m.late, m.duplicates, m.reordered, m.foreign
    );
    let mut sections = vec![Section::new("Round trips", vec![quantiles(m)])];
    sections.extend(super::insight::sections(m));
    if !m.environment.is_empty() {
        let list = m.environment.iter().map(|(k, v)| format!("{}: {}", line(k), line(v))).collect();
        sections.push(Section::new("Beside the probe", vec![Block::List(list)]));
    }
    if !m.warnings.is_empty() {
        let list = m.warnings.iter().map(|w| line(w)).collect();
        sections.push(Section::new("What weakens the figures", vec![Block::List(list)]));
    }
    out.push_str(&text(&sections));
    out
}

fn quantiles(m: &Measurement) -> Block {
    let mut columns: Vec<(String, &Quantiles)> = vec![("from the send".to_owned(), &m.rtt)];
    if m.rtt_planned.samples > 0 {
        columns.push(("from the plan".to_owned(), &m.rtt_planned));
    }
    if m.residence.samples > 0 {
        columns.push(("in the far end".to_owned(), &m.residence));
    }
    let rows = columns
        .into_iter()
        .map(|(name, q)| {
            let mut row = vec![name];
            row.extend(
                [q.min_ns, q.p50_ns, q.p90_ns, q.p99_ns, q.p999_ns, q.p9999_ns, q.p99999_ns, q.max_ns, q.mean_ns]
                    .map(time),
            );
            row
        })
        .collect();
    Table::block(&["", "min", "P50", "P90", "P99", "P99.9", "P99.99", "P99.999", "max", "mean"], rows)
}

//! `lowlat measure --sweep`: one row a point.

use lowlat_model::SweepDocument;
use lowlat_model::sweep::SweepAxis;

use crate::drawing::{self, Plot};
use crate::figures::{line, percent, time};
use crate::page::{Block, Section, Table, text_at};

/// The document as text.
pub(crate) fn sweep(d: &SweepDocument, width: usize) -> String {
    text_at(&sections(d), width).trim_start().to_owned()
}

/// The document laid out.
pub(crate) fn sections(d: &SweepDocument) -> Vec<Section> {
    let place = |at: f64| match d.axis {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a duration in ns
        SweepAxis::Interval => time(Some(at as u64)),
        SweepAxis::Size => format!("{at:.0} B"),
        SweepAxis::Rate => format!("{at:.0}/s"),
    };
    let rows: Vec<Vec<String>> = d
        .points
        .iter()
        .map(|p| {
            let m = &p.measurement;
            // In an open loop the plan is the honest clock; a ping-pong at a pace is about the path after a pause.
            let planned = m.mode == "open-loop";
            let q = if planned { m.rtt_planned } else { m.rtt };
            let mut row = vec![place(p.at), m.sent.to_string()];
            row.push(m.loss_ratio.map_or_else(|| "n/a".to_owned(), |r| format!("{} %", percent(r))));
            row.extend([q.p50_ns, q.p90_ns, q.p99_ns, q.p999_ns, q.max_ns].map(time));
            row.push(
                match (p.sustained, m.rate_sustained) {
                    (Some(true), _) => "yes",
                    (_, Some(false)) => "no: loss",
                    (Some(false), _) => "no: latency",
                    // From before latency was judged too.
                    (None, Some(true)) => "without loss",
                    (None, None) => "n/a",
                }
                .to_owned(),
            );
            row
        })
        .collect();
    let head = d.points.first().map_or_else(String::new, |p| {
        let m = &p.measurement;
        format!(
            "{} over {} ({}, engine {}, {}); times count from {}",
            line(&m.target),
            line(&m.proto),
            line(&m.peer),
            line(&m.engine),
            line(&m.mode),
            if m.mode == "open-loop" { "the planned send" } else { "the send" }
        )
    });
    let columns = [d.axis.name(), "sent", "loss", "P50", "P90", "P99", "P99.9", "max", "sustained"];
    let mut blocks = vec![Block::Words(head), Table::block(&columns, rows.clone()), Block::Words(line(&d.words))];
    if d.interrupted {
        blocks.push(Block::Words("interrupted: points are missing".to_owned()));
    }
    if let Some(why) = &d.failed {
        blocks.push(Block::Words(format!("ended before its last point: {}", line(why))));
    }
    if !d.points.is_empty() {
        blocks.push(drawing(d, &columns, rows, &place));
    }
    let mut sections = vec![Section::new(&format!("Sweep over {}", d.axis.name()), blocks)];
    let warnings: Vec<String> = d
        .points
        .iter()
        .flat_map(|p| p.measurement.warnings.iter().map(|w| format!("{}: {}", place(p.at), line(w))))
        .collect();
    if !warnings.is_empty() {
        sections.push(Section::new("Warnings", vec![Block::List(warnings)]));
    }
    sections
}

/// The curve, with the knee by latency and loss.
fn drawing(d: &SweepDocument, columns: &[&str], rows: Vec<Vec<String>>, place: &dyn Fn(f64) -> String) -> Block {
    let mut points: Vec<drawing::SweepPoint> = d
        .points
        .iter()
        .map(|p| {
            let m = &p.measurement;
            let q = if m.mode == "open-loop" { &m.rtt_planned } else { &m.rtt };
            // What never left is lost to who planned it.
            let planned = (m.sent + m.unsent).max(1) as f64;
            let loss = (m.lost + m.unsent) as f64 / planned;
            drawing::SweepPoint { at: p.at, name: place(p.at), p50_ns: q.p50_ns, p99_ns: q.p99_ns, loss }
        })
        .collect();
    points.sort_by(|a, b| a.at.total_cmp(&b.at));
    let plot = Plot::Sweep(drawing::Sweep { axis: d.axis.name().to_owned(), points, knee: d.knee_rate_pps });
    let legend =
        "coloured: P50 · grey: P99 · bars: lost or never sent · dashes: highest sustained rate; both axes logarithmic";
    Block::drawing(&format!("Latency and loss over {}", d.axis.name()), legend, plot, Table::new(columns, rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::sweep::SweepPoint;
    use lowlat_model::{Measurement, Schema};

    #[test]
    fn a_rate_says_whether_loss_or_latency_ended_it() {
        let point = |at, sustained, rate_sustained| SweepPoint {
            at,
            sustained,
            measurement: Measurement { rate_sustained, mode: "open-loop".into(), ..Measurement::default() },
        };
        let reported = sweep(
            &SweepDocument {
                schema: Schema::current("sweep"),
                axis: SweepAxis::Rate,
                points: vec![
                    point(1.0, Some(true), Some(true)),
                    point(2.0, Some(false), Some(true)),
                    point(3.0, Some(false), Some(false)),
                    point(4.0, None, Some(true)),
                ],
                knee_rate_pps: Some(1.0),
                words: String::new(),
                interrupted: false,
                failed: None,
            },
            80,
        );
        for (rate, word) in [("1/s", "yes"), ("2/s", "no: latency"), ("3/s", "no: loss"), ("4/s", "without loss")] {
            let row = reported.lines().find(|l| l.trim_start().starts_with(rate)).unwrap_or_default();
            assert!(row.ends_with(word), "{rate}: {reported}");
        }
        assert!(reported.lines().all(|l| l.chars().count() <= 80), "{reported}");
    }
}

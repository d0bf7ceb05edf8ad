//! `lowlat shape`: sizes and gaps of a flow; and what `measure --shape` shows of the phases of its bursts.

use lowlat_model::FlowShape;
use lowlat_model::measurement::rank;
use lowlat_model::shape::{BurstPhase, PhaseDifference, PhaseFigures, PhaseVerdict, ShapeFigures};

use crate::drawing::{self, Plot};
use crate::figures::{line, signed_time, time};
use crate::page::{Block, Section, Table, text_at};

/// Packets of the page's plot and table: more than a burst of any size that an eye follows.
const SHOWN: usize = 200;

/// The document as text.
pub(crate) fn shape(s: &FlowShape, width: usize) -> String {
    text_at(&sections(s), width).trim_start().to_owned()
}

/// The document laid out.
pub(crate) fn sections(s: &FlowShape) -> Vec<Section> {
    let others = match s.other_flows {
        0 => String::new(),
        1 => "; one other flow was seen".to_owned(),
        n => format!("; {n} other flows were seen"),
    };
    let about = format!(
        "{} {}, from a {}: {} packets in {}{others}",
        line(&s.proto),
        line(&s.flow),
        line(&s.source),
        s.packets.len(),
        span(s.recorded_ns)
    );
    let mut out = vec![Section::new("Shape", vec![Block::Words(about), figures(s), Block::Words(bursts(s))])];
    if !s.packets.is_empty() {
        out.push(Section::new("Plots", vec![drawn(s)]));
    }
    if !s.notes.is_empty() {
        out.push(Section::new("Notes", vec![Block::List(s.notes.iter().map(|n| line(n)).collect())]));
    }
    out
}

fn figures(s: &FlowShape) -> Block {
    let row = |name: &str, mut all: Vec<u64>, show: &dyn Fn(u64) -> String| {
        all.sort_unstable();
        let at = |q: f64| all.get(rank(all.len(), q)).map_or_else(|| "n/a".to_owned(), |v| show(*v));
        std::iter::once(name.to_owned()).chain([0.0, 0.5, 0.9, 0.99, 1.0].map(at)).collect()
    };
    let rows = vec![
        row("size", s.packets.iter().map(|p| u64::from(p.size_bytes)).collect(), &|b| format!("{b} B")),
        row("gap", s.packets.iter().map(|p| p.gap_ns).collect(), &|ns| time(Some(ns))),
    ];
    Table::block(&["", "smallest", "P50", "P90", "P99", "largest"], rows)
}

fn bursts(s: &FlowShape) -> String {
    let all = s.bursts();
    let alone = all.iter().filter(|n| **n == 1).count();
    let mut of: Vec<u32> = all.iter().copied().filter(|n| *n > 1).collect();
    of.sort_unstable();
    let counted = match (of.first(), of.last()) {
        (Some(least), Some(most)) if least == most => format!("{} bursts of {most} packets", of.len()),
        (Some(least), Some(most)) => format!("{} bursts of {least} to {most} packets", of.len()),
        _ => "no bursts".to_owned(),
    };
    format!(
        "{counted}, {alone} packets alone; a gap of {} or more begins a burst; sent again every {}",
        time(Some(s.burst_gap_ns)),
        span(s.period_ns())
    )
}

fn span(ns: u64) -> String {
    if ns < 1_000_000_000 { time(Some(ns)) } else { format!("{:.3} s", ns as f64 / 1e9) }
}

/// The first packets, one after the other.
fn drawn(s: &FlowShape) -> Block {
    let packets = &s.packets[..s.packets.len().min(SHOWN)];
    let mut at_ns = 0u64;
    let (mut bars, mut rows) = (Vec::new(), Vec::new());
    for (n, p) in packets.iter().enumerate() {
        if n > 0 {
            at_ns = at_ns.saturating_add(p.gap_ns);
        }
        bars.push((at_ns, p.size_bytes));
        rows.push(vec![(n + 1).to_string(), span(at_ns), time(Some(p.gap_ns)), format!("{} B", p.size_bytes)]);
    }
    let which = if packets.len() < s.packets.len() {
        format!("The first {} of {} packets", packets.len(), s.packets.len())
    } else {
        "The packets".to_owned()
    };
    let table = Table::new(&["packet", "at", "after the one before", "size"], rows);
    Block::drawing(&which, "where: when it was sent · height: its size", Plot::Packets(bars), table)
}

/// The section of a measurement in a shape.
pub(crate) fn phases(s: &ShapeFigures) -> Section {
    let about = format!(
        "In the shape of {}: {} packets in {} bursts, every {}, a gap of {} begins a burst",
        line(&s.flow),
        s.packets,
        s.bursts,
        span(s.period_ns),
        time(Some(s.burst_gap_ns))
    );
    let clipped = format!(
        "{} packets were sent with the nearest size that the far-end protocol and the path carry ({} to {} bytes)",
        s.clipped, s.smallest_bytes, s.largest_bytes
    );
    let about = if s.clipped > 0 { format!("{about}; {clipped}") } else { about };
    let mut blocks = vec![Block::Words(about)];
    if !s.phases.is_empty() {
        let columns = ["phase", "probes", "lost", "P50", "P99", "against the first"];
        let rows: Vec<Vec<String>> = s.phases.iter().map(row).collect();
        blocks.push(Table::block(&columns, rows.clone()));
        blocks.push(Block::Words(
            "from the planned send; each probe is in one phase; against the first: median over the bursts [95 % interval]"
                .to_owned(),
        ));
        blocks.push(curve(s, Table::new(&columns, rows)));
    }
    blocks.push(Block::Words(line(&s.words)));
    let late = s.phases.iter().filter_map(|p| Some((p.send_delay.p50_ns?, p))).max_by_key(|(ns, _)| *ns);
    if let Some((ns, p)) = late {
        blocks.push(Block::Words(format!(
            "the prober itself sent at most {} behind its plan ({}, at the median)",
            time(Some(ns)),
            name(p)
        )));
    }
    Section::new("Phases of the burst", blocks)
}

fn name(p: &PhaseFigures) -> String {
    match p.phase {
        BurstPhase::Alone => "alone".to_owned(),
        BurstPhase::First => "first".to_owned(),
        BurstPhase::Last => "last".to_owned(),
        BurstPhase::Inside if p.from_position == p.to_position => p.from_position.to_string(),
        BurstPhase::Inside => format!("{} to {}", p.from_position, p.to_position),
    }
}

fn row(p: &PhaseFigures) -> Vec<String> {
    let against = p.against_first.map_or_else(|| "-".to_owned(), against);
    let q = &p.rtt_planned;
    vec![name(p), p.probes.to_string(), p.lost.to_string(), time(q.p50_ns), time(q.p99_ns), against]
}

fn against(d: PhaseDifference) -> String {
    let end = |ns: Option<i64>| ns.map_or_else(|| "lost".to_owned(), signed_time);
    match d.verdict {
        PhaseVerdict::Longer | PhaseVerdict::Shorter => {
            format!("{} [{}, {}]", end(d.diff_ns), end(d.low_ns), end(d.high_ns))
        }
        PhaseVerdict::Same => "no difference shown".to_owned(),
        PhaseVerdict::Unclear => format!("{} bursts are too few", d.bursts),
    }
}

/// Latency along the burst.
fn curve(s: &ShapeFigures, table: Table) -> Block {
    let point = |p: &PhaseFigures| drawing::SweepPoint {
        at: f64::midpoint(f64::from(p.from_position), f64::from(p.to_position)),
        name: name(p),
        p50_ns: p.rtt_planned.p50_ns,
        p99_ns: p.rtt_planned.p99_ns,
        loss: p.lost as f64 / p.probes.max(1) as f64,
    };
    let mut points: Vec<_> = s.phases.iter().filter(|p| p.phase != BurstPhase::Alone).map(point).collect();
    if points.is_empty() {
        points.extend(s.phases.iter().map(point));
    }
    // The last one of bursts of several lengths stands among the others.
    points.sort_by(|a, b| a.at.total_cmp(&b.at));
    let plot = Plot::Sweep(drawing::Sweep { axis: "position in the burst".to_owned(), points, knee: None });
    let legend = "coloured: P50 · grey: P99, from the planned send · bars: lost or never sent; both axes logarithmic";
    Block::drawing("Latency along the burst", legend, plot, table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::shape::ShapePacket;
    use lowlat_model::{Measurement, Quantiles};

    fn recorded() -> FlowShape {
        let packets = [(20_000_000, 100), (10_000, 1_200), (12_000, 1_200), (5_000_000, 60)];
        FlowShape {
            source: "capture".into(),
            proto: "udp".into(),
            flow: "192.0.2.1:5000 to 192.0.2.2:6000".into(),
            other_flows: 3,
            recorded_ns: 5_022_000,
            burst_gap_ns: 50_000,
            packets: packets.map(|(gap_ns, size_bytes)| ShapePacket { gap_ns, size_bytes }).to_vec(),
            notes: vec!["the capture is cut short within a packet".into()],
            ..FlowShape::default()
        }
    }

    fn measured() -> ShapeFigures {
        let q = |ns: u64| Quantiles { p50_ns: Some(ns), p99_ns: Some(2 * ns), ..Quantiles::default() };
        let phase = |phase, (from_position, to_position), ns, against_first| PhaseFigures {
            phase,
            from_position,
            to_position,
            probes: 240,
            lost: 0,
            rtt_planned: q(ns),
            rtt: q(ns),
            send_delay: q(1_500),
            against_first,
        };
        let longer = PhaseDifference {
            bursts: 60,
            diff_ns: Some(830_000),
            low_ns: Some(821_000),
            high_ns: Some(845_000),
            verdict: PhaseVerdict::Longer,
        };
        let lost = PhaseDifference { diff_ns: None, high_ns: None, ..longer };
        let same = PhaseDifference { verdict: PhaseVerdict::Same, ..longer };
        ShapeFigures {
            flow: "192.0.2.1:5000 to 192.0.2.2:6000".into(),
            packets: 16,
            period_ns: 25_000_000,
            smallest_bytes: 48,
            largest_bytes: 1_472,
            clipped: 5,
            burst_gap_ns: 50_000,
            bursts: 2,
            worth_ns: Some(4_000),
            phases: vec![
                phase(BurstPhase::Alone, (1, 1), 40_000, None),
                phase(BurstPhase::First, (1, 1), 40_000, None),
                phase(BurstPhase::Inside, (2, 2), 41_000, Some(same)),
                phase(BurstPhase::Inside, (5, 8), 870_000, Some(longer)),
                phase(BurstPhase::Last, (9, 9), 5_000_000, Some(lost)),
            ],
            words:
                "2 of 3 phases take longer than the first packet of their burst, the last most: most of them are lost"
                    .into(),
        }
    }

    #[test]
    fn a_shape_is_shown_in_figures_that_fit_a_terminal() {
        let text = shape(&recorded(), 80);
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        for part in [
            "udp 192.0.2.1:5000 to 192.0.2.2:6000, from a capture: 4 packets in 5022 µs; 3",
            "1 bursts of 3 packets, 1 packets alone",
            "60 B",
            "1200 B",
            "NOTES:",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(shape(&FlowShape::default(), 80).contains("n/a"));
    }

    #[test]
    fn each_phase_has_its_row_within_a_terminal() {
        let m = Measurement { shape: Some(Box::new(measured())), size_bytes: 1_472, ..Measurement::default() };
        let text = crate::measurement(&m, 80);
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "48 to 1472 bytes",
            "first 240 0 40.0 µs 80.0 µs -",
            "5 to 8 240 0 870 µs 1740 µs +830 µs [+821 µs, +845 µs]",
            "2 240 0 41.0 µs 82.0 µs no difference shown",
            "lost [+821 µs, lost]",
            "5 packets were sent with the nearest size",
            "2 of 3 phases take longer",
            "at most 1.50 µs behind its plan",
        ] {
            assert!(flat.contains(part), "{part}: {text}");
        }
    }
}

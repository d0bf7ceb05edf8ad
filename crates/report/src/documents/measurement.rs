//! `lowlat measure`: one path.

use lowlat_model::distribution::CourseWindow;
use lowlat_model::measurement::{QuantileInterval, samples_needed};
use lowlat_model::{Distribution, Measurement, Quantiles};

use crate::drawing::{Curve, Histograms, Plot, bins};
use crate::figures::{line, percent, seconds, time};
use crate::page::{Block, Section, Table, text_at};
use crate::run;

/// The document as text.
pub(crate) fn measurement(m: &Measurement, width: usize) -> String {
    text_at(&sections(m), width).trim_start().to_owned()
}

/// The document laid out.
pub(crate) fn sections(m: &Measurement) -> Vec<Section> {
    let mut sections = vec![Section::new("Path", path(m))];
    let mut round_trips = vec![quantiles(m)];
    round_trips.extend(needs(m).map(Block::Words));
    sections.push(Section::new("Round trips", round_trips));
    sections.extend(m.shape.as_deref().map(super::shape::phases));
    if !m.goals.is_empty() {
        let planned = m.rtt_planned.samples > 0;
        let (figures, from) =
            if planned { (&m.rtt_planned, "from the planned send") } else { (&m.rtt, "from the send") };
        let lines = super::goals::lines(&m.goals, figures);
        sections.push(Section::new(&format!("Goals, {from}"), vec![Block::List(lines)]));
    }
    if !m.rtt_intervals.is_empty() {
        sections.push(Section::new("95 % confidence intervals", vec![intervals(m)]));
    }
    if let Some(jitter) = jitter(m) {
        sections.push(Section::new("Jitter", vec![jitter]));
    }
    sections.extend(drawings(m));
    sections.extend(super::insight::sections(m));
    sections.extend(engine(m));
    sections.extend(m.placed.as_ref().and_then(run::placement));
    if !m.environment.is_empty() {
        let list = m.environment.iter().map(|(k, v)| format!("{}: {}", line(k), line(v))).collect();
        sections.push(Section::new("Clock and load", vec![Block::List(list)]));
    }
    let idle = m.idle.iter().flat_map(|i| &i.warnings).map(|w| format!("idle: {w}"));
    let warnings: Vec<String> = m.warnings.iter().cloned().chain(idle).map(|w| line(&w)).collect();
    if !warnings.is_empty() {
        sections.push(Section::new("Warnings", vec![Block::List(warnings)]));
    }
    sections.extend(super::trace::waterfall_of(m));
    sections
}

fn path(m: &Measurement) -> Vec<Block> {
    let smallest = m.shape.as_ref().map(|s| s.smallest_bytes).filter(|bytes| *bytes != m.size_bytes);
    let from = smallest.map_or_else(String::new, |bytes| format!("{bytes} to "));
    let mut blocks = vec![Block::Words(format!(
        "{} over {} ({}, engine {}, {}), {from}{} bytes",
        line(&m.target),
        line(&m.proto),
        line(&m.peer),
        line(&m.engine),
        line(&m.mode),
        m.size_bytes
    ))];
    if let Some(idle) = &m.idle {
        blocks.push(Block::Words(format!("idle: {}", counts(idle))));
        blocks.push(Block::Words(format!("loaded: {}", counts(m))));
    } else {
        blocks.push(Block::Words(counts(m)));
    }
    if let Some(bypass) = &m.flow.bypass {
        blocks.push(Block::Words(line(&format!("past the kernel's stack: {}; {}", bypass.got(), bypass.ways()))));
    }
    if let (Some(planned), Some(left)) = (m.rate_pps, m.sent_rate_pps) {
        let sustained = match m.rate_sustained {
            Some(true) => ": rate sustained",
            Some(false) => ": rate not sustained",
            None => "",
        };
        blocks.push(Block::Words(format!("rate: {planned:.0}/s planned, {left:.0}/s sent{sustained}")));
    }
    if let Some(s) = m.steady {
        let words = if !s.steady {
            "steady state: not reached".to_owned()
        } else if s.warmup + s.cooldown == 0 {
            format!("steady state: from the first probe to the last ({} probes of warm-up before)", m.warmup)
        } else {
            format!(
                "steady state: the first {} and the last {} probes are counted, but left out of the figures",
                s.warmup, s.cooldown
            )
        };
        blocks.push(Block::Words(words));
    }
    blocks
}

/// What the engine was, with each option that the kernel granted or lacks, and where it ran.
fn engine(m: &Measurement) -> Option<Section> {
    let state = &m.engine_state;
    (!state.words.is_empty()).then_some(())?;
    let options = state.options.iter().chain(&state.placement).map(|o| line(&o.words()));
    let list = std::iter::once(line(&state.words)).chain(options).collect();
    Some(Section::new("Engine", vec![Block::List(list)]))
}

fn counts(m: &Measurement) -> String {
    let loss = m.loss_ratio.map_or_else(|| "n/a".to_owned(), |r| format!("{} %", percent(r)));
    let unsent = if m.unsent > 0 { format!(", not sent {}", m.unsent) } else { String::new() };
    format!(
        "sent {}, received {}, lost {} ({loss}){unsent}, late {}, duplicates {}, reordered {}, foreign {}",
        m.sent, m.received, m.lost, m.late, m.duplicates, m.reordered, m.foreign
    )
}

/// A figure's name, and where it stands.
type Rung = (&'static str, fn(&Quantiles) -> Option<u64>);

fn quantiles(m: &Measurement) -> Block {
    let mut columns: Vec<(String, &Quantiles)> = Vec::new();
    for (prefix, m) in m.idle.as_deref().map(|i| ("idle, ", i)).into_iter().chain([(loaded(m), m)]) {
        columns.push((format!("{prefix}from the send"), &m.rtt));
        if m.rtt_planned.samples > 0 {
            columns.push((format!("{prefix}from the plan"), &m.rtt_planned));
        }
        if m.send_delay.samples > 0 {
            columns.push((format!("{prefix}send delay behind the schedule"), &m.send_delay));
        }
    }
    if m.residence.samples > 0 {
        columns.push(("in the far end".to_owned(), &m.residence));
    }
    let rungs: [Rung; 9] = [
        ("min", |q| q.min_ns),
        ("P50", |q| q.p50_ns),
        ("P90", |q| q.p90_ns),
        ("P99", |q| q.p99_ns),
        ("P99.9", |q| q.p999_ns),
        ("P99.99", |q| q.p9999_ns),
        ("P99.999", |q| q.p99999_ns),
        ("max", |q| q.max_ns),
        ("mean", |q| q.mean_ns),
    ];
    let row =
        |(name, of): Rung| std::iter::once(name.to_owned()).chain(columns.iter().map(|(_, q)| time(of(q)))).collect();
    let heads: Vec<&str> = std::iter::once("").chain(columns.iter().map(|(name, _)| name.as_str())).collect();
    Table::block(&heads, rungs.map(row).to_vec())
}

/// The plots: a section of their own, which only the page shows.
fn drawings(m: &Measurement) -> Option<Section> {
    let mut rows = Vec::new();
    for (before, m) in m.idle.as_deref().map(|i| ("idle, ", i)).into_iter().chain([(loaded(m), m)]) {
        for (name, of) in [("from the send", &m.distribution), ("from the plan", &m.distribution_planned)] {
            rows.extend(of.clone().map(|d| (format!("{before}{name}"), d)));
        }
    }
    let mut blocks = Vec::new();
    if !rows.is_empty() {
        let curves = rows.iter().map(|(name, of)| Curve { name: name.clone(), of: of.clone() }).collect();
        let table = percentile_figures(&rows);
        let legend = format!(
            "{}; each nine takes the same room; right of the dashes fewer than ten samples lie beyond",
            series(&rows)
        );
        blocks.push(Block::drawing("Latency by percentile", &legend, Plot::Percentiles(curves), table));
        let table = bins(&rows);
        let plot = Plot::Histograms(Histograms { rows, log_counts: false, goal_ns: None });
        blocks.push(Block::drawing(
            "How often each latency occurred",
            "height: probes in a bar, sixteen bars for each doubling of the time",
            plot,
            table,
        ));
    }
    if let Some(course) = m.course.clone().filter(|c| !c.windows.is_empty()) {
        let row = |w: &CourseWindow| {
            let counts = [w.probes, w.lost, w.interrupted].map(|n| n.to_string());
            [seconds(w.at_ns), time(w.p50_ns), time(w.max_ns)].into_iter().chain(counts).collect()
        };
        let table = Table::new(
            &["from", "P50", "longest", "probes", "lost", "interrupted"],
            course.windows.iter().map(row).collect(),
        );
        let from = if course.planned { "planned send" } else { "send" };
        let legend = format!(
            "line: median of a window, from the {from} · dots: its longest · bands: probes lost, and on their way while the host was interrupted"
        );
        blocks.push(Block::drawing("Over time", &legend, Plot::Course(course), table));
    }
    (!blocks.is_empty()).then(|| Section::new("Plots", blocks))
}

/// The table of a percentile plot.
pub(crate) fn percentile_figures(rows: &[(String, Distribution)]) -> Table {
    let columns: Vec<&str> = std::iter::once("").chain(rows.iter().map(|(n, _)| n.as_str())).collect();
    let row =
        |q: f64| std::iter::once(crate::documents::name_of(q)).chain(rows.iter().map(|(_, d)| at(d, q))).collect();
    Table::new(&columns, QUANTILES.map(row).to_vec())
}

/// Percentiles of the plot's table.
const QUANTILES: [f64; 6] = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];

/// The bar that a quantile falls into; without the samples that it needs, or among the lost, it is not known.
fn at(d: &Distribution, q: f64) -> String {
    if d.samples() < samples_needed(q) {
        return "n/a".to_owned();
    }
    let ns = d.shares().into_iter().find(|(share, _)| *share >= q - 1e-12).map(|(_, ns)| ns);
    ns.map_or_else(|| "lost".to_owned(), |ns| format!("≤ {}", time(Some(ns))))
}

fn series(rows: &[(String, Distribution)]) -> String {
    let names: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(n, (name, _))| if n == 0 { format!("coloured: {name}") } else { format!("grey: {name}") })
        .collect();
    names.join(" · ")
}

fn loaded(m: &Measurement) -> &'static str {
    if m.idle.is_some() { "loaded, " } else { "" }
}

/// The rule, and what the first figure that is missing for want of samples would need.
fn needs(m: &Measurement) -> Option<String> {
    let named = [(0.5, "P50"), (0.9, "P90"), (0.99, "P99"), (0.999, "P99.9"), (0.9999, "P99.99"), (0.99999, "P99.999")];
    let missing: Vec<String> = named
        .iter()
        .filter(|(q, _)| m.rtt.samples < samples_needed(*q))
        .map(|(q, name)| format!("{name} needs {}", samples_needed(*q)))
        .collect();
    (!missing.is_empty() && m.sent > 0).then(|| {
        format!(
            "a percentile needs ten samples beyond it: {}; this run has {} samples",
            missing.join(", "),
            m.rtt.samples
        )
    })
}

fn intervals(m: &Measurement) -> Block {
    let both = |name: &str, all: &[QuantileInterval]| -> Vec<Vec<String>> {
        all.iter()
            .map(|i| {
                let high = i.high_ns.map_or_else(|| "beyond the sample, or lost".to_owned(), |ns| time(Some(ns)));
                vec![name.to_owned(), crate::documents::name_of(i.q), time(i.at_ns), time(i.low_ns), high]
            })
            .collect()
    };
    let mut rows = both("from the send", &m.rtt_intervals);
    rows.extend(both("from the plan", &m.rtt_planned_intervals));
    Table::block(&["", "", "figure", "low", "high"], rows)
}

fn jitter(m: &Measurement) -> Option<Block> {
    let j = m.jitter?;
    let rows =
        [("IPDV (RFC 3393), absolute", j.ipdv), ("PDV (RFC 5481), above the minimum", j.pdv)].map(|(name, q)| {
            vec![name.to_owned(), time(q.p50_ns), time(q.p90_ns), time(q.p99_ns), time(q.p999_ns), time(q.max_ns)]
        });
    let mut rows = rows.to_vec();
    let alone = |name: &str, value: String| {
        let mut row = vec![name.to_owned(), value];
        row.resize(6, String::new());
        row
    };
    rows.push(alone("smoothed (RFC 3550), at the end", time(j.rfc3550_ns)));
    rows.push(alone("P99/P50", m.jitter_ratio.map_or_else(|| "n/a".to_owned(), |r| format!("{r:.2}"))));
    Some(Table::block(&["", "P50", "P90", "P99", "P99.9", "max"], rows))
}

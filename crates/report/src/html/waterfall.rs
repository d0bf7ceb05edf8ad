//! The stages of the median round trip, each at its place in it, on a linear axis: their lengths add up to the whole.
//! Before and after share the axis, so that what was gained is seen where it was gained.

use lowlat_model::TraceDocument;
use lowlat_model::trace::{How, Side, TraceStage};

use super::scale::px;
use super::writer::Html;
use crate::figures::{line, time};
use crate::page::Table;

const ROW: f64 = 30.0;
const TOP: f64 = 4.0;
const WIDTH: f64 = 1040.0;
const LEFT: f64 = 200.0;
const RIGHT: f64 = 800.0;
/// A stage with less of every round trip that is shown has no row; its figures are in the table.
const SMALL: f64 = 0.02;

/// The plot of one trace, or of two with the same stages, the earlier first; nothing where no stage has a length.
pub(crate) fn plot(h: &mut Html, shown: &[&TraceDocument]) {
    let shown: Vec<&TraceDocument> = shown.iter().filter(|d| length(d) > 0).copied().collect();
    let Some(longest) = shown.iter().map(|d| length(d)).max() else { return };
    let stages = shown.iter().map(|d| d.stages.len()).min().unwrap_or(0);
    let part = |s: &TraceStage| s.share_p50_ratio.unwrap_or(0.0);
    let rows: Vec<usize> = (0..stages).filter(|i| shown.iter().any(|d| part(&d.stages[*i]) >= SMALL)).collect();
    h.open("section", &[("class", &"wide")]);
    h.element("h2", &[], "Where the round trip takes its time");
    let legend = if shown.len() > 1 { "upper bar: before · lower bar: after" } else { "each stage at its place" };
    h.classed("p", "legend", &format!("{legend} · median round trip, from the send (linear)"));
    let bottom = TOP + ROW * rows.len() as f64;
    h.open("svg", &[("viewBox", &format!("0 0 {WIDTH} {}", px(bottom + 24.0))), ("role", &"img")]);
    h.element("title", &[], "Stages of the median round trip");
    let x = |ns: u64| LEFT + (RIGHT - LEFT) * ns as f64 / longest as f64;
    for quarter in 0..=4 {
        let ns = longest * quarter / 4;
        let at = px(x(ns));
        h.empty("line", &[("class", &"grid"), ("x1", &at), ("x2", &at), ("y1", &px(TOP)), ("y2", &px(bottom))]);
        let words = if ns == 0 { "0".to_owned() } else { time(Some(ns)) };
        let y = px(bottom + 16.0);
        h.element("text", &[("class", &"soft"), ("x", &at), ("y", &y), ("text-anchor", &"middle")], &words);
    }
    for (n, stage) in rows.into_iter().enumerate() {
        row(h, &shown, stage, (TOP + ROW * n as f64, &x));
    }
    h.close("svg");
    super::figures(h, &table(&shown, stages));
    h.close("section");
}

/// The figures of the plot, the stages without a row of it too.
fn table(shown: &[&TraceDocument], stages: usize) -> Table {
    let name = |s: &TraceStage| format!("{} {}", if s.side == Side::Near { "near" } else { "far" }, line(&s.name));
    let columns: &[&str] = if shown.len() > 1 { &["stage", "before", "after"] } else { &["stage", "time"] };
    let row = |n: usize| {
        let times = shown.iter().map(|d| time(d.stages[n].at_p50_ns));
        std::iter::once(name(&shown[0].stages[n])).chain(times).collect()
    };
    Table::new(columns, (0..stages).map(row).collect())
}

/// What the stages of the median round trip add up to.
fn length(d: &TraceDocument) -> u64 {
    d.stages.iter().filter_map(|s| s.at_p50_ns).sum()
}

fn row(h: &mut Html, shown: &[&TraceDocument], stage: usize, (top, x): (f64, &dyn Fn(u64) -> f64)) {
    let of = shown.iter().map(|d| &d.stages[stage]).find(|s| s.how != How::Unseen);
    let Some(of) = of else { return };
    let side = if of.side == Side::Near { "near" } else { "far" };
    let middle = px(top + 19.0);
    let name = format!("{side} {}", line(&of.name));
    h.element("text", &[("x", &px(LEFT - 12.0)), ("y", &middle), ("text-anchor", &"end")], &name);
    let high = (ROW - 8.0) / shown.len() as f64;
    let mut words = Vec::new();
    for (lane, d) in shown.iter().enumerate() {
        let s = &d.stages[stage];
        words.push(match s.how {
            How::Unseen if s.not_passed => "-".to_owned(),
            _ => time(s.at_p50_ns),
        });
        let Some(ns) = s.at_p50_ns else { continue };
        let from: u64 = d.stages[..stage].iter().filter_map(|s| s.at_p50_ns).sum();
        let class = if shown.len() > 1 && lane == 0 { "b" } else { "a" };
        let (left, wide) = (px(x(from)), px((x(from + ns) - x(from)).max(1.5)));
        let y = px(top + 4.0 + high * lane as f64);
        h.empty(
            "rect",
            &[("class", &class), ("x", &left), ("y", &y), ("width", &wide), ("height", &px(high - 1.0)), ("rx", &2)],
        );
    }
    h.element("text", &[("x", &px(RIGHT + 16.0)), ("y", &middle)], &words.join(" → "));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(lengths: &[u64]) -> TraceDocument {
        let whole: u64 = lengths.iter().sum();
        let stage = |ns: &u64| TraceStage {
            name: "IP".into(),
            how: How::Trace,
            at_p50_ns: Some(*ns),
            share_p50_ratio: Some(*ns as f64 / whole as f64),
            ..TraceStage::default()
        };
        TraceDocument { stages: lengths.iter().map(stage).collect(), ..TraceDocument::default() }
    }

    /// The bars: where each begins and how wide it is.
    fn bars(page: &str) -> Vec<(f64, f64)> {
        let of = |bar: &str, key: &str| -> f64 {
            bar.split(&format!(" {key}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        page.split("<rect").skip(1).map(|bar| (of(bar, "x"), of(bar, "width"))).collect()
    }

    #[test]
    fn stages_follow_one_another_and_both_traces_share_an_axis() {
        let mut h = Html::default();
        let (before, after) = (document(&[50_000, 40_000, 10_000]), document(&[5_000, 40_000, 5_000]));
        plot(&mut h, &[&before, &after]);
        let bars = bars(&h.finish());
        assert_eq!(bars.len(), 6);
        let is = |i: usize, from: f64, wide: f64| {
            let scale = (RIGHT - LEFT) / 100.0;
            let near = |a: f64, b: f64| (a - b).abs() < 0.2;
            assert!(near(bars[i].0, LEFT + from * scale) && near(bars[i].1, wide * scale), "{i}: {bars:?}");
        };
        is(0, 0.0, 50.0);
        is(1, 0.0, 5.0);
        is(2, 50.0, 40.0);
        is(3, 5.0, 40.0);
        is(4, 90.0, 10.0);
    }

    #[test]
    fn without_lengths_there_is_no_plot() {
        let mut h = Html::default();
        plot(&mut h, &[&TraceDocument::default()]);
        plot(&mut h, &[]);
        assert_eq!(h.finish(), "");
    }
}

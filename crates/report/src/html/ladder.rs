//! The quantile ladder: before and after, from the smallest to the largest.

use lowlat_model::Quantiles;
use lowlat_model::document::RunDocument;

use super::scale::{Log, mark, px};
use super::writer::Html;
use crate::figures::time;
use crate::page::Table;

const ROW: f64 = 30.0;
const TOP: f64 = 8.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 430.0;
const WIDTH: f64 = 520.0;

/// The steps of the ladder that a quantile set can have.
fn rungs(q: &Quantiles) -> [(&'static str, Option<u64>); 8] {
    [
        ("min", q.min_ns),
        ("P50", q.p50_ns),
        ("P90", q.p90_ns),
        ("P99", q.p99_ns),
        ("P99.9", q.p999_ns),
        ("P99.99", q.p9999_ns),
        ("P99.999", q.p99999_ns),
        ("max", q.max_ns),
    ]
}

/// The plot; nothing where nothing was measured.
pub(crate) fn plot(h: &mut Html, d: &RunDocument) {
    let none = Quantiles::default();
    let before = rungs(d.baseline.as_ref().map_or(&none, |m| &m.rtt));
    let after = rungs(d.result.as_ref().map_or(&none, |m| &m.rtt));
    let rows: Vec<_> = before
        .iter()
        .zip(&after)
        .filter(|((_, b), (_, a))| b.is_some() || a.is_some())
        .map(|((n, b), (_, a))| (n, b, a))
        .collect();
    let values = rows.iter().flat_map(|(_, b, a)| [**b, **a]).flatten();
    let Some(axis) = Log::over(values, LEFT, RIGHT) else { return };
    let bottom = TOP + ROW * rows.len() as f64;

    h.open("section", &[]);
    h.element("h2", &[], "Round trip, quantile by quantile");
    h.open("p", &[("class", &"legend")]);
    h.classed("span", "dot b", "");
    // Without a kept step these are two measurements of one unchanged path.
    let kept = d.steps.iter().any(|s| s.kept);
    h.text(if kept { "before" } else { "at the start" });
    h.classed("span", "dot a", "");
    h.text(if kept { "after (logarithmic)" } else { "at the end, nothing changed (logarithmic)" });
    h.close("p");
    h.open("svg", &[("viewBox", &format!("0 0 {WIDTH} {}", px(bottom + 24.0))), ("role", &"img")]);
    h.element("title", &[], "Quantiles of the round trip, first and last");
    for tick in axis.ticks() {
        let x = px(axis.x(tick));
        h.empty("line", &[("class", &"grid"), ("x1", &x), ("x2", &x), ("y1", &px(TOP)), ("y2", &px(bottom))]);
        h.element(
            "text",
            &[("class", &"soft"), ("x", &x), ("y", &px(bottom + 16.0)), ("text-anchor", &"middle")],
            &mark(tick),
        );
    }
    for (n, (name, before, after)) in rows.iter().enumerate() {
        let y = TOP + ROW * (n as f64 + 0.5);
        h.element("text", &[("x", &px(LEFT - 10.0)), ("y", &px(y + 4.0)), ("text-anchor", &"end")], name);
        if let (Some(b), Some(a)) = (before, after) {
            h.empty(
                "line",
                &[("class", &"link"), ("x1", &px(axis.x(*b))), ("x2", &px(axis.x(*a))), ("y1", &px(y)), ("y2", &px(y))],
            );
        }
        for (class, value) in [("b", before), ("a", after)] {
            if let Some(v) = value {
                h.empty("circle", &[("class", &class), ("cx", &px(axis.x(*v))), ("cy", &px(y)), ("r", &6)]);
            }
        }
        let last = if after.is_some() || d.result.is_none() { time(after.or(**before)) } else { "n/a".into() };
        h.element("text", &[("x", &px(RIGHT + 12.0)), ("y", &px(y + 4.0))], &last);
    }
    h.close("svg");
    let figures = rows.iter().map(|(name, b, a)| vec![(**name).to_owned(), time(**b), time(**a)]).collect();
    super::figures(
        h,
        &Table::new(
            &["", if kept { "before" } else { "at the start" }, if kept { "after" } else { "at the end" }],
            figures,
        ),
    );
    h.close("section");
}

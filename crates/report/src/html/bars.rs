//! Engines side by side: the median as a bar, P99 as a mark behind it.

use lowlat_model::document::{EngineResult, RunDocument};

use super::scale::{cut, px};
use super::writer::Html;
use crate::figures::{line, time};

const ROW: f64 = 34.0;
const TOP: f64 = 4.0;
const WIDTH: f64 = 1040.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 760.0;

/// The plot; nothing where no engine ran.
pub(crate) fn plot(h: &mut Html, d: &RunDocument) {
    let longest = d
        .engines
        .iter()
        .filter_map(|e| e.measurement.as_ref())
        .flat_map(|m| [m.rtt.p50_ns, m.rtt.p99_ns])
        .flatten()
        .max();
    let Some(longest) = longest.filter(|l| *l > 0) else { return };
    let x = |ns: u64| LEFT + (RIGHT - LEFT) * (ns as f64 / longest as f64).min(1.0);
    h.open("section", &[("class", &"wide")]);
    h.element("h2", &[], "Engines on the same path");
    h.classed("p", "legend", "bar: median · mark: P99 · interleaved in one run");
    let height = TOP + ROW * d.engines.len() as f64;
    h.open("svg", &[("viewBox", &format!("0 0 {WIDTH} {}", px(height + 4.0))), ("role", &"img")]);
    h.element("title", &[], "Median and P99 of each engine");
    for (n, engine) in d.engines.iter().enumerate() {
        row(h, engine, TOP + ROW * n as f64, &x);
    }
    h.close("svg");
    h.close("section");
}

fn row(h: &mut Html, e: &EngineResult, top: f64, x: &dyn Fn(u64) -> f64) {
    let middle = px(top + 21.0);
    h.element("text", &[("x", &px(LEFT - 12.0)), ("y", &middle), ("text-anchor", &"end")], &cut(&line(&e.engine), 14));
    let Some(m) = &e.measurement else {
        let why = e.why_not.as_deref().unwrap_or("not measured");
        h.open("text", &[("class", &"soft"), ("x", &px(LEFT)), ("y", &middle)]);
        h.element("title", &[], why);
        h.text(&cut(&format!("could not run: {}", line(why)), 110));
        h.close("text");
        return;
    };
    let class = if e.engine == "block" { "b" } else { "a" };
    if let Some(p50) = m.rtt.p50_ns {
        let width = px(x(p50) - LEFT);
        h.empty(
            "rect",
            &[
                ("class", &class),
                ("x", &px(LEFT)),
                ("y", &px(top + 7.0)),
                ("width", &width),
                ("height", &20),
                ("rx", &3),
            ],
        );
    }
    if let Some(p99) = m.rtt.p99_ns {
        let at = px(x(p99));
        h.empty(
            "line",
            &[("class", &"zero"), ("x1", &at), ("x2", &at), ("y1", &px(top + 4.0)), ("y2", &px(top + 30.0))],
        );
    }
    let words = format!("{} · P99 {}", time(m.rtt.p50_ns), time(m.rtt.p99_ns));
    h.element("text", &[("x", &px(RIGHT + 16.0)), ("y", &middle)], &words);
}

//! Engines side by side, median and P99, on a logarithmic axis: on a linear one a single engine's P99 squeezes all
//! medians together. Places and no bars: a logarithmic axis has no zero from which a length would mean something.

use lowlat_model::document::{EngineResult, RunDocument};

use super::scale::{Log, cut, mark, px};
use super::writer::Html;
use crate::figures::{line, time};

const ROW: f64 = 34.0;
const TOP: f64 = 4.0;
const WIDTH: f64 = 1040.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 760.0;

/// The plot; nothing where no engine ran.
pub(crate) fn plot(h: &mut Html, d: &RunDocument) {
    let shown = d.engines.iter().filter_map(|e| e.measurement.as_ref());
    let Some(axis) = Log::over(shown.flat_map(|m| [m.rtt.p50_ns, m.rtt.p99_ns]).flatten(), LEFT, RIGHT) else { return };
    h.open("section", &[("class", &"wide")]);
    h.element("h2", &[], "Engines on the same path");
    h.classed("p", "legend", "dot: median · mark: P99 · interleaved in one run (logarithmic)");
    let bottom = TOP + ROW * d.engines.len() as f64;
    h.open("svg", &[("viewBox", &format!("0 0 {WIDTH} {}", px(bottom + 24.0))), ("role", &"img")]);
    h.element("title", &[], "Median and P99 of each engine");
    for tick in axis.ticks() {
        let at = px(axis.x(tick));
        h.empty("line", &[("class", &"grid"), ("x1", &at), ("x2", &at), ("y1", &px(TOP)), ("y2", &px(bottom))]);
        h.element(
            "text",
            &[("class", &"soft"), ("x", &at), ("y", &px(bottom + 16.0)), ("text-anchor", &"middle")],
            &mark(tick),
        );
    }
    for (n, engine) in d.engines.iter().enumerate() {
        row(h, engine, TOP + ROW * n as f64, axis);
    }
    h.close("svg");
    h.close("section");
}

fn row(h: &mut Html, e: &EngineResult, top: f64, axis: Log) {
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
    let y = px(top + 17.0);
    if let (Some(p50), Some(p99)) = (m.rtt.p50_ns, m.rtt.p99_ns) {
        let (from, to) = (px(axis.x(p50)), px(axis.x(p99)));
        h.empty("line", &[("class", &"link"), ("x1", &from), ("x2", &to), ("y1", &y), ("y2", &y)]);
    }
    if let Some(p99) = m.rtt.p99_ns {
        let at = px(axis.x(p99));
        let mark = format!("tick {class}");
        let (y1, y2) = (px(top + 9.0), px(top + 25.0));
        h.empty("line", &[("class", &mark), ("x1", &at), ("x2", &at), ("y1", &y1), ("y2", &y2)]);
    }
    if let Some(p50) = m.rtt.p50_ns {
        h.empty("circle", &[("class", &class), ("cx", &px(axis.x(p50))), ("cy", &y), ("r", &7)]);
    }
    let words = format!("{} · P99 {}", time(m.rtt.p50_ns), time(m.rtt.p99_ns));
    h.element("text", &[("x", &px(RIGHT + 16.0)), ("y", &middle)], &words);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Place of the n-th median.
    fn at(page: &str, n: usize) -> f64 {
        let circle = page.split("<circle ").nth(n + 1).unwrap();
        circle.split("cx=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
    }

    #[test]
    fn one_outlier_does_not_squeeze_the_medians() {
        let mut d = lowlat_testkit::run::document();
        let mut h = Html::default();
        let ran: Vec<usize> = (0..d.engines.len()).filter(|n| d.engines[*n].measurement.is_some()).collect();
        let [first, second, ..] = ran.as_slice() else { panic!("two engines must have run") };
        for (n, p50, p99) in [(*first, 10_000, 20_000_000), (*second, 20_000, 30_000)] {
            let m = d.engines[n].measurement.as_mut().unwrap();
            (m.rtt.p50_ns, m.rtt.p99_ns) = (Some(p50), Some(p99));
        }
        d.engines.truncate(2);
        plot(&mut h, &d);
        let page = h.finish();
        let farther = at(&page, 1) - at(&page, 0);
        // A factor of two among three and a half decades: a linear axis would show a third of a pixel.
        assert!(farther > 40.0, "{farther}: {page}");
        assert!(page.contains(">200 µs<"), "{page}");
    }
}

//! Engines side by side, median and P99, on a logarithmic axis: on a linear one a single engine's P99 squeezes all
//! medians together. Places and no bars: a logarithmic axis has no zero from which a length would mean something.

use super::{Area, FULL, circle, line, words};
use crate::drawing::Engine;
use crate::figures::time;
use crate::html::scale::{Log, cut, mark, px};
use crate::html::writer::Html;

const ROW: f64 = 34.0;
const TOP: f64 = 4.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 760.0;

pub(super) fn draw(h: &mut Html, title: &str, engines: &[Engine]) {
    let values = engines.iter().flat_map(|e| [e.p50_ns, e.p99_ns]).flatten();
    let Some(axis) = Log::over(values, LEFT, RIGHT) else { return };
    let area = Area { left: LEFT, right: RIGHT, top: TOP, bottom: TOP + ROW * engines.len() as f64 };
    area.open(h, title, FULL, 24.0);
    for tick in axis.ticks() {
        area.upright(h, axis.x(tick), "grid", &mark(tick));
    }
    for (n, engine) in engines.iter().enumerate() {
        row(h, engine, TOP + ROW * n as f64, axis);
    }
    h.close("svg");
}

fn row(h: &mut Html, e: &Engine, top: f64, axis: Log) {
    let middle = top + 21.0;
    words(h, "", (LEFT - 12.0, middle), "end", &cut(&e.name, 14));
    if let Some(why) = &e.why_not {
        h.open("text", &[("class", &"soft"), ("x", &px(LEFT)), ("y", &px(middle))]);
        h.element("title", &[], why);
        h.text(&cut(&format!("could not run: {why}"), 110));
        h.close("text");
        return;
    }
    let (mark, dot) = if e.name == "block" { ("tick b", "b") } else { ("tick a", "a") };
    let y = top + 17.0;
    if let (Some(p50), Some(p99)) = (e.p50_ns, e.p99_ns) {
        line(h, "link", (axis.x(p50), y), (axis.x(p99), y));
    }
    if let Some(p99) = e.p99_ns {
        line(h, mark, (axis.x(p99), top + 9.0), (axis.x(p99), top + 25.0));
    }
    if let Some(p50) = e.p50_ns {
        circle(h, dot, (axis.x(p50), y), 7.0);
    }
    words(h, "", (RIGHT + 16.0, middle), "start", &format!("{} · P99 {}", time(e.p50_ns), time(e.p99_ns)));
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
        let engine =
            |name: &str, p50, p99| Engine { name: name.into(), p50_ns: Some(p50), p99_ns: Some(p99), why_not: None };
        let mut h = Html::default();
        draw(&mut h, "t", &[engine("a", 10_000, 20_000_000), engine("b", 20_000, 30_000)]);
        let page = h.finish();
        let farther = at(&page, 1) - at(&page, 0);
        // A factor of two among three and a half decades: a linear axis would show a third of a pixel.
        assert!(farther > 40.0, "{farther}: {page}");
        assert!(page.contains(">200 µs<"), "{page}");
    }
}

//! The plots of [`crate::drawing`], one file each.

mod changes;
mod course;
mod engines;
mod histograms;
mod packets;
mod percentiles;
mod stages;
mod sweep;

use super::scale::px;
use super::writer::Html;
use crate::drawing::{Drawing, Plot};

/// Width of a plot that takes half of a wide page, and of one that takes all of it. On a narrow page each takes all.
const HALF: f64 = 520.0;
const FULL: f64 = 1040.0;

/// A drawing with its heading, its legend and its figures.
pub(super) fn draw(h: &mut Html, d: &Drawing) {
    let wide = matches!(d.plot, Plot::Course(_) | Plot::Engines(_) | Plot::Stages(_) | Plot::Packets(_));
    h.open("section", &[("class", &if wide { "wide" } else { "" })]);
    h.element("h2", &[], &d.title);
    h.classed("p", "legend", &d.legend);
    match &d.plot {
        Plot::Percentiles(curves) => percentiles::draw(h, &d.title, curves),
        Plot::Histograms(rows) => histograms::draw(h, &d.title, rows),
        Plot::Course(course) => course::draw(h, &d.title, course),
        Plot::Stages(stages) => stages::draw(h, &d.title, stages),
        Plot::Sweep(sweep) => sweep::draw(h, &d.title, sweep),
        Plot::Changes(changes) => changes::draw(h, &d.title, changes),
        Plot::Engines(engines) => engines::draw(h, &d.title, engines),
        Plot::Packets(packets) => packets::draw(h, &d.title, packets),
    }
    super::figures(h, &d.table);
    h.close("section");
}

/// The area of a plot within its axes.
#[derive(Debug, Clone, Copy)]
struct Area {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Area {
    /// Opens the drawing, `width` wide, with room for the marks of the axis below.
    fn open(&self, h: &mut Html, title: &str, width: f64, below: f64) {
        let view = format!("0 0 {} {}", px(width), px(self.bottom + below));
        h.open("svg", &[("viewBox", &view), ("role", &"img")]);
        h.element("title", &[], title);
    }

    /// A line of the grid that stands upright, with its mark below.
    fn upright(&self, h: &mut Html, x: f64, class: &'static str, mark: &str) {
        line(h, class, (x, self.top), (x, self.bottom));
        words(h, "soft", (x, self.bottom + 16.0), "middle", mark);
    }

    /// One that lies, with its mark at the left.
    fn level(&self, h: &mut Html, y: f64, mark: &str) {
        line(h, "grid", (self.left, y), (self.right, y));
        words(h, "soft", (self.left - 6.0, y + 4.0), "end", mark);
    }
}

fn line(h: &mut Html, class: &'static str, from: (f64, f64), to: (f64, f64)) {
    h.empty(
        "line",
        &[("class", &class), ("x1", &px(from.0)), ("y1", &px(from.1)), ("x2", &px(to.0)), ("y2", &px(to.1))],
    );
}

fn words(h: &mut Html, class: &'static str, at: (f64, f64), anchor: &'static str, text: &str) {
    h.element("text", &[("class", &class), ("x", &px(at.0)), ("y", &px(at.1)), ("text-anchor", &anchor)], text);
}

fn circle(h: &mut Html, class: &'static str, at: (f64, f64), r: f64) {
    h.empty("circle", &[("class", &class), ("cx", &px(at.0)), ("cy", &px(at.1)), ("r", &px(r))]);
}

/// A bar. `height` and `width` are never negative.
fn bar(h: &mut Html, class: &'static str, at: (f64, f64), width: f64, height: f64) {
    h.empty(
        "rect",
        &[
            ("class", &class),
            ("x", &px(at.0)),
            ("y", &px(at.1)),
            ("width", &px(width.max(0.0))),
            ("height", &px(height.max(0.0))),
        ],
    );
}

/// A line through points; nothing for fewer than two.
fn path(h: &mut Html, class: &'static str, points: &[(f64, f64)]) {
    if points.len() > 1 {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", px(*x), px(*y))).collect();
        h.empty("polyline", &[("class", &class), ("points", &points.join(" "))]);
    }
}

/// Classes of the series of one plot, in their order.
fn series(n: usize) -> (&'static str, &'static str) {
    if n == 0 { ("curve a", "a") } else { ("curve b", "b") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::{Change, Curve, Engine, Histograms, Stage, Sweep, SweepPoint};
    use crate::page::Table;
    use lowlat_model::distribution::{Bar, Course, CourseWindow, Distribution};
    use lowlat_model::{Distribution as D, Verdict};

    fn spread(lost: u64) -> D {
        let bars = [(900, 1_000, 40), (9_000, 10_000, 950), (90_000, 100_000, 10)];
        Distribution { bars: bars.map(|(above_ns, up_to_ns, count)| Bar { above_ns, up_to_ns, count }).to_vec(), lost }
    }

    fn drawn(plot: Plot) -> String {
        let mut h = Html::default();
        let table = Table { columns: vec!["x".into()], rows: vec![vec!["y".into()]] };
        draw(&mut h, &Drawing { title: "T".into(), legend: "L".into(), plot, table });
        h.finish()
    }

    fn all() -> Vec<Plot> {
        let window =
            |at_ns, lost, p50_ns| CourseWindow { at_ns, probes: 10, lost, p50_ns, max_ns: p50_ns, interrupted: lost };
        let course = Course {
            window_ns: 1_000,
            planned: false,
            windows: vec![window(0, 0, Some(10)), window(1_000, 10, None), window(2_000, 1, Some(12))],
        };
        let stage = |from, share| Stage {
            name: "s".into(),
            time: "1 µs".into(),
            from,
            share,
            tail: Some(0.5),
            largest: share > 0.5,
        };
        let point = |at, p50_ns, loss| SweepPoint { at, name: format!("{at}"), p50_ns, p99_ns: p50_ns, loss };
        let change = |ratio, interval| Change { name: "P50".into(), ratio, interval, verdict: Verdict::Better };
        let engine = |p50_ns, why_not: Option<&str>| Engine {
            name: "spin".into(),
            p50_ns,
            p99_ns: p50_ns,
            why_not: why_not.map(str::to_owned),
        };
        vec![
            Plot::Percentiles(vec![
                Curve { name: "sent".into(), of: spread(0) },
                Curve { name: "planned".into(), of: spread(5) },
            ]),
            Plot::Histograms(Histograms {
                rows: vec![("CPU 0".into(), spread(0)), ("CPU 1".into(), D::default())],
                log_counts: true,
                goal_ns: Some(20_000),
            }),
            Plot::Course(course),
            Plot::Stages(vec![stage(0.0, 0.7), stage(0.7, 0.3)]),
            Plot::Sweep(Sweep {
                axis: "rate".into(),
                points: vec![point(1e3, Some(9), 0.0), point(1e4, None, 0.4)],
                knee: Some(1e3),
            }),
            Plot::Changes(vec![change(-0.4, Some((-0.5, -0.3))), change(0.1, None)]),
            Plot::Engines(vec![engine(Some(9_000), None), engine(None, Some("no such kernel"))]),
            Plot::Packets(vec![(0, 1_400), (20_000, 0), (9_000_000, 60)]),
        ]
    }

    /// Of what there is nothing, and of one value alone.
    fn poor() -> Vec<Plot> {
        let one = D { bars: vec![Bar { above_ns: 7, up_to_ns: 8, count: 1 }], lost: 0 };
        let lost = D { bars: Vec::new(), lost: 9 };
        let curve = |of| Curve { name: String::new(), of };
        let rows =
            |d| Plot::Histograms(Histograms { rows: vec![(String::new(), d)], log_counts: false, goal_ns: None });
        let window = CourseWindow { probes: 1, lost: 1, ..CourseWindow::default() };
        vec![
            Plot::Percentiles(Vec::new()),
            Plot::Percentiles(vec![curve(D::default()), curve(one.clone()), curve(lost.clone())]),
            rows(D::default()),
            rows(one),
            rows(lost),
            Plot::Course(Course::default()),
            Plot::Course(Course { windows: vec![window], ..Course::default() }),
            Plot::Stages(Vec::new()),
            Plot::Sweep(Sweep { axis: String::new(), points: Vec::new(), knee: None }),
            Plot::Sweep(Sweep {
                axis: String::new(),
                points: vec![SweepPoint { at: 0.0, name: String::new(), p50_ns: None, p99_ns: None, loss: 1.0 }],
                knee: Some(f64::NAN),
            }),
            Plot::Changes(Vec::new()),
            Plot::Changes(vec![Change {
                name: String::new(),
                ratio: f64::NAN,
                interval: Some((f64::NEG_INFINITY, f64::INFINITY)),
                verdict: Verdict::Unclear,
            }]),
            Plot::Engines(Vec::new()),
            Plot::Packets(Vec::new()),
            Plot::Packets(vec![(0, 0)]),
            Plot::Packets(vec![(u64::MAX, u32::MAX), (u64::MAX, 0)]),
        ]
    }

    #[test]
    fn every_coordinate_is_a_number_within_the_drawing() {
        for plot in all().into_iter().chain(poor()) {
            let name = format!("{plot:?}");
            let page = drawn(plot);
            assert!(!page.contains("NaN") && !page.contains("inf"), "{name}: {page}");
            let Some((_, view)) = page.split_once("viewBox=\"0 0 ") else { continue };
            let size: Vec<f64> = view.split('"').next().unwrap().split(' ').map(|n| n.parse().unwrap()).collect();
            for (axis, most) in [("x", size[0]), ("x1", size[0]), ("x2", size[0]), ("cx", size[0])].into_iter().chain([
                ("y", size[1]),
                ("y1", size[1]),
                ("y2", size[1]),
                ("cy", size[1]),
            ]) {
                for value in page.split(&format!(" {axis}=\"")).skip(1) {
                    let value: f64 = value.split('"').next().unwrap().parse().unwrap();
                    assert!((0.0..=most).contains(&value), "{name}: {axis}={value} of {most}: {page}");
                }
            }
        }
    }

    #[test]
    fn every_plot_has_its_heading_its_legend_and_its_table() {
        for plot in all() {
            let page = drawn(plot);
            for part in ["<h2>T</h2>", ">L</p>", "<title>T</title>", "<summary>The figures</summary>", "<td", "</svg>"]
            {
                assert!(page.contains(part), "{part}: {page}");
            }
        }
    }

    #[test]
    fn loss_is_drawn() {
        let [with, without] = [5, 0].map(|lost| {
            drawn(Plot::Percentiles(vec![Curve { name: "n".into(), of: spread(lost) }])).matches("lost").count()
        });
        assert!(with > 0 && without == 0, "{with} {without}");
        let page = drawn(all().swap_remove(4));
        assert!(page.contains("class=\"lost\"") && page.contains("40.0 %"), "{page}");
    }
}

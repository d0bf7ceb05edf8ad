//! The run over time: median and longest of each window; below them the windows with losses and with interruptions.

use lowlat_model::distribution::Course;

use super::{Area, FULL, bar, circle, path, words};
use crate::html::scale::{Log, mark, px};
use crate::html::writer::Html;

const AREA: Area = Area { left: 110.0, right: 1008.0, top: 10.0, bottom: 210.0 };
/// Height of the two bands below, and the room between them.
const BAND: f64 = 16.0;
const FIRST: f64 = 226.0;
const SECOND: f64 = 250.0;

pub(super) fn draw(h: &mut Html, title: &str, course: &Course) {
    let Some(end) = course.windows.last().map(|w| (w.at_ns + course.window_ns).max(1)) else { return };
    let values = course.windows.iter().flat_map(|w| [w.p50_ns, w.max_ns]).flatten();
    let x = |ns: u64| AREA.left + ns as f64 / end as f64 * (AREA.right - AREA.left);
    let full = Area { bottom: SECOND + BAND, ..AREA };
    full.open(h, title, FULL, 24.0);
    let axis = Log::over(values, AREA.bottom, AREA.top);
    for tick in axis.iter().flat_map(Log::ticks) {
        AREA.level(h, axis.map_or(AREA.bottom, |a| a.x(tick)), &mark(tick));
    }
    for n in 0..=5 {
        let at = AREA.left + f64::from(n) / 5.0 * (AREA.right - AREA.left);
        let seconds = end as f64 / 1e9 * f64::from(n) / 5.0;
        full.upright(h, at, "grid", &format!("{} s", digits(seconds)));
    }
    words(h, "soft", (AREA.left - 6.0, FIRST + 12.0), "end", "lost");
    words(h, "soft", (AREA.left - 6.0, SECOND + 12.0), "end", "interrupted");
    let width = (x(course.window_ns.max(1)) - AREA.left).max(1.5);
    for w in &course.windows {
        let from = x(w.at_ns);
        let width = width.min(AREA.right - from);
        for (top, share, class) in [(FIRST, w.lost, "lost"), (SECOND, w.interrupted, "b")] {
            if share > 0 {
                // A single one of a thousand is seen too.
                let high = (BAND * share as f64 / w.probes.max(1) as f64).clamp(3.0, BAND);
                bar(h, class, (from, top + BAND - high), width, high);
            }
        }
    }
    if let Some(axis) = axis {
        let middle = |at: u64| (x(at) + width / 2.0).min(AREA.right);
        // Where nothing came back the line is broken.
        for run in course.windows.split(|w| w.p50_ns.is_none()) {
            let points: Vec<(f64, f64)> =
                run.iter().filter_map(|w| Some((middle(w.at_ns), axis.x(w.p50_ns?)))).collect();
            path(h, "curve a", &points);
            if let [only] = points.as_slice() {
                circle(h, "a", *only, 2.5);
            }
        }
        for w in &course.windows {
            if let Some(max) = w.max_ns {
                let (at, y) = (middle(w.at_ns), axis.x(max));
                h.empty("circle", &[("class", &"b"), ("cx", &px(at)), ("cy", &px(y)), ("r", &2)]);
            }
        }
    }
    h.close("svg");
}

/// Seconds with as many digits as a mark needs.
fn digits(seconds: f64) -> String {
    let text = if seconds >= 10.0 { format!("{seconds:.0}") } else { format!("{seconds:.3}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    #[test]
    fn marks_are_short() {
        assert_eq!([0.0, 0.25, 2.0, 120.0].map(super::digits), ["0", "0.25", "2", "120"]);
    }
}

//! A sweep: median and P99 over what changes, and what was lost there; the dashes are at the knee.

use super::{Area, HALF, bar, circle, line, path, words};
use crate::drawing::Sweep;
use crate::figures::percent;
use crate::html::scale::{Log, mark};
use crate::html::writer::Html;

const AREA: Area = Area { left: 64.0, right: 490.0, top: 10.0, bottom: 210.0 };
/// The band of losses.
const BAND: f64 = 30.0;
const BAND_TOP: f64 = 226.0;

pub(super) fn draw(h: &mut Html, title: &str, sweep: &Sweep) {
    let place = |at: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the cast saturates; a NaN becomes 1
        let at = at.max(1.0) as u64;
        at.max(1)
    };
    let Some(across) = Log::over(sweep.points.iter().map(|p| place(p.at)), AREA.left, AREA.right) else { return };
    let up = Log::over(sweep.points.iter().flat_map(|p| [p.p50_ns, p.p99_ns]).flatten(), AREA.bottom, AREA.top);
    let full = Area { bottom: BAND_TOP + BAND, ..AREA };
    full.open(h, title, HALF, 40.0);
    for tick in up.iter().flat_map(Log::ticks) {
        AREA.level(h, up.map_or(AREA.bottom, |u| u.x(tick)), &mark(tick));
    }
    // As many names as have room.
    let every = sweep.points.len().div_ceil(6).max(1);
    for (n, p) in sweep.points.iter().enumerate() {
        let x = across.x(place(p.at));
        full.upright(h, x, "grid", if n % every == 0 { &p.name } else { "" });
        if p.loss > 0.0 {
            let high = (BAND * p.loss).clamp(3.0, BAND);
            let left = (x - 5.0).max(0.0);
            bar(h, "lost", (left, BAND_TOP + BAND - high), 10.0, high);
            words(h, "worse", (x, BAND_TOP + BAND - high - 3.0), "middle", &format!("{} %", percent(p.loss)));
        }
    }
    words(h, "soft", (AREA.left - 6.0, BAND_TOP + BAND), "end", "lost");
    words(h, "soft", (f64::midpoint(AREA.left, AREA.right), full.bottom + 34.0), "middle", &sweep.axis);
    if let Some(knee) = sweep.knee.filter(|k| k.is_finite()) {
        let x = across.x(place(knee)).clamp(AREA.left, AREA.right);
        line(h, "zero", (x, AREA.top), (x, full.bottom));
        // On the side that has room.
        let (at, anchor) = if x > AREA.left + 60.0 { (x - 5.0, "end") } else { (x + 5.0, "start") };
        words(h, "soft", (at, AREA.top + 10.0), anchor, "knee");
    }
    let Some(up) = up else {
        h.close("svg");
        return;
    };
    for (class, dot, of) in [("curve a", "a", 0), ("curve b", "b", 1)] {
        let points: Vec<(f64, f64)> = sweep
            .points
            .iter()
            .filter_map(|p| Some((across.x(place(p.at)), up.x([p.p50_ns, p.p99_ns][of]?))))
            .collect();
        path(h, class, &points);
        for point in points {
            circle(h, dot, point, 3.5);
        }
    }
    h.close("svg");
}

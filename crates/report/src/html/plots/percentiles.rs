//! Latency over percentile: the axes of HdrHistogram's plots, on which each further nine takes the same room, so that the
//! tail is as wide as it is deep. Times are logarithmic, since a tail spans decades.

use super::{Area, HALF, line, path, series, words};
use crate::drawing::Curve;
use crate::figures::percent;
use crate::html::scale::{Log, mark};
use crate::html::writer::Html;

const AREA: Area = Area { left: 64.0, right: 500.0, top: 10.0, bottom: 250.0 };

/// Which of all samples lie beyond a share, in nines: 0 at none, 1 at 90 %, 2 at 99 %.
fn nines(share: f64) -> f64 {
    -(1.0 - share).max(f64::MIN_POSITIVE).log10()
}

pub(super) fn draw(h: &mut Html, title: &str, curves: &[Curve]) {
    let values = curves.iter().flat_map(|c| &c.of.bars).flat_map(|b| [b.above_ns.max(1), b.up_to_ns]);
    let Some(axis) = Log::over(values, AREA.bottom, AREA.top) else { return };
    let samples = curves.iter().map(|c| c.of.samples()).max().unwrap_or(0);
    // The longest of n samples stands where one in 2n lies beyond.
    let last = nines(1.0 - 0.5 / samples.max(1) as f64);
    let x = |share: f64| AREA.left + nines(share).min(last) / last * (AREA.right - AREA.left);

    AREA.open(h, title, HALF, 24.0);
    for tick in axis.ticks() {
        AREA.level(h, axis.x(tick), &mark(tick));
    }
    for (share, name) in
        [(0.0, "0"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %"), (0.99999, "99.999 %")]
    {
        if nines(share) < last {
            AREA.upright(h, x(share), "grid", name);
        }
    }
    for (n, curve) in curves.iter().enumerate() {
        // A percentile needs ten samples beyond it; what is right of the dashes is single samples.
        let all = curve.of.samples();
        if n == 0 && all > 20 {
            let at = x(1.0 - 10.0 / all as f64);
            line(h, "zero", (at, AREA.top), (at, AREA.bottom));
        }
        let (class, _) = series(n);
        let mut points = Vec::new();
        let mut before = 0.0;
        for (share, ns) in curve.of.shares() {
            points.extend([(x(before), axis.x(ns)), (x(share), axis.x(ns))]);
            before = share;
        }
        path(h, class, &points);
        if curve.of.lost > 0 && before > 0.0 {
            line(h, "lost", (x(before), points.last().map_or(AREA.bottom, |p| p.1)), (x(before), AREA.top));
            let share = percent(curve.of.lost as f64 / all as f64);
            words(h, "worse", (x(before) - 6.0, AREA.top + 12.0 + 16.0 * n as f64), "end", &format!("{share} % lost"));
        }
    }
    h.close("svg");
}

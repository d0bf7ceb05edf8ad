//! Histograms on one logarithmic axis of time, one a row. All rows have the same scale of heights.

use super::{Area, HALF, bar, line, words};
use crate::drawing::Histograms;
use crate::html::scale::{Log, cut, mark};
use crate::html::writer::Html;

const TOP: f64 = 10.0;
const LEFT: f64 = 64.0;
/// The same where rows have names.
const NAMED: f64 = 96.0;
const RIGHT: f64 = 505.0;
/// Height of the only row, and of one among several.
const ALONE: f64 = 220.0;
const ROW: f64 = 46.0;

pub(super) fn draw(h: &mut Html, title: &str, of: &Histograms) {
    let bars = || of.rows.iter().flat_map(|(_, d)| &d.bars);
    let values = bars().flat_map(|b| [b.above_ns.max(1), b.up_to_ns]).chain(of.goal_ns);
    let most = bars().map(|b| b.count).max().unwrap_or(0);
    let left = if of.rows.len() == 1 { LEFT } else { NAMED };
    let Some(axis) = Log::over(values, left, RIGHT).filter(|_| most > 0) else { return };
    let row = if of.rows.len() == 1 { ALONE } else { ROW };
    let area = Area { left, right: RIGHT, top: TOP, bottom: TOP + row * of.rows.len() as f64 };
    let height = |count: u64| {
        let share = if of.log_counts {
            (1.0 + count as f64).ln() / (1.0 + most as f64).ln()
        } else {
            count as f64 / most as f64
        };
        share * (row - 6.0)
    };
    area.open(h, title, HALF, 24.0);
    for tick in axis.ticks() {
        area.upright(h, axis.x(tick), "grid", &mark(tick));
    }
    for (n, (name, distribution)) in of.rows.iter().enumerate() {
        let floor = TOP + row * (n + 1) as f64;
        line(h, "grid", (left, floor), (RIGHT, floor));
        // The only row is named by the heading, and has room for a scale.
        if of.rows.len() == 1 {
            words(h, "soft", (left - 8.0, floor), "end", "0");
            words(h, "soft", (left - 8.0, floor - height(most) + 8.0), "end", &most.to_string());
        } else {
            words(h, "", (left - 8.0, floor - 4.0), "end", &cut(name, 14));
        }
        for b in &distribution.bars {
            let (from, to) = (axis.x(b.above_ns.max(1)), axis.x(b.up_to_ns));
            // What exceeds the goal is red, and no bar is too low to be seen.
            let class = if of.goal_ns.is_some_and(|goal| b.up_to_ns > goal) { "lost" } else { "a" };
            let high = height(b.count).max(1.5);
            bar(h, class, (from, floor - high), (to - from).max(1.5), high);
        }
    }
    if let Some(goal) = of.goal_ns {
        let x = axis.x(goal);
        line(h, "zero", (x, TOP), (x, area.bottom));
        words(h, "soft", (x, TOP + 8.0), "middle", "goal");
    }
    h.close("svg");
}

//! Changes with their intervals, one a row; left of the dashes is faster.

use lowlat_model::Verdict;

use super::{Area, HALF, circle, line, words};
use crate::drawing::Change;
use crate::figures::signed_percent;
use crate::html::scale::{Linear, cut};
use crate::html::writer::Html;

const TOP: f64 = 6.0;
const ROW: f64 = 34.0;
const LEFT: f64 = 120.0;
const RIGHT: f64 = 430.0;

pub(super) fn draw(h: &mut Html, title: &str, changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    let values =
        changes.iter().flat_map(|c| [Some(c.ratio), c.interval.map(|i| i.0), c.interval.map(|i| i.1)]).flatten();
    let axis = Linear::over(values, LEFT, RIGHT);
    let area = Area { left: LEFT, right: RIGHT, top: TOP, bottom: TOP + ROW * changes.len() as f64 };
    area.open(h, title, HALF, 24.0);
    for tick in axis.ticks() {
        let mark = if tick == 0.0 { "0".to_owned() } else { signed_percent(tick) };
        area.upright(h, axis.x(tick), if tick == 0.0 { "zero" } else { "grid" }, &mark);
    }
    for (n, c) in changes.iter().enumerate() {
        let y = TOP + ROW * (n as f64 + 0.5);
        let (interval, mark) = match c.verdict {
            Verdict::Better => ("ci better", "better"),
            Verdict::Worse => ("ci worse", "worse"),
            _ => ("ci unclear", "unclear"),
        };
        words(h, "", (LEFT - 10.0, y + 4.0), "end", &cut(&c.name, 16));
        if let Some((low, high)) = c.interval {
            line(h, interval, (axis.x(low), y), (axis.x(high), y));
        }
        circle(h, mark, (axis.x(c.ratio), y), 5.0);
        let change = if c.ratio.is_finite() { signed_percent(c.ratio) } else { "n/a".to_owned() };
        words(h, "", (RIGHT + 12.0, y + 4.0), "start", &change);
    }
    h.close("svg");
}

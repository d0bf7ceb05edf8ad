//! The waterfall: each stage of the median round trip where it lies in it, and its share of the slowest.

use super::{Area, FULL, bar, line, words};
use crate::drawing::Stage;
use crate::html::scale::cut;
use crate::html::writer::Html;

const TOP: f64 = 6.0;
const ROW: f64 = 26.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 820.0;

pub(super) fn draw(h: &mut Html, title: &str, stages: &[Stage]) {
    if stages.is_empty() {
        return;
    }
    let area = Area { left: LEFT, right: RIGHT, top: TOP, bottom: TOP + ROW * stages.len() as f64 };
    let x = |share: f64| LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT);
    area.open(h, title, FULL, 24.0);
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        area.upright(h, x(share), "grid", &format!("{:.0} %", share * 100.0));
    }
    for (n, s) in stages.iter().enumerate() {
        let top = TOP + ROW * n as f64;
        words(h, "", (LEFT - 10.0, top + 17.0), "end", &cut(&s.name, 34));
        let (from, to) = (x(s.from), x(s.from + s.share));
        bar(h, if s.largest { "largest" } else { "a" }, (from, top + 4.0), (to - from).max(1.5), 12.0);
        if let Some(tail) = s.tail {
            let end = x(s.from + tail).max(from + 1.5);
            line(h, "tail", (from, top + 20.0), (end, top + 20.0));
        }
        let tail = s.tail.map_or_else(String::new, |t| format!(" · tail {:.0} %", t * 100.0));
        words(h, "soft", (RIGHT + 12.0, top + 17.0), "start", &format!("{} · {:.0} %{tail}", s.time, s.share * 100.0));
    }
    h.close("svg");
}

//! Packets one after the other: when each was sent, and its size.

use super::{Area, FULL, bar};
use crate::html::scale::mark;
use crate::html::writer::Html;

const AREA: Area = Area { left: 64.0, right: 1008.0, top: 14.0, bottom: 150.0 };
/// A bar, and how far from the end of the area the last one stands.
const WIDTH: f64 = 2.0;

pub(super) fn draw(h: &mut Html, title: &str, packets: &[(u64, u32)]) {
    let Some(end) = packets.last().map(|p| p.0.max(1)) else { return };
    let most = packets.iter().map(|p| p.1).max().unwrap_or(0).max(1);
    let x = |ns: u64| AREA.left + ns.min(end) as f64 / end as f64 * (AREA.right - AREA.left - WIDTH);
    let high = |bytes: u32| f64::from(bytes) / f64::from(most) * (AREA.bottom - AREA.top);
    AREA.open(h, title, FULL, 24.0);
    for share in [0.0, 0.5, 1.0] {
        AREA.level(h, AREA.bottom - share * (AREA.bottom - AREA.top), &format!("{:.0} B", share * f64::from(most)));
    }
    for n in 0..=4u64 {
        let at = end / 4 * n;
        AREA.upright(h, x(at), "grid", &if n == 0 { "0".to_owned() } else { mark(at) });
    }
    for (at, bytes) in packets {
        // A packet without a payload is seen too.
        let high = high(*bytes).max(1.5);
        bar(h, "a", (x(*at), AREA.bottom - high), WIDTH, high);
    }
    h.close("svg");
}

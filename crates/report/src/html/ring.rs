//! The confidence as a ring.

use super::scale::px;
use super::writer::Html;

/// Length of the ring's line.
const ROUND: f64 = 2.0 * std::f64::consts::PI * 34.0;

/// The card.
pub(crate) fn confidence(h: &mut Html, score: u8) {
    h.open("div", &[("class", &"card")]);
    h.classed("p", "label", "Confidence");
    h.open("svg", &[("viewBox", &"0 0 120 84"), ("role", &"img"), ("style", &"max-height:84px")]);
    h.element("title", &[], &format!("Confidence {score} of 100"));
    for (class, share) in [("track", 1.0), ("arc", f64::from(score.min(100)) / 100.0)] {
        h.empty(
            "circle",
            &[
                ("class", &class),
                ("cx", &60),
                ("cy", &42),
                ("r", &34),
                ("fill", &"none"),
                ("stroke-width", &8),
                ("stroke-dasharray", &format!("{} {}", px(ROUND * share), px(ROUND))),
                ("transform", &"rotate(-90 60 42)"),
            ],
        );
    }
    h.element(
        "text",
        &[("x", &60), ("y", &49), ("text-anchor", &"middle"), ("style", &"font-size:22px;font-weight:650")],
        &score.to_string(),
    );
    h.close("svg");
    h.close("div");
}

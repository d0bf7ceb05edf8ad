//! The forest plot: what each step did to the median, with its interval.

use lowlat_model::Verdict;
use lowlat_model::document::{RunDocument, StepResult};
use lowlat_model::tune::Disposition;

use super::scale::{Linear, cut, px};
use super::writer::Html;
use crate::figures::{change, line, verdict};
use crate::run::worse_by;

const ROW: f64 = 44.0;
const TOP: f64 = 6.0;
const WIDTH: f64 = 520.0;
const LEFT: f64 = 16.0;
const RIGHT: f64 = 504.0;

/// The plot; nothing where no step was judged.
pub(crate) fn plot(h: &mut Html, d: &RunDocument) {
    let judged: Vec<&StepResult> = d.steps.iter().filter(|s| s.p50_change_ratio.is_some()).collect();
    if judged.is_empty() {
        return;
    }
    let values = judged.iter().flat_map(|s| [s.p50_change_ratio, s.p50_change_low, s.p50_change_high]).flatten();
    let axis = Linear::over(values, LEFT, RIGHT);
    let bottom = TOP + ROW * judged.len() as f64;

    h.open("section", &[]);
    h.element("h2", &[], "What each step did to the median");
    h.classed(
        "p",
        "legend",
        "change with its 95 % interval; left of the dashed line is faster; an arrow goes on beyond the axis",
    );
    h.open("svg", &[("viewBox", &format!("0 0 {WIDTH} {}", px(bottom + 24.0))), ("role", &"img")]);
    h.element("title", &[], "Change of the median by each step");
    for tick in axis.ticks() {
        let x = px(axis.x(tick));
        let class = if tick == 0.0 { "zero" } else { "grid" };
        h.empty("line", &[("class", &class), ("x1", &x), ("x2", &x), ("y1", &px(TOP)), ("y2", &px(bottom))]);
        let words =
            if tick == 0.0 { "0".to_owned() } else { lowlat_model::units::minus(&format!("{:+.0} %", tick * 100.0)) };
        h.element(
            "text",
            &[("class", &"soft"), ("x", &x), ("y", &px(bottom + 16.0)), ("text-anchor", &"middle")],
            &words,
        );
    }
    for (n, step) in judged.iter().enumerate() {
        row(h, step, &axis, TOP + ROW * n as f64);
    }
    h.close("svg");
    h.close("section");
}

fn row(h: &mut Html, s: &StepResult, axis: &Linear, top: f64) {
    let class = match s.verdict {
        // Worse by another quantile or by loss: the median's mark is not red for it.
        Verdict::Worse if worse_by(s).is_some() => "unclear",
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        _ => "unclear",
    };
    let name = format!("{} · {}", line(&s.knob), s.target);
    h.element("text", &[("x", &px(LEFT)), ("y", &px(top + 14.0))], &cut(&name, 42));
    let kept = match s.disposition {
        _ if s.kept => ", kept",
        Disposition::TakenOut => ", Removed again",
        _ => ", undone",
    };
    // A step may be worse by what this plot does not show.
    let by = worse_by(s).map_or_else(String::new, |by| format!(" ({by})"));
    let words = format!("{}{by}{kept}", verdict(s.verdict));
    h.open("text", &[("class", &class), ("x", &px(RIGHT)), ("y", &px(top + 14.0)), ("text-anchor", &"end")]);
    h.element("title", &[], &change(s.p50_change_ratio, s.p50_change_low, s.p50_change_high));
    h.text(&words);
    h.close("text");
    let y = px(top + 29.0);
    if let (Some(low), Some(high)) = (s.p50_change_low, s.p50_change_high) {
        let ci = format!("ci {class}");
        h.empty("line", &[("class", &ci), ("x1", &px(axis.x(low))), ("x2", &px(axis.x(high))), ("y1", &y), ("y2", &y)]);
        for (end, side) in [low, high].into_iter().filter_map(|end| Some((end, axis.beyond(end)?))) {
            // An arrow: it goes on.
            let (tip, middle) = (axis.x(end) + side * 6.0, top + 29.0);
            let points = [(tip, middle), (tip - side * 9.0, middle - 5.0), (tip - side * 9.0, middle + 5.0)];
            let points = points.map(|(x, y)| format!("{},{}", px(x), px(y))).join(" ");
            h.empty("polygon", &[("class", &class), ("points", &points)]);
        }
    }
    if let Some(change) = s.p50_change_ratio {
        h.empty("circle", &[("class", &class), ("cx", &px(axis.x(change))), ("cy", &y), ("r", &5)]);
    }
}

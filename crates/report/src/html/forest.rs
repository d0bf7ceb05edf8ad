//! The forest plot: what each step did to the median, with its interval, and to loss.

use lowlat_model::Verdict;
use lowlat_model::document::{RunDocument, StepResult};
use lowlat_model::tune::Disposition;

use super::scale::{Linear, cut, px};
use super::writer::Html;
use crate::figures::{change, line, percent, verdict};
use crate::page::Table;
use crate::run::worse_by;

const ROW: f64 = 44.0;
const TOP: f64 = 6.0;
const WIDTH: f64 = 520.0;
const LEFT: f64 = 16.0;
const RIGHT: f64 = 504.0;
/// Where the axis of the median ends, and where the bars of loss begin.
const AXIS: f64 = 388.0;
const LOSS: f64 = 412.0;

/// The plot; nothing where no step was judged.
pub(crate) fn plot(h: &mut Html, d: &RunDocument) {
    let judged: Vec<&StepResult> = d.steps.iter().filter(|s| s.p50_change_ratio.is_some()).collect();
    if judged.is_empty() {
        return;
    }
    let values = judged.iter().flat_map(|s| [s.p50_change_ratio, s.p50_change_low, s.p50_change_high]).flatten();
    let axis = Linear::over(values, LEFT, AXIS);
    let most = judged.iter().filter_map(|s| lost(s)).flat_map(|(a, b)| [a, b]).fold(0.0, f64::max);
    let bottom = TOP + ROW * judged.len() as f64;

    h.open("section", &[]);
    h.element("h2", &[], "What each step did to the median");
    h.classed(
        "p",
        "legend",
        "change with its 95 % interval; left of the dashed line is faster; an arrow goes on beyond the axis; bars at the right: lost without it and with it",
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
        loss(h, step, most, TOP + ROW * n as f64);
    }
    h.close("svg");
    super::figures(h, &table(&judged));
    h.close("section");
}

/// The figures of the plot.
fn table(judged: &[&StepResult]) -> Table {
    let row = |s: &&StepResult| {
        let share = |share: Option<f64>| share.map_or_else(|| "n/a".to_owned(), |r| format!("{} %", percent(r)));
        let lost = lost(s);
        vec![
            format!("{} · {}", line(&s.knob), s.target),
            change(s.p50_change_ratio, s.p50_change_low, s.p50_change_high),
            verdict(s.verdict).to_owned(),
            share(lost.map(|l| l.0)),
            share(lost.map(|l| l.1)),
        ]
    };
    Table::new(&["step", "median, 95 % interval", "", "lost without", "lost with"], judged.iter().map(row).collect())
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

/// Shares that were lost without the step and with it, where the test counted them.
fn lost(s: &StepResult) -> Option<(f64, f64)> {
    let t = s.comparison.as_ref()?.sequential.as_ref()?;
    (t.a_sent > 0 && t.b_sent > 0).then(|| (t.a_lost as f64 / t.a_sent as f64, t.b_lost as f64 / t.b_sent as f64))
}

/// Two bars, on one scale for all steps. Without a loss there is none.
fn loss(h: &mut Html, s: &StepResult, most: f64, top: f64) {
    let Some((before, kept)) = lost(s).filter(|_| most > 0.0) else { return };
    for (share, class, y) in [(before, "b", top + 21.0), (kept, if kept > before { "lost" } else { "a" }, top + 29.0)] {
        let width = (RIGHT - LOSS) * share / most;
        let (x, y, width) = (px(LOSS), px(y), px(if share > 0.0 { width.max(1.5) } else { 0.0 }));
        h.open("rect", &[("class", &class), ("x", &x), ("y", &y), ("width", &width), ("height", &6)]);
        h.element("title", &[], &format!("{} % lost", percent(share)));
        h.close("rect");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::verdict::Sequential;

    /// Widths of the bars of loss.
    fn bars(a: (u64, u64), b: (u64, u64)) -> Vec<f64> {
        let mut d = lowlat_testkit::run::document();
        d.steps.retain(|s| s.p50_change_ratio.is_some());
        d.steps.truncate(1);
        let [(a_lost, a_sent), (b_lost, b_sent)] = [a, b];
        let test = Sequential { a_lost, a_sent, b_lost, b_sent, ..Sequential::default() };
        d.steps[0].comparison.as_mut().unwrap().sequential = Some(test);
        let mut h = Html::default();
        plot(&mut h, &d);
        let page = h.finish();
        let widths = page
            .split("<rect ")
            .skip(1)
            .map(|r| r.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap());
        widths.collect()
    }

    #[test]
    fn loss_has_bars_where_there_is_any() {
        assert_eq!(bars((0, 100), (0, 100)), [0.0; 0]);
        assert_eq!(bars((0, 0), (5, 100)), [0.0; 0], "not counted");
        assert_eq!(bars((1, 100), (2, 100)), [46.0, 92.0]);
        assert_eq!(bars((2, 100), (0, 100)), [92.0, 0.0]);
    }
}

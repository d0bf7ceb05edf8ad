//! A verdict as one sentence.

use lowlat_model::Verdict;
use lowlat_model::judge::FigureDifference;
use lowlat_model::units::{figure, us};
use lowlat_model::verdict::{Clock, QuantileDifference, Sequential, Stopped};

use crate::compare::losses::Losses;
use crate::name;

/// `P99`, `planned P99`, `maximum`.
pub(crate) fn quantile(q: f64, from: Clock) -> String {
    let name = if q >= 1.0 { "maximum".to_owned() } else { name(q) };
    match from {
        Clock::Send => name,
        Clock::Planned => format!("planned {name}"),
    }
}

/// What a sequential test shows, as text, lower case, no full stop.
pub(crate) fn sequential(verdict: Verdict, test: &Sequential, judged: &[&QuantileDifference]) -> String {
    let of = |v: Verdict| -> Vec<String> {
        let loss = (test.loss == v && v != Verdict::Same).then(|| loss(test));
        judged.iter().filter(|d| d.verdict == v).map(|d| change(d)).chain(loss).collect()
    };
    let (better, worse) = (of(Verdict::Better), of(Verdict::Worse));
    let pairs = format!("{} {} of rounds", test.pairs, if test.pairs == 1 { "pair" } else { "pairs" });
    let smallest = smallest_detectable(judged.first().and_then(|d| half_width(d)));
    let mut parts = vec![match verdict {
        Verdict::Worse if !better.is_empty() => {
            format!("a trade, not better on every figure: {}", [better, worse].concat().join(", "))
        }
        Verdict::Better | Verdict::Worse => {
            let (word, shown) = if verdict == Verdict::Better { ("better", better) } else { ("worse", worse) };
            // The average can decide a little before any quantile does alone.
            let shown = if shown.is_empty() { judged.iter().take(2).map(|d| change(d)).collect() } else { shown };
            format!("{word}: {}", shown.join(", "))
        }
        Verdict::Same => {
            let all: Vec<String> = judged.iter().map(|d| change(d)).collect();
            format!("no relevant difference: {}", all.join(", "))
        }
        _ if test.stopped == Stopped::Excluded => {
            let all: Vec<String> = judged.iter().filter(|d| d.change_low.is_some()).map(|d| change(d)).collect();
            format!("no relevant improvement: {}", all.join(", "))
        }
        _ if !better.is_empty() => {
            let leans = if test.leans.is_empty() { "something else".to_owned() } else { test.leans.join(" and ") };
            format!("not better: {leans} may be worse: {}", better.join(", "))
        }
        _ if test.stopped == Stopped::Interrupted => format!("interrupted, no difference shown{smallest}"),
        _ => format!("no difference shown{smallest}"),
    }];
    if verdict == Verdict::Better {
        parts.extend(judged.iter().filter(|d| d.verdict == Verdict::Unclear && d.diff_ns.is_some()).map(|d| open(d)));
    }
    if !matches!(test.loss, Verdict::Better | Verdict::Worse) && (test.a_lost, test.b_lost) != (0, 0) {
        parts.push(loss(test));
    }
    parts.push(pairs);
    parts.join("; ")
}

/// What a test of one number a round shows, as text, lower case, no full stop.
pub(crate) fn of_figure(stopped: Stopped, d: &FigureDifference, pairs: u32) -> String {
    let number = |v: Option<f64>| v.map_or_else(|| "n/a".to_owned(), figure);
    let shown = format!("{} → {}, {}", number(d.a), number(d.b), figure_change(d));
    let smallest =
        d.low.zip(d.high).map(|(l, h)| format!(" (smallest detectable difference {})", figure((h - l) / 2.0)));
    let smallest = smallest.unwrap_or_default();
    let said = match (d.verdict, stopped) {
        (Verdict::Better, _) => format!("better: {shown}"),
        (Verdict::Worse, _) => format!("worse{}: {shown}", one_sided(d.low, d.high)),
        (Verdict::Same, _) => format!("no relevant difference: {shown}"),
        (_, Stopped::Excluded) => format!("no relevant improvement: {shown}"),
        (_, Stopped::Interrupted) => format!("interrupted, no difference shown{smallest}"),
        _ => format!("no difference shown{smallest}"),
    };
    format!("{said}; {pairs} {} of runs", if pairs == 1 { "pair" } else { "pairs" })
}

/// Harm is shown by a one-sided test, so that a change that does harm is taken out soon; the interval is two-sided, and can
/// still contain 0 or have open ends then, which is said.
fn one_sided(low: Option<f64>, high: Option<f64>) -> &'static str {
    let excludes_zero = low.is_some_and(|low| low > 0.0) || high.is_some_and(|high| high < 0.0);
    if excludes_zero { "" } else { " (by a one-sided test)" }
}

/// `−12.3 % [−14.1, −10.2]`; in the number's own unit where it has no ratio: `−4 [−5, −3]`.
fn figure_change(d: &FigureDifference) -> String {
    let signed = |v: f64| if v < 0.0 { figure(v) } else { format!("+{}", figure(v)) };
    let of = |v: Option<f64>, low: Option<f64>, high: Option<f64>, text: &dyn Fn(f64) -> String, unit: &str| {
        let Some(v) = v else { return "n/a".to_owned() };
        let end = |v: Option<f64>| v.map_or_else(|| "open".to_owned(), text);
        format!("{}{unit} [{}, {}]", text(v), end(low), end(high))
    };
    match d.change_ratio {
        Some(_) => of(d.change_ratio, d.change_low, d.change_high, &bare, " %"),
        None => of(d.diff, d.low, d.high, &signed, ""),
    }
}

/// Half of the interval's width, ns.
fn half_width(d: &QuantileDifference) -> Option<u64> {
    Some(d.high_ns?.saturating_sub(d.low_ns?).unsigned_abs().div_ceil(2))
}

fn smallest_detectable(ns: Option<u64>) -> String {
    ns.map(|ns| format!(" (smallest detectable difference {} µs)", us(ns))).unwrap_or_default()
}

fn loss(test: &Sequential) -> String {
    let what = test.timeout_ns.map_or("loss".to_owned(), |ns| format!("lost or over {} ms", ns / 1_000_000));
    loss_change(&what, (test.a_lost, test.a_sent), (test.b_lost, test.b_sent))
}

/// `loss 0 → 0.06 %`, of `(lost, sent)`.
fn loss_change(what: &str, a: (u64, u64), b: (u64, u64)) -> String {
    let share = |(lost, sent): (u64, u64)| match (lost, sent) {
        (0, _) | (_, 0) => "0".to_owned(),
        _ => {
            let percent = 100.0 * lost as f64 / sent as f64;
            // Two digits that carry meaning, however rare: 0.0012 %.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to 0..=6
            let decimals = (1.0 - percent.log10().floor()).clamp(0.0, 6.0) as usize;
            format!("{percent:.decimals$}")
        }
    };
    format!("{what} {} → {} %", share(a), share(b))
}

/// What is not shown of a quantile beside one that is: `P99 not shown to change [−4.1, +6.0] %`.
fn open(d: &QuantileDifference) -> String {
    match (d.change_low, d.change_high) {
        (Some(low), Some(high)) => {
            format!("{} not shown to change [{}, {}]", quantile(d.q, d.from), bare(low), bare(high))
        }
        _ => format!("{} not shown to change", quantile(d.q, d.from)),
    }
}

/// What two stored runs show, as text, lower case, no full stop.
pub(crate) fn words(
    judged: &[QuantileDifference],
    losses: &Losses,
    verdict: Verdict,
    detectable: Option<u64>,
) -> String {
    let (Some(middle), Some(tail)) = (judged.first(), judged.last()) else { return "nothing was compared".to_owned() };
    let smallest = smallest_detectable(detectable);
    let mut parts = Vec::new();
    let opposed = [middle.verdict, tail.verdict];
    let trade = opposed.contains(&Verdict::Better) && opposed.contains(&Verdict::Worse);
    parts.push(match verdict {
        _ if trade => format!("a trade, not better on both figures: {}, {}", change(middle), change(tail)),
        Verdict::Better | Verdict::Worse => {
            let word = if verdict == Verdict::Better { "better" } else { "worse" };
            let mut shown: Vec<String> =
                [middle, tail].into_iter().filter(|d| d.verdict == verdict).map(change).collect();
            if losses.shows == verdict {
                shown.push(if verdict == Verdict::Better { "less loss" } else { "more loss" }.to_owned());
            }
            format!("{word}: {}", shown.join(", "))
        }
        Verdict::Same => {
            format!("no difference shown{smallest}: {}, {}, too small to matter", change(middle), change(tail))
        }
        _ if losses.shows == Verdict::Unclear && opposed.contains(&Verdict::Better) => {
            let shown: Vec<String> =
                [middle, tail].into_iter().filter(|d| d.verdict == Verdict::Better).map(change).collect();
            format!("not better: it may lose more: {}", shown.join(", "))
        }
        _ => format!("no difference shown{smallest}"),
    });
    if verdict == Verdict::Better && !trade {
        let beside = [middle, tail].into_iter().filter(|d| d.verdict == Verdict::Unclear && d.diff_ns.is_some());
        parts.extend(beside.map(open));
    }
    if tail.diff_ns.is_none() && tail.verdict == Verdict::Unclear {
        parts.push(format!("{} not judged: too few samples, or it falls among lost probes", name(tail.q)));
    }
    if losses.a.0 != losses.b.0 {
        parts.push(loss_change("loss", losses.a, losses.b));
    }
    parts.join("; ")
}

/// `P50 −12.3 % [−14.1, −10.2]`; with one open end `P50 at least 10.2 % lower`.
fn change(d: &QuantileDifference) -> String {
    let name = quantile(d.q, d.from);
    match (d.change_ratio, d.change_low, d.change_high) {
        (Some(c), Some(low), Some(high)) => {
            let by = if d.verdict == Verdict::Worse { one_sided(d.change_low, d.change_high) } else { "" };
            format!("{name} {} [{}, {}]{by}", percent(c), bare(low), bare(high))
        }
        // An end that the samples do not support is open.
        (Some(_), None, Some(high)) if high < 0.0 => format!("{name} at least {} lower", percent_of(-high)),
        (Some(_), Some(low), None) if low > 0.0 => format!("{name} at least {} higher", percent_of(low)),
        (Some(c), low, high) if low.is_some() || high.is_some() => {
            let end = |ratio: Option<f64>| ratio.map_or_else(|| "open".to_owned(), bare);
            format!("{name} {} [{}, {}]", percent(c), end(low), end(high))
        }
        (Some(_), ..) if d.verdict == Verdict::Better => {
            format!("{name} lower, by an amount the sample cannot resolve")
        }
        (Some(_), ..) if d.verdict == Verdict::Worse => {
            format!("{name} higher, by an amount the sample cannot resolve")
        }
        (None, ..) if d.verdict == Verdict::Better => format!("fewer lost or slow beyond {name}"),
        (None, ..) if d.verdict == Verdict::Worse => format!("more lost or slow beyond {name}"),
        _ => format!("{name} not judged"),
    }
}

/// Without a sign, as few decimals as it needs: `96`, `0.4`.
fn percent_of(ratio: f64) -> String {
    let rounded = (ratio * 1e3).round() / 10.0;
    if rounded >= 10.0 { format!("{rounded:.0} %") } else { format!("{rounded} %") }
}

fn percent(ratio: f64) -> String {
    format!("{} %", bare(ratio))
}

/// A percentage with its sign; the minus is U+2212, as in print.
fn bare(ratio: f64) -> String {
    let rounded = (ratio * 1e3).round() / 10.0;
    if rounded < 0.0 { format!("−{:.1}", -rounded) } else { format!("+{:.1}", rounded.abs()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(q: f64, ratio: f64, low: Option<f64>, high: Option<f64>, verdict: Verdict) -> QuantileDifference {
        let ns = |r: f64| {
            #[allow(clippy::cast_possible_truncation)] // small
            let ns = (r * 10_000.0) as i64;
            ns
        };
        QuantileDifference {
            q,
            a_ns: Some(10_000),
            b_ns: Some(10_000),
            diff_ns: Some(ns(ratio)),
            low_ns: low.map(ns),
            high_ns: high.map(ns),
            change_ratio: Some(ratio),
            change_low: low,
            change_high: high,
            verdict,
            ..QuantileDifference::default()
        }
    }

    fn test(stopped: Stopped) -> Sequential {
        Sequential { pairs: 9, stopped, loss: Verdict::Same, ..Sequential::default() }
    }

    #[test]
    fn a_number_that_is_worse_while_its_interval_contains_0_says_by_which_test() {
        let d = FigureDifference {
            a: Some(5.0),
            b: Some(9.0),
            diff: Some(4.0),
            low: Some(-1.0),
            high: Some(9.0),
            verdict: Verdict::Worse,
            ..FigureDifference::default()
        };
        let said = of_figure(Stopped::Worse, &d, 6);
        assert!(said.starts_with("worse (by a one-sided test): 5"), "{said}");
        let clear = FigureDifference { low: Some(1.0), ..d };
        assert!(of_figure(Stopped::Worse, &clear, 6).starts_with("worse: 5"));
        // Five pairs show harm, and no end of an interval.
        let open = FigureDifference { low: None, high: None, ..d };
        assert!(of_figure(Stopped::Worse, &open, 5).starts_with("worse (by a one-sided test): 5"));
        let turned = FigureDifference { low: Some(-9.0), high: Some(-1.0), ..d };
        assert!(of_figure(Stopped::Worse, &turned, 6).starts_with("worse: 5"), "higher is better");
    }

    #[test]
    fn an_open_end_reads_as_a_bound() {
        let tail = |low, high, verdict| change(&d(0.99, -0.97, low, high, verdict));
        assert_eq!(tail(None, Some(-0.96), Verdict::Better), "P99 at least 96 % lower");
        assert_eq!(tail(Some(1.6), None, Verdict::Worse), "P99 at least 160 % higher");
        assert_eq!(tail(None, Some(0.2), Verdict::Unclear), "P99 −97.0 % [open, +20.0]");
        assert_eq!(change(&d(0.99, 1.2, Some(0.1), Some(7.4), Verdict::Worse)), "P99 +120.0 % [+10.0, +740.0]");
        let harm = "P99 +120.0 % [−67.0, +740.0] (by a one-sided test)";
        assert_eq!(change(&d(0.99, 1.2, Some(-0.67), Some(7.4), Verdict::Worse)), harm);
        assert_eq!(tail(None, None, Verdict::Better), "P99 lower, by an amount the sample cannot resolve");
        let lost = QuantileDifference { q: 0.99, verdict: Verdict::Worse, ..QuantileDifference::default() };
        assert_eq!(change(&lost), "more lost or slow beyond P99");
    }

    #[test]
    fn the_sentences() {
        let p50 = d(0.5, -0.123, Some(-0.141), Some(-0.102), Verdict::Better);
        let p99 = d(0.99, 0.01, Some(-0.041), Some(0.06), Verdict::Unclear);
        let say = |v, t: &Sequential, q: &[&QuantileDifference]| sequential(v, t, q);
        assert_eq!(
            say(Verdict::Better, &test(Stopped::Better), &[&p50, &p99]),
            "better: P50 −12.3 % [−14.1, −10.2]; P99 not shown to change [−4.1, +6.0]; 9 pairs of rounds"
        );
        let worse = d(0.99, 3.0, Some(1.6), Some(46.44), Verdict::Worse);
        let lossy =
            Sequential { b_lost: 10, b_sent: 17_491, a_sent: 8_022, loss: Verdict::Worse, ..test(Stopped::Worse) };
        assert_eq!(
            say(Verdict::Worse, &lossy, &[&p50, &worse]),
            "a trade, not better on every figure: P50 −12.3 % [−14.1, −10.2], P99 +300.0 % [+160.0, +4644.0], loss 0 → 0.057 %; 9 pairs of \
             rounds"
        );
        assert_eq!(
            say(Verdict::Unclear, &test(Stopped::Futile), &[&p99, &p99]),
            "no difference shown (smallest detectable difference 0.51 µs); 9 pairs of rounds"
        );
        assert_eq!(
            say(Verdict::Unclear, &test(Stopped::Exhausted), &[&p50, &p99]),
            "not better: something else may be worse: P50 −12.3 % [−14.1, −10.2]; 9 pairs of rounds"
        );
        let leans = Sequential { leans: vec!["P99".into(), "loss".into()], ..test(Stopped::Exhausted) };
        assert_eq!(
            say(Verdict::Unclear, &leans, &[&p50, &p99]),
            "not better: P99 and loss may be worse: P50 −12.3 % [−14.1, −10.2]; 9 pairs of rounds"
        );
        assert!(
            say(Verdict::Unclear, &test(Stopped::Interrupted), &[]).starts_with("interrupted, no difference shown")
        );
        let planned = QuantileDifference { from: Clock::Planned, ..p50 };
        assert!(say(Verdict::Better, &test(Stopped::Better), &[&planned]).starts_with("better: planned P50 −12.3 %"));
    }

    #[test]
    fn the_sentences_of_a_number_without_a_unit() {
        let d = FigureDifference {
            a: Some(103.0),
            b: Some(121.0),
            diff: Some(18.0),
            low: Some(15.0),
            high: Some(21.0),
            change_ratio: Some(0.175),
            change_low: Some(0.14),
            change_high: Some(0.21),
            verdict: Verdict::Better,
            ..FigureDifference::default()
        };
        assert_eq!(of_figure(Stopped::Better, &d, 9), "better: 103 → 121, +17.5 % [+14.0, +21.0]; 9 pairs of runs");
        let d = FigureDifference { verdict: Verdict::Unclear, change_ratio: None, ..d };
        assert_eq!(
            of_figure(Stopped::Futile, &d, 1),
            "no difference shown (smallest detectable difference 3); 1 pair of runs"
        );
        let d = FigureDifference { low: None, verdict: Verdict::Worse, ..d };
        assert_eq!(
            of_figure(Stopped::Worse, &d, 5),
            "worse (by a one-sided test): 103 → 121, +18 [open, +21]; 5 pairs of runs"
        );
    }

    #[test]
    fn losses_are_shares_with_two_digits() {
        assert_eq!(loss_change("loss", (0, 8_022), (10, 17_491)), "loss 0 → 0.057 %");
        assert_eq!(loss_change("lost or over 10 ms", (1, 3), (100, 100)), "lost or over 10 ms 33 → 100 %");
        assert_eq!(loss_change("loss", (3, 1_000_000), (0, 0)), "loss 0.00030 → 0 %");
    }
}

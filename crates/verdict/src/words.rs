//! A verdict as one sentence.

use lowlat_model::Verdict;
use lowlat_model::units::us;
use lowlat_model::verdict::QuantileDifference;

use crate::compare::losses::Losses;
use crate::name;

/// The verdict in words, lower case, no full stop.
pub(crate) fn words(
    pairs: usize,
    judged: &[QuantileDifference],
    losses: &Losses,
    verdict: Verdict,
    detectable: Option<u64>,
) -> String {
    if pairs < 4 {
        return format!("no difference shown: {pairs} pairs of rounds, at least 4 are needed");
    }
    let (Some(middle), Some(tail)) = (judged.first(), judged.last()) else { return "nothing was compared".to_owned() };
    let would = detectable.map(|ns| format!(" (would have shown {} µs)", us(ns))).unwrap_or_default();
    let mut parts = Vec::new();
    let opposed = [middle.verdict, tail.verdict];
    let trade = opposed.contains(&Verdict::Better) && opposed.contains(&Verdict::Worse);
    parts.push(match verdict {
        _ if trade => format!("a trade, not better on both: {}, {}", change(middle), change(tail)),
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
            format!("no difference shown{would}: {}, {}, within what is worth having", change(middle), change(tail))
        }
        _ if losses.shows == Verdict::Unclear && opposed.contains(&Verdict::Better) => {
            let shown: Vec<String> =
                [middle, tail].into_iter().filter(|d| d.verdict == Verdict::Better).map(change).collect();
            format!("not called better, because it may lose more: {}", shown.join(", "))
        }
        _ => format!("no difference shown{would}"),
    });
    if verdict == Verdict::Better && !trade {
        for d in [middle, tail].into_iter().filter(|d| d.verdict == Verdict::Unclear && d.diff_ns.is_some()) {
            let most = d.change_high.map(|h| format!(" (at most {})", percent(h))).unwrap_or_default();
            parts.push(format!("{} not shown to change{most}", name(d.q)));
        }
    }
    if tail.diff_ns.is_none() && tail.verdict == Verdict::Unclear {
        parts.push(format!("{} not judged: too few samples, or it falls among the lost", name(tail.q)));
    }
    if losses.a.0 != losses.b.0 {
        parts.push(format!("lost {} of {} without, {} of {} with", losses.a.0, losses.a.1, losses.b.0, losses.b.1));
    }
    parts.join("; ")
}

/// `P50 −12.3 % [−14.1, −10.2]`.
fn change(d: &QuantileDifference) -> String {
    let end = |ratio: Option<f64>| ratio.map_or_else(|| "open".to_owned(), bare);
    match (d.change_ratio, d.change_low, d.change_high) {
        // An end that the samples do not bear is open.
        (Some(c), low, high) if low.is_some() || high.is_some() => {
            format!("{} {} [{}, {}]", name(d.q), percent(c), end(low), end(high))
        }
        _ if d.verdict == Verdict::Better => format!("{} no longer falls among the lost", name(d.q)),
        _ if d.verdict == Verdict::Worse => format!("{} falls among the lost", name(d.q)),
        _ => format!("{} not judged", name(d.q)),
    }
}

fn percent(ratio: f64) -> String {
    format!("{} %", bare(ratio))
}

/// A percentage with its sign; the minus is U+2212, as in print.
fn bare(ratio: f64) -> String {
    let rounded = (ratio * 1e3).round() / 10.0;
    if rounded < 0.0 { format!("−{:.1}", -rounded) } else { format!("+{:.1}", rounded.abs()) }
}

//! What two stored runs show, set against each other after the fact.
//!
//! Two runs taken one after the other differ in more than what was meant to differ: the host's speed, its neighbours.
//! The intervals here hold what each run shows of its own noise, and the verdict says so. Alternated
//! rounds ([`crate::sequential`]) are the better experiment.

#![allow(clippy::many_single_char_names)] // a, b, k, q: the names statistics gives them

use lowlat_model::measurement::{LOST, Measurement, QuantileInterval, samples_needed};
use lowlat_model::verdict::{Comparison, Design};

use crate::Random;
use crate::compare::{CompareOptions, Draws, Figure, Losses, QUANTILES, document, shown};
use crate::share::{Ranked, Share};
use crate::single::stretch;

/// Quantiles beyond those the verdict rests on; shown where both runs bear them.
const FURTHER: [f64; 2] = [0.999, 0.9999];

const APART: &str = "the two runs were taken one after the other: whatever else changed between them is in the difference; alternate \
     two live configurations to rule that out";

/// Judges run B against run A: samples in send order, losses as +∞, each with its name.
///
/// Each side's share below its quantile is resampled by moving blocks on its own, the resampled share is read off the
/// sorted samples, and the difference of the two is the draw. The interval is made of the percentiles of the draws.
pub fn compare_samples(a: (&str, &[u64]), b: (&str, &[u64]), options: &CompareOptions) -> Comparison {
    let mut random = Random::new(options.seed);
    let (x, y) = (Ranked::new(a.1), Ranked::new(b.1));
    let mut judged = Vec::new();
    let mut detectable = None;
    for q in QUANTILES.into_iter().chain(FURTHER) {
        let supported = |run: &Ranked| run.len() as u64 >= samples_needed(q);
        if FURTHER.contains(&q) && !(supported(&x) && supported(&y)) {
            continue;
        }
        let figure =
            if supported(&x) && supported(&y) { quantile(&x, &y, q, options, &mut random) } else { Figure::default() };
        if judged.is_empty() {
            detectable = figure.detectable;
        }
        judged.push(figure.judge(q, options));
    }
    let losses = losses(a.1, b.1, options, &mut random);
    let mut out = document((a.0, b.0), (judged, detectable), &losses, (Design::Samples, options.seed));
    out.warnings.push(APART.to_owned());
    out
}

fn quantile(x: &Ranked, y: &Ranked, q: f64, options: &CompareOptions, random: &mut Random) -> Figure {
    let (a, b) = (x.quantile(q), y.quantile(q));
    let shares = [x.share(q), y.share(q)];
    if a == LOST || b == LOST {
        // Surely lost, surely not: the interval of the one lies among the lost, that of the other before them.
        let ends = |run: &Ranked, share: &Share, random: &mut Random| {
            let mut drawn: Vec<f64> = (0..options.iterations).map(|_| share.deviation(random)).collect();
            drawn.sort_unstable_by(f64::total_cmp);
            let tail = (1.0 - options.confidence) / 2.0;
            let wide = stretch(share.stretches(), options.confidence);
            let end = |p: f64| drawn[lowlat_model::measurement::rank(drawn.len(), p)] * wide;
            (run.beyond(q - end(1.0 - tail)), run.beyond(q - end(tail)))
        };
        let (low_a, high_a) = ends(x, &shares[0], random);
        let (low_b, high_b) = ends(y, &shares[1], random);
        return Figure::lost(low_a == LOST && high_b != LOST, low_b == LOST && high_a != LOST);
    }
    let (most_a, most_b) = (x.largest(), y.largest());
    let mut draws = Draws::with_capacity(options.iterations);
    for _ in 0..options.iterations {
        let [da, db] = [&shares[0], &shares[1]].map(|s| s.deviation(random));
        // What lands among the lost, or beyond the sample, is as far out as the samples can tell.
        draws.push((x.beyond(q - da).min(most_a) as f64, y.beyond(q - db).min(most_b) as f64));
    }
    let k = shares[0].stretches().min(shares[1].stretches());
    Figure::finish((a as f64, b as f64), draws, k, options)
}

fn losses(a: &[u64], b: &[u64], options: &CompareOptions, random: &mut Random) -> Losses {
    let lost = |s: &[u64]| s.iter().map(|&v| v == LOST).collect::<Vec<_>>();
    let (x, y) = (lost(a), lost(b));
    let count = |s: &[bool]| (s.iter().filter(|&&l| l).count() as u64, s.len() as u64);
    let (a, b) = (count(&x), count(&y));
    let ratio = |(lost, sent): (u64, u64)| lost as f64 / sent.max(1) as f64;
    let diff = ratio(b) - ratio(a);
    if diff == 0.0 || x.is_empty() || y.is_empty() {
        return Losses { a, b, shows: shown((a, b), (f64::NEG_INFINITY, f64::INFINITY)) };
    }
    let shares = [Share::new(&x), Share::new(&y)];
    let mut draws = Draws::with_capacity(options.iterations);
    for _ in 0..options.iterations {
        let [da, db] = [&shares[0], &shares[1]].map(|s| s.deviation(random));
        draws.push((ratio(a) + da, ratio(b) + db));
    }
    let k = shares[0].stretches().min(shares[1].stretches());
    let reach = draws.reach((diff, 0.0), options.confidence, stretch(k, options.confidence));
    Losses { a, b, shows: shown((a, b), (diff - reach[0], diff + reach[1])) }
}

/// Judges document B against document A by their figures and intervals, where the samples of one or both are not at
/// hand.
///
/// The interval of a difference from those of its two sides: `d ∓ √(reach_a² + reach_b²)`, the method of variance
/// estimates recovery (Zou and Donner 2008, Statistics in Medicine 27:1693). Losses are counted, not resampled: they
/// can keep B from being called better, and show nothing by themselves.
pub fn compare_figures(a: (&str, &Measurement), b: (&str, &Measurement), options: &CompareOptions) -> Comparison {
    let find = |m: &Measurement, q: f64| m.rtt_intervals.iter().find(|i| i.q.total_cmp(&q).is_eq()).copied();
    let mut judged = Vec::new();
    let mut detectable = None;
    for q in QUANTILES.into_iter().chain(FURTHER) {
        let figure = match (find(a.1, q), find(b.1, q)) {
            (Some(x), Some(y)) => recovered(x, y, options.confidence),
            _ if FURTHER.contains(&q) => continue,
            _ => Figure::default(),
        };
        if judged.is_empty() {
            detectable = figure.detectable;
        }
        judged.push(figure.judge(q, options));
    }
    let counts = [a.1, b.1].map(|m| (m.lost, m.sent));
    let shows = shown((counts[0], counts[1]), (f64::NEG_INFINITY, f64::INFINITY));
    let losses = Losses { a: counts[0], b: counts[1], shows };
    let mut out = document((a.0, b.0), (judged, detectable), &losses, (Design::Figures, options.seed));
    out.warnings.push(APART.to_owned());
    for (name, m) in [a, b] {
        if m.rtt_intervals.is_empty() {
            out.warnings.push(format!("{name} carries no intervals, so nothing can be judged by it"));
        }
    }
    out
}

fn recovered(x: QuantileInterval, y: QuantileInterval, confidence: f64) -> Figure {
    let (Some(a), Some(b)) = (x.at_ns, y.at_ns) else {
        return Figure::lost(x.low_ns.is_none() && y.high_ns.is_some(), y.low_ns.is_none() && x.high_ns.is_some());
    };
    let [Some(a_low), Some(b_low)] = [x.low_ns, y.low_ns] else { return Figure::default() };
    let (a, b) = (a as f64, b as f64);
    let reach = |from: f64, to: Option<u64>| to.map_or(f64::INFINITY, |to| (to as f64 - from).max(0.0));
    let (down_a, down_b) = ((a - a_low as f64).max(0.0), (b - b_low as f64).max(0.0));
    let (up_a, up_b) = (reach(a, x.high_ns), reach(b, y.high_ns));
    let d = b - a;
    Figure::given((a, b), (d - down_b.hypot(up_a), d + up_b.hypot(down_a)), confidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::Verdict;

    /// AR(1) in the logarithm, with a rare long tail.
    fn run(seed: u64, n: usize, effect: f64, loss: f64) -> Vec<u64> {
        let mut r = Random::new(seed);
        let mut x = 0.0;
        (0..n)
            .map(|_| {
                x = 0.5 * x + 0.08 * r.normal();
                let stall = if r.unit() < 0.02 { 20_000.0 * r.exponential() } else { 0.0 };
                let gone = r.unit() < loss;
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
                let ns = (effect * 10_000.0 * f64::exp(x) + stall) as u64;
                if gone { LOST } else { ns }
            })
            .collect()
    }

    fn judge(a: &[u64], b: &[u64], seed: u64) -> Comparison {
        compare_samples(("a", a), ("b", b), &CompareOptions { iterations: 500, seed, ..CompareOptions::default() })
    }

    fn document_of(samples: &[u64]) -> Measurement {
        let rtt = crate::quantiles(samples);
        let sent = samples.len() as u64;
        let lost = samples.iter().filter(|&&s| s == LOST).count() as u64;
        let rtt_intervals = crate::intervals(samples, &crate::QUANTILES, 0.95, 500, 1);
        Measurement { rtt, sent, lost, received: sent - lost, rtt_intervals, ..Measurement::default() }
    }

    /// Without an effect, two judged quantiles at 95 % each may be wrong in some 8 % of comparisons.
    #[test]
    fn an_open_end_is_reported_and_nothing_is_made_of_it() {
        let side = |at, low, high| QuantileInterval { q: 0.5, at_ns: Some(at), low_ns: Some(low), high_ns: high };
        let figure = recovered(side(10_000, 9_900, Some(10_100)), side(20_000, 19_800, None), 0.95);
        let d = figure.judge(0.5, &CompareOptions::default());
        assert_eq!((d.verdict, d.high_ns, d.change_high), (Verdict::Worse, None, None), "{d:?}");
        assert!(d.low_ns.is_some_and(|low| low > 9_700), "{d:?}");
        assert_eq!(figure.detectable, None);
        let losses = Losses { a: (0, 100), b: (0, 100), shows: Verdict::Same };
        let words = document(("a", "b"), (vec![d.clone(), d.clone(), d], None), &losses, (Design::Figures, 1)).words;
        assert!(words.contains("P50 at least 98 % higher"), "{words}");
    }

    #[test]
    fn two_equal_runs_show_no_difference_and_an_effect_is_found() {
        let wrong = (0..60u64)
            .filter(|&i| {
                let c = judge(&run(2 * i, 4_000, 1.0, 0.0), &run(2 * i + 1, 4_000, 1.0, 0.0), i);
                matches!(c.verdict, Verdict::Better | Verdict::Worse)
            })
            .count();
        assert!(wrong <= 6, "{wrong} of 60 wrong");
        for (effect, verdict) in [(0.9, Verdict::Better), (1.1, Verdict::Worse)] {
            let (a, b) = (run(500, 8_000, 1.0, 0.0), run(501, 8_000, effect, 0.0));
            let c = judge(&a, &b, 1);
            assert_eq!((c.verdict, c.design), (verdict, Design::Samples), "{c:?}");
            assert!(c.smallest_detectable_ns.unwrap() < 1_000, "{c:?}");
            let by_figures =
                compare_figures(("a", &document_of(&a)), ("b", &document_of(&b)), &CompareOptions::default());
            assert_eq!(by_figures.quantiles[0].verdict, verdict, "{by_figures:?}");
            assert_eq!(by_figures.design, Design::Figures);
            // The two ways agree on the interval of the median.
            let (x, y) = (&c.quantiles[0], &by_figures.quantiles[0]);
            let width = |q: &lowlat_model::verdict::QuantileDifference| (q.high_ns.unwrap() - q.low_ns.unwrap()) as f64;
            assert!((0.7..1.4).contains(&(width(x) / width(y))), "{x:?} {y:?}");
        }
    }

    #[test]
    fn the_difference_intervals_hold_the_true_effect() {
        let hits = (0..100u64)
            .filter(|&i| {
                let c = judge(&run(1_000 + 2 * i, 3_000, 1.0, 0.0), &run(1_001 + 2 * i, 3_000, 1.2, 0.0), i);
                // The stalls move both medians a little alike: the ratio of the medians is 1.2 to 0.3 %.
                let q = &c.quantiles[0];
                (q.change_low.unwrap() - 0.003..=q.change_high.unwrap() + 0.003).contains(&0.2)
            })
            .count();
        assert!((90..=100).contains(&hits), "{hits} of 100");
    }

    #[test]
    fn the_same_run_twice_shows_no_difference_as_text() {
        let a = run(3, 5_000, 1.0, 0.0);
        let c = judge(&a, &a, 1);
        assert!(
            c.words.starts_with("no difference shown") && c.words.contains("smallest detectable difference"),
            "{}",
            c.words
        );
        assert!(c.warnings[0].contains("one after the other"));
    }

    #[test]
    fn losses_are_never_better_and_a_lost_tail_is_worse() {
        let (clean, lossy) = (run(7, 5_000, 1.0, 0.0), run(8, 5_000, 0.8, 0.03));
        assert_eq!(judge(&clean, &lossy, 1).verdict, Verdict::Worse);
        assert_eq!(judge(&lossy, &clean, 1).quantiles[2].verdict, Verdict::Better);
        let by_figures = |a: &[u64], b: &[u64]| {
            compare_figures(("a", &document_of(a)), ("b", &document_of(b)), &CompareOptions::default())
        };
        assert_eq!(by_figures(&clean, &lossy).verdict, Verdict::Worse);
        assert_eq!(judge(&[], &clean, 1).verdict, Verdict::Unclear);
        assert_eq!(judge(&vec![LOST; 3_000], &clean, 1).quantiles[0].verdict, Verdict::Better);
    }

    #[test]
    fn a_document_without_intervals_judges_nothing() {
        let bare = Measurement { rtt_intervals: Vec::new(), ..document_of(&run(1, 2_000, 1.0, 0.0)) };
        let c = compare_figures(("x", &bare), ("y", &bare), &CompareOptions::default());
        assert_eq!(c.verdict, Verdict::Unclear);
        assert!(c.warnings.iter().any(|w| w.contains("carries no intervals")), "{c:?}");
    }
}

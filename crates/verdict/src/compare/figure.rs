//! One quantile of A against B: the figure, its interval, and what it alone shows.

#![allow(clippy::many_single_char_names)] // a, b, k, q, t: the names statistics gives them

use lowlat_model::Verdict;
use lowlat_model::verdict::{Clock, QuantileDifference};

use super::CompareOptions;
use super::draws::Draws;
use crate::single::stretch;
use crate::student;

/// Fewest independent stretches of a run that can show anything: with three, even a t interval is wider than any effect
/// worth the name.
const FEWEST_STRETCHES: usize = 4;

/// A figure and its interval, in ns.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    a: f64,
    b: f64,
    diff: (f64, f64, f64),
    ratio: (f64, f64, f64),
}

/// What one quantile gives.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figure {
    estimate: Option<Estimate>,
    /// What it shows that the quantile of one side alone lies among the lost; `Unclear` where that is not so.
    by_loss: Verdict,
    pub(crate) detectable: Option<u64>,
    enough: bool,
}

impl Figure {
    /// From two quantiles and `draws` of their difference, over `k` independent stretches of the shorter run.
    ///
    /// The interval: percentiles of the draws, widened for few stretches ([`stretch`]).
    pub(crate) fn finish((a, b): (f64, f64), mut draws: Draws, k: usize, options: &CompareOptions) -> Self {
        let (diff, ratio) = (b - a, if a > 0.0 { (b - a) / a } else { 0.0 });
        if k < FEWEST_STRETCHES || draws.is_empty() {
            let open = Estimate { a, b, diff: (diff, f64::NAN, f64::NAN), ratio: (ratio, f64::NAN, f64::NAN) };
            return Self { estimate: Some(open), ..Self::default() };
        }
        let reach = draws.reach((diff, ratio), options.confidence, stretch(k, options.confidence));
        let half = f64::midpoint(reach[0], reach[1]);
        // Shown with 80 % probability: the half-width times (t₀.₉₇₅ + t₀.₈) / t₀.₉₇₅.
        let t = student::two_sided(options.confidence, k - 1);
        let detectable = half * (t + student::two_sided(0.6, k - 1)) / t;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a width; the cast saturates
        let detectable = Some(detectable.ceil() as u64);
        let estimate = Estimate {
            a,
            b,
            diff: (diff, diff - reach[0], diff + reach[1]),
            ratio: (ratio, ratio - reach[2], ratio + reach[3]),
        };
        Self { estimate: Some(estimate), by_loss: Verdict::Unclear, detectable, enough: true }
    }

    /// From two quantiles and the interval of their difference.
    pub(crate) fn given((a, b): (f64, f64), (low, high): (f64, f64), confidence: f64) -> Self {
        let share = |ns: f64| if a > 0.0 { ns / a } else { 0.0 };
        let z = student::two_sided(confidence, usize::MAX);
        let detectable = ((high - low) / 2.0 * (z + student::two_sided(0.6, usize::MAX)) / z).ceil();
        // With an open end no difference is large enough to have shown surely.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a width; the cast saturates
        let detectable = detectable.is_finite().then_some(detectable as u64);
        let ratio = (share(b - a), share(low), share(high));
        Self {
            estimate: Some(Estimate { a, b, diff: (b - a, low, high), ratio }),
            by_loss: Verdict::Unclear,
            detectable,
            enough: true,
        }
    }

    /// No difference can be given, but one side's quantile lies surely among the lost and the other's surely does not.
    pub(crate) fn lost(a: bool, b: bool) -> Self {
        let by_loss = match (a, b) {
            (true, false) => Verdict::Better,
            (false, true) => Verdict::Worse,
            _ => Verdict::Unclear,
        };
        Self { by_loss, ..Self::default() }
    }

    /// `same` when the interval lies too small to matter; else `better` or `worse` when it excludes zero; else
    /// `unclear`.
    pub(crate) fn judge(&self, q: f64, options: &CompareOptions) -> QuantileDifference {
        let Some(e) = self.estimate else {
            return QuantileDifference { q, verdict: self.by_loss, ..QuantileDifference::default() };
        };
        // A latency is not below 0, so no difference is beyond -100 % of A: an interval made of draws may reach further.
        // One without an end stays so.
        let at_least = |v: f64, least: f64| if v.is_finite() { v.max(least) } else { v };
        let (diff_low, ratio_low) = (at_least(e.diff.1, -e.a), at_least(e.ratio.1, -1.0));
        let worth = (e.a * options.worth_ratio).max(options.worth_floor_ns as f64);
        let verdict = if !self.enough {
            Verdict::Unclear
        } else if e.diff.1 >= -worth && e.diff.2 <= worth {
            Verdict::Same
        } else if e.ratio.2 < 0.0 {
            Verdict::Better
        } else if e.ratio.1 > 0.0 {
            Verdict::Worse
        } else {
            Verdict::Unclear
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // finite and positive; casts saturate
        let (whole, signed) = (|v: f64| v.round() as u64, |v: f64| v.is_finite().then(|| v.round() as i64));
        let (a_ns, b_ns) = (whole(e.a), whole(e.b));
        let finite = |v: f64| v.is_finite().then_some(v);
        QuantileDifference {
            q,
            from: Clock::Send,
            a_ns: Some(a_ns),
            b_ns: Some(b_ns),
            diff_ns: Some(b_ns.cast_signed() - a_ns.cast_signed()), // so that the three figures agree to the ns
            low_ns: signed(diff_low),
            high_ns: signed(e.diff.2),
            change_ratio: finite(e.ratio.0),
            change_low: finite(ratio_low),
            change_high: finite(e.ratio.2),
            verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B's quantile is far below A's and scatters widely: draws lie beyond -100 %.
    #[test]
    fn no_interval_reaches_below_nothing() {
        let options = CompareOptions::default();
        let mut draws = Draws::with_capacity(100);
        for n in 0..100 {
            draws.push((100_000.0, 45_000.0 - 900.0 * f64::from(n)));
        }
        let judged = Figure::finish((100_000.0, 43_200.0), draws, 10, &options).judge(0.99, &options);
        assert_eq!((judged.change_low, judged.low_ns), (Some(-1.0), Some(-100_000)), "{judged:?}");
        let given = Figure::given((100_000.0, 43_200.0), (-111_800.0, -45_400.0), 0.95).judge(0.99, &options);
        assert_eq!((given.change_low, given.low_ns), (Some(-1.0), Some(-100_000)), "{given:?}");
        let open = Figure::given((100_000.0, 43_200.0), (f64::NEG_INFINITY, -45_400.0), 0.95).judge(0.99, &options);
        assert_eq!((open.change_low, open.low_ns), (None, None), "{open:?}");
    }
}

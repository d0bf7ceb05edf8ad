//! One quantile of A against B: the figure, its interval, and what it alone shows.

#![allow(clippy::many_single_char_names)] // a, b, k, q, t: the names statistics gives them

use lowlat_model::Verdict;
use lowlat_model::measurement::{LOST, samples_needed};
use lowlat_model::verdict::{Clock, QuantileDifference};

use super::draws::{Draws, trim, trimmed};
use super::groups::{Groups, INNER, Side, per_group};
use super::{FEWEST_PAIRS, Options, Pair};
use crate::{Random, student};

/// A figure and its interval, in ns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    pub(super) a: f64,
    pub(super) b: f64,
    pub(super) diff: (f64, f64, f64),
    pub(super) ratio: (f64, f64, f64),
}

/// What one quantile gives.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figure {
    pub(super) estimate: Option<Estimate>,
    /// Pairs whose quantile falls among the lost: of A only, of B only.
    pub(super) lost: (usize, usize),
    pub(crate) detectable: Option<u64>,
    pub(super) enough: bool,
}

impl Figure {
    pub(super) fn new(pairs: &[Pair<'_>], q: f64, groups: &mut Groups, options: &Options, random: &mut Random) -> Self {
        if pairs.is_empty() {
            return Self::default();
        }
        let needed = usize::try_from(samples_needed(q)).unwrap_or(usize::MAX);
        let per_group = per_group(pairs, q);
        if pairs.len() / per_group >= FEWEST_PAIRS {
            return Self::paired(groups.of(pairs, per_group, random), q, options, random);
        }
        let borne = |n: usize| n >= needed;
        if borne(pairs.iter().map(|p| p.0.len()).sum()) && borne(pairs.iter().map(|p| p.1.len()).sum()) {
            return Self::pooled(pairs, q, options, random);
        }
        Self::default()
    }

    /// Differences of the rounds' own quantiles.
    fn paired(groups: &[[Side; 2]], q: f64, options: &Options, random: &mut Random) -> Self {
        let mut lost = (0, 0);
        let mut points = Vec::with_capacity(groups.len());
        let mut inner = Vec::with_capacity(groups.len());
        for [a, b] in groups {
            let (x, y) = (a.at(q), b.at(q));
            lost.0 += usize::from(x == LOST && y != LOST);
            lost.1 += usize::from(y == LOST && x != LOST);
            if x != LOST && y != LOST {
                points.push((x as f64, y as f64));
                inner.push((a.draws(q), b.draws(q)));
            }
        }
        let k = points.len();
        if k == 0 {
            return Self { lost, ..Self::default() };
        }
        let mut scratch = Vec::with_capacity(k);
        let (a, b) = trimmed(points.iter().copied(), &mut scratch);
        let mut outer = Draws::with_capacity(options.iterations);
        let mut floor = Draws::with_capacity(options.iterations);
        for _ in 0..options.iterations {
            outer.push(trimmed((0..k).map(|_| points[random.below(k)]), &mut scratch));
            floor.push(trimmed(
                inner.iter().map(|(a, b)| (a[random.below(INNER)], b[random.below(INNER)])),
                &mut scratch,
            ));
        }
        let df = k.saturating_sub(2 * trim(k) + 1);
        Self::finish((a, b), outer, Some(floor), (k, df), lost, options)
    }

    /// The quantile of all samples of a side together, for rounds too short to bear it: each resample weighs a pair by
    /// how often it was drawn and walks down from the largest sample.
    fn pooled(pairs: &[Pair<'_>], q: f64, options: &Options, random: &mut Random) -> Self {
        let k = pairs.len();
        let tagged = |pick: fn(&Pair<'_>) -> Vec<u64>| {
            let mut all: Vec<(u64, usize)> =
                pairs.iter().enumerate().flat_map(|(i, p)| pick(p).into_iter().map(move |s| (s, i))).collect();
            all.sort_unstable_by(|x, y| y.cmp(x));
            let sizes: Vec<usize> = pairs.iter().map(|p| pick(p).len()).collect();
            (all, sizes)
        };
        let sides = [tagged(|p| p.0.to_vec()), tagged(|p| p.1.to_vec())];
        let at = |side: &(Vec<(u64, usize)>, Vec<usize>), weights: &[usize]| {
            let n: usize = side.1.iter().zip(weights).map(|(s, w)| s * w).sum();
            let above = n - lowlat_model::measurement::rank(n, q);
            let mut seen = 0;
            let hit = side.0.iter().find(|(_, i)| {
                seen += weights[*i];
                seen >= above
            });
            hit.map_or(LOST, |h| h.0)
        };
        let ones = vec![1; k];
        let (a, b) = (at(&sides[0], &ones), at(&sides[1], &ones));
        let lost = (if a == LOST && b != LOST { k } else { 0 }, if b == LOST && a != LOST { k } else { 0 });
        if a == LOST || b == LOST {
            return Self { lost, ..Self::default() };
        }
        let mut outer = Draws::with_capacity(options.iterations);
        let mut weights = vec![0; k];
        for _ in 0..options.iterations {
            weights.fill(0);
            for _ in 0..k {
                weights[random.below(k)] += 1;
            }
            let (x, y) = (at(&sides[0], &weights), at(&sides[1], &weights));
            if x != LOST && y != LOST {
                outer.push((x as f64, y as f64));
            }
        }
        Self::finish((a as f64, b as f64), outer, None, (k, k - 1), lost, options)
    }

    pub(crate) fn finish(
        (a, b): (f64, f64),
        mut outer: Draws,
        floor: Option<Draws>,
        (k, df): (usize, usize),
        lost: (usize, usize),
        options: &Options,
    ) -> Self {
        let (diff, ratio) = (b - a, if a > 0.0 { (b - a) / a } else { 0.0 });
        if k < FEWEST_PAIRS || df == 0 || outer.diff.is_empty() {
            let open = Estimate { a, b, diff: (diff, f64::NAN, f64::NAN), ratio: (ratio, f64::NAN, f64::NAN) };
            return Self { estimate: Some(open), lost, ..Self::default() };
        }
        let t = student::two_sided(options.confidence, df);
        // The normal quantile is t's at many degrees of freedom (1000 here: 0.1 % off).
        let stretch = t / student::two_sided(options.confidence, usize::MAX) * (k as f64 / (k - 1) as f64).sqrt();
        let mut reach = outer.reach((diff, ratio), options.confidence, stretch);
        if let Some(mut floor) = floor {
            let least = floor.reach((diff, ratio), options.confidence, 1.0);
            for (r, l) in reach.iter_mut().zip(least) {
                *r = r.max(l);
            }
        }
        let half = f64::midpoint(reach[0], reach[1]);
        // Shown with 80 % probability: the half-width times (t₀.₉₇₅ + t₀.₈) / t₀.₉₇₅.
        let detectable = half * (t + student::two_sided(0.6, df)) / t;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a width; the cast saturates
        let detectable = Some(detectable.ceil() as u64);
        let estimate = Estimate {
            a,
            b,
            diff: (diff, diff - reach[0], diff + reach[1]),
            ratio: (ratio, ratio - reach[2], ratio + reach[3]),
        };
        Self { estimate: Some(estimate), lost, detectable, enough: true }
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
            lost: (0, 0),
            detectable,
            enough: true,
        }
    }

    /// No difference can be given, but one side's quantile lies surely among the lost and the other's surely does not.
    pub(crate) fn lost(a: bool, b: bool) -> Self {
        let surely = |lost| if lost { FEWEST_PAIRS } else { 0 };
        Self { lost: (surely(a && !b), surely(b && !a)), ..Self::default() }
    }

    pub(crate) fn judge(&self, q: f64, options: &Options) -> QuantileDifference {
        let by_loss = match self.lost {
            (a, b) if a >= FEWEST_PAIRS && a > 3 * b => Some(Verdict::Better),
            (a, b) if b >= FEWEST_PAIRS && b > 3 * a => Some(Verdict::Worse),
            _ => None,
        };
        let Some(e) = self.estimate else {
            let verdict = by_loss.unwrap_or(Verdict::Unclear);
            return QuantileDifference { q, verdict, ..QuantileDifference::default() };
        };
        let worth = (e.a * options.worth_ratio).max(options.worth_floor_ns as f64);
        let mut verdict = if !self.enough {
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
        // Pairs whose quantile is lost carry no difference; they must not speak through their absence either.
        verdict = match by_loss {
            Some(shown) => shown,
            None if self.lost.1 > self.lost.0 && verdict == Verdict::Better => Verdict::Unclear,
            None if self.lost.0 > self.lost.1 && verdict == Verdict::Worse => Verdict::Unclear,
            None => verdict,
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
            low_ns: signed(e.diff.1),
            high_ns: signed(e.diff.2),
            change_ratio: finite(e.ratio.0),
            change_low: finite(e.ratio.1),
            change_high: finite(e.ratio.2),
            verdict,
        }
    }
}

//! What alternated rounds of two configurations show.
//!
//! The unit is the **pair**: a round of A and the round of B that ran beside it. Whatever drifts more slowly than a pair
//! lasts (a host that changes speed, a neighbour's load) falls on both and cancels in their difference. Whole pairs are
//! resampled, so any dependence between the samples inside a round is respected without a model of it; moving blocks
//! inside the rounds give a floor, for when a handful of pairs agree by luck.

#![allow(clippy::many_single_char_names)] // a, b, k, q, t: the names statistics gives them

use lowlat_model::measurement::{LOST, samples_needed};
use lowlat_model::verdict::{Comparison, QuantileDifference, Rounds};
use lowlat_model::{Schema, Verdict};

use crate::blocks::Blocks;
use crate::words;
use crate::{Random, student};

/// Fewest pairs that can show anything: with three, even a t interval is wider than any effect worth the name.
const FEWEST_PAIRS: usize = 4;
/// Resamples inside one round; they only set the floor's width, which a few dozen give to some 10 %.
const INNER: usize = 48;
/// The quantiles that are compared; the verdict rests on the first and the last.
const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// How a comparison is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Confidence of the intervals.
    pub confidence: f64,
    /// Bootstrap resamples.
    pub iterations: usize,
    /// Of every random choice: the same rounds, options and seed give the same verdict.
    pub seed: u64,
    /// A difference below this share of A's quantile is not worth having…
    pub worth_ratio: f64,
    /// …nor is one below this many ns. The default is four reads of `CLOCK_MONOTONIC` (24–26 ns each).
    pub worth_floor_ns: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { confidence: 0.95, iterations: 2_000, seed: 1, worth_ratio: 0.02, worth_floor_ns: 100 }
    }
}

/// Losses of both sides, and what they alone show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Losses {
    pub(crate) a: (u64, u64),
    pub(crate) b: (u64, u64),
    /// `Better`: B loses less, beyond chance. `Worse`: more, beyond chance. `Unclear`: more, and chance does not
    /// explain it well. `Same`: neither.
    pub(crate) shows: Verdict,
}

/// One pair: A's samples and B's, in send order.
type Pair<'a> = (&'a [u64], &'a [u64]);

/// Judges B against A.
///
/// Neighbouring rounds of different sides form a pair; a round without a partner is left out. For each quantile:
///
/// 1. Pairs are merged with their neighbours until each side bears the quantile (`10 / (1 − q)` samples). Where that
///    leaves fewer than four, the quantile is taken of all samples of a side together instead.
/// 2. The figure is the 20 % trimmed mean over pairs of B's quantile less A's, so that a pair in which the host changed
///    speed half-way does not decide.
/// 3. Its interval: percentiles over resampled pairs, stretched by `t / z · √(k / (k − 1))` for few pairs (the
///    bootstrap's narrowness bias: Hesterberg 2015, The American Statistician 69:371, §4), and never narrower than what
///    moving blocks inside the rounds give.
/// 4. `same` when the interval lies within what is worth having; else `better` or `worse` when it excludes zero; else
///    `unclear`.
///
/// The whole is better when P50 or P99 is and the other is not worse; a change that helps one and hurts the other is
/// `worse` and told as a trade. More loss in B than chance explains is never better; less loss is, when no
/// quantile is worse.
///
/// Cost: one sort of each round, 48 × 3 operations a sample, and `iterations` × pairs: some 20 ms for ten pairs of 2 000.
pub fn compare(rounds: &Rounds, options: &Options) -> Comparison {
    let pairs = pair_up(rounds);
    let mut random = Random::new(options.seed);
    let mut judged: Vec<QuantileDifference> = Vec::with_capacity(QUANTILES.len());
    let mut detectable = None;
    let mut groups = Groups::default();
    for (place, q) in QUANTILES.into_iter().enumerate() {
        let figure = Figure::new(&pairs, q, &mut groups, options, &mut random);
        if place == 0 {
            detectable = figure.detectable;
        }
        judged.push(figure.judge(q, options));
    }
    let losses = losses(&pairs, options, &mut random);
    let verdict = whole(pairs.len(), &judged, &losses);
    let words = words::words(pairs.len(), &judged, &losses, verdict, detectable);
    Comparison {
        schema: Schema::current("compare"),
        a: rounds.a_name.clone(),
        b: rounds.b_name.clone(),
        quantiles: judged,
        smallest_detectable_ns: detectable,
        verdict,
        words,
    }
}

/// Neighbours of different sides, in the order of their running; each round is used once.
fn pair_up(rounds: &Rounds) -> Vec<Pair<'_>> {
    let mut pairs = Vec::with_capacity(rounds.rounds.len() / 2);
    let mut rest = rounds.rounds.iter().filter(|r| !r.samples_ns.is_empty()).peekable();
    while let Some(first) = rest.next() {
        if let Some(second) = rest.next_if(|second| second.is_b != first.is_b) {
            let (a, b) = if first.is_b { (second, first) } else { (first, second) };
            pairs.push((a.samples_ns.as_slice(), b.samples_ns.as_slice()));
        }
    }
    pairs
}

/// A figure and its interval, in ns.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    a: f64,
    b: f64,
    diff: (f64, f64, f64),
    ratio: (f64, f64, f64),
}

/// Pairs to merge until each side bears `q`.
fn per_group(pairs: &[Pair<'_>], q: f64) -> usize {
    let needed = usize::try_from(samples_needed(q)).unwrap_or(usize::MAX);
    needed.div_ceil(pairs.iter().map(|(a, b)| a.len().min(b.len())).min().unwrap_or(0).max(1))
}

/// One side of a group of pairs: its quantiles, and what they are in resamples of moving blocks.
#[derive(Debug)]
struct Side {
    qs: Vec<f64>,
    at: Vec<u64>,
    /// `INNER` resamples, each with one value per quantile.
    drawn: Vec<u64>,
}

impl Side {
    fn new(samples: &[u64], qs: &[f64], random: &mut Random) -> Self {
        let mut blocks = Blocks::new(samples, qs);
        let mut drawn = Vec::with_capacity(INNER * qs.len());
        for _ in 0..INNER {
            blocks.resample(qs, random, &mut drawn);
        }
        Self { at: qs.iter().map(|&q| blocks.quantile(q)).collect(), qs: qs.to_vec(), drawn }
    }

    fn place(&self, q: f64) -> usize {
        self.qs.iter().position(|x| x.total_cmp(&q).is_eq()).unwrap_or(0)
    }

    fn at(&self, q: f64) -> u64 {
        self.at[self.place(q)]
    }

    /// A resample that lands among the lost is as far out as the quantile itself can tell.
    fn draws(&self, q: f64) -> Vec<f64> {
        let place = self.place(q);
        let at = self.at[place];
        self.drawn.iter().skip(place).step_by(self.qs.len()).map(|&d| if d == LOST { at } else { d } as f64).collect()
    }
}

/// Merged pairs, by how many were merged: quantiles that need the same number share one pass over the samples.
#[derive(Debug, Default)]
struct Groups(Vec<(usize, Vec<[Side; 2]>)>);

impl Groups {
    fn of(&mut self, pairs: &[Pair<'_>], merged: usize, random: &mut Random) -> &[[Side; 2]] {
        let place = self.0.iter().position(|g| g.0 == merged).unwrap_or_else(|| {
            let qs: Vec<f64> = QUANTILES.into_iter().filter(|&q| per_group(pairs, q) == merged).collect();
            let count = pairs.len() / merged;
            let groups = (0..count)
                .map(|g| {
                    // What does not fill a last group joins the one before.
                    let end = if g + 1 == count { pairs.len() } else { (g + 1) * merged };
                    let members = &pairs[g * merged..end];
                    let a: Vec<u64> = members.iter().flat_map(|p| p.0).copied().collect();
                    let b: Vec<u64> = members.iter().flat_map(|p| p.1).copied().collect();
                    [Side::new(&a, &qs, random), Side::new(&b, &qs, random)]
                })
                .collect();
            self.0.push((merged, groups));
            self.0.len() - 1
        });
        &self.0[place].1
    }
}

/// What one quantile gives.
#[derive(Debug, Clone, Copy, Default)]
struct Figure {
    estimate: Option<Estimate>,
    /// Pairs whose quantile falls among the lost: of A only, of B only.
    lost: (usize, usize),
    detectable: Option<u64>,
    enough: bool,
}

impl Figure {
    fn new(pairs: &[Pair<'_>], q: f64, groups: &mut Groups, options: &Options, random: &mut Random) -> Self {
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

    fn finish(
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

    fn judge(&self, q: f64, options: &Options) -> QuantileDifference {
        let by_loss = match self.lost {
            (a, b) if a >= FEWEST_PAIRS && a > 3 * b => Some(Verdict::Better),
            (a, b) if b >= FEWEST_PAIRS && b > 3 * a => Some(Verdict::Worse),
            _ => None,
        };
        let Some(e) = self.estimate else {
            let verdict = by_loss.unwrap_or(Verdict::Unclear);
            return QuantileDifference {
                q,
                a_ns: None,
                b_ns: None,
                diff_ns: None,
                low_ns: None,
                high_ns: None,
                change_ratio: None,
                change_low: None,
                change_high: None,
                verdict,
            };
        };
        let worth = (e.a * options.worth_ratio).max(options.worth_floor_ns as f64);
        let mut verdict = if !self.enough {
            Verdict::Unclear
        } else if e.diff.1 >= -worth && e.diff.2 <= worth {
            Verdict::Same
        } else if e.diff.2 < 0.0 && e.ratio.2 < 0.0 {
            Verdict::Better
        } else if e.diff.1 > 0.0 && e.ratio.1 > 0.0 {
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

/// Resampled differences, absolute and relative.
struct Draws {
    diff: Vec<f64>,
    ratio: Vec<f64>,
}

impl Draws {
    fn with_capacity(n: usize) -> Self {
        Self { diff: Vec::with_capacity(n), ratio: Vec::with_capacity(n) }
    }

    fn push(&mut self, (a, b): (f64, f64)) {
        self.diff.push(b - a);
        self.ratio.push(if a > 0.0 { (b - a) / a } else { 0.0 });
    }

    /// How far the interval reaches below and above the figures: `[diff below, diff above, ratio below, ratio above]`.
    fn reach(&mut self, (diff, ratio): (f64, f64), confidence: f64, stretch: f64) -> [f64; 4] {
        let tail = (1.0 - confidence) / 2.0;
        let ends = |draws: &mut Vec<f64>, at: f64| {
            draws.sort_unstable_by(f64::total_cmp);
            let end = |p: f64| draws[lowlat_model::measurement::rank(draws.len(), p)];
            [(at - end(tail)).max(0.0) * stretch, (end(1.0 - tail) - at).max(0.0) * stretch]
        };
        let [d0, d1] = ends(&mut self.diff, diff);
        let [r0, r1] = ends(&mut self.ratio, ratio);
        [d0, d1, r0, r1]
    }
}

/// Pairs cut from each end: a fifth, as Wilcox advises (Introduction to Robust Estimation, ch. 3).
fn trim(k: usize) -> usize {
    k / 5
}

/// Means of A and of B over the pairs that remain when those of most extreme difference are cut.
fn trimmed(points: impl Iterator<Item = (f64, f64)>, scratch: &mut Vec<(f64, f64)>) -> (f64, f64) {
    scratch.clear();
    scratch.extend(points);
    let g = trim(scratch.len());
    if g > 0 {
        scratch.sort_unstable_by(|x, y| (x.1 - x.0).total_cmp(&(y.1 - y.0)));
    }
    let kept = &scratch[g..scratch.len() - g];
    let n = kept.len() as f64;
    (kept.iter().map(|p| p.0).sum::<f64>() / n, kept.iter().map(|p| p.1).sum::<f64>() / n)
}

/// Losses, judged by the same bootstrap over pairs: losses come in bursts, so a test that takes probes as independent
/// would find differences everywhere.
fn losses(pairs: &[Pair<'_>], options: &Options, random: &mut Random) -> Losses {
    let count = |s: &[u64]| (s.iter().filter(|&&v| v == LOST).count() as u64, s.len() as u64);
    let per_pair: Vec<_> = pairs.iter().map(|(a, b)| (count(a), count(b))).collect();
    let (a, b) =
        per_pair.iter().fold(((0, 0), (0, 0)), |(a, b), (x, y)| ((a.0 + x.0, a.1 + x.1), (b.0 + y.0, b.1 + y.1)));
    let ratio = |(lost, sent): (u64, u64)| if sent == 0 { 0.0 } else { lost as f64 / sent as f64 };
    let diff = ratio(b) - ratio(a);
    let mut shows = Verdict::Same;
    let k = pairs.len();
    if diff != 0.0 {
        let (low, high) = if k < FEWEST_PAIRS {
            (f64::NEG_INFINITY, f64::INFINITY)
        } else {
            let rates: Vec<(f64, f64)> = per_pair.iter().map(|p| (ratio(p.0), ratio(p.1))).collect();
            let mut draws = Draws::with_capacity(options.iterations);
            for _ in 0..options.iterations {
                let (mut x, mut y) = (0.0, 0.0);
                for _ in 0..k {
                    let p = rates[random.below(k)];
                    x += p.0;
                    y += p.1;
                }
                draws.push((x / k as f64, y / k as f64));
            }
            let stretch = student::two_sided(options.confidence, k - 1)
                / student::two_sided(options.confidence, usize::MAX)
                * (k as f64 / (k - 1) as f64).sqrt();
            let reach = draws.reach((diff, 0.0), options.confidence, stretch);
            (diff - reach[0], diff + reach[1])
        };
        // Were there no difference, each loss would fall on B with B's share of the probes; one standard deviation above
        // that is chance. So a single loss says nothing; from two on, losses in B alone keep it from being called better.
        let total = (a.0 + b.0) as f64;
        let share = b.1 as f64 / (a.1 + b.1).max(1) as f64;
        let by_chance = b.0 as f64 <= total * share + (total * share * (1.0 - share)).sqrt();
        shows = if high < 0.0 {
            Verdict::Better
        } else if low > 0.0 {
            Verdict::Worse
        } else if diff > 0.0 && !by_chance {
            Verdict::Unclear
        } else {
            Verdict::Same
        };
    }
    Losses { a, b, shows }
}

/// P50, P99 and loss together.
fn whole(pairs: usize, judged: &[QuantileDifference], losses: &Losses) -> Verdict {
    if pairs < FEWEST_PAIRS {
        return Verdict::Unclear;
    }
    let middle = judged.first().map_or(Verdict::Unclear, |d| d.verdict);
    // A P99 that the sample does not bear leaves the judgement to P50; the words say so.
    let tail =
        judged.last().filter(|d| d.diff_ns.is_some() || d.verdict != Verdict::Unclear).map_or(middle, |d| d.verdict);
    if [middle, tail, losses.shows].contains(&Verdict::Worse) {
        return Verdict::Worse;
    }
    let better = [middle, tail, losses.shows].contains(&Verdict::Better);
    match (better, losses.shows) {
        (_, Verdict::Unclear) => Verdict::Unclear,
        (true, _) => Verdict::Better,
        (false, _) if middle == Verdict::Same && tail == Verdict::Same => Verdict::Same,
        (false, _) => Verdict::Unclear,
    }
}

//! What alternated rounds of two configurations show.
//!
//! The unit is the **pair**: a round of A and the round of B that ran beside it. Whatever drifts more slowly than a pair
//! lasts (a host that changes speed, a neighbour's load) falls on both and cancels in their difference. Whole pairs are
//! resampled, so any dependence between the samples inside a round is respected without a model of it; moving blocks
//! inside the rounds give a floor, for when a handful of pairs agree by luck.

mod draws;
mod figure;
mod groups;
pub(crate) mod losses;

use lowlat_model::verdict::{Comparison, Design, QuantileDifference, Rounds};
use lowlat_model::{Schema, Verdict};

pub(crate) use draws::Draws;
pub(crate) use figure::Figure;
use groups::Groups;
pub(crate) use losses::{Losses, shown};

use crate::{Random, words};

/// Fewest pairs that can show anything: with three, even a t interval is wider than any effect worth the name.
pub(crate) const FEWEST_PAIRS: usize = 4;
/// The quantiles that are compared; the verdict rests on the first and the last.
pub(crate) const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

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
    let losses = losses::losses(&pairs, options, &mut random);
    let names = (rounds.a_name.as_str(), rounds.b_name.as_str());
    document(names, pairs.len(), (judged, detectable), &losses, (Design::Alternated, options.seed))
}

/// The verdict on figures and losses, and its words.
pub(crate) fn document(
    (a, b): (&str, &str),
    pairs: usize,
    (quantiles, detectable): (Vec<QuantileDifference>, Option<u64>),
    losses: &Losses,
    (design, seed): (Design, u64),
) -> Comparison {
    // Further quantiles may follow the three that are judged.
    let judged = &quantiles[..quantiles.len().min(QUANTILES.len())];
    let verdict = whole(pairs, judged, losses);
    let words = words::words(pairs, judged, losses, verdict, detectable);
    Comparison {
        schema: Schema::current("compare"),
        a: a.to_owned(),
        b: b.to_owned(),
        smallest_detectable_ns: detectable,
        verdict,
        words,
        design,
        seed,
        warnings: Vec::new(),
        quantiles,
        sequential: None,
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

//! What two stored runs show: the parts that [`crate::stored`] judges by samples or by figures.

mod draws;
mod figure;
pub(crate) mod losses;

use lowlat_model::verdict::{Comparison, Design, QuantileDifference};
use lowlat_model::{Schema, Verdict};

pub(crate) use draws::Draws;
pub(crate) use figure::Figure;
pub(crate) use losses::{Losses, shown};

use crate::words;

/// The quantiles that are compared; the verdict rests on the first and the last.
pub(crate) const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// How two stored runs are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompareOptions {
    /// Confidence of the intervals.
    pub confidence: f64,
    /// Bootstrap resamples.
    pub iterations: usize,
    /// Of every random choice: the same samples, options and seed give the same verdict.
    pub seed: u64,
    /// A difference below this share of A's quantile is not worth having…
    pub worth_ratio: f64,
    /// …nor is one below this many ns. The default is four reads of `CLOCK_MONOTONIC` (24–26 ns each).
    pub worth_floor_ns: u64,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { confidence: 0.95, iterations: 2_000, seed: 1, worth_ratio: 0.02, worth_floor_ns: 100 }
    }
}

/// The verdict on figures and losses, and its words.
pub(crate) fn document(
    (a, b): (&str, &str),
    (quantiles, detectable): (Vec<QuantileDifference>, Option<u64>),
    losses: &Losses,
    (design, seed): (Design, u64),
) -> Comparison {
    // Further quantiles may follow the three that are judged.
    let judged = &quantiles[..quantiles.len().min(QUANTILES.len())];
    let verdict = whole(judged, losses);
    let words = words::words(judged, losses, verdict, detectable);
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
        figure: None,
        placed: Vec::new(),
    }
}

/// P50, P99 and loss together: better when one of them is and none is worse. A change that helps one and harms another
/// is worse, and reported as a trade; one that may lose more is not better.
fn whole(judged: &[QuantileDifference], losses: &Losses) -> Verdict {
    let middle = judged.first().map_or(Verdict::Unclear, |d| d.verdict);
    // A P99 that the sample does not support leaves the judgement to P50; the words say so.
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

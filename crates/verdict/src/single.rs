//! How sure one run's quantile is.

use lowlat_model::measurement::{LOST, rank, samples_needed};
use serde::Serialize;

use crate::blocks::Blocks;
use crate::{Random, student};

/// A quantile with its confidence interval, ns. `None` means +∞: it falls among the lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// The quantile.
    pub at_ns: Option<u64>,
    /// Lower end.
    pub low_ns: Option<u64>,
    /// Upper end.
    pub high_ns: Option<u64>,
}

/// Quantile `q` of `samples` **in send order** (losses rank as +∞), with its interval by the moving-block bootstrap.
/// `None` where the sample does not bear it.
///
/// Covers the truth in 93 to 95 % of runs at a lag-one correlation up to 0.5 and in some 89 % at 0.8 (2 000 samples,
/// simulated in this crate's tests): strong dependence leaves few independent stretches.
///
/// Percentile interval over `iterations` resamples (1 000 is usual), about three operations a sample each. Drift that is
/// slower than the run cannot be seen from inside it: only repeated, alternated rounds show that.
pub fn interval(samples: &[u64], q: f64, confidence: f64, iterations: usize, seed: u64) -> Option<Interval> {
    if (samples.len() as u64) < samples_needed(q) || iterations == 0 {
        return None;
    }
    let mut blocks = Blocks::new(samples, &[q]);
    let mut random = Random::new(seed);
    let mut drawn = Vec::with_capacity(iterations);
    for _ in 0..iterations {
        blocks.resample(&[q], &mut random, &mut drawn);
    }
    drawn.sort_unstable();
    let tail = (1.0 - confidence) / 2.0;
    let at = blocks.quantile(q);
    let end = |p: f64| drawn[rank(iterations, p)];
    // The bootstrap's narrowness for few stretches, as in `compare`.
    let k = blocks.stretches().max(2);
    let stretch = student::two_sided(confidence, k - 1) / student::two_sided(confidence, usize::MAX)
        * (k as f64 / (k - 1) as f64).sqrt();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a width; the cast saturates
    let reach = |width: u64| (width as f64 * stretch).round() as u64;
    let finite = |v: u64| Some(v).filter(|&v| v != LOST);
    let (low, high) = (end(tail), end(1.0 - tail));
    Some(Interval {
        at_ns: finite(at),
        low_ns: finite(if at == LOST { low } else { at - reach(at - low.min(at)).min(at) }),
        high_ns: finite(if high == LOST { LOST } else { at.saturating_add(reach(high.max(at) - at)) }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Share of 200 runs whose interval holds the true median of an AR(1) series.
    fn coverage(rho: f64, seed: u64) -> f64 {
        let mut r = Random::new(seed);
        let hits = (0..200)
            .filter(|&i| {
                let mut x = r.normal() / (1.0 - rho * rho).sqrt();
                let series: Vec<u64> = (0..2_000)
                    .map(|_| {
                        x = rho * x + r.normal();
                        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                        let v = (1e6 + 1e4 * x) as u64;
                        v
                    })
                    .collect();
                let i = interval(&series, 0.5, 0.95, 300, i).unwrap();
                (i.low_ns.unwrap()..=i.high_ns.unwrap()).contains(&1_000_000)
            })
            .count();
        hits as f64 / 200.0
    }

    #[test]
    fn the_interval_holds_the_truth_with_and_without_dependence() {
        for (rho, seed, least) in [(0.0, 1, 0.90), (0.5, 2, 0.90), (0.8, 3, 0.85)] {
            let c = coverage(rho, seed);
            assert!((least..=0.99).contains(&c), "rho {rho}: covered {c}");
        }
    }

    #[test]
    fn few_samples_and_lost_ones() {
        assert_eq!(interval(&[5; 999], 0.99, 0.95, 100, 1), None);
        let mut s = vec![5; 1_000];
        s[..30].fill(LOST);
        let i = interval(&s, 0.99, 0.95, 100, 1).unwrap();
        assert_eq!(i.at_ns, None);
        assert_eq!(interval(&s, 0.5, 0.95, 100, 1).unwrap().high_ns, Some(5));
    }
}

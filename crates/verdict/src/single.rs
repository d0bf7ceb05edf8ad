//! How sure one run's quantile is.

use lowlat_model::measurement::{LOST, samples_needed};
use serde::Serialize;

use crate::Random;
use crate::blocks::Blocks;

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
    let finite = |v: u64| Some(v).filter(|&v| v != LOST);
    Some(Interval {
        at_ns: finite(blocks.quantile(q)),
        low_ns: finite(drawn[lowlat_model::measurement::rank(iterations, tail)]),
        high_ns: finite(drawn[lowlat_model::measurement::rank(iterations, 1.0 - tail)]),
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
        for (rho, seed) in [(0.0, 1), (0.5, 2), (0.8, 3)] {
            let c = coverage(rho, seed);
            assert!((0.90..=0.99).contains(&c), "rho {rho}: covered {c}");
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

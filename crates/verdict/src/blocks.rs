//! Moving blocks inside one run of samples: resampling that keeps neighbours together.
//!
//! Latencies in send order depend on their neighbours (a stall hits several probes in a row), so resampling single
//! samples would call the figures surer than they are. The moving-block bootstrap (Künsch 1989, Annals of Statistics
//! 17:1217) draws whole stretches instead.

use lowlat_model::measurement::rank;

use crate::Random;

/// Samples with their ranks, ready to be resampled.
#[derive(Debug)]
pub(crate) struct Blocks {
    sorted: Vec<u64>,
    /// Place of each sample, in send order, among the sorted.
    ranks: Vec<u32>,
    length: usize,
    counts: Vec<u32>,
}

impl Blocks {
    /// One sort; the block length fits the dependence around the quantiles `qs`.
    pub(crate) fn new(samples: &[u64], qs: &[f64]) -> Self {
        let mut order: Vec<u32> = (0..u32::try_from(samples.len()).unwrap_or(u32::MAX)).collect();
        order.sort_unstable_by_key(|&i| samples[i as usize]);
        let sorted: Vec<u64> = order.iter().map(|&i| samples[i as usize]).collect();
        let mut ranks = vec![0; samples.len()];
        for (place, &i) in (0u32..).zip(&order) {
            ranks[i as usize] = place;
        }
        let length = qs.iter().map(|&q| block_length(&ranks, rank(samples.len(), q))).max().unwrap_or(1);
        Self { counts: vec![0; sorted.len()], sorted, ranks, length }
    }

    /// The quantile of the samples as they are.
    pub(crate) fn quantile(&self, q: f64) -> u64 {
        self.sorted[rank(self.sorted.len(), q)]
    }

    /// The quantiles `qs` (ascending) of one resample, appended to `out`. Costs about three operations a sample.
    pub(crate) fn resample(&mut self, qs: &[f64], random: &mut Random, out: &mut Vec<u64>) {
        let n = self.ranks.len();
        self.counts.fill(0);
        let mut drawn = 0;
        while drawn < n {
            let start = random.below(n - self.length + 1);
            let take = self.length.min(n - drawn);
            for &r in &self.ranks[start..start + take] {
                self.counts[r as usize] += 1;
            }
            drawn += take;
        }
        let (mut seen, mut at) = (0usize, 0usize);
        for &q in qs {
            let want = rank(n, q) + 1;
            while seen < want {
                seen += self.counts[at] as usize;
                at += 1;
            }
            out.push(self.sorted[at - 1]);
        }
    }
}

/// Block length for the variance of the quantile at `place`: the optimal Bartlett bandwidth for a first-order
/// autoregressive series, `1.1447 (α n)^⅓` with `α = 4ρ² / (1 − ρ²)²` (Andrews 1991, Econometrica 59:817, eq. 6.2 and
/// 6.4), where ρ is the lag-one correlation of "this sample lies above the quantile": that indicator is what a
/// quantile's variance is made of. At most a quarter of the run, so that a resample has some variety.
fn block_length(ranks: &[u32], place: usize) -> usize {
    let n = ranks.len();
    if n < 8 {
        return 1;
    }
    let above = |r: u32| f64::from(u8::from(r as usize > place));
    let mean = (n - place - 1) as f64 / n as f64;
    let variance = mean * (1.0 - mean);
    if variance <= 0.0 {
        return 1;
    }
    let covariance =
        ranks.windows(2).map(|w| (above(w[0]) - mean) * (above(w[1]) - mean)).sum::<f64>() / (n - 1) as f64;
    let rho = (covariance / variance).clamp(0.0, 0.99);
    let alpha = 4.0 * rho * rho / (1.0 - rho * rho).powi(2);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive and clamped below
    let length = (1.1447 * (alpha * n as f64).cbrt()).ceil() as usize;
    length.clamp(1, n / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resample_of_blocks_holds_only_neighbours_and_the_right_number() {
        let samples: Vec<u64> = (0..400).map(|i| i * 10).collect();
        let mut blocks = Blocks::new(&samples, &[0.5]);
        assert_eq!(blocks.quantile(0.5), 1_990);
        assert_eq!(blocks.length, 100, "a trend is all dependence: the longest block allowed");
        let mut out = Vec::new();
        blocks.resample(&[0.5, 0.9], &mut Random::new(1), &mut out);
        assert_eq!(blocks.counts.iter().sum::<u32>(), 400);
        assert!(out[0] <= out[1]);
    }

    #[test]
    fn blocks_grow_with_dependence() {
        let length = |rho: f64| {
            let mut r = Random::new(3);
            let mut x = 0.0;
            let series: Vec<u64> = (0..4_000)
                .map(|_| {
                    x = rho * x + r.normal();
                    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                    let v = (1e6 + 1e4 * x) as u64;
                    v
                })
                .collect();
            Blocks::new(&series, &[0.5]).length
        };
        assert!(length(0.0) <= 4, "{}", length(0.0));
        assert!(length(0.9) > 2 * length(0.5), "{} {}", length(0.9), length(0.5));
    }
}

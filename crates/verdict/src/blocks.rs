//! Moving blocks inside one run of samples: resampling that keeps neighbours together.
//!
//! Latencies in send order depend on their neighbours (a stall hits several probes in a row), so resampling single
//! samples would call the figures surer than they are. The moving-block bootstrap (Künsch 1989, Annals of Statistics
//! 17:1217) draws whole stretches instead.

use lowlat_model::measurement::rank;

use crate::Random;

/// Longest lag looked at: dependence that lasts longer is drift, which only alternated rounds can show, and the search
/// stays linear in the samples.
pub(crate) const LAGS: usize = 256;

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
        let (sorted, ranks) = ranked(samples);
        let above = |q: f64| {
            let place = rank(ranks.len(), q);
            let series: Vec<bool> = ranks.iter().map(|&r| r as usize > place).collect();
            block_length(&series)
        };
        let length = qs.iter().map(|&q| above(q)).max().unwrap_or(1);
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

/// The samples sorted, and the place of each among them. Equal samples are told apart by a hash of their number: in order
/// of their number they would look like a trend, and a clock of coarse ticks gives many equals.
pub(crate) fn ranked(samples: &[u64]) -> (Vec<u64>, Vec<u32>) {
    let mut order: Vec<(u64, u32)> = samples.iter().copied().zip(0u32..).collect();
    order.sort_unstable_by_key(|&(sample, i)| (sample, scattered(i)));
    let mut ranks = vec![0; samples.len()];
    for (place, &(_, i)) in (0u32..).zip(&order) {
        ranks[i as usize] = place;
    }
    (order.into_iter().map(|(sample, _)| sample).collect(), ranks)
}

/// A one-to-one scattering of u32: the finalizer of MurmurHash3 (Appleby).
fn scattered(i: u32) -> u32 {
    let i = (i ^ (i >> 16)).wrapping_mul(0x85eb_ca6b);
    let i = (i ^ (i >> 13)).wrapping_mul(0xc2b2_ae35);
    i ^ (i >> 16)
}

/// Block length for the variance of the mean of `series`, by the automatic rule of Politis and White (2004,
/// Econometric Reviews 23:53) as corrected by Patton, Politis and White (2009, ibid. 28:372), for the moving-block
/// bootstrap: `(2 G² / D)^⅓ n^⅓` with `D = 4/3 g²(0)`, where G and g come from the autocovariances under a flat-top
/// window that ends at twice the last lag with a correlation of weight.
///
/// It is applied to "this sample lies above the quantile", not to the samples: that indicator is what a quantile's
/// variance is made of, and a single huge delay cannot sway it. At most a quarter of the run, so that a resample has some
/// variety.
pub(crate) fn block_length(series: &[bool]) -> usize {
    let n = series.len();
    if n < 8 {
        return 1;
    }
    let mean = series.iter().filter(|&&x| x).count() as f64 / n as f64;
    let series: Vec<f64> = series.iter().map(|&x| f64::from(u8::from(x)) - mean).collect();
    let covariance = |lag: usize| series.iter().zip(&series[lag..]).map(|(x, y)| x * y).sum::<f64>() / n as f64;
    let mut covariances = vec![covariance(0)];
    if covariances[0] <= 0.0 {
        return 1;
    }
    // Politis and White: a correlation is none below 2 √(log₁₀ n / n), when the next few stay there too (K = 5 at most
    // for any n met here).
    let negligible = 2.0 * ((n as f64).log10() / n as f64).sqrt() * covariances[0];
    let mut quiet = 0;
    let mut last = 0;
    for lag in 1..LAGS.min(n / 4) {
        let c = covariance(lag);
        covariances.push(c);
        if c.abs() > negligible {
            last = lag;
            quiet = 0;
        } else {
            quiet += 1;
            if quiet >= 5 && lag >= 2 * last {
                break;
            }
        }
    }
    let window = (2 * last).clamp(1, covariances.len() - 1);
    let (mut g, mut big_g) = (covariances[0], 0.0);
    for (lag, &c) in covariances.iter().enumerate().take(window + 1).skip(1) {
        let at = lag as f64 / window as f64;
        let weight = if at <= 0.5 { 1.0 } else { 2.0 * (1.0 - at) };
        g += 2.0 * weight * c;
        big_g += 2.0 * weight * lag as f64 * c;
    }
    if g <= 0.0 || big_g <= 0.0 {
        return 1;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; the cast saturates
    let length = (1.5 * big_g * big_g / (g * g) * n as f64).cbrt().ceil() as usize;
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
        assert!(blocks.length >= 50, "a trend is all dependence: long blocks, {}", blocks.length);
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

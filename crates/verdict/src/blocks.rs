//! How long the blocks must be in which one run of samples is resampled, so that neighbours stay together.
//!
//! Latencies in send order depend on their neighbours (a stall hits several probes in a row), so resampling single
//! samples would call the figures surer than they are. The moving-block bootstrap (Künsch 1989, Annals of Statistics
//! 17:1217) draws whole stretches instead.

/// Longest lag looked at: dependence that lasts longer is drift, which only alternated rounds can show, and the search
/// stays linear in the samples.
pub(crate) const LAGS: usize = 256;

/// The samples sorted, and the place of each among them. Equal samples are told apart by a hash of their number: in
/// order of their number they would look like a trend, and a clock of coarse ticks gives many equals.
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
/// window that ends at twice the last lag with a significant correlation.
///
/// It is applied to "this sample lies above the quantile", not to the samples: that indicator is what a quantile's
/// variance is made of, and a single huge delay cannot sway it. At most a quarter of the run, so that a resample has
/// some variety.
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
    use crate::Random;

    #[test]
    fn blocks_grow_with_dependence() {
        let length = |rho: f64| {
            let mut r = Random::new(3);
            let mut x = 0.0;
            let above: Vec<bool> = (0..4_000)
                .map(|_| {
                    x = rho * x + r.normal();
                    x > 0.0
                })
                .collect();
            block_length(&above)
        };
        assert!(length(0.0) <= 4, "{}", length(0.0));
        assert!(length(0.9) > 2 * length(0.5), "{} {}", length(0.9), length(0.5));
    }
}

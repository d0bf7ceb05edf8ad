//! How sure one run's quantiles are.

use lowlat_model::measurement::{LOST, QuantileInterval, samples_needed};

use crate::share::Ranked;
use crate::{Random, student};

/// The quantiles that a document gives.
pub const QUANTILES: [f64; 6] = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];

/// Each of the quantiles `qs` that `samples` supports, with its interval. `samples` stand **in send order**; losses
/// rank as +∞, and an end that lies among them, or beyond the sample, is `null`.
///
/// The share of samples at or below the quantile is resampled by moving blocks `iterations` times (1 000 is usual); the
/// interval of that share, read off the sorted samples, is the quantile's (Woodruff 1952, J. of the American
/// Statistical Association 47:635). It is stretched by `t / z · √(k / (k − 1))` for few stretches.
///
/// Covers the truth in 92 to 97 % of runs at a lag-one correlation up to 0.5 and in some 90 % at 0.8 (2 000 samples,
/// simulated in this crate's tests): strong dependence leaves few independent stretches. Drift that is slower than the
/// run cannot be seen from inside it: only repeated, alternated rounds show that.
pub fn intervals(samples: &[u64], qs: &[f64], confidence: f64, iterations: usize, seed: u64) -> Vec<QuantileInterval> {
    let supported = |q: &f64| samples.len() as u64 >= samples_needed(*q);
    if iterations == 0 || !qs.iter().any(supported) {
        return Vec::new();
    }
    let run = Ranked::new(samples);
    let mut random = Random::new(seed);
    qs.iter().copied().filter(supported).map(|q| interval(&run, q, confidence, iterations, &mut random)).collect()
}

fn interval(run: &Ranked, q: f64, confidence: f64, iterations: usize, random: &mut Random) -> QuantileInterval {
    let share = run.share(q);
    let mut drawn: Vec<f64> = (0..iterations).map(|_| share.deviation(random)).collect();
    drawn.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    let end = |p: f64| drawn[lowlat_model::measurement::rank(iterations, p)] * stretch(share.stretches(), confidence);
    let finite = |v: u64| Some(v).filter(|&v| v != LOST);
    // Where more samples than expected lie below, the quantile lies further down: the ends change sides.
    QuantileInterval {
        q,
        at_ns: finite(run.quantile(q)),
        low_ns: finite(run.beyond(q - end(1.0 - tail).max(0.0))),
        high_ns: finite(run.beyond(q - end(tail).min(0.0))),
    }
}

/// How much wider than the bootstrap's an interval from `k` stretches must be (Hesterberg 2015, The American
/// Statistician 69:371, §4).
pub(crate) fn stretch(k: usize, confidence: f64) -> f64 {
    let k = k.max(2);
    // The normal quantile is t's at many degrees of freedom (1000 here: 0.1 % off).
    student::two_sided(confidence, k - 1) / student::two_sided(confidence, usize::MAX)
        * (k as f64 / (k - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dependent series of known distribution: uniform, by way of AR(1) and its normal distribution function.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
    fn series(r: &mut Random, rho: f64, n: usize, tick: u64) -> Vec<u64> {
        let mut x = r.normal();
        (0..n)
            .map(|_| {
                x = rho * x + (1.0 - rho * rho).sqrt() * r.normal();
                // Abramowitz and Stegun 26.2.17, to 7.5e-8.
                let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
                let tail = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt()
                    * t
                    * (0.319_381_530
                        + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
                let uniform = if x > 0.0 { 1.0 - tail } else { tail };
                (1e6 * uniform) as u64 / tick * tick
            })
            .collect()
    }

    /// Share of 300 runs whose interval holds the true quantile.
    fn coverage(rho: f64, q: f64, n: usize, tick: u64, seed: u64) -> f64 {
        let mut r = Random::new(seed);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
        let truth = (1e6 * q) as u64 / tick * tick;
        let hits = (0..300)
            .filter(|&i| {
                let i = intervals(&series(&mut r, rho, n, tick), &[q], 0.95, 400, i)[0];
                i.low_ns.unwrap() <= truth && i.high_ns.is_none_or(|high| truth <= high)
            })
            .count();
        hits as f64 / 300.0
    }

    #[test]
    fn the_interval_holds_the_truth_with_and_without_dependence() {
        for (rho, q, n, least) in [
            (0.0, 0.5, 2_000, 0.92),
            (0.5, 0.5, 2_000, 0.91),
            (0.8, 0.5, 2_000, 0.87),
            (0.0, 0.99, 2_000, 0.92),
            (0.5, 0.99, 4_000, 0.88),
        ] {
            let c = coverage(rho, q, n, 1, 7);
            assert!((least..=0.99).contains(&c), "rho {rho}, q {q}: covered {c}");
        }
    }

    #[test]
    fn coarse_ticks_neither_blow_an_interval_up_nor_empty_it() {
        // Ten values in all: the median's interval is its tick, or that and a neighbour.
        let c = coverage(0.3, 0.55, 2_000, 100_000, 5);
        assert!(c > 0.95, "covered {c}");
        let mut r = Random::new(1);
        let i = intervals(&series(&mut r, 0.3, 2_000, 100_000), &[0.55], 0.95, 400, 1)[0];
        assert!(i.high_ns.unwrap() - i.low_ns.unwrap() <= 100_000, "{i:?}");
    }

    #[test]
    fn a_long_run_gets_the_same_interval_from_longer_blocks() {
        let mut r = Random::new(9);
        let width = |i: QuantileInterval| (i.high_ns.unwrap() - i.low_ns.unwrap()) as f64;
        let long = width(intervals(&series(&mut r, 0.5, 600_000, 1), &[0.5], 0.95, 400, 1)[0]);
        // AR(1) at 0.5: the indicator's correlation sums to arcsin series, variance 2 to 2.1 times the independent
        // one's.
        let independent = 2.0 * 1.96 * 1e6 * (0.25f64 / 600_000.0).sqrt();
        assert!((1.2..1.7).contains(&(long / independent)), "{}", long / independent);
    }

    #[test]
    fn few_samples_and_lost_ones() {
        assert_eq!(intervals(&[5; 999], &[0.99], 0.95, 100, 1), []);
        let mut s = vec![5; 1_000];
        s[..30].fill(LOST);
        let both = intervals(&s, &[0.5, 0.99], 0.95, 100, 1);
        assert_eq!((both[1].at_ns, both[1].high_ns), (None, None));
        assert_eq!((both[0].low_ns, both[0].high_ns), (Some(5), Some(5)));
    }
}

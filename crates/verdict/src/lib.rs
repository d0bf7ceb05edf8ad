//! Samples to verdicts, with confidence intervals. Pure: no I/O, no clock, and every random choice comes from a seed.
//!
//! - [`quantiles`]: the figures of one run, each only where the sample supports it.
//! - [`intervals`]: how certain one run's quantiles are, with autocorrelation taken into account.
//! - [`sequential`]: what alternated rounds of two configurations show, looked at after every pair, with the chance of
//!   a false find bounded. [`compare_samples`] and [`compare_figures`]: what two stored runs show.
//! - [`bypass`]: what alternated rounds of engines show, and whether bypass is worth it.
//! - [`phases`]: how the places of a burst differ.
//! - [`jitter`]: IPDV, PDV, RFC 3550. [`steady`]: where the warm-up ends.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))] // a test may end by panic

mod blocks;
pub mod bypass;
mod compare;
pub mod jitter;
mod modes;
pub mod phases;
pub mod sequential;
mod share;
mod single;
pub mod steady;
mod stored;
mod student;
pub mod wake;
mod words;
pub mod zerocopy;

pub use compare::CompareOptions;
pub use lowlat_model::random::Random;
pub use modes::modes;
pub use single::{QUANTILES, intervals};
pub use stored::{compare_figures, compare_samples};

use lowlat_model::Quantiles;

/// The figures of `samples` (ns, [`lowlat_model::measurement::LOST`] for a lost probe), in any order.
///
/// A quantile `q` is given from [`lowlat_model::measurement::samples_needed`]`(q)` = `10 / (1 − q)` samples on; lost
/// probes rank as +∞. One copy and one sort.
pub fn quantiles(samples: &[u64]) -> Quantiles {
    Quantiles::of(&mut samples.to_vec())
}

/// P99 over P50: how much longer the tail is than the middle. `None` where either is not supported.
pub fn jitter_ratio(figures: &Quantiles) -> Option<f64> {
    match (figures.p99_ns, figures.p50_ns) {
        (Some(p99), Some(p50)) if p50 > 0 => Some(p99 as f64 / p50 as f64),
        _ => None,
    }
}

/// What the sample is too small for, as text: `P99.9 needs 10000 samples, this run has 2000`. `None` when every figure
/// up to `q` is supported.
pub fn not_supported(figures: &Quantiles, q: f64) -> Option<String> {
    let needed = lowlat_model::measurement::samples_needed(q);
    (figures.samples < needed).then(|| format!("{} needs {needed} samples, this run has {}", name(q), figures.samples))
}

/// `P50`, `P99`, `P99.9`.
pub fn name(q: f64) -> String {
    // Rounded to eight decimals of a percent: 0.999 × 100 is 99.90000000000001 in binary.
    let percent = (q * 1e10).round() / 1e8;
    format!("P{percent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_needs() {
        assert_eq!([0.5, 0.99, 0.999, 0.99999].map(name), ["P50", "P99", "P99.9", "P99.999"]);
        let figures = quantiles(&vec![5; 2_000]);
        assert_eq!(not_supported(&figures, 0.99), None);
        assert_eq!(not_supported(&figures, 0.999).as_deref(), Some("P99.9 needs 10000 samples, this run has 2000"));
        assert_eq!(jitter_ratio(&figures), Some(1.0));
        assert_eq!(jitter_ratio(&quantiles(&[1, 2, 3])), None);
    }
}

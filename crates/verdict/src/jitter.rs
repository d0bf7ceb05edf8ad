//! Jitter, in the three senses of the RFCs. Samples are delays in send order, [`LOST`] for a lost probe.
//!
//! From round-trip times these are round-trip variations; from one-way delays, one-way ones.

use lowlat_model::Quantiles;
use lowlat_model::measurement::{Jitter, LOST};

/// All three.
pub fn jitter(samples: &[u64]) -> Jitter {
    let mut ipdv: Vec<u64> = ipdv(samples).map(i64::unsigned_abs).collect();
    Jitter { ipdv: Quantiles::of(&mut ipdv), pdv: Quantiles::of(&mut pdv(samples)), rfc3550_ns: rfc3550(samples) }
}

/// RFC 3393: the delay of each packet minus that of the one sent just before it. A pair with a lost packet has no
/// difference and is left out (RFC 3393 §4.2 calls it undefined).
pub fn ipdv(samples: &[u64]) -> impl Iterator<Item = i64> {
    samples.windows(2).filter(|w| w[0] != LOST && w[1] != LOST).map(|w| difference(w[1], w[0]))
}

/// RFC 5481 §4.2: the delay of each packet above the smallest of the run; lost packets stay [`LOST`].
pub fn pdv(samples: &[u64]) -> Vec<u64> {
    let least = samples.iter().copied().filter(|&s| s != LOST).min().unwrap_or(0);
    samples.iter().map(|&s| if s == LOST { LOST } else { s - least }).collect()
}

/// RFC 3550 §6.4.1: `J += (|D| − J) / 16` over consecutive answers; a lost packet is skipped, as a receiver would.
pub fn rfc3550(samples: &[u64]) -> Option<u64> {
    let mut answered = samples.iter().copied().filter(|&s| s != LOST);
    let mut last = answered.next()?;
    let mut jitter = None;
    for s in answered {
        let d = difference(s, last).unsigned_abs() as f64;
        let j = jitter.unwrap_or(0.0);
        jitter = Some(j + (d - j) / 16.0);
        last = s;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an average of magnitudes; the cast saturates
    jitter.map(|j: f64| j.round() as u64)
}

fn difference(a: u64, b: u64) -> i64 {
    i64::try_from(i128::from(a) - i128::from(b)).unwrap_or(if a > b { i64::MAX } else { i64::MIN })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_on_a_run_worked_by_hand() {
        let s = [100, 116, LOST, 100, 132];
        assert_eq!(ipdv(&s).collect::<Vec<_>>(), [16, 32]);
        assert_eq!(pdv(&s), [0, 16, LOST, 0, 32]);
        // J: 16/16 = 1; then |100−116| = 16 → 1 + 15/16 = 1.9375; then 32 → 1.9375 + 30.0625/16 = 3.816
        assert_eq!(rfc3550(&s), Some(4));
        assert_eq!(rfc3550(&[5]), None);
        assert_eq!(jitter(&[]).pdv.samples, 0);
    }
}

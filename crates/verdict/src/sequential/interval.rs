//! The interval of an effect: the shifts that the pairs do not reject.

use super::bet::{Side, Stream};

/// Halvings of the bracket: 2⁻⁶⁰ of it is below the last bit of a difference.
const HALVINGS: u32 = 60;

/// Ends of the shifts that `stream` does not reject at `confidence`; `None` where an end is open.
///
/// If the change shifts every pair's difference by δ, then the differences less δ have fair signs, and a bet against
/// them reaches `2 / (1 − confidence)` on either side with a chance of at most `1 − confidence` in all, **at any
/// pair**. So the set of the δ not rejected is a confidence sequence (Howard, Ramdas, McAuliffe and Sekhon 2021, Annals
/// of Statistics 49:1055): it holds at whatever pair the test stopped and for whatever reason. Wealth is monotone in δ,
/// so each end is found by bisection: 60 passes over the pairs.
pub(super) fn interval(stream: &Stream, confidence: f64) -> (Option<f64>, Option<f64>) {
    let limit = 2.0 / (1.0 - confidence);
    let finite = || stream.differences().filter(|d| d.is_finite());
    let lowest = finite().fold(f64::INFINITY, f64::min);
    let highest = finite().fold(f64::NEG_INFINITY, f64::max);
    if lowest > highest {
        return (None, None); // nothing finite
    }
    // Beyond all pairs by more than any scale can reach: there every score is ±1.
    let room = 1.0 + 4.0 * (highest - lowest);
    let end = |side: Side, outside: f64, inside: f64| {
        if stream.wealth(outside, side) < limit {
            return None;
        }
        let (mut rejected, mut kept) = (outside, inside);
        if stream.wealth(kept, side) >= limit {
            return None; // pairs at infinity reject every finite shift
        }
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(rejected, kept);
            if stream.wealth(middle, side) >= limit { rejected = middle } else { kept = middle }
        }
        Some(kept)
    };
    (end(Side::Above, lowest - room, highest + room), end(Side::Below, highest + room, lowest - room))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    fn stream(differences: impl IntoIterator<Item = f64>) -> Stream {
        let mut out = Stream::default();
        differences.into_iter().for_each(|d| out.push(d));
        out
    }

    /// The bound is for all looks at once: an interval that misses the truth at any pair counts as a miss.
    #[test]
    fn the_interval_holds_the_truth_at_every_pair() {
        let missed = (0..400u64)
            .filter(|&seed| {
                let mut r = Random::new(seed);
                let mut s = Stream::default();
                (0..40).any(|_| {
                    s.push(-0.2 + 0.05 * r.normal());
                    let (low, high) = interval(&s, 0.95);
                    low.is_some_and(|l| l > -0.2) || high.is_some_and(|h| h < -0.2)
                })
            })
            .count();
        assert!(missed <= 20, "{missed} of 400 missed");
    }

    #[test]
    fn the_interval_narrows_and_few_pairs_leave_it_open() {
        let mut r = Random::new(3);
        let noise: Vec<f64> = (0..100).map(|_| 0.05 * r.normal()).collect();
        assert_eq!(interval(&stream(noise[..4].iter().copied()), 0.95), (None, None));
        let width = |n: usize| match interval(&stream(noise[..n].iter().copied()), 0.95) {
            (Some(low), Some(high)) => high - low,
            _ => f64::INFINITY,
        };
        assert!(width(20) < 0.16 && width(100) < 0.6 * width(20), "{} {}", width(20), width(100));
    }

    #[test]
    fn an_interval_of_equal_pairs_is_a_point_and_of_lost_ones_is_open() {
        let (low, high) = interval(&stream([-0.1; 12]), 0.95);
        assert!((low.unwrap() + 0.1).abs() < 1e-12 && (high.unwrap() + 0.1).abs() < 1e-12, "{low:?} {high:?}");
        assert_eq!(interval(&stream([f64::INFINITY; 12]), 0.95), (None, None));
        assert_eq!(interval(&stream([]), 0.95), (None, None));
    }
}

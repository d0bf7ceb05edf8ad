//! What watching costs: the median of paired differences, with an interval that holds whatever their distribution is.

/// The median of `after − before` over the pairs, ns, and the ends of its 95 % interval, which are two of the
/// differences: those whose ranks a fair coin leaves outside with at most 2.5 % on each side (the sign test). `None`
/// below six pairs, where no two ranks do.
pub fn cost(pairs: &[(u64, u64)]) -> Option<(i64, i64, i64)> {
    let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
    let mut differences: Vec<i64> = pairs.iter().map(|(before, after)| signed(*after) - signed(*before)).collect();
    differences.sort_unstable();
    let n = differences.len();
    let outside = outside(n)?;
    Some((differences[n / 2], differences[outside], differences[n - 1 - outside]))
}

/// How many of `n` lie outside on each side.
fn outside(n: usize) -> Option<usize> {
    // By logarithms: half to the power of some thousand is no number.
    let half = -(n as f64) * std::f64::consts::LN_2;
    let (mut of, mut sum, mut outside) = (0.0, 0.0, None);
    for k in 0..n {
        sum += f64::exp(of + half);
        if sum > 0.025 {
            break;
        }
        outside = Some(k);
        of += ((n - k) as f64 / (k + 1) as f64).ln();
    }
    outside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_sign_test() {
        // Tables of the sign test: 6 pairs leave none outside, 20 five, 100 thirty-nine.
        assert_eq!([5, 6, 20, 100].map(outside), [None, Some(0), Some(5), Some(39)]);
        assert!(outside(5_000).is_some_and(|k| (2_420..2_440).contains(&k)));
    }

    #[test]
    fn an_added_cost_is_found_under_drift_and_a_few_wild_rounds() {
        let pair = |i: u64| (10_000 + i * 500, 14_000 + i * 500 + if i.is_multiple_of(7) { 900_000 } else { 0 });
        let pairs: Vec<(u64, u64)> = (0..30).map(pair).collect();
        assert_eq!(cost(&pairs), Some((4_000, 4_000, 4_000)));
        assert_eq!(cost(&pairs[..5]), None);
    }
}

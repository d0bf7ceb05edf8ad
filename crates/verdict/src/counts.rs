//! What alternated rounds show of something that is counted, not timed: drops, errors, interrupts.

use lowlat_model::verdict::{Comparison, Design};
use lowlat_model::{Schema, Verdict};

/// Below this two-sided probability of chance, a difference is shown: the counterpart of a 95 % interval.
const CHANCE: f64 = 0.05;
/// The sign-flip test below is exact; beyond this many differing pairs it would take more than a million sums. The
/// largest differences are kept, whichever their sign, which leaves the test valid and makes it more careful.
const MOST_PAIRS: usize = 20;

/// The two-sided probability of a sum as large as that of `differences` by chance alone, by the exact sign-flip test of
/// paired differences (Fisher, The Design of Experiments, 1935, §21): if the change did nothing, each pair's difference
/// might as well have had the other sign.
pub(crate) fn chance(differences: impl Iterator<Item = f64>) -> f64 {
    // A pair without a difference has the same sum under both signs and tells nothing.
    let mut told: Vec<f64> = differences.filter(|d| *d != 0.0).collect();
    told.sort_by(|a, b| b.abs().total_cmp(&a.abs()));
    told.truncate(MOST_PAIRS);
    // Sums of the same differences in another order may differ in their last bits.
    let observed = told.iter().sum::<f64>().abs() * (1.0 - 1e-9);
    let all = 1u64 << told.len();
    let sum = |signs: u64| told.iter().enumerate().map(|(i, d)| if signs >> i & 1 == 1 { -d } else { *d }).sum::<f64>();
    (0..all).filter(|&signs| sum(signs).abs() >= observed).count() as f64 / all as f64
}

/// Whether such a difference is shown, and not chance.
pub(crate) fn is_shown(chance: f64) -> bool {
    chance < CHANCE
}

/// Compares counts of paired rounds, `(without, with)`, by the exact sign-flip test. Fewer counts are better. Fewer than six pairs can never show a difference at this level (2/2⁵ > 0.05).
pub fn compare_counts(what: &str, a: &str, b: &str, pairs: &[(u64, u64)]) -> Comparison {
    let (sum_a, sum_b) = pairs.iter().fold((0u64, 0u64), |s, p| (s.0.saturating_add(p.0), s.1.saturating_add(p.1)));
    let chance = chance(pairs.iter().map(|(a, b)| *b as f64 - *a as f64));
    let verdict = match is_shown(chance) {
        true if sum_b < sum_a => Verdict::Better,
        true => Verdict::Worse,
        false if sum_a == 0 && sum_b == 0 => Verdict::Same,
        false => Verdict::Unclear,
    };
    let words = match verdict {
        Verdict::Better | Verdict::Worse => {
            format!("{what}: {sum_a} -> {sum_b} in {} pairs of rounds (chance {chance:.4})", pairs.len())
        }
        Verdict::Same => format!("no difference shown ({what}: none in either)"),
        _ => format!("no difference shown ({what}: {sum_a} and {sum_b} in {} pairs of rounds)", pairs.len()),
    };
    Comparison {
        schema: Schema::current("compare"),
        a: a.to_owned(),
        b: b.to_owned(),
        quantiles: Vec::new(),
        smallest_detectable_ns: None,
        verdict,
        words,
        design: Design::Alternated,
        seed: 0,
        warnings: Vec::new(),
        sequential: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pairs: &[(u64, u64)]) -> Verdict {
        compare_counts("drops", "without", "with", pairs).verdict
    }

    #[test]
    fn drops_that_vanish_are_better_and_new_ones_worse() {
        assert_eq!(verdict(&[(40, 0), (38, 0), (41, 0), (39, 0), (40, 0), (44, 0)]), Verdict::Better);
        assert_eq!(verdict(&[(0, 7), (0, 7), (0, 9), (0, 7), (0, 8), (0, 7)]), Verdict::Worse);
    }

    #[test]
    fn nothing_is_shown_by_chance_or_by_few_pairs() {
        assert_eq!(verdict(&[(3, 4), (5, 2), (2, 3), (4, 4), (3, 5), (6, 4)]), Verdict::Unclear);
        assert_eq!(verdict(&[(40, 0), (38, 0), (41, 0), (39, 0), (40, 0)]), Verdict::Unclear);
        assert_eq!(verdict(&[(0, 0); 8]), Verdict::Same);
        assert_eq!(verdict(&[]), Verdict::Same);
    }

    #[test]
    fn the_chance_is_the_exact_one() {
        // Six pairs, all of one sign: 2 of 64 sign patterns are as extreme.
        let words = compare_counts("drops", "a", "b", &[(1, 0); 6]).words;
        assert!(words.contains("0.0312"), "{words}");
    }
}

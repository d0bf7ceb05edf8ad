//! Counts of two sides that sent unequally many probes, made comparable.

use crate::Random;

/// Draws, from a seed, as many probes of the side that has more as the other one has.
///
/// A round of a fast path holds a hundred times the probes of a slow one. Of 35 probes none is lost in two rounds of
/// three where one in a hundred is, and of 3,500 some always are: by the bare shares, a side that loses a tenth as much
/// would lose more in two pairs of three, and the bet goes by the sign. Of equally many probes the side with the smaller
/// chance has fewer more often.
///
/// Exchanging the labels of a pair turns the sign of the difference and changes nothing else, since which side is drawn
/// from, and how, follows from the counts alone: without an effect the bet stays fair.
#[derive(Debug, Clone)]
pub(super) struct Thin(Random);

impl Thin {
    pub(super) fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    /// How many more of B's probes hit than of A's, of as many on both sides, and how many those are; each `(hits, probes)`.
    pub(super) fn more(&mut self, a: (u64, u64), b: (u64, u64)) -> (f64, f64) {
        let of = a.1.min(b.1);
        let (a, b) = (self.draw(a, of), self.draw(b, of));
        (b as f64 - a as f64, of as f64)
    }

    /// Hits among `of` probes drawn without replacement.
    fn draw(&mut self, (mut hits, mut probes): (u64, u64), of: u64) -> u64 {
        if of >= probes {
            return hits;
        }
        let mut drawn = 0;
        for _ in 0..of {
            if self.0.unit() * (probes as f64) < hits as f64 {
                hits -= 1;
                drawn += 1;
            }
            probes -= 1;
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_counted_and_labels_only_turn_the_sign() {
        let mut thin = Thin::new(1);
        assert_eq!(thin.more((3, 100), (5, 100)), (2.0, 100.0));
        assert_eq!(thin.more((0, 0), (5, 100)), (0.0, 0.0));
        let (mut one, mut other) = (Thin::new(2), Thin::new(2));
        for hits in 0..50 {
            let (a, b) = ((hits % 4, 35), (hits, 3_000));
            assert_eq!(one.more(a, b).0, -other.more(b, a).0);
        }
    }

    #[test]
    fn what_is_drawn_has_the_share_of_what_it_is_drawn_from() {
        let mut thin = Thin::new(3);
        let sum: u64 = (0..2_000).map(|_| thin.draw((40, 1_000), 50)).sum();
        assert!((sum as f64 / 2_000.0 - 2.0).abs() < 0.1, "{sum}");
        assert_eq!(thin.draw((7, 7), 3), 3);
        assert_eq!(thin.draw((0, 7), 3), 0);
    }
}

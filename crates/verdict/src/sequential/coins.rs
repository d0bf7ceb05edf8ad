//! The order within each pair.

use crate::Random;

/// Fair coins from a seed, one a pair, each independent of all others: which side runs first.
///
/// The error bound of the test rests on these coins alone, so they may not be balanced. Were two pairs always of
/// opposite orders, the second coin could be read off the first: whatever makes the first round of a pair slower would
/// show in the second pair's sign before it is tossed, and the bet would no longer be fair. Under a load that
/// returns every four rounds, balanced orders let two signs come from one coin, and a test at a level of 0.05 errs in
/// one of eight (`balanced_orders_break_the_bound_and_coins_keep_it`).
#[derive(Debug, Clone)]
pub struct Coins(Random);

impl Coins {
    /// The same seed gives the same order.
    pub fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    /// Whether B runs first in the next pair.
    pub fn b_first(&mut self) -> bool {
        // The highest bit: the lowest ones of xoshiro256++ are the weakest.
        self.0.bits() >> 63 == 1
    }
}

impl Iterator for Coins {
    type Item = bool;

    fn next(&mut self) -> Option<bool> {
        Some(self.b_first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequential::bet::{Side, Stream};

    /// A load on the first and the last of every four rounds, and a change that does nothing.
    fn false_finds(mut order: impl FnMut(u64) -> Vec<bool>) -> usize {
        (0..2_000)
            .filter(|&seed| {
                let mut bets = Stream::default();
                order(seed).into_iter().enumerate().any(|(pair, b_first)| {
                    let first_is_slower = pair % 2 == 0;
                    bets.push(if first_is_slower == b_first { 0.2 } else { -0.2 });
                    bets.wealth(0.0, Side::Below) >= 20.0
                })
            })
            .count()
    }

    #[test]
    fn balanced_orders_break_the_bound_and_coins_keep_it() {
        let coins = false_finds(|seed| Coins::new(seed).take(24).collect());
        let balanced = false_finds(|seed| Coins::new(seed).take(12).flat_map(|c| [c, !c]).collect());
        assert!(coins <= 100, "{coins} of 2000 false with coins");
        assert!(balanced >= 200, "{balanced} of 2000 false with balanced orders");
    }

    #[test]
    fn the_order_comes_from_the_seed_and_favours_no_side() {
        let order: Vec<bool> = Coins::new(4).take(10_000).collect();
        assert_eq!(order, Coins::new(4).take(10_000).collect::<Vec<_>>());
        assert_ne!(order, Coins::new(5).take(10_000).collect::<Vec<_>>());
        let firsts = order.iter().filter(|b| **b).count();
        let turns = order.windows(2).filter(|w| w[0] != w[1]).count();
        assert!((4_850..=5_150).contains(&firsts) && (4_850..=5_150).contains(&turns), "{firsts} {turns}");
    }
    /// A disturbance that returns every few rounds falls on both sides alike, whatever its phase. With the fixed order
    /// AB, BA, AB, … one of every four rounds is always the same side's.
    #[test]
    fn nothing_periodic_keeps_step_with_a_side() {
        let rounds: Vec<bool> = Coins::new(9).take(10_000).flat_map(|b_first| [b_first, !b_first]).collect();
        for period in [2, 3, 4, 6, 8] {
            for phase in 0..period {
                let hit: Vec<bool> = rounds.iter().copied().skip(phase).step_by(period).collect();
                let on_b = hit.iter().filter(|b| **b).count() as f64 / hit.len() as f64;
                // Four standard deviations of 2500 fair coins are 0.04.
                assert!((0.46..0.54).contains(&on_b), "period {period} phase {phase}: {on_b}");
            }
        }
    }
}

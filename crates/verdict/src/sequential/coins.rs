//! The order within each pair.

use crate::Random;

/// Fair coins from a seed, one a pair, each independent of all others: which side runs first.
///
/// The error bound of the test rests on these coins alone, so they may not be balanced. Were two pairs always of opposite
/// orders, the second coin could be read off the first: whatever makes the first round of a pair slower would show in the
/// second pair's sign before it is tossed, and the bet would no longer be fair. (A test here shows it: under balanced
/// order, a path on which every second pair's first round is slower is called an effect far too often.)
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

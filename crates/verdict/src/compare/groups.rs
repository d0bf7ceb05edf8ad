//! Pairs merged until each side bears a quantile, and moving blocks inside them.

use lowlat_model::measurement::{LOST, samples_needed};

use super::{Pair, QUANTILES};
use crate::Random;
use crate::blocks::Blocks;

/// Resamples inside one round; they only set the floor's width, which a few dozen give to some 10 %.
pub(super) const INNER: usize = 48;
/// Pairs to merge until each side bears `q`.
pub(super) fn per_group(pairs: &[Pair<'_>], q: f64) -> usize {
    let needed = usize::try_from(samples_needed(q)).unwrap_or(usize::MAX);
    needed.div_ceil(pairs.iter().map(|(a, b)| a.len().min(b.len())).min().unwrap_or(0).max(1))
}

/// One side of a group of pairs: its quantiles, and what they are in resamples of moving blocks.
#[derive(Debug)]
pub(super) struct Side {
    qs: Vec<f64>,
    at: Vec<u64>,
    /// `INNER` resamples, each with one value per quantile.
    drawn: Vec<u64>,
}

impl Side {
    fn new(samples: &[u64], qs: &[f64], random: &mut Random) -> Self {
        let mut blocks = Blocks::new(samples, qs);
        let mut drawn = Vec::with_capacity(INNER * qs.len());
        for _ in 0..INNER {
            blocks.resample(qs, random, &mut drawn);
        }
        Self { at: qs.iter().map(|&q| blocks.quantile(q)).collect(), qs: qs.to_vec(), drawn }
    }

    fn place(&self, q: f64) -> usize {
        self.qs.iter().position(|x| x.total_cmp(&q).is_eq()).unwrap_or(0)
    }

    pub(super) fn at(&self, q: f64) -> u64 {
        self.at[self.place(q)]
    }

    /// A resample that lands among the lost is as far out as the quantile itself can tell.
    pub(super) fn draws(&self, q: f64) -> Vec<f64> {
        let place = self.place(q);
        let at = self.at[place];
        self.drawn.iter().skip(place).step_by(self.qs.len()).map(|&d| if d == LOST { at } else { d } as f64).collect()
    }
}

/// Merged pairs, by how many were merged: quantiles that need the same number share one pass over the samples.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<(usize, Vec<[Side; 2]>)>);

impl Groups {
    pub(super) fn of(&mut self, pairs: &[Pair<'_>], merged: usize, random: &mut Random) -> &[[Side; 2]] {
        let place = self.0.iter().position(|g| g.0 == merged).unwrap_or_else(|| {
            let qs: Vec<f64> = QUANTILES.into_iter().filter(|&q| per_group(pairs, q) == merged).collect();
            let count = pairs.len() / merged;
            let groups = (0..count)
                .map(|g| {
                    // What does not fill a last group joins the one before.
                    let end = if g + 1 == count { pairs.len() } else { (g + 1) * merged };
                    let members = &pairs[g * merged..end];
                    let a: Vec<u64> = members.iter().flat_map(|p| p.0).copied().collect();
                    let b: Vec<u64> = members.iter().flat_map(|p| p.1).copied().collect();
                    [Side::new(&a, &qs, random), Side::new(&b, &qs, random)]
                })
                .collect();
            self.0.push((merged, groups));
            self.0.len() - 1
        });
        &self.0[place].1
    }
}

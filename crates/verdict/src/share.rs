//! How sure the share of samples at or below a quantile is: what intervals of one run are made of.

use lowlat_model::measurement::{LOST, rank};

use crate::Random;
use crate::blocks::{block_length, ranked};

/// Stretches a resample is drawn of at the most; longer runs get longer blocks. Blocks longer than the dependence cost
/// only precision of the variance: its relative error is about √(2 / stretches), here 3 %. So the cost of a long run is
/// its sort alone.
const STRETCHES: usize = 2_000;

/// One run: its samples sorted, and the place of each.
#[derive(Debug)]
pub(crate) struct Ranked {
    sorted: Vec<u64>,
    ranks: Vec<u32>,
}

impl Ranked {
    /// One sort.
    pub(crate) fn new(samples: &[u64]) -> Self {
        let (sorted, ranks) = ranked(samples);
        Self { sorted, ranks }
    }

    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The quantile of the samples unchanged.
    pub(crate) fn quantile(&self, q: f64) -> u64 {
        self.sorted[rank(self.sorted.len(), q)]
    }

    /// The sample at a share that noise may have carried out of the sample: 0 before it, [`LOST`] beyond.
    pub(crate) fn beyond(&self, share: f64) -> u64 {
        match share {
            s if s <= 0.0 => 0,
            s if s > 1.0 => LOST,
            s => self.quantile(s),
        }
    }

    /// The largest that came; 0 if none did.
    pub(crate) fn largest(&self) -> u64 {
        let received = self.sorted.partition_point(|&s| s != LOST);
        received.checked_sub(1).map_or(0, |last| self.sorted[last])
    }

    /// The share at or below the quantile `q`, to be resampled.
    pub(crate) fn share(&self, q: f64) -> Share {
        let place = rank(self.sorted.len(), q);
        Share::new(&self.ranks.iter().map(|&r| r as usize <= place).collect::<Vec<_>>())
    }
}

/// A share of a run, resampled by moving blocks (Künsch 1989, Annals of Statistics 17:1217).
#[derive(Debug)]
pub(crate) struct Share {
    /// Samples of the share before each place.
    before: Vec<u32>,
    length: usize,
    /// What a block holds on average: blocks reach the ends of the run less often than its middle.
    mean: f64,
}

impl Share {
    /// Of a yes or no for each sample, in send order. Not empty.
    pub(crate) fn new(series: &[bool]) -> Self {
        let n = series.len();
        // A run of so many samples gets blocks longer than any dependence that the rule could find.
        let least = n / STRETCHES;
        let length = if least >= crate::blocks::LAGS { least } else { block_length(series).max(least).max(1) };
        let mut before = Vec::with_capacity(n + 1);
        let mut seen = 0;
        before.push(0);
        before.extend(series.iter().map(|&x| {
            seen += u32::from(x);
            seen
        }));
        let blocks = n - length + 1;
        let sum: f64 = (0..blocks).map(|i| f64::from(before[i + length] - before[i])).sum();
        Self { mean: sum / (blocks * length) as f64, before, length }
    }

    /// How many independent stretches the run amounts to.
    pub(crate) fn stretches(&self) -> usize {
        (self.before.len() - 1) / self.length
    }

    /// How far the share of one resample lies from its expectation.
    pub(crate) fn deviation(&self, random: &mut Random) -> f64 {
        let blocks = self.before.len() - self.length;
        let drawn = self.stretches().max(1);
        let mut sum = 0u64;
        for _ in 0..drawn {
            let start = random.below(blocks);
            sum += u64::from(self.before[start + self.length] - self.before[start]);
        }
        sum as f64 / (drawn * self.length) as f64 - self.mean
    }
}

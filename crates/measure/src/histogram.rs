//! Latencies counted in constant memory, mergeable.

use lowlat_model::Quantiles;
use lowlat_model::distribution::{Bar, Distribution};
use lowlat_model::measurement::LOST;

/// Bits of precision: 256 cells an octave, so a figure is at most 1/256 (0.4 %) above its sample.
const BITS: u32 = 8;
const CELLS: usize = 1 << BITS;
/// Cells for every u64: one exact octave-less run below 2⁸, then 56 octaves.
const SIZE: usize = CELLS * (64 - BITS as usize + 1);

/// A log-linear histogram of all of u64: the layout of HdrHistogram (Tene) with a power-of-two precision, which makes
/// recording a `leading_zeros`, a shift and an increment, without a range check. Lost probes have a count of their own
/// and rank last.
///
/// 116 KiB; only the cells in use are ever in cache.
#[derive(Debug, Clone)]
pub struct Histogram {
    cells: Vec<u64>,
    received: u64,
    lost: u64,
    sum: u128,
    min: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { cells: vec![0; SIZE], received: 0, lost: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

#[inline]
fn cell(value: u64) -> usize {
    // Values below 2⁸ have a cell each; above, the leading nine bits name the cell.
    let shift = (64 - BITS).saturating_sub((value | 1).leading_zeros() + 1);
    let octave = shift as usize * CELLS;
    #[allow(clippy::cast_possible_truncation)] // below 2⁹ after the shift
    let within = (value >> shift) as usize;
    octave + within
}

/// The largest value of a cell.
fn top(cell: usize) -> u64 {
    if cell < 2 * CELLS {
        return cell as u64;
    }
    let shift = cell / CELLS - 1;
    let within = (cell - shift * CELLS) as u64;
    (within << shift) + ((1u64 << shift) - 1)
}

impl Histogram {
    /// Counts one sample ([`LOST`] for a lost probe).
    #[inline]
    pub fn record(&mut self, ns: u64) {
        if ns == LOST {
            self.lost += 1;
            return;
        }
        self.cells[cell(ns)] += 1;
        self.received += 1;
        self.sum += u128::from(ns);
        self.min = self.min.min(ns);
        self.max = self.max.max(ns);
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.cells.iter_mut().zip(&other.cells) {
            *mine += theirs;
        }
        self.received += other.received;
        self.lost += other.lost;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Samples, losses included.
    pub fn len(&self) -> u64 {
        self.received + self.lost
    }

    /// Nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `k`-th smallest from 0, as the top of its cell (never above the largest sample); [`LOST`] among the lost.
    pub fn at(&self, k: u64) -> u64 {
        if k >= self.received {
            return LOST;
        }
        if k == 0 {
            return self.min;
        }
        let mut seen = 0;
        for (i, &count) in self.cells.iter().enumerate() {
            seen += count;
            if seen > k {
                return top(i).min(self.max);
            }
        }
        LOST
    }

    /// The figures, each where the sample supports it.
    pub fn quantiles(&self) -> Quantiles {
        Quantiles::by_rank(self.len(), self.received, self.sum, |k| {
            if k + 1 == self.received { self.max } else { self.at(k) }
        })
    }

    /// Cells with a count: the largest value of the cell, and how many.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.cells.iter().enumerate().filter(|(_, c)| **c > 0).map(|(i, &c)| (top(i).min(self.max), c))
    }

    /// The same in [bars](Distribution), sixteen an octave. `None` where nothing was recorded.
    pub fn distribution(&self) -> Option<Distribution> {
        const PER_BAR: usize = CELLS / 16;
        if self.is_empty() {
            return None;
        }
        let bars = self.cells.chunks(PER_BAR).enumerate().filter_map(|(i, cells)| {
            let count = cells.iter().sum();
            (count > 0).then(|| Bar {
                above_ns: (i * PER_BAR).checked_sub(1).map_or(0, top),
                up_to_ns: top((i + 1) * PER_BAR - 1).min(self.max),
                count,
            })
        });
        Some(Distribution { bars: bars.collect(), lost: self.lost })
    }

    /// Lost probes.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::random::Random;

    #[test]
    fn cells_tile_all_values() {
        let mut last = 0;
        for v in (0..2_000)
            .chain((11..64).flat_map(|b| [(1u64 << b) - 1, 1 << b, (1 << b) + 1]))
            .chain([u64::MAX - 1, u64::MAX])
        {
            let c = cell(v);
            assert!(c >= last && c < SIZE, "{v}");
            assert!(top(c) >= v && top(c) - v <= v / 256, "{v}: top {}", top(c));
            assert_eq!(cell(top(c)), c);
            last = c;
        }
    }

    #[test]
    fn figures_match_the_sorted_samples_and_merging_changes_nothing() {
        let mut r = Random::new(5);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
        let mut all: Vec<u64> = (0..20_000).map(|_| (5_000.0 * (2.0 * r.exponential()).exp()) as u64).collect();
        all.extend([LOST; 30]);
        let (mut one, mut left, mut right) = (Histogram::default(), Histogram::default(), Histogram::default());
        for (i, &s) in all.iter().enumerate() {
            one.record(s);
            if i % 3 == 0 { left.record(s) } else { right.record(s) }
        }
        left.merge(&right);
        assert_eq!(left.quantiles(), one.quantiles());
        let (exact, ours) = (Quantiles::of(&mut all), one.quantiles());
        assert_eq!(
            (ours.samples, ours.min_ns, ours.max_ns, ours.mean_ns),
            (exact.samples, exact.min_ns, exact.max_ns, exact.mean_ns)
        );
        assert_eq!(exact.max_ns, None, "lost probes rank last");
        for (e, o) in [(exact.p50_ns, ours.p50_ns), (exact.p99_ns, ours.p99_ns)] {
            let (e, o) = (e.unwrap(), o.unwrap());
            assert!(o >= e && o - e <= e / 256, "{e} {o}");
        }
        assert_eq!(ours.p999_ns, None, "30 of 20030 lost: P99.9 falls among them");
    }

    use proptest::prelude::*;

    #[test]
    fn bars_hold_every_sample_and_are_narrow() {
        let mut r = Random::new(7);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
        let all: Vec<u64> =
            (0..5_000).map(|_| (300.0 * (3.0 * r.exponential()).exp()) as u64).chain([0, 3, LOST]).collect();
        let d = of(&all).distribution().unwrap();
        assert_eq!((d.samples(), d.lost), (all.len() as u64, 1));
        for bar in &d.bars {
            let lowest = if bar.above_ns == 0 { 0 } else { bar.above_ns + 1 };
            let within = all.iter().filter(|v| (lowest..=bar.up_to_ns).contains(*v)).count();
            assert_eq!(bar.count, within as u64, "{bar:?}");
            assert!(bar.up_to_ns < 256 || bar.up_to_ns - bar.above_ns <= bar.above_ns / 15, "{bar:?}");
        }
        assert!(d.bars.windows(2).all(|w| w[0].up_to_ns <= w[1].above_ns));
        assert_eq!(Histogram::default().distribution(), None);
    }

    fn of(samples: &[u64]) -> Histogram {
        let mut h = Histogram::default();
        for &s in samples {
            h.record(s);
        }
        h
    }

    fn merged(a: &Histogram, b: &Histogram) -> Histogram {
        let mut a = a.clone();
        a.merge(b);
        a
    }

    proptest! {
        /// Merging is associative and commutative, an empty one changes nothing, and all of it equals recording at
        /// once.
        #[test]
        fn merging_is_recording(
            a in prop::collection::vec(any::<u64>(), 0..80),
            b in prop::collection::vec(any::<u64>(), 0..80),
            c in prop::collection::vec(prop_oneof![Just(LOST), 0u64..5_000], 0..80),
        ) {
            let (x, y, z) = (of(&a), of(&b), of(&c));
            let all: Vec<u64> = a.iter().chain(&b).chain(&c).copied().collect();
            let whole = of(&all);
            for h in [merged(&merged(&x, &y), &z), merged(&x, &merged(&y, &z)), merged(&z, &merged(&y, &x))] {
                prop_assert_eq!(h.quantiles(), whole.quantiles());
                prop_assert_eq!(h.counts().collect::<Vec<_>>(), whole.counts().collect::<Vec<_>>());
                prop_assert_eq!((h.len(), h.lost()), (whole.len(), whole.lost()));
            }
            prop_assert_eq!(merged(&x, &Histogram::default()).quantiles(), x.quantiles());
        }

        /// Every rank lies within 1/256 above the sample of that rank, and never above the largest.
        #[test]
        fn a_rank_is_near_its_sample(mut all in prop::collection::vec(prop_oneof![any::<u64>(), 0u64..100_000], 1..200)) {
            let h = of(&all);
            all.sort_unstable();
            for (k, &exact) in (0u64..).zip(&all) {
                let near = h.at(k);
                prop_assert!(near >= exact && near - exact <= exact / 256, "rank {k}: {near} for {exact}");
            }
        }
    }
}

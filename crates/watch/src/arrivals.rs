//! Stamps of the datagrams of one port to their gaps and bursts.

use lowlat_model::Quantiles;
use lowlat_model::watch::ArrivalShape;

/// Datagrams closer than this are of one burst: 1,500 bytes take 12 µs at 1 Gbit/s, and a program that sleeps between two
/// sends is later than this by its timer slack alone (50 µs by default, prctl(2), PR_SET_TIMERSLACK).
pub const BURST_GAP_NS: u64 = 50_000;
/// Gaps that are kept for the quantiles, 8 bytes each; beyond, the longest and the counts go on and the quantiles are those
/// of the gaps up to there.
const MOST_GAPS: usize = 1_000_000;

/// The fold of one port.
#[derive(Debug, Default)]
pub struct ArrivalFold {
    datagrams: u64,
    bytes: u64,
    smallest: Option<u64>,
    largest: Option<u64>,
    last: Option<u64>,
    gaps: Vec<u64>,
    longest: Option<(u64, u64)>,
    bursts: u64,
    in_bursts: u64,
    run: u64,
    longest_burst: u64,
}

impl ArrivalFold {
    /// Takes one datagram: when it came, ns on any one clock, and its bytes. Gives the gap before it.
    pub fn take(&mut self, at: u64, bytes: u64) -> Option<u64> {
        self.datagrams += 1;
        self.bytes += bytes;
        self.smallest = Some(self.smallest.map_or(bytes, |s| s.min(bytes)));
        self.largest = Some(self.largest.map_or(bytes, |l| l.max(bytes)));
        let before = self.last.replace(at);
        let Some(before) = before else {
            self.run = 1;
            return None;
        };
        // Of two CPUs that receive for one port a later stamp may be read first.
        let gap = at.saturating_sub(before);
        if self.gaps.len() < MOST_GAPS {
            self.gaps.push(gap);
        }
        if self.longest.is_none_or(|(longest, _)| gap > longest) {
            self.longest = Some((gap, before));
        }
        if gap < BURST_GAP_NS {
            self.run += 1;
            // The second of a burst makes it one, and the first a part of it.
            if self.run == 2 {
                self.bursts += 1;
                self.in_bursts += 1;
            }
            self.in_bursts += 1;
            self.longest_burst = self.longest_burst.max(self.run);
        } else {
            self.run = 1;
        }
        Some(gap)
    }

    /// The figures; `began` is the time of the first reading on the same clock.
    pub fn finish(mut self, port: u16, began: u64) -> ArrivalShape {
        ArrivalShape {
            port,
            datagrams: self.datagrams,
            bytes: self.bytes,
            smallest_bytes: self.smallest,
            largest_bytes: self.largest,
            gaps: Quantiles::of(&mut self.gaps),
            longest_gap_at_ns: self.longest.map(|(_, at)| at.saturating_sub(began)),
            burst_gap_ns: BURST_GAP_NS,
            bursts: self.bursts,
            longest_burst: self.longest_burst,
            in_bursts_ratio: (self.datagrams > 0).then(|| self.in_bursts as f64 / self.datagrams as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bursts_gaps_and_sizes_are_those_of_the_flow() {
        let mut fold = ArrivalFold::default();
        // Three bursts of four, 10 µs apart, every 10 ms; then one alone after 30 ms.
        for burst in 0..3u64 {
            for n in 0..4 {
                fold.take(1_000_000 + burst * 10_000_000 + n * 10_000, 100 + n);
            }
        }
        assert_eq!(fold.take(51_030_000, 60), Some(30_000_000));
        let shape = fold.finish(5_000, 1_000_000);
        assert_eq!((shape.datagrams, shape.bursts, shape.longest_burst), (13, 3, 4));
        assert_eq!((shape.smallest_bytes, shape.largest_bytes, shape.bytes), (Some(60), Some(103), 3 * 406 + 60));
        assert_eq!((shape.gaps.samples, shape.gaps.max_ns), (12, Some(30_000_000)));
        assert_eq!(shape.longest_gap_at_ns, Some(20_030_000));
        assert!((shape.in_bursts_ratio.unwrap() - 12.0 / 13.0).abs() < 1e-9);
        let none = ArrivalFold::default().finish(5_000, 0);
        assert_eq!((none.in_bursts_ratio, none.smallest_bytes, none.gaps.max_ns), (None, None, None));
    }

    proptest! {
        #[test]
        fn any_stamps_have_a_shape(stamps in proptest::collection::vec(any::<u64>(), 0..60)) {
            let mut fold = ArrivalFold::default();
            for at in &stamps {
                fold.take(*at, 1);
            }
            let shape = fold.finish(1, 0);
            prop_assert_eq!(shape.datagrams, stamps.len() as u64);
            prop_assert!(shape.in_bursts_ratio.is_none_or(|r| (0.0..=1.0).contains(&r)));
        }
    }
}

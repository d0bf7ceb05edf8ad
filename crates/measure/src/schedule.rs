//! When each probe of an open loop is to leave.

use std::sync::Arc;

use lowlat_model::FlowShape;
use lowlat_model::random::Random;
use lowlat_transport::Ns;

use crate::Pattern;

/// Planned send times, without end.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    start: Ns,
    gap: f64,
    pattern: Pattern,
    random: Random,
    /// ns after `start` of the next probe; an f64 keeps 2⁵³ ns (104 days) to the ns, so no drift from rounded gaps.
    at: f64,
    in_burst: u32,
    shaped: Option<Shaped>,
}

/// A recorded flow: its gaps are whole, so they are added up as such.
#[derive(Debug, Clone)]
struct Shaped {
    shape: Arc<FlowShape>,
    next: usize,
    at: u64,
}

impl Schedule {
    /// `shape` is that of [`Pattern::Shape`].
    pub(crate) fn new(
        start: Ns,
        (rate_pps, pattern): (f64, Pattern),
        shape: Option<&Arc<FlowShape>>,
        seed: u64,
    ) -> Self {
        let shaped = shape.map(|shape| Shaped { shape: shape.clone(), next: 0, at: 0 });
        Self { start, gap: 1e9 / rate_pps, pattern, random: Random::new(seed), at: 0.0, in_burst: 0, shaped }
    }
}

impl Shaped {
    fn next(&mut self) -> u64 {
        let at = self.at;
        self.next = (self.next + 1) % self.shape.packets.len().max(1);
        self.at = at.saturating_add(self.shape.packets.get(self.next).map_or(0, |p| p.gap_ns));
        at
    }
}

impl Iterator for Schedule {
    type Item = Ns;

    fn next(&mut self) -> Option<Ns> {
        if let Some(shaped) = &mut self.shaped {
            return Some(self.start.saturating_add(shaped.next()));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at ≥ 0; the cast saturates
        let planned = self.start.saturating_add(self.at as u64);
        self.at += match self.pattern {
            Pattern::Fixed | Pattern::Shape => self.gap,
            Pattern::Poisson => self.gap * self.random.exponential(),
            Pattern::Burst(n) => {
                self.in_burst += 1;
                if self.in_burst >= n {
                    self.in_burst = 0;
                    self.gap * f64::from(n)
                } else {
                    0.0
                }
            }
        };
        Some(planned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::shape::ShapePacket;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_shape_is_sent_by_its_gaps_without_drift(
            gaps in proptest::collection::vec(0u64..1_000_000, 1..20),
            start in any::<u32>(),
        ) {
            let packets = gaps.iter().map(|gap_ns| ShapePacket { gap_ns: *gap_ns, size_bytes: 0 }).collect();
            let shape = Arc::new(FlowShape { packets, ..FlowShape::default() });
            let start = u64::from(start);
            let planned = Schedule::new(start, (1.0, Pattern::Shape), Some(&shape), 1).take(gaps.len() * 40);
            for (n, at) in (0u64..).zip(planned) {
                prop_assert_eq!(at, start + shape.at_ns(n));
            }
        }
    }

    #[test]
    fn each_pattern_keeps_the_rate() {
        let times = |pattern, n| Schedule::new(1_000, (1e6, pattern), None, 9).take(n).collect::<Vec<_>>();
        assert_eq!(times(Pattern::Fixed, 3), [1_000, 2_000, 3_000]);
        assert_eq!(times(Pattern::Burst(2), 5), [1_000, 1_000, 3_000, 3_000, 5_000]);
        let poisson = times(Pattern::Poisson, 100_001);
        let mean = (poisson[100_000] - poisson[0]) as f64 / 1e5;
        assert!((990.0..1_010.0).contains(&mean), "{mean}");
        assert!(poisson.is_sorted());
        // A third of a microsecond does not add up to drift.
        let thirds = Schedule::new(0, (3e6, Pattern::Fixed), None, 1).nth(3_000_000).unwrap();
        assert!(thirds.abs_diff(1_000_000_000) <= 1, "{thirds}");
    }
}

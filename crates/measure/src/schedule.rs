//! When each probe of an open loop is to leave.

use lowlat_transport::Ns;

use crate::Pattern;
use lowlat_model::random::Random;

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
}

impl Schedule {
    pub(crate) fn new(start: Ns, rate_pps: f64, pattern: Pattern, seed: u64) -> Self {
        Self { start, gap: 1e9 / rate_pps, pattern, random: Random::new(seed), at: 0.0, in_burst: 0 }
    }
}

impl Iterator for Schedule {
    type Item = Ns;

    fn next(&mut self) -> Option<Ns> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at ≥ 0; the cast saturates
        let planned = self.start.saturating_add(self.at as u64);
        self.at += match self.pattern {
            Pattern::Fixed => self.gap,
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

    #[test]
    fn each_pattern_keeps_the_rate() {
        let times = |pattern, n| Schedule::new(1_000, 1e6, pattern, 9).take(n).collect::<Vec<_>>();
        assert_eq!(times(Pattern::Fixed, 3), [1_000, 2_000, 3_000]);
        assert_eq!(times(Pattern::Burst(2), 5), [1_000, 1_000, 3_000, 3_000, 5_000]);
        let poisson = times(Pattern::Poisson, 100_001);
        let mean = (poisson[100_000] - poisson[0]) as f64 / 1e5;
        assert!((990.0..1_010.0).contains(&mean), "{mean}");
        assert!(poisson.is_sorted());
        // A third of a microsecond does not add up to drift.
        let thirds = Schedule::new(0, 3e6, Pattern::Fixed, 1).nth(3_000_000).unwrap();
        assert!(thirds.abs_diff(1_000_000_000) <= 1, "{thirds}");
    }
}

//! The levels of the tests of one run, so that the chance of any false keep in all of them is bounded.

/// Where the levels of later tests have halved: the share of the n-th test is `SLOW / ((n + SLOW − 1)(n + SLOW))`,
/// which sums to 1 over any number of tests. With 8 the first test gets a ninth of the whole, the twelfth a 47th: from
/// first to twelfth, one pair and a half more for an effect whose pairs all agree.
const SLOW: f64 = 8.0;

/// Levels for the tests of a run, handed out one after the other: **the chance that any step is kept though it does
/// nothing is at most `alpha`** over the whole run, however many steps there are and whatever is tried next because of
/// what was found (a retry, a combination).
///
/// This is the online fallback procedure (Tian and Ramdas 2021, Statistical Methods in Medical Research 30:976) with
/// e-values: each test has its share of `alpha`, and a test that finds an effect hands its own level on to the next.
/// A level spent on a test without an effect is spent once: it ends there or with the first false keep. So the levels
/// of all tests without an effect up to the first false keep sum to `alpha` at most, and with e-values that are fair
/// given all that was before (each test tosses its own coins) that sum bounds the chance.
///
/// e-LOND (Xu and Ramdas 2024, Online multiple testing with e-values) gives higher levels after several finds, but
/// bounds only the expected share of false ones among the kept. "Nothing here was kept by chance" is the promise, so
/// the stricter rule is used.
#[derive(Debug, Clone)]
pub struct Online {
    alpha: f64,
    tests: u32,
    handed_on: f64,
}

impl Online {
    /// Levels that sum to `alpha`.
    pub fn new(alpha: f64) -> Self {
        Self { alpha, tests: 0, handed_on: 0.0 }
    }

    /// Level of the next test. Ask for it before the test starts.
    pub fn level(&self) -> f64 {
        let n = f64::from(self.tests) + 1.0;
        self.alpha * SLOW / ((n + SLOW - 1.0) * (n + SLOW)) + self.handed_on
    }

    /// Records the e-value at which the test stopped, `Test::e_value`; whether it is a discovery.
    pub fn record(&mut self, e: f64) -> bool {
        let level = self.level();
        let found = e >= 1.0 / level;
        self.handed_on = if found { level } else { 0.0 };
        self.tests += 1;
        found
    }

    /// Bound of the chance that any step of the run was kept though it does nothing.
    pub fn bound(&self) -> f64 {
        self.alpha
    }

    /// Tests recorded so far.
    pub fn tests(&self) -> u32 {
        self.tests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_of_tests_without_an_effect_sum_to_alpha_at_most() {
        let mut online = Online::new(0.05);
        let spent: f64 = (0..100_000)
            .map(|_| {
                let level = online.level();
                assert!(!online.record(1.0));
                level
            })
            .sum();
        assert!(spent < 0.05 && spent > 0.0499, "{spent}");
        assert_eq!((online.bound(), online.tests()), (0.05, 100_000));
    }

    #[test]
    fn a_find_hands_its_level_on_once() {
        let mut online = Online::new(0.05);
        let (first, second) = (online.level(), 0.05 * 8.0 / 90.0);
        assert!((first - 0.05 / 9.0).abs() < 1e-15);
        assert!(!online.record(1.0 / first - 1e-6));
        assert!((online.level() - second).abs() < 1e-15);
        let mut online = Online::new(0.05);
        assert!(online.record(1.0 / first));
        assert!((online.level() - (first + second)).abs() < 1e-15);
        online.record(0.0);
        assert!((online.level() - 0.05 * 8.0 / 110.0).abs() < 1e-15);
    }
}

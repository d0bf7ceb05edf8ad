//! How far a run is, and how long the rest will take: planned at first, corrected by what the steps before took.

use std::collections::VecDeque;

/// Where a run is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The step that runs, from 1.
    pub step: u32,
    /// Steps of the run, as far as they are known: what is kept adds tests.
    pub of: u32,
    /// What the step is.
    pub what: String,
    /// Its pairs or laps that are over, and the most that it may take.
    pub rounds: (u32, u32),
    /// Time until the last step is over, ns: an estimate.
    pub left_ns: u64,
}

/// The steps of a run: tests, which end when they are decided, and after them steps of known length.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    /// Steps that are over.
    over: u32,
    /// Tests ahead, the running one included.
    tests: u32,
    /// Lengths of the steps after the tests, ns, the running one included.
    known_ns: VecDeque<u64>,
    /// What the next test is planned to take, ns.
    planned_ns: u64,
    /// Tests that are over, and what they took together, ns.
    ended: u32,
    took_ns: u64,
    running: Option<Running>,
}

#[derive(Debug, Clone)]
struct Running {
    what: String,
    since_ns: u64,
    is_test: bool,
}

impl Schedule {
    /// So many tests, each planned to take `planned_ns`, then steps of these lengths, ns.
    pub fn new(tests: usize, planned_ns: u64, known_ns: impl Into<VecDeque<u64>>) -> Self {
        Self { planned_ns, known_ns: known_ns.into(), ..Self::default() }.with_tests(tests)
    }

    fn with_tests(mut self, tests: usize) -> Self {
        self.set_tests(tests);
        self
    }

    /// From now on so many tests are ahead.
    pub fn set_tests(&mut self, tests: usize) {
        self.tests = u32::try_from(tests).unwrap_or(u32::MAX);
    }

    /// From now on the steps after the tests have these lengths, ns.
    pub fn set_known(&mut self, known_ns: impl Into<VecDeque<u64>>) {
        self.known_ns = known_ns.into();
    }

    /// A test begins. One that was not ahead is counted too.
    pub fn begin_test(&mut self, what: &str, planned_ns: u64, now_ns: u64) {
        self.tests = self.tests.max(1);
        self.planned_ns = planned_ns;
        self.running = Some(Running { what: what.to_owned(), since_ns: now_ns, is_test: true });
    }

    /// The next step of known length begins.
    pub fn begin_known(&mut self, what: &str, now_ns: u64) {
        self.tests = 0;
        if self.known_ns.is_empty() {
            self.known_ns.push_back(0);
        }
        self.running = Some(Running { what: what.to_owned(), since_ns: now_ns, is_test: false });
    }

    /// The running step is over. What a test took corrects what the others are expected to take.
    pub fn end(&mut self, now_ns: u64) {
        let Some(running) = self.running.take() else { return };
        self.over += 1;
        if running.is_test {
            self.tests = self.tests.saturating_sub(1);
            self.ended += 1;
            self.took_ns += now_ns.saturating_sub(running.since_ns);
        } else {
            self.known_ns.pop_front();
        }
    }

    /// A test ahead is not needed.
    pub fn skip_test(&mut self) {
        self.over += 1;
        self.tests = self.tests.saturating_sub(1);
    }

    /// What a test is expected to take, ns: the mean of what those before took, with the plan as one of them.
    fn expected_ns(&self) -> u64 {
        (self.planned_ns + self.took_ns) / (1 + u64::from(self.ended))
    }

    /// Where the run is; `rounds` are those of the running step.
    pub fn at(&self, rounds: (u32, u32), now_ns: u64) -> Progress {
        let ahead = self.tests.saturating_add(u32::try_from(self.known_ns.len()).unwrap_or(u32::MAX));
        let total = u64::from(self.tests) * self.expected_ns() + self.known_ns.iter().sum::<u64>();
        let mut progress = Progress {
            step: (self.over + 1).min(self.over + ahead),
            of: self.over + ahead,
            rounds,
            left_ns: total,
            ..Progress::default()
        };
        if let Some(running) = &self.running {
            let length = if running.is_test { self.expected_ns() } else { self.known_ns.front().copied().unwrap_or(0) };
            // A step that takes longer than expected says nothing about the others until it is over.
            let gone = now_ns.saturating_sub(running.since_ns).min(length);
            progress.left_ns = total.saturating_sub(gone);
            progress.what.clone_from(&running.what);
        }
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn the_plan_is_the_first_estimate_and_time_runs_it_down() {
        let mut run = Schedule::new(3, 4 * S, [10 * S]);
        run.begin_test("a", 4 * S, 100 * S);
        let at = run.at((0, 60), 100 * S);
        assert_eq!((at.step, at.of, at.what.as_str(), at.left_ns), (1, 4, "a", 22 * S));
        assert_eq!(run.at((5, 60), 103 * S).left_ns, 19 * S);
        // Overdue: the others are still ahead in full.
        assert_eq!(run.at((60, 60), 120 * S).left_ns, 18 * S);
    }

    #[test]
    fn what_tests_took_corrects_the_rest() {
        let mut run = Schedule::new(3, 4 * S, [10 * S]);
        run.begin_test("a", 4 * S, 0);
        run.end(8 * S);
        run.begin_test("b", 4 * S, 8 * S);
        let at = run.at((0, 60), 8 * S);
        assert_eq!((at.step, at.of, at.left_ns), (2, 4, 2 * 6 * S + 10 * S));
        run.end(9 * S);
        // Plan 4, took 8 and 1.
        assert_eq!(run.at((0, 0), 9 * S).left_ns, 13 * S / 3 + 10 * S);
    }

    #[test]
    fn steps_are_numbered_without_a_gap_whatever_comes_or_falls_away() {
        let mut run = Schedule::new(2, S, [S, S]);
        run.begin_test("a", S, 0);
        run.end(S);
        run.skip_test();
        assert_eq!((run.at((0, 0), S).step, run.at((0, 0), S).of), (3, 4));
        // Tests that are found to be needed.
        run.set_tests(2);
        run.begin_test("b", S, S);
        assert_eq!((run.at((0, 0), S).step, run.at((0, 0), S).of), (3, 6));
        run.end(2 * S);
        run.set_tests(0);
        run.set_known([S]);
        run.begin_known("headline", 2 * S);
        let at = run.at((0, 0), 2 * S);
        assert_eq!((at.step, at.of, at.left_ns), (4, 4, S));
        run.end(3 * S);
        let at = run.at((0, 0), 3 * S);
        assert_eq!((at.step, at.of, at.left_ns), (4, 4, 0), "no step beyond the last");
    }
}

//! A test of a number that the user's own command prints.

use lowlat_model::judge::FigureDifference;
use lowlat_model::verdict::{Comparison, Design, Sequential, Stopped};
use lowlat_model::{Schema, Verdict};

use super::bet::{Side, Stream, median};
use super::interval::interval;
use super::test::{FOLLOWED, FORESEEN_FROM};
use super::{Next, SequentialOptions};
use crate::words;

/// A sequential test of a change by one number a round, of any unit. The same bets as in [`super::Test`], on the
/// difference of the two numbers of a pair.
///
/// The decision is made on differences alone, so that a number may be 0 or negative; the relative change is reported
/// where every number is above 0. What is worth having is a share of the median of all numbers so far, of both sides,
/// so that exchanging the labels of a pair does not move it.
#[derive(Debug, Clone)]
pub struct FigureTest {
    higher_is_better: bool,
    names: (String, String),
    options: SequentialOptions,
    /// B − A of each pair, turned so that less is better.
    bets: Stream,
    a: Vec<f64>,
    b: Vec<f64>,
    stopped: Option<Stopped>,
}

impl FigureTest {
    /// `names` are those of A and B.
    pub fn new(higher_is_better: bool, names: (&str, &str), options: SequentialOptions) -> Self {
        Self {
            higher_is_better,
            names: (names.0.to_owned(), names.1.to_owned()),
            options,
            bets: Stream::default(),
            a: Vec::new(),
            b: Vec::new(),
            stopped: None,
        }
    }

    /// One more pair: the number without the change and with it, both finite.
    pub fn push(&mut self, a: f64, b: f64) -> Next {
        if let Some(stopped) = self.stopped {
            return Next::Stop(stopped);
        }
        self.a.push(a);
        self.b.push(b);
        self.bets.push(self.turned(b - a));
        self.stopped = self.decide();
        self.stopped.map_or(Next::More, Next::Stop)
    }

    /// Pairs counted so far.
    pub fn pairs(&self) -> u32 {
        u32::try_from(self.a.len()).unwrap_or(u32::MAX)
    }

    /// A signal ended the test: the whole pairs so far stand.
    pub fn interrupt(&mut self) {
        self.stopped.get_or_insert(Stopped::Interrupted);
    }

    /// The e-value for [`super::Online::record`]. Where that would be a discovery and the change is not called better,
    /// because it is too small, it is 0; an e-value may always be lowered.
    pub fn e_value(&self) -> f64 {
        let e = self.bets.wealth(0.0, Side::Below);
        if e >= 1.0 / self.options.alpha && self.stopped != Some(Stopped::Better) { 0.0 } else { e }
    }

    /// Less is better; turned back by the same.
    fn turned(&self, difference: f64) -> f64 {
        if self.higher_is_better { -difference } else { difference }
    }

    /// The smallest difference worth having, in the number's unit.
    fn worth(&self) -> f64 {
        self.options.worth_ratio * median(self.a.iter().chain(&self.b).map(|v| v.abs()).collect())
    }

    fn decide(&self) -> Option<Stopped> {
        let options = &self.options;
        if self.pairs() < options.least_pairs {
            return None;
        }
        let (target, limit) = (1.0 / options.alpha, 2.0 / (1.0 - options.confidence));
        let worth = self.worth();
        let harm = self.bets.wealth(worth, Side::Above);
        if harm >= 1.0 / options.harm {
            return Some(Stopped::Worse);
        }
        // The lower end of the interval is at `-worth` or above: wealth falls with the shift, so the next shift below is
        // rejected already. Below it, so that numbers that are all 0, with nothing worth having, are decided too.
        if self.bets.wealth((-worth).next_down(), Side::Above) >= limit {
            return Some(Stopped::Excluded);
        }
        // An interval that lies below 0, and not within what is not worth having.
        if self.bets.wealth(0.0, Side::Below) >= target.max(limit) {
            return Some(Stopped::Better);
        }
        if self.pairs() >= options.most_pairs {
            return Some(Stopped::Exhausted);
        }
        let left = options.most_pairs - self.pairs();
        let hopeless = self.pairs() >= FORESEEN_FROM && self.bets.foreseen(left) < target;
        (hopeless && harm < FOLLOWED).then_some(Stopped::Futile)
    }

    /// What the pairs so far show.
    pub fn comparison(&self) -> Comparison {
        let stopped = self.stopped.unwrap_or(Stopped::Interrupted);
        let worth = self.worth();
        let ends = interval(&self.bets, self.options.confidence);
        let verdict = match (stopped, ends) {
            (Stopped::Better, _) => Verdict::Better,
            (Stopped::Worse, _) => Verdict::Worse,
            (_, (Some(low), Some(high))) if low >= -worth && high <= worth => Verdict::Same,
            _ => Verdict::Unclear,
        };
        let difference = self.difference(ends, verdict);
        Comparison {
            schema: Schema::current("compare"),
            a: self.names.0.clone(),
            b: self.names.1.clone(),
            verdict,
            words: words::of_figure(stopped, &difference, self.pairs()),
            design: Design::Sequential,
            seed: self.options.seed,
            figure: Some(difference),
            sequential: Some(Sequential {
                pairs: self.pairs(),
                most_pairs: self.options.most_pairs,
                stopped,
                alpha: self.options.alpha,
                e_better: self.bets.wealth(0.0, Side::Below),
                e_worse: self.bets.wealth(worth, Side::Above),
                worth_ratio: self.options.worth_ratio,
                loss: Verdict::Same,
                ..Sequential::default()
            }),
            ..Comparison::default()
        }
    }

    fn difference(&self, ends: (Option<f64>, Option<f64>), verdict: Verdict) -> FigureDifference {
        let nothing = FigureDifference { higher_is_better: self.higher_is_better, verdict, ..Default::default() };
        if self.a.is_empty() {
            return nothing;
        }
        let a = median(self.a.clone());
        let (low, high) = self.back(ends);
        let diff = within(median(self.bets.differences().map(|d| self.turned(d)).collect()), low, high);
        let mut out = FigureDifference { a: finite(a), b: finite(a + diff), diff: finite(diff), low, high, ..nothing };
        if let Some(logs) = self.logs() {
            let (low, high) = self.back(interval(&logs, self.options.confidence));
            let log = within(median(logs.differences().map(|d| self.turned(d)).collect()), low, high);
            out.change_ratio = finite(log.exp_m1());
            out.change_low = low.map(f64::exp_m1).and_then(finite);
            out.change_high = high.map(f64::exp_m1).and_then(finite);
        }
        out
    }

    /// ln(B / A) of each pair, turned as the differences are; `None` where a number is not above 0.
    fn logs(&self) -> Option<Stream> {
        let mut logs = Stream::default();
        for (a, b) in self.a.iter().zip(&self.b) {
            if *a <= 0.0 || *b <= 0.0 {
                return None;
            }
            logs.push(self.turned((b / a).ln()));
        }
        Some(logs)
    }

    /// An interval of turned differences as one of differences.
    fn back(&self, (low, high): (Option<f64>, Option<f64>)) -> (Option<f64>, Option<f64>) {
        let (low, high) = if self.higher_is_better { (high.map(|h| -h), low.map(|l| -l)) } else { (low, high) };
        (low.and_then(finite), high.and_then(finite))
    }
}

/// JSON has no other numbers.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The middle of the pairs may lie a hair outside an interval that is narrower than their steps.
fn within(value: f64, low: Option<f64>, high: Option<f64>) -> f64 {
    let value = low.map_or(value, |low| value.max(low));
    high.map_or(value, |high| value.min(high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    fn run(higher: bool, pairs: impl IntoIterator<Item = (f64, f64)>) -> FigureTest {
        let mut test = FigureTest::new(higher, ("without", "with"), SequentialOptions::default());
        for (a, b) in pairs {
            if test.push(a, b) != Next::More {
                break;
            }
        }
        test
    }

    /// Pairs around these means, with 3 % of noise.
    fn noisy(seed: u64, a: f64, b: f64) -> impl Iterator<Item = (f64, f64)> {
        let mut r = Random::new(seed);
        std::iter::repeat_with(move || (a * (1.0 + 0.03 * r.normal()), b * (1.0 + 0.03 * r.normal()))).take(60)
    }

    #[test]
    fn the_direction_says_what_is_better() {
        for (higher, b, verdict) in [
            (false, 80.0, Verdict::Better),
            (true, 80.0, Verdict::Worse),
            (false, 120.0, Verdict::Worse),
            (true, 120.0, Verdict::Better),
        ] {
            let c = run(higher, noisy(1, 100.0, b)).comparison();
            assert_eq!(c.verdict, verdict, "{higher} {b}: {}", c.words);
            let f = c.figure.unwrap();
            // Harm is shown by five pairs that agree, and an end of the interval by six: before, it is open.
            let holds = |low: Option<f64>, v: f64, high: Option<f64>| {
                low.is_none_or(|low| low <= v) && high.is_none_or(|high| v <= high)
            };
            assert!(holds(f.change_low, b / 100.0 - 1.0, f.change_high), "{f:?}");
            assert!(holds(f.low, f.diff.unwrap(), f.high), "{f:?}");
            assert!(verdict == Verdict::Worse || (f.low.is_some() && f.high.is_some()), "{f:?}");
            assert_eq!(f.verdict, verdict);
        }
    }

    #[test]
    fn without_an_effect_hardly_any_test_finds_one() {
        let of = |seed| run(false, noisy(seed, 100.0, 100.0)).comparison().verdict;
        let found = (0..400).filter(|&seed| of(seed) == Verdict::Better).count();
        assert!(found <= 20, "{found} of 400 at a level of 0.05");
    }

    #[test]
    fn numbers_that_are_zero_or_negative_are_judged_by_their_difference() {
        let mut r = Random::new(3);
        let pairs: Vec<(f64, f64)> = (0..60).map(|_| (-10.0 + r.normal(), -20.0 + r.normal())).collect();
        let c = run(false, pairs).comparison();
        assert_eq!(c.verdict, Verdict::Better, "{}", c.words);
        let f = c.figure.unwrap();
        assert_eq!((f.change_ratio, f.change_low, f.change_high), (None, None, None));
        assert!((f.diff.unwrap() + 10.0).abs() < 2.0, "{f:?}");
        // All equal: nothing to gain, shown after a few pairs.
        let equal = run(false, [(0.0, 0.0); 60]);
        assert_eq!(equal.comparison().sequential.unwrap().stopped, Stopped::Excluded);
        assert!(equal.pairs() <= 8, "{}", equal.pairs());
    }

    #[test]
    fn a_difference_too_small_to_matter_is_not_better() {
        let mut r = Random::new(4);
        let pairs: Vec<(f64, f64)> = (0..60).map(|_| (100.0 + 0.1 * r.normal(), 99.6 + 0.1 * r.normal())).collect();
        let test = run(false, pairs);
        assert_eq!(test.comparison().verdict, Verdict::Same, "{}", test.comparison().words);
        assert!(test.e_value() < 20.0, "{}", test.e_value());
    }

    #[test]
    fn an_interrupted_or_empty_test_claims_nothing_and_huge_numbers_stay_numbers() {
        let mut stopped = run(false, [(3.0, 1.0), (4.0, 1.0)]);
        stopped.interrupt();
        assert!(stopped.comparison().words.starts_with("interrupted, no difference shown"));
        assert_eq!(run(false, []).comparison().verdict, Verdict::Unclear);
        let huge = run(true, [(f64::MAX, -f64::MAX), (f64::MAX, -f64::MAX), (1.0, 2.0), (3.0, 1.0), (2.0, 2.0)]);
        let f = huge.comparison().figure.unwrap();
        for v in [f.a, f.b, f.diff, f.low, f.high, f.change_ratio].into_iter().flatten() {
            assert!(v.is_finite(), "{f:?}");
        }
    }
}

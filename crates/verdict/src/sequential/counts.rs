//! A test of something that is counted: drops, errors, interrupts.

use lowlat_model::verdict::{Comparison, Design, Sequential, Stopped};
use lowlat_model::{Schema, Verdict};

use super::bet::{Side, Stream};
use super::test::{FOLLOWED, FORESEEN_FROM};
use super::{Next, SequentialOptions};

/// Pairs without a single count on either side after which nothing is left to find.
const SILENT: u32 = 6;

/// A sequential test of a change by a counter of the host; fewer is better. The same bets as in [`super::Test`], on the
/// difference of the two counts of a pair, whose rounds must be equally long.
#[derive(Debug, Clone)]
pub struct CountTest {
    what: String,
    names: (String, String),
    options: SequentialOptions,
    bets: Stream,
    sums: (u64, u64),
    pairs: u32,
    stopped: Option<Stopped>,
}

impl CountTest {
    /// `what` names the counter, `names` are those of A and B.
    pub fn new(what: &str, names: (&str, &str), options: SequentialOptions) -> Self {
        Self {
            what: what.to_owned(),
            names: (names.0.to_owned(), names.1.to_owned()),
            options,
            bets: Stream::default(),
            sums: (0, 0),
            pairs: 0,
            stopped: None,
        }
    }

    /// One more pair: the growth without the change and with it.
    pub fn push(&mut self, a: u64, b: u64) -> Next {
        if let Some(stopped) = self.stopped {
            return Next::Stop(stopped);
        }
        self.pairs += 1;
        self.sums = (self.sums.0.saturating_add(a), self.sums.1.saturating_add(b));
        self.bets.push(b as f64 - a as f64);
        self.stopped = self.decide();
        self.stopped.map_or(Next::More, Next::Stop)
    }

    /// Pairs counted so far.
    pub fn pairs(&self) -> u32 {
        self.pairs
    }

    /// A signal ended the test: the whole pairs so far stand.
    pub fn interrupt(&mut self) {
        self.stopped.get_or_insert(Stopped::Interrupted);
    }

    /// The e-value for [`super::Online::record`].
    pub fn e_value(&self) -> f64 {
        self.bets.wealth(0.0, Side::Below)
    }

    fn decide(&self) -> Option<Stopped> {
        let options = &self.options;
        if self.pairs < options.least_pairs {
            return None;
        }
        let target = 1.0 / options.alpha;
        if self.bets.wealth(0.0, Side::Above) >= 1.0 / options.harm {
            Some(Stopped::Worse)
        } else if self.e_value() >= target {
            Some(Stopped::Better)
        } else if self.sums == (0, 0) {
            (self.pairs >= SILENT.min(options.most_pairs)).then_some(Stopped::Excluded)
        } else if self.pairs >= options.most_pairs {
            Some(Stopped::Exhausted)
        } else {
            let hopeless = self.pairs >= FORESEEN_FROM && self.bets.foreseen(options.most_pairs - self.pairs) < target;
            let harms = self.bets.wealth(0.0, Side::Above) >= FOLLOWED;
            (hopeless && !harms).then_some(Stopped::Futile)
        }
    }

    /// What the pairs so far show.
    pub fn comparison(&self) -> Comparison {
        let stopped = self.stopped.unwrap_or(Stopped::Interrupted);
        let verdict = match stopped {
            Stopped::Better => Verdict::Better,
            Stopped::Worse => Verdict::Worse,
            Stopped::Excluded => Verdict::Same,
            _ => Verdict::Unclear,
        };
        let (a, b) = self.sums;
        let counted = format!("{} {a} → {b} in {} pairs of rounds", self.what, self.pairs);
        let words = match verdict {
            Verdict::Better => format!("better: {counted}"),
            Verdict::Worse => format!("worse: {counted}"),
            Verdict::Same => format!("no difference shown: no {} in either", self.what),
            _ if stopped == Stopped::Interrupted => format!("interrupted, no difference shown: {counted}"),
            _ => format!("no difference shown: {counted}"),
        };
        Comparison {
            schema: Schema::current("compare"),
            a: self.names.0.clone(),
            b: self.names.1.clone(),
            verdict,
            words,
            design: Design::Sequential,
            seed: self.options.seed,
            sequential: Some(Sequential {
                pairs: self.pairs,
                most_pairs: self.options.most_pairs,
                stopped,
                alpha: self.options.alpha,
                e_better: self.e_value(),
                e_worse: self.bets.wealth(0.0, Side::Above),
                ..Sequential::default()
            }),
            ..Comparison::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pairs: impl IntoIterator<Item = (u64, u64)>) -> CountTest {
        let mut test = CountTest::new("drops", ("without", "with"), SequentialOptions::default());
        for (a, b) in pairs {
            if test.push(a, b) != Next::More {
                break;
            }
        }
        test
    }

    #[test]
    fn drops_that_vanish_are_better_and_new_ones_worse() {
        let gone = run((0..20).map(|i| (40 + i % 3, 0)));
        assert_eq!((gone.comparison().verdict, gone.pairs()), (Verdict::Better, 5));
        assert_eq!(gone.comparison().words, "better: drops 204 → 0 in 5 pairs of rounds");
        assert!(gone.e_value() >= 20.0);
        assert_eq!(run((0..20).map(|i| (0, 7 + i % 3))).comparison().verdict, Verdict::Worse);
    }

    #[test]
    fn no_counts_and_equal_counts_show_nothing() {
        let silent = run([(0, 0); 60]);
        assert_eq!((silent.pairs(), silent.comparison().verdict), (6, Verdict::Same));
        assert_eq!(silent.comparison().words, "no difference shown: no drops in either");
        let even = run((0..60).map(|i| if i % 2 == 0 { (3, 5) } else { (5, 3) }));
        let c = even.comparison();
        assert_eq!((c.verdict, c.sequential.unwrap().stopped), (Verdict::Unclear, Stopped::Futile), "{}", c.words);
        assert!(even.pairs() < 30, "{}", even.pairs());
        let mut stopped = run([(3, 1), (4, 1)]);
        stopped.interrupt();
        assert!(stopped.comparison().words.starts_with("interrupted, no difference shown"));
        assert_eq!(run([]).comparison().verdict, Verdict::Unclear);
    }
}

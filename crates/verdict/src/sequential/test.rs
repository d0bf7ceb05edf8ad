//! A test of round trips.

use lowlat_model::measurement::LOST;
use lowlat_model::verdict::{Clock, Round, Stopped};

use super::bet::{Side, Stream};
use super::interval::interval;
use super::quantity::{Quantity, Slack};
use super::thin::Thin;
use super::{Next, SequentialOptions};
use crate::words;

/// Weights in the average, before they are scaled to sum to 1: P50 has the least noise and decides soonest.
const P50: f64 = 4.0;
const P99: f64 = 2.0;
const LOSS: f64 = 1.0;
const GOAL: f64 = 2.0;

/// From this wealth of the bet that a quantity rises, the change is not called better. Low on purpose: of a change that
/// makes the median 20 % faster and P99 44 % slower in noise of 30 %, a limit of 4 let twice as many pass, and a change
/// without harm takes a tenth of a pair more.
pub(super) const LEANS: f64 = 2.0;

/// From this average wealth of the bets on a rise, a hopeless test goes on until harm is shown or the wealth has
/// fallen.
pub(super) const FOLLOWED: f64 = 4.0;

/// Pairs that a forecast needs. After as many, a path without noise has been judged.
pub(super) const FORESEEN_FROM: u32 = 8;

/// Losses of both sides, and the bet on them.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    /// Share in the average of the wealths.
    pub(super) weight: f64,
    /// Differences of the share of lost probes, a pair each.
    pub(super) bets: Stream,
    thin: Thin,
    /// Lost and sent, A.
    pub(super) a: (u64, u64),
    /// Lost and sent, B.
    pub(super) b: (u64, u64),
}

/// The samples of a pair, sorted, losses last.
struct Sorted {
    from: Clock,
    a: Vec<u64>,
    b: Vec<u64>,
}

impl Sorted {
    fn new(from: Clock, mut a: Vec<u64>, mut b: Vec<u64>) -> Self {
        a.sort_unstable();
        b.sort_unstable();
        Self { from, a, b }
    }
}

/// A sequential test of a change by round trips: B with it, A without.
///
/// Push pairs of rounds, each in the order that the next of the [`super::Coins`] says, until it says stop:
///
/// - **worse**: the average wealth of the bets that the quantities rise, by more than what is worth having, reaches
///   `1 / harm`. So harm is shown
///   falsely in at most 5 % of tests, or what else [`SequentialOptions::harm`] is. Where another quantity is better, it is a
///   trade, and worse.
/// - **excluded**: in every latency quantile that is judged the interval lies above an improvement of the smallest size
///   worth having, and A's losses hold nothing that B might fix.
/// - **better**: the average wealth of the bets that the quantities fall reaches `1 / alpha`; the interval of one of
///   them excludes 0 and is not within what is not worth having; and no quantity leans to harm: in none has the bet
///   that it rises doubled. A lean is far less than proof; while there is one the test goes on, and where it stays
///   until the pairs are used up, the change is not called better.
/// - **futile**: if the bets go on as they did so far and somewhat better, they will not reach `1 / alpha` in the pairs
///   that are left, and there is no lean to harm either.
/// - **exhausted**: the pairs allowed are used up.
///
/// Only *better* keeps a change, so stopping early without it adds no error. Cost of a pair: one sort of each round.
#[derive(Debug, Clone)]
pub struct Test {
    pub(super) names: (String, String),
    pub(super) options: SequentialOptions,
    pub(super) quantities: Vec<Quantity>,
    pub(super) loss: Loss,
    pub(super) pairs: u32,
    pub(super) stopped: Option<Stopped>,
}

impl Test {
    /// `names` are those of A and B.
    pub fn new(names: (&str, &str), options: SequentialOptions) -> Self {
        let seed = options.seed;
        Self {
            names: (names.0.to_owned(), names.1.to_owned()),
            options,
            quantities: Vec::new(),
            loss: Loss { weight: 0.0, bets: Stream::default(), thin: Thin::new(seed), a: (0, 0), b: (0, 0) },
            pairs: 0,
            stopped: None,
        }
    }

    /// One more pair: the round without the change and the round with it, whichever ran first. What comes after the
    /// test has stopped is not counted.
    pub fn push(&mut self, a: Round, b: Round) -> Next {
        if let Some(stopped) = self.stopped {
            return Next::Stop(stopped);
        }
        let sides = [
            Sorted::new(Clock::Send, a.samples_ns, b.samples_ns),
            Sorted::new(Clock::Planned, a.planned_ns, b.planned_ns),
        ];
        if self.pairs == 0 {
            self.begin(&sides);
        }
        self.pairs += 1;
        self.count_losses(&sides);
        let slack = Slack { ratio: self.options.worth_ratio, floor_ns: self.options.worth_floor_ns };
        for side in &sides {
            for quantity in self.quantities.iter_mut().filter(|q| q.from == side.from) {
                quantity.push(&side.a, &side.b, slack);
            }
        }
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

    /// The e-value for [`super::Online::record`]: the average wealth. Where that would be a discovery and the change is
    /// not called better, because a quantity leans to harm, it is 0; an e-value may always be lowered.
    pub fn e_value(&self) -> f64 {
        let e = self.wealth(Side::Below);
        if e >= 1.0 / self.options.alpha && self.stopped != Some(Stopped::Better) { 0.0 } else { e }
    }

    /// What is judged, and which of the quantiles a round does not support: both are settled by the first pair, and by
    /// the smaller of its two rounds, so that the labels have no say.
    fn begin(&mut self, sides: &[Sorted; 2]) {
        let seed = self.options.seed;
        for side in sides {
            let (from, samples) = (side.from, side.a.len().min(side.b.len()));
            if samples == 0 && from == Clock::Planned {
                continue;
            }
            // P90 is reported and not judged: what moves it moves one of its neighbours.
            let mut all = vec![(0.5, P50), (0.9, 0.0), (0.99, P99)];
            let further = self.options.goals.iter().filter(|q| ![0.5, 0.9, 0.99].contains(*q));
            all.extend(further.map(|&q| (q, GOAL)));
            if self.options.goals.contains(&0.9) {
                all[1].1 = GOAL;
            }
            self.quantities.extend(all.into_iter().map(|(q, weight)| Quantity::new(q, from, (weight, seed), samples)));
        }
        let sum = LOSS + self.quantities.iter().map(|q| q.weight).sum::<f64>();
        self.quantities.iter_mut().for_each(|q| q.weight /= sum);
        self.loss.weight = LOSS / sum;
    }

    fn count_losses(&mut self, sides: &[Sorted; 2]) {
        let add = |x: (u64, u64), y: (u64, u64)| (x.0 + y.0, x.1 + y.1);
        let count = |s: &[u64]| ((s.len() - s.partition_point(|&v| v != LOST)) as u64, s.len() as u64);
        let a = sides.iter().map(|s| count(&s.a)).fold((0, 0), add);
        let b = sides.iter().map(|s| count(&s.b)).fold((0, 0), add);
        // Each kind of probes on its own: a side that is faster sends more of the ping-pong ones, which lose less or more.
        let kinds = sides.iter().map(|s| (count(&s.a), count(&s.b))).collect::<Vec<_>>();
        let (more, of) = kinds.into_iter().fold((0.0, 0.0), |(more, of), (a, b)| {
            let (m, n) = self.loss.thin.more(a, b);
            (more + m, of + n)
        });
        self.loss.bets.push(more / f64::max(of, 1.0));
        self.loss.a = add(self.loss.a, a);
        self.loss.b = add(self.loss.b, b);
    }

    /// Weight and bets of whatever is judged.
    fn judged(&self) -> impl Iterator<Item = (f64, &Stream)> {
        let quantiles = self.quantities.iter().map(|q| (q.weight, &q.bets));
        quantiles.chain([(self.loss.weight, &self.loss.bets)]).filter(|j| j.0 > 0.0)
    }

    /// The average wealth.
    pub(super) fn wealth(&self, side: Side) -> f64 {
        match self.pairs {
            0 => 1.0,
            _ => self.judged().map(|(weight, bets)| weight * bets.wealth(0.0, side)).sum(),
        }
    }

    /// Weight and wealth of the bets that each quantity rises, by more than what is worth having: a loss that small is
    /// no harm, as a gain that small is not a gain.
    fn harms(&self) -> impl Iterator<Item = (f64, f64)> {
        let quantiles = self.quantities.iter().filter(|q| q.weight > 0.0).map(|q| (q.weight, self.harm_of(q)));
        quantiles.chain([(self.loss.weight, self.harm_by_loss())])
    }

    fn harm_of(&self, quantity: &Quantity) -> f64 {
        match quantity.harm_by_counts() {
            Some(bets) => bets.wealth(0.0, Side::Above),
            None => quantity.bets.wealth(self.worth(quantity), Side::Above),
        }
    }

    fn harm_by_loss(&self) -> f64 {
        self.loss.bets.wealth(0.0, Side::Above)
    }

    /// Names of the quantities that lean to harm.
    pub(super) fn leans(&self) -> Vec<String> {
        let judged = self.quantities.iter().filter(|q| q.weight > 0.0 && self.harm_of(q) >= LEANS);
        let names = judged.map(|q| words::quantile(q.q, q.from));
        names.chain((self.harm_by_loss() >= LEANS).then(|| "loss".to_owned())).collect()
    }

    /// The average wealth of the bets on harm.
    pub(super) fn harm(&self) -> f64 {
        if self.pairs == 0 { 1.0 } else { self.harms().map(|(weight, wealth)| weight * wealth).sum() }
    }

    fn decide(&self) -> Option<Stopped> {
        let options = &self.options;
        if self.pairs < options.least_pairs {
            return None;
        }
        let target = 1.0 / options.alpha;
        if self.harm() >= 1.0 / options.harm {
            return Some(Stopped::Worse);
        }
        if self.is_excluded() {
            return Some(Stopped::Excluded);
        }
        if self.wealth(Side::Below) >= target && !self.leans_to_harm() && self.is_worth_having() {
            return Some(Stopped::Better);
        }
        if self.pairs >= options.most_pairs {
            return Some(Stopped::Exhausted);
        }
        if self.pairs < FORESEEN_FROM {
            return None;
        }
        let left = options.most_pairs - self.pairs;
        let foreseen: f64 = self.judged().map(|(weight, bets)| weight * bets.foreseen(left)).sum();
        // What may be harm is followed until it is shown or gone: that is worth telling.
        (foreseen < target && self.harm() < FOLLOWED).then_some(Stopped::Futile)
    }

    /// Whether some quantity may be harmed; see [`LEANS`].
    pub(super) fn leans_to_harm(&self) -> bool {
        self.harms().any(|(_, wealth)| wealth >= LEANS)
    }

    /// Whether some quantity's interval lies below 0 and is not within what is not worth having.
    fn is_worth_having(&self) -> bool {
        let limit = 2.0 / (1.0 - self.options.confidence);
        let shown = |bets: &Stream| bets.wealth(0.0, Side::Below) >= limit;
        let large = |q: &Quantity| {
            let low = interval(q.logs(), self.options.confidence).0;
            low.is_none_or(|low| low < -self.worth(q))
        };
        shown(&self.loss.bets) || self.quantities.iter().any(|q| q.weight > 0.0 && shown(&q.bets) && large(q))
    }

    /// Whether no latency quantile that is judged can still fall by what is worth having.
    fn is_excluded(&self) -> bool {
        let limit = 2.0 / (1.0 - self.options.confidence); // the lower end of the interval
        let excluded = |q: &Quantity| q.logs().wealth(-self.worth(q), Side::Above) >= limit;
        let fixes_loss = self.loss.a.0 > 0 && self.loss.bets.wealth(0.0, Side::Below) > 1.0;
        !fixes_loss && self.quantities.iter().filter(|q| q.weight > 0.0).all(excluded)
    }

    /// The smallest change worth having as a logarithm, positive.
    pub(super) fn worth(&self, quantity: &Quantity) -> f64 {
        let floor = quantity.typical().map_or(0.0, |(a, _)| self.options.worth_floor_ns as f64 / a);
        // A floor above the quantile itself cannot be gained: no improvement is worth having.
        -(-self.options.worth_ratio.max(floor).min(0.999_999)).ln_1p()
    }
}

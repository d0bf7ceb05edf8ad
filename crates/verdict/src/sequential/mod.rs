//! The sequential judge: pairs of rounds, looked at after each one, until it is decided.
//!
//! **Why it may look after every pair.** Which side of a pair runs first is drawn by a fair coin of its own
//! ([`Coins`]). If the change does nothing, then exchanging the labels of a pair exchanges nothing that was measured,
//! and the sign of the pair's difference is a fair coin, given its size and all that was before. Drift,
//! autocorrelation, spikes and periodic load do not matter: the randomness is ours. A bet on the sign is then a
//! martingale, and its wealth reaches `1 / α` at any pair with a chance of at most α (`bet`).
//!
//! **What is judged.** P50 and P99 of the ping-pong probes and of the planned ones, the share of lost probes, and the
//! quantiles that goals name. The wealths of the bets that each of them falls are averaged with fixed weights, which is
//! again a fair bet; *better* is decided on the average. Harm is looked at in each quantity ([`Test`]).
//!
//! **Many tests.** The wealth at which a test stopped is an e-value; [`Online`] turns those of a whole run into one
//! bound.
//!
//! What the judge does not know: the null is "no effect at all", so whatever the toggle itself stirs up must have
//! settled before a sample counts, alike in every round; and a change whose effect outlasts its removal blurs both
//! sides.

mod bet;
mod coins;
mod counts;
mod document;
mod figures;
mod interval;
mod online;
mod quantity;
mod tail;
mod test;
mod thin;

pub use coins::Coins;
pub use counts::CountTest;
pub use figures::FigureTest;
pub use online::Online;
pub use test::Test;

use lowlat_model::verdict::{Stopped, TooSlow};

/// How a sequential test is made.
#[derive(Debug, Clone, PartialEq)]
pub struct SequentialOptions {
    /// Level of this test: the chance of *better* without an effect is at most this. In a run of several tests, from
    /// [`Online::level`].
    pub alpha: f64,
    /// A difference below this share of A's quantile is not worth having…
    pub worth_ratio: f64,
    /// …nor is one below this many ns. The larger of the two counts.
    pub worth_floor_ns: u64,
    /// Nothing is decided before this many pairs.
    pub least_pairs: u32,
    /// Pairs allowed.
    pub most_pairs: u32,
    /// Confidence of the intervals.
    pub confidence: f64,
    /// Level of *worse*: the chance that harm is shown of a change that does none is at most this.
    pub harm: f64,
    /// The seed of the [`Coins`], for the document.
    pub seed: u64,
    /// Quantiles that are judged besides P50 and P99: those of goals. 1 is the slowest round trip of a round.
    pub goals: Vec<f64>,
    /// Where rounds give a probe up earlier than the path's own timeout: when, ns. What is lost is then lost or later.
    pub timeout_ns: Option<u64>,
    /// Why the rounds hold no planned sends, for the document. It has to be settled before the first pair: what is judged,
    /// and with what weight, may not follow from what the pairs show.
    pub planned_too_slow: Option<TooSlow>,
}

impl Default for SequentialOptions {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            worth_ratio: 0.01,
            worth_floor_ns: 500,
            least_pairs: 4,
            most_pairs: 60,
            confidence: 0.95,
            harm: 0.05,
            seed: 0,
            goals: Vec::new(),
            timeout_ns: None,
            planned_too_slow: None,
        }
    }
}

/// What to do after a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Run another pair.
    More,
    /// It is decided, or will not be.
    Stop(Stopped),
}

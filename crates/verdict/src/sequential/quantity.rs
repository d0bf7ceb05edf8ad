//! One quantity that is judged: a quantile of ping-pong or planned probes.

use lowlat_model::measurement::{LOST, rank, samples_needed};
use lowlat_model::verdict::Clock;

use super::bet::Stream;
use super::tail::Tail;

/// A quantile and its weight in the decision.
#[derive(Debug, Clone)]
pub(super) struct Quantity {
    pub(super) q: f64,
    pub(super) from: Clock,
    /// Share in the average of the wealths; 0 for what is reported and not judged.
    pub(super) weight: f64,
    /// What is bet on.
    pub(super) bets: Stream,
    /// Where a round does not support the quantile: how it is bet on, and the groups for its figure and interval.
    grouped: Option<Grouped>,
    /// A's and B's quantile, per pair or group; [`LOST`] where it falls among the lost.
    points: Vec<(u64, u64)>,
}

/// Neighbouring pairs taken together until both sides bear the quantile.
///
/// If the change does nothing, exchanging **all** labels of a group exchanges its two pooled samples and nothing else,
/// so the sign of their difference is a fair coin (the first pair's), given the sizes and how the other pairs' labels
/// agree with the first one's. For that the group's end may not depend on the labels: it ends when the *smaller* of its
/// two samples supports the quantile, which the exchange leaves as it is.
///
/// That coin is fair given what was known when the group began, and not given its first pairs. So groups serve the
/// interval, which holds at all group ends at once and needs no such knowledge, and are never averaged with what is
/// looked at after every pair: for the decision, [`Tail`] bets pair by pair.
#[derive(Debug, Clone)]
struct Grouped {
    tail: Tail,
    /// The same with B's probes faster by what is not worth having: what is then still slower is harm.
    harm: (Tail, Stream),
    ends: Stream,
    open: (Vec<u64>, Vec<u64>),
}

/// What is not worth having, of a single probe: the larger of a share and a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slack {
    pub(super) ratio: f64,
    pub(super) floor_ns: u64,
}

impl Slack {
    /// A probe as if it were faster by so much; a lost one stays lost. Keeps the order of any two.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // of a share of `ns`
    fn off(self, ns: u64) -> u64 {
        if ns == LOST {
            return LOST;
        }
        ns.saturating_sub(((self.ratio * ns as f64) as u64).max(self.floor_ns))
    }
}

impl Quantity {
    /// For rounds of at least `samples` probes a side. The seed draws as many probes of both sides where they are counted.
    pub(super) fn new(q: f64, from: Clock, (weight, seed): (f64, u64), samples: usize) -> Self {
        let grouped = (samples < needed(q)).then(|| Grouped {
            tail: Tail::new(q, seed),
            harm: (Tail::new(q, seed), Stream::default()),
            ends: Stream::default(),
            open: (Vec::new(), Vec::new()),
        });
        Self { q, from, weight, bets: Stream::default(), grouped, points: Vec::new() }
    }

    /// One more pair; both samples sorted, losses last.
    pub(super) fn push(&mut self, a: &[u64], b: &[u64], slack: Slack) {
        let Some(grouped) = &mut self.grouped else {
            // A later round may be a little shorter than the first. That weakens the bet and does not distort it: any
            // difference whose sign turns with the labels is fair.
            let pair = (quantile(a, self.q), quantile(b, self.q));
            self.bets.push(difference(pair));
            self.points.push(pair);
            return;
        };
        self.bets.push(grouped.tail.difference(a, b));
        let faster: Vec<u64> = b.iter().map(|&ns| slack.off(ns)).collect();
        let (tail, bets) = &mut grouped.harm;
        bets.push(tail.difference(a, &faster));
        grouped.open.0.extend_from_slice(a);
        grouped.open.1.extend_from_slice(b);
        if grouped.open.0.len().min(grouped.open.1.len()) >= needed(self.q) {
            let (mut x, mut y) = std::mem::take(&mut grouped.open);
            x.sort_unstable();
            y.sort_unstable();
            let pair = (quantile(&x, self.q), quantile(&y, self.q));
            grouped.ends.push(difference(pair));
            self.points.push(pair);
        }
    }

    /// The bets that it rises by more than is worth having, where a round does not support it.
    pub(super) fn harm_by_counts(&self) -> Option<&Stream> {
        self.grouped.as_ref().map(|g| &g.harm.1)
    }

    /// The differences of the logarithm, per pair or group: what the interval is made of.
    pub(super) fn logs(&self) -> &Stream {
        self.grouped.as_ref().map_or(&self.bets, |g| &g.ends)
    }

    /// Quantiles of A and B in a typical round, ns: geometric means over the pairs that remain when a fifth is cut from
    /// each end of their differences (as in [`crate::compare`]). `None` where the quantile is not supported, or falls
    /// among the lost in what remains.
    pub(super) fn typical(&self) -> Option<(f64, f64)> {
        // A pair that falls among the lost on both sides has no difference; where most do, there is no typical round.
        let known = self.points.iter().filter(|p| p.0.min(p.1) != LOST);
        let mut logs: Vec<(f64, f64)> = known.map(|&p| (difference(p), ln(p.0))).collect();
        if logs.len() * 2 < self.points.len() {
            return None;
        }
        logs.sort_unstable_by(|x, y| x.0.total_cmp(&y.0));
        let cut = logs.len() / 5;
        let kept = &logs[cut..logs.len() - cut];
        if kept.is_empty() || kept.iter().any(|p| !p.0.is_finite()) {
            return None;
        }
        let n = kept.len() as f64;
        let a = kept.iter().map(|p| p.1).sum::<f64>() / n;
        let shift = kept.iter().map(|p| p.0).sum::<f64>() / n;
        Some((a.exp(), (a + shift).exp()))
    }

    /// How many more samples a side needs before the quantile has a figure; 0 where it has one.
    pub(super) fn missing(&self) -> u64 {
        let held = self.grouped.as_ref().map_or(0, |g| g.open.0.len().min(g.open.1.len()));
        if self.points.is_empty() { needed(self.q).saturating_sub(held) as u64 } else { 0 }
    }
}

/// Samples that a round must hold to bear `q`; the slowest of a round is the slowest of any round.
fn needed(q: f64) -> usize {
    if q >= 1.0 { 1 } else { usize::try_from(samples_needed(q)).unwrap_or(usize::MAX) }
}

/// The quantile of a sorted sample; that of no sample is unknown and ranks as lost.
fn quantile(sorted: &[u64], q: f64) -> u64 {
    sorted.get(rank(sorted.len(), q)).copied().unwrap_or(LOST)
}

/// ln B − ln A; infinite where one side alone falls among the lost, 0 where both do.
fn difference((a, b): (u64, u64)) -> f64 {
    if a == b { 0.0 } else { ln(b) - ln(a) }
}

fn ln(ns: u64) -> f64 {
    if ns == LOST { f64::INFINITY } else { (ns.max(1) as f64).ln() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequential::bet::Side;

    fn pushed(q: f64, pairs: &[(Vec<u64>, Vec<u64>)]) -> Quantity {
        let least = pairs.iter().map(|p| p.0.len().min(p.1.len())).min().unwrap_or(0);
        let mut out = Quantity::new(q, Clock::Send, (1.0, 1), least);
        for (a, b) in pairs {
            let (mut a, mut b) = (a.clone(), b.clone());
            a.sort_unstable();
            b.sort_unstable();
            out.push(&a, &b, Slack { ratio: 0.0, floor_ns: 0 });
        }
        out
    }

    #[test]
    fn a_round_that_supports_the_quantile_is_one_point() {
        let q = pushed(0.5, &vec![(vec![200; 20], vec![100; 20]); 5]);
        assert_eq!(q.points.len(), 5);
        let (a, b) = q.typical().unwrap();
        assert!((a - 200.0).abs() < 1e-6 && (b - 100.0).abs() < 1e-6, "{a} {b}");
        assert!((q.logs().differences().next().unwrap() + std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!(q.missing(), 0);
    }

    #[test]
    fn short_rounds_are_grouped_for_the_figure_and_bet_on_one_by_one() {
        let a: Vec<u64> = (0..400).map(|i| 1_000 + if i % 50 == 0 { 5_000 } else { i }).collect();
        let b: Vec<u64> = (0..400).map(|i| 1_000 + i).collect();
        let q = pushed(0.99, &vec![(a.clone(), b.clone()); 7]);
        assert_eq!(q.bets.differences().count(), 7);
        assert_eq!(q.points.len(), 2, "1000 samples are three rounds of 400");
        assert!(q.bets.wealth(0.0, Side::Below) > 40.0 && q.bets.wealth(0.0, Side::Above) < 0.1);
        assert!(q.logs().differences().all(|d| d < -1.0));
        assert_eq!(pushed(0.99, &[(a, b)]).missing(), 600);
    }

    #[test]
    fn a_quantile_among_the_lost_on_one_side_is_a_sign_and_on_both_nothing() {
        let lossy = [vec![100; 10], vec![LOST; 10]].concat();
        let half: Vec<u64> = [vec![100; 9], vec![LOST; 11]].concat();
        let q = pushed(0.5, &vec![(half.clone(), lossy.clone()); 8]);
        assert!(q.bets.differences().all(|d| d == f64::NEG_INFINITY));
        assert!(q.bets.wealth(0.0, Side::Below) > 100.0);
        assert_eq!(q.typical(), None);
        let both = pushed(0.5, &vec![(half.clone(), half.clone()); 8]);
        assert!(both.bets.differences().all(|d| d == 0.0));
        assert_eq!(both.typical(), None);
        // One such pair of six is trimmed.
        let mut pairs = vec![(vec![100; 20], vec![100; 20]); 5];
        pairs.push((half, vec![100; 20]));
        assert!(pushed(0.5, &pairs).typical().is_some());
    }
}

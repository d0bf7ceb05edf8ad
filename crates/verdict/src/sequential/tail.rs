//! A quantile that one round does not support, as a bet: which side has more of the slow probes.

use std::collections::VecDeque;

use lowlat_model::measurement::{rank, samples_needed};

use super::thin::Thin;

/// The probes of recent pairs, both sides together, from which the line between slow and not slow is drawn.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    q: f64,
    /// Sorted samples of both sides, a pair each, oldest first.
    recent: VecDeque<Vec<u64>>,
    held: usize,
    thin: Thin,
}

impl Tail {
    pub(super) fn new(q: f64, seed: u64) -> Self {
        Self { q, recent: VecDeque::new(), held: 0, thin: Thin::new(seed) }
    }

    /// Share of B's probes beyond the quantile `q` of the recent pairs less A's share, of equally many of both; both samples
    /// sorted.
    ///
    /// The line is drawn from both sides together, so exchanging the labels moves it nowhere and only turns the sign.
    /// As many pairs are held as bear the quantile; while there are fewer, the line lies where it can.
    pub(super) fn difference(&mut self, a: &[u64], b: &[u64]) -> f64 {
        let mut both = [a, b].concat();
        both.sort_unstable();
        self.held += both.len();
        self.recent.push_back(both);
        let needed = usize::try_from(samples_needed(self.q)).unwrap_or(usize::MAX);
        while let Some(oldest) = self.recent.front()
            && self.held - oldest.len() >= needed
        {
            self.held -= oldest.len();
            self.recent.pop_front();
        }
        let mut all: Vec<u64> = self.recent.iter().flatten().copied().collect();
        if all.is_empty() {
            return 0.0;
        }
        let place = rank(all.len(), self.q);
        let line = *all.select_nth_unstable(place).1;
        // Where the quantile itself falls among the lost, only the lost lie as far out.
        let beyond = |s: &[u64]| {
            let from =
                if line == u64::MAX { s.partition_point(|&v| v < line) } else { s.partition_point(|&v| v <= line) };
            ((s.len() - from) as u64, s.len() as u64)
        };
        let (more, of) = self.thin.more(beyond(a), beyond(b));
        more / of.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_probes_count_for_the_side_that_has_them_and_labels_only_turn_the_sign() {
        let a: Vec<u64> = (0..100).collect();
        let mut b = a.clone();
        b[90..].fill(10_000);
        let sorted = |s: &[u64]| {
            let mut s = s.to_vec();
            s.sort_unstable();
            s
        };
        let (a, b) = (sorted(&a), sorted(&b));
        let (mut one, mut other) = (Tail::new(0.95, 1), Tail::new(0.95, 1));
        for _ in 0..5 {
            let d = one.difference(&a, &b);
            assert!(d > 0.0, "{d}");
            assert!((other.difference(&b, &a) + d).abs() < 1e-12);
        }
        // Two pairs of 200 bear P95 (200 samples); one pair does already, so no more is held.
        assert_eq!(one.recent.len(), 1);
        assert!(one.difference(&a, &a).abs() < 1e-12);
    }

    #[test]
    fn lost_probes_lie_beyond_every_line_and_no_probes_say_nothing() {
        let mut tail = Tail::new(0.99, 1);
        assert!(tail.difference(&[], &[]).abs() < 1e-12);
        let lossy = [vec![5; 50], vec![u64::MAX; 50]].concat();
        assert!((tail.difference(&[5; 100], &lossy) - 0.5).abs() < 1e-12);
    }
}

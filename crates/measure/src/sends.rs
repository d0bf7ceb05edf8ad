//! How the probes of a run left, in constant memory: at what rate, and whether they fell behind their plan for good.

use lowlat_model::measurement::SUSTAINED_LOSS;
use lowlat_transport::Ns;

use crate::probe::{Counts, Probe};

/// The least delay is kept for so many probes at a time: a queue that never drains shows in it, a stall does not.
const STRETCH: u32 = 1_024;
/// Behind for good: the least delay of the last stretches is above this share of the run, so that less than 99 % of the
/// planned rate left.
const BEHIND: f64 = 0.01;
/// Fewer losses say nothing about a rate: the same ten as a quantile needs beyond it.
const FEWEST_LOST: u64 = 10;

/// Booked probe by probe.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sends {
    count: u64,
    first: Ns,
    last: Ns,
    in_stretch: u32,
    /// Least delay of the stretch before, and of this one.
    least: (Option<u64>, Option<u64>),
}

impl Sends {
    #[inline]
    pub(crate) fn book(&mut self, probe: &Probe) {
        if self.count == 0 {
            self.first = probe.sent;
        }
        self.count += 1;
        self.last = self.last.max(probe.sent);
        if self.in_stretch == STRETCH {
            self.least = (self.least.1, None);
            self.in_stretch = 0;
        }
        self.in_stretch += 1;
        let late = probe.sent.saturating_sub(probe.planned);
        self.least.1 = Some(self.least.1.map_or(late, |least| least.min(late)));
    }

    /// Probes a second, from the first to the last.
    pub(crate) fn rate_pps(&self) -> Option<f64> {
        let span = self.last.saturating_sub(self.first);
        (self.count > 1 && span > 0).then(|| (self.count - 1) as f64 * 1e9 / span as f64)
    }

    fn behind(&self) -> bool {
        let least = match self.least {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b).unwrap_or(0),
        };
        least as f64 > BEHIND * self.last.saturating_sub(self.first) as f64
    }

    /// Whether the planned rate was sustained; `None` where nothing can be said.
    pub(crate) fn sustained(&self, counts: &Counts) -> Option<bool> {
        let planned = counts.sent + counts.unsent;
        let missing = counts.lost + counts.unsent;
        let loses = missing >= FEWEST_LOST && missing as f64 >= SUSTAINED_LOSS * planned as f64;
        (planned > 1).then(|| counts.unsent == 0 && !self.behind() && !loses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sends(n: u64, gap: u64, late: impl Fn(u64) -> u64) -> Sends {
        let mut sends = Sends::default();
        for i in 0..n {
            sends.book(&Probe { planned: i * gap, sent: i * gap + late(i), ..Probe::default() });
        }
        sends
    }

    #[test]
    fn a_queue_that_grows_is_behind_and_a_stall_is_not() {
        let counts = Counts { sent: 10_000, received: 10_000, ..Counts::default() };
        let steady = sends(10_000, 1_000, |i| i % 7);
        assert!((steady.rate_pps().unwrap() - 1e6).abs() < 1e3);
        assert_eq!(steady.sustained(&counts), Some(true));
        assert_eq!(sends(10_000, 1_000, |i| i * 100).sustained(&counts), Some(false));
        // 30 ms of standstill during 100 ms, caught up at once after it.
        let stalled = sends(100_000, 1_000, |i| if (40_000..70_000).contains(&i) { (70_000 - i) * 1_000 } else { 0 });
        assert_eq!(stalled.sustained(&counts), Some(true));
    }

    #[test]
    fn loss_counts_from_ten_on() {
        let sends = sends(1_000, 1_000, |_| 0);
        let lost = |lost, unsent| Counts { sent: 1_000, lost, unsent, received: 1_000 - lost, ..Counts::default() };
        assert_eq!([0, 9, 10].map(|n| sends.sustained(&lost(n, 0))), [Some(true), Some(true), Some(false)]);
        assert_eq!(sends.sustained(&lost(0, 1)), Some(false));
        assert_eq!(Sends::default().sustained(&Counts::default()), None);
    }
}

//! The measurements of one command, for its progress.

use lowlat_live::probe::{Ask, words};
use lowlat_transport::clock;
use lowlat_tune::Schedule;

use crate::progress::ProgressLine;

/// Measurements of known length, one after the other.
pub(super) struct Steps<'a> {
    shown: &'a ProgressLine,
    schedule: Schedule,
    only_one: bool,
    /// Each ends after so many probes.
    count: Option<u64>,
}

impl<'a> Steps<'a> {
    /// So many of this ask, shown there.
    pub(super) fn new(shown: &'a ProgressLine, ask: &Ask<'_>, number: usize) -> Self {
        let schedule = Schedule::new(0, 0, vec![ask.lasting_ns(); number]);
        Self { shown, schedule, only_one: number < 2, count: ask.count }
    }

    /// The next one begins.
    pub(super) fn begin(&mut self, what: &str) {
        self.schedule.begin_known(what, clock::now());
    }

    /// It is over.
    pub(super) fn end(&mut self) {
        self.schedule.end(clock::now());
    }

    /// Shows how far it is.
    pub(super) fn show(&self, p: &lowlat_measure::Progress) {
        let mut at = self.schedule.at((0, 0), clock::now());
        if self.only_one {
            at.of = 0;
            at.left_ns =
                at.left_ns.min(self.count.map_or(u64::MAX, |count| by_count((p.elapsed_ns, p.counts.sent), count)));
        }
        let more = format!(
            "{:.0}/s  P50 {}  P99 {}  lost {}",
            p.rate_pps,
            words(p.rtt.p50_ns),
            words(p.rtt.p99_ns),
            p.counts.lost
        );
        self.shown.show(&at, &more);
    }
}

/// Time until so many probes are sent, at the pace so far, ns.
fn by_count((elapsed_ns, sent): (u64, u64), count: u64) -> u64 {
    elapsed_ns.saturating_mul(count.saturating_sub(sent)).checked_div(sent).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_extrapolated_from_the_pace_so_far() {
        assert_eq!(by_count((1_000_000_000, 0), 100), u64::MAX, "nothing is sent yet");
        assert_eq!(by_count((1_000_000_000, 25), 100), 3_000_000_000);
        assert_eq!(by_count((1_000_000_000, 25), 20), 0);
    }
}

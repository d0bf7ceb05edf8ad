//! How long the loop measures, and what it calls worth having.

use lowlat_model::plan::JudgedBy;
use lowlat_model::verdict::TooSlow;

/// Longest round of ping-pong, ns. Half a second of a pair on each side is the most that one look may cost.
const LONGEST_ROUND_NS: u64 = 500_000_000;
/// Shortest timeout of a probe in a step's trial, ns. A lost probe costs its timeout, and a tenth of a round's probes
/// may be lost on the very path that is to be fixed: at 50 ms, one loss ended the ping-pong of a round, three of four plans
/// waited for their last loss, and the demo's trials waited half of their time. It stays above the 20 ms below which the
/// engine `block` waits in `ppoll` and not in `recv`, where `net.core.busy_read` would not act.
const LEAST_TIMEOUT_NS: u64 = 24_000_000;
/// The same in medians of the path, less than half of a round of [`PROBES_A_ROUND`]. An answer as late as that ranks with
/// the lost ones in every quantile that is judged.
const TIMEOUT_MEDIANS: u64 = 10;
/// Probes a round should hold, so that it supports its median (20 samples) with some to spare.
const PROBES_A_ROUND: u64 = 24;

/// Longest part of planned sends in a round of a step's trial, ns: enough for a path of 1 ms, where a delay that ping-pong
/// steps around is found by them alone. On the demo's path of 2.8 ms the part took half of each round for three probes that
/// decided nothing.
const LONGEST_PLAN_NS: u64 = 100_000_000;

/// The planned sends of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedPart {
    /// How long they last, ns; 0 where they are left out.
    pub length_ns: u64,
    /// Why they are left out.
    pub too_slow: Option<TooSlow>,
}

/// How a run is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Bound of the chance that any step of the run is kept though it does nothing.
    pub false_keep: f64,
    /// Smallest difference worth having, as a share of the quantile.
    pub worth_ratio: f64,
    /// The same, ns; the larger of the two counts.
    pub worth_ns: u64,
    /// Most pairs of rounds a step may take.
    pub most_pairs: u32,
    /// Every test runs all of `most_pairs`, as a fixed design would: for comparison only.
    pub fixed: bool,
    /// Ping-pong part of a round, ns, on a path that is fast enough for it.
    pub round_ns: u64,
    /// Length of each arm of the headline, ns.
    pub headline_ns: u64,
    /// Streams of the headline under load; 0 leaves it out.
    pub load_streams: u32,
    /// Every random choice of the run.
    pub seed: u64,
    /// Quantiles of the goals, judged besides P50 and P99; 1 for the slowest round trip.
    pub goals: Vec<f64>,
    /// The user's own command, which judges the whole; `None` where round trips do. Each step says itself what judges it.
    pub judge: Option<CommandJudge>,
}

/// The user's own command as the judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandJudge {
    /// As it was given.
    pub command: String,
    /// A larger number is better.
    pub higher_is_better: bool,
    /// How long one run takes, ns, for the progress.
    pub run_ns: u64,
    /// There is a far end that is probed too, so that the path as it stands has figures at the end.
    pub probed_too: bool,
}

impl CommandJudge {
    /// What its steps are judged by.
    pub fn judged_by(&self) -> JudgedBy {
        JudgedBy::Command { command: self.command.clone(), higher_is_better: self.higher_is_better }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            false_keep: 0.05,
            worth_ratio: 0.01,
            worth_ns: 500,
            most_pairs: 60,
            fixed: false,
            round_ns: 50_000_000,
            headline_ns: 5_000_000_000,
            load_streams: 0,
            seed: 1,
            goals: Vec::new(),
            judge: None,
        }
    }
}

impl Limits {
    /// What the whole is judged by.
    pub(crate) fn whole_judged_by(&self) -> JudgedBy {
        self.judge.as_ref().map_or(JudgedBy::RoundTrips, CommandJudge::judged_by)
    }

    /// The ping-pong part of a round on a path with this median: long enough for [`PROBES_A_ROUND`] probes.
    pub(crate) fn round_for(&self, median_ns: Option<u64>) -> u64 {
        let wanted = median_ns.unwrap_or(0).saturating_mul(PROBES_A_ROUND);
        self.round_ns.max(wanted.min(LONGEST_ROUND_NS))
    }

    /// The planned sends of a round whose ping-pong part lasts `ping_pong_ns`, where sends are `gap_ns` apart on the mean: half
    /// as long, or longer so that they have a median. Left out where that takes longer than `LONGEST_PLAN_NS`: a part
    /// that cannot be judged costs its time in every pair, and its weight in the decision. `gap_ns` is `None` where it is
    /// not known.
    pub fn planned_for(ping_pong_ns: u64, gap_ns: Option<u64>) -> PlannedPart {
        let half = ping_pong_ns / 2;
        let wanted = gap_ns.unwrap_or(0).saturating_mul(PROBES_A_ROUND);
        if wanted > half.max(LONGEST_PLAN_NS) {
            let too_slow = TooSlow { probes: PROBES_A_ROUND, within_ns: half.max(LONGEST_PLAN_NS) };
            return PlannedPart { length_ns: 0, too_slow: Some(too_slow) };
        }
        PlannedPart { length_ns: half.max(wanted), too_slow: None }
    }

    /// When a probe of a step's trial counts as lost on a path with this median, ns.
    pub(crate) fn timeout_for(median_ns: Option<u64>) -> u64 {
        median_ns.unwrap_or(0).saturating_mul(TIMEOUT_MEDIANS).max(LEAST_TIMEOUT_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_path_gets_longer_rounds_within_bounds() {
        let limits = Limits::default();
        assert_eq!(limits.round_for(Some(60_000)), 50_000_000);
        assert_eq!(limits.round_for(Some(2_800_000)), 67_200_000);
        assert_eq!(limits.round_for(Some(90_000_000)), LONGEST_ROUND_NS);
        assert_eq!(limits.round_for(None), 50_000_000);
    }

    #[test]
    fn planned_sends_are_run_where_enough_of_them_fit() {
        let of = |gap| Limits::planned_for(50_000_000, gap);
        assert_eq!(of(Some(240_000)), PlannedPart { length_ns: 25_000_000, too_slow: None });
        assert_eq!(of(None), of(Some(240_000)));
        assert_eq!(of(Some(2_000_000)), PlannedPart { length_ns: 48_000_000, too_slow: None });
        let slow = of(Some(11_200_000));
        assert_eq!(slow.length_ns, 0);
        let words = slow.too_slow.map(|t| t.to_string()).unwrap_or_default();
        assert_eq!(words, "planned sends: not judged, path too slow for 24 probes in 100 ms");
        // A long round holds them on a slow path.
        assert_eq!(Limits::planned_for(600_000_000, Some(11_200_000)).length_ns, 300_000_000);
    }

    #[test]
    fn a_lost_probe_is_waited_for_no_longer_than_an_answer_could_matter() {
        assert_eq!(Limits::timeout_for(None), LEAST_TIMEOUT_NS);
        assert_eq!(Limits::timeout_for(Some(60_000)), LEAST_TIMEOUT_NS);
        assert_eq!(Limits::timeout_for(Some(40_000_000)), 400_000_000);
        // A round outlasts a loss, on a fast path and on one that gets longer rounds.
        for median_ns in [60_000, 2_800_000] {
            assert!(Limits::timeout_for(Some(median_ns)) * 2 < Limits::default().round_for(Some(median_ns)));
        }
    }
}

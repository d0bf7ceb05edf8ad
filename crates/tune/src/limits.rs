//! How long the loop measures, and what it calls worth having.

/// Longest round of ping-pong, ns. Half a second of a pair on each side is the most that one look may cost.
const LONGEST_ROUND_NS: u64 = 500_000_000;
/// Shortest timeout of a probe in a step's trial, ns. A lost probe costs its timeout, and a tenth of a round's probes
/// may be lost on the very path that is to be fixed: at the second of a measurement, the demo's trials mostly waited.
const LEAST_TIMEOUT_NS: u64 = 50_000_000;
/// The same in medians of the path. An answer as late as that ranks with the lost ones in every quantile that is
/// judged.
const TIMEOUT_MEDIANS: u64 = 20;
/// Probes a round should hold, so that it supports its median (20 samples) with some to spare.
const PROBES_A_ROUND: u64 = 24;

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
        }
    }
}

impl Limits {
    /// The ping-pong part of a round on a path with this median: long enough for [`PROBES_A_ROUND`] probes.
    pub(crate) fn round_for(&self, median_ns: Option<u64>) -> u64 {
        let wanted = median_ns.unwrap_or(0).saturating_mul(PROBES_A_ROUND);
        self.round_ns.max(wanted.min(LONGEST_ROUND_NS))
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
    fn a_lost_probe_is_waited_for_no_longer_than_an_answer_could_matter() {
        assert_eq!(Limits::timeout_for(None), LEAST_TIMEOUT_NS);
        assert_eq!(Limits::timeout_for(Some(60_000)), LEAST_TIMEOUT_NS);
        assert_eq!(Limits::timeout_for(Some(40_000_000)), 800_000_000);
    }
}

//! The user's own metric as the judge of a run: the number that a command prints, a quantile of the latencies that the application
//! exports, or the round trip of its own connections. One number a round; of the first two lowlat knows no unit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Verdict;

/// Where the number comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OwnSource {
    /// A command prints it.
    #[default]
    Command,
    /// A quantile of a latency histogram that the application exports.
    Histogram,
    /// The round trip of the application's own TCP connections, as the kernel smooths it.
    Connections,
}

impl OwnSource {
    /// What it is called.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Histogram => "histogram",
            Self::Connections => "connections",
        }
    }

    /// `the command's number`.
    pub fn number(self) -> &'static str {
        match self {
            Self::Command => "the command's number",
            Self::Histogram => "the histogram's quantile",
            Self::Connections => "the connections' round trip (us)",
        }
    }

    /// Where a quantile of the probe would stand.
    pub fn judged_by(self) -> &'static str {
        match self {
            Self::Command => "judged by the command",
            Self::Histogram => "judged by the histogram",
            Self::Connections => "judged by live connections",
        }
    }
}

/// What judged a run, and what it said before anything was changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnFigure {
    /// Where the number comes from.
    #[serde(default)]
    pub source: OwnSource,
    /// The command, run by `sh -c`; of another source its words.
    pub command: String,
    /// A larger number is better; otherwise a smaller one.
    pub higher_is_better: bool,
    /// Its numbers before anything was changed, one a run, in order.
    pub before: Vec<f64>,
    /// The longest of these runs, ns.
    pub run_ns: u64,
}

impl OwnFigure {
    /// The median of the runs before anything was changed; of an even number of runs the lower of the middle two.
    pub fn median_before(&self) -> Option<f64> {
        let mut all = self.before.clone();
        all.sort_unstable_by(f64::total_cmp);
        all.get(all.len().saturating_sub(1) / 2).copied()
    }

    /// `lower is better`.
    pub fn direction(&self) -> &'static str {
        direction(self.higher_is_better)
    }
}

/// `lower is better` or `higher is better`.
pub fn direction(higher_is_better: bool) -> &'static str {
    if higher_is_better { "higher is better" } else { "lower is better" }
}

/// The judge's number with a change against without it.
///
/// Differences are in its own unit and keep their sign: where higher is better, a positive one is better.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FigureDifference {
    /// A larger number is better.
    pub higher_is_better: bool,
    /// Median of A's runs; `null` where there was none.
    pub a: Option<f64>,
    /// `a + diff`.
    pub b: Option<f64>,
    /// B − A: the median of the pairs' differences, within its interval.
    pub diff: Option<f64>,
    /// Lower end of the 95 % interval of `diff`.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// B / A − 1, from the pairs' ratios; `null` where a number is not above zero.
    pub change_ratio: Option<f64>,
    /// Lower end of the 95 % interval of `change_ratio`.
    pub change_low: Option<f64>,
    /// Upper end.
    pub change_high: Option<f64>,
    /// What the test shows.
    pub verdict: Verdict,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_runs() {
        let of = |before: &[f64]| OwnFigure { before: before.to_vec(), ..OwnFigure::default() }.median_before();
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), Some(2.0));
    }
}

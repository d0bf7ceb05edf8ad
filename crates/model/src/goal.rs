//! Latency goals: a quantile and the time it must not exceed.

use core::fmt;
use core::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Quantiles;
use crate::units::parse_duration_ns;

/// A quantile that a goal may name. Text form: `p50`, `p90`, `p99`, `p99.9`, `p99.99`, `p99.999`, `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GoalQuantile {
    /// The median.
    P50,
    /// 90th percentile.
    P90,
    /// 99th percentile.
    P99,
    /// 99.9th percentile.
    P999,
    /// 99.99th percentile.
    P9999,
    /// 99.999th percentile.
    P99999,
    /// The slowest round trip; with any loss there is none.
    Max,
}

impl GoalQuantile {
    /// Every quantile, lowest first.
    pub const ALL: [Self; 7] = [Self::P50, Self::P90, Self::P99, Self::P999, Self::P9999, Self::P99999, Self::Max];

    /// `p50`, `p99.9`, `max`.
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::P9999 => "p99.99",
            Self::P99999 => "p99.999",
            Self::Max => "max",
        }
    }

    /// The share of round trips that it is not exceeded by: 0.99 for P99, 1 for the slowest.
    pub fn share(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
            Self::P9999 => 0.9999,
            Self::P99999 => 0.99999,
            Self::Max => 1.0,
        }
    }

    /// Round trips that a run must have for this figure.
    pub fn samples_needed(self) -> u64 {
        if self == Self::Max { 1 } else { crate::measurement::samples_needed(self.share()) }
    }

    /// The figure of this quantile, ns; `None` where the sample does not support it.
    pub fn of(self, quantiles: &Quantiles) -> Option<u64> {
        match self {
            Self::P50 => quantiles.p50_ns,
            Self::P90 => quantiles.p90_ns,
            Self::P99 => quantiles.p99_ns,
            Self::P999 => quantiles.p999_ns,
            Self::P9999 => quantiles.p9999_ns,
            Self::P99999 => quantiles.p99999_ns,
            Self::Max => quantiles.max_ns,
        }
    }
}

impl fmt::Display for GoalQuantile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for GoalQuantile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let named = match lower.as_str() {
            "median" => Some(Self::P50),
            "p999" => Some(Self::P999),
            "p9999" => Some(Self::P9999),
            "p99999" => Some(Self::P99999),
            other => Self::ALL.into_iter().find(|q| q.name() == other),
        };
        named.ok_or_else(|| {
            let all = Self::ALL.map(Self::name).join(", ");
            format!("{text:?} is not a quantile a goal can name; use one of {all}")
        })
    }
}

impl Serialize for GoalQuantile {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for GoalQuantile {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for GoalQuantile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "GoalQuantile".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": Self::ALL.map(Self::name) })
    }
}

/// One goal: `p99` at most 100 µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Goal {
    /// Which quantile.
    pub quantile: GoalQuantile,
    /// At most this, ns.
    pub goal_ns: u64,
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ≤ {} µs", self.quantile, crate::units::us(self.goal_ns))
    }
}

impl FromStr for Goal {
    type Err = String;

    /// `50us` (the median) or `p99=100us`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (quantile, time) = match text.split_once('=') {
            Some((quantile, time)) => (quantile.parse()?, time),
            None => (GoalQuantile::P50, text),
        };
        Ok(Self { quantile, goal_ns: parse_duration_ns(time)? })
    }
}

/// Puts goals in order and refuses a set that contradicts itself: one quantile twice, or a higher quantile that must be
/// faster than a lower one.
pub fn check_goals(goals: &[Goal]) -> Result<Vec<Goal>, String> {
    let mut sorted = goals.to_vec();
    sorted.sort_by_key(|g| g.quantile);
    for pair in sorted.windows(2) {
        let (low, high) = (pair[0], pair[1]);
        if low.quantile == high.quantile {
            return Err(format!("{low} and {high} are goals for the same quantile; give one"));
        }
        if high.goal_ns < low.goal_ns {
            return Err(format!(
                "{high} contradicts {low}: a higher quantile is never faster than a lower one; raise {} or drop {}",
                high.quantile, low.quantile
            ));
        }
    }
    Ok(sorted)
}

/// A goal and whether it was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GoalResult {
    /// Which quantile.
    pub quantile: GoalQuantile,
    /// At most this, ns.
    pub goal_ns: u64,
    /// What was measured, ns; `null` where the sample does not support the quantile or it falls among the lost.
    pub measured_ns: Option<u64>,
    /// `null` where nothing was measured, or too few probes for this quantile.
    pub met: Option<bool>,
}

impl GoalResult {
    /// Judges a goal by measured quantiles. With enough samples for the quantile and none answered in time it is
    /// missed, since lost probes rank as +∞.
    pub fn judge(goal: Goal, measured: Option<&Quantiles>) -> Self {
        let at = measured.and_then(|q| goal.quantile.of(q));
        let supported = measured.is_some_and(|q| q.samples >= goal.quantile.samples_needed());
        let met = match at {
            Some(ns) => Some(ns <= goal.goal_ns),
            None if supported => Some(false),
            None => None,
        };
        Self { quantile: goal.quantile, goal_ns: goal.goal_ns, measured_ns: at, met }
    }
}

/// Whether all goals were met: `Some(false)` as soon as one was missed, `None` where one could not be judged and none
/// was missed, or where there are none.
pub fn all_met(results: &[GoalResult]) -> Option<bool> {
    if results.iter().any(|r| r.met == Some(false)) {
        return Some(false);
    }
    (!results.is_empty() && results.iter().all(|r| r.met == Some(true))).then_some(true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may end by panic
mod tests {
    use super::*;

    #[test]
    fn goals_read_as_people_write_them() {
        let goal = |text: &str| text.parse::<Goal>().map(|g| (g.quantile, g.goal_ns));
        assert_eq!(goal("50us"), Ok((GoalQuantile::P50, 50_000)));
        assert_eq!(goal("p99=100us"), Ok((GoalQuantile::P99, 100_000)));
        assert_eq!(goal("P99.9=1ms"), Ok((GoalQuantile::P999, 1_000_000)));
        assert_eq!(goal("max=1ms"), Ok((GoalQuantile::Max, 1_000_000)));
        for (bad, why) in [("p98=1us", "not a quantile"), ("p99=", "not a time"), ("=1us", "not a quantile")] {
            assert!(goal(bad).is_err_and(|e| e.contains(why)), "{bad}: {:?}", goal(bad));
        }
    }

    #[test]
    fn contradicting_goals_are_refused() {
        let all = |texts: &[&str]| {
            check_goals(&texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<_>>()).map(|g| g.len())
        };
        assert_eq!(all(&["max=1ms", "50us", "p99=100us"]), Ok(3));
        assert!(all(&["50us", "p50=60us"]).is_err_and(|e| e.contains("same quantile")));
        assert!(all(&["p99=40us", "50us"]).is_err_and(|e| e.contains("contradicts")));
    }

    #[test]
    fn lost_probes_miss_a_goal_and_too_few_judge_nothing() {
        let goal: Goal = "p99=100us".parse().unwrap();
        let judge = |mut s: Vec<u64>| GoalResult::judge(goal, Some(&Quantiles::of(&mut s))).met;
        assert_eq!(judge(vec![50_000; 1_000]), Some(true));
        assert_eq!(judge(vec![50_000; 999]), None);
        assert_eq!(judge([vec![50_000; 980], vec![crate::measurement::LOST; 20]].concat()), Some(false));
        let of = |met: &[Option<bool>]| {
            let one = |met: &Option<bool>| GoalResult {
                quantile: GoalQuantile::P50,
                goal_ns: 1,
                measured_ns: None,
                met: *met,
            };
            all_met(&met.iter().map(one).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[Some(true), None]), None);
        assert_eq!(of(&[None, Some(false)]), Some(false));
        assert_eq!(of(&[Some(true), Some(true)]), Some(true));
    }
}

//! What the tuning loop decides: where the probers run, what became of a step, and what the whole gained.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::op::Target;
use crate::verdict::Comparison;

/// What became of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Better, and left in place.
    Kept,
    /// Not better; put back.
    #[default]
    PutBack,
    /// Better when it was tried, but the whole is no worse without it; put back.
    TakenOut,
    /// The kernel or the driver did not take it.
    Refused,
    /// It reset the link or its queues without notice; put back.
    Reset,
}

/// One setting of a joint step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Knob name.
    pub knob: String,
    /// Where.
    pub target: Target,
    /// The value now, in the knob's text form.
    pub from: String,
    /// The value to try.
    pub to: String,
    /// How many of the step's writes are this setting's, in the order of the step's `ops`.
    pub ops: usize,
}

/// What resets when a setting is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resets {
    /// Nothing is known to.
    #[default]
    Nothing,
    /// Queues are freed and allocated anew; the link stays up.
    Queues,
    /// The link goes down for a moment.
    Link,
}

/// How far a step reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// An interface, its queues, interrupts and queue disciplines.
    #[default]
    Interface,
    /// The network namespace.
    Namespace,
    /// The whole host.
    Host,
}

/// Where one prober runs, and why there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placed {
    /// The CPU it is pinned to; `null` where it is not pinned.
    pub cpu: Option<u32>,
    /// The rule that chose it, as text: `CPU 3: shares a core with CPU 2, where eth0's interrupt fires`.
    pub why: String,
    /// Of a far end: it runs on the prober's own host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub same_host: bool,
}

/// Where the probers ran. The same for every round of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placement {
    /// This end.
    pub near: Placed,
    /// The far end; `null` where it cannot be asked.
    pub far: Option<Placed>,
    /// Why the far end could not be asked or placed.
    pub far_why_not: Option<String>,
}

/// What the whole kept configuration gained, by an A/B test of its own: all of it in, all of it out, alternated.
///
/// Ratios are relative changes, negative is faster; `null` where nothing was kept or the quantile could not be judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Headline {
    /// Relative change of the median.
    pub p50_change_ratio: Option<f64>,
    /// Lower end of its interval.
    pub p50_change_low: Option<f64>,
    /// Upper end.
    pub p50_change_high: Option<f64>,
    /// Relative change of P99.
    pub p99_change_ratio: Option<f64>,
    /// Lower end of its interval.
    pub p99_change_low: Option<f64>,
    /// Upper end.
    pub p99_change_high: Option<f64>,
    /// Confidence of the intervals, 0.95 for 95 %; they hold at whatever moment the test stopped.
    pub confidence: f64,
    /// Bound of the chance that any step of this run was kept though it does nothing.
    pub false_keep_bound: Option<f64>,
    /// The test, idle; `null` where nothing was kept.
    pub idle: Option<Comparison>,
    /// The test under load; `null` where nothing was kept or no load was asked for.
    pub loaded: Option<Comparison>,
}

impl Headline {
    /// The reduction of the median that may be claimed: its interval lies below 0.
    pub fn p50_claim(&self) -> Option<f64> {
        claim(self.p50_change_ratio, self.p50_change_low, self.p50_change_high)
    }

    /// The same of P99.
    pub fn p99_claim(&self) -> Option<f64> {
        claim(self.p99_change_ratio, self.p99_change_low, self.p99_change_high)
    }
}

/// A change whose interval excludes 0, as a reduction: positive is faster.
fn claim(ratio: Option<f64>, low: Option<f64>, high: Option<f64>) -> Option<f64> {
    let excludes = low.is_some_and(|l| l > 0.0) || high.is_some_and(|h| h < 0.0);
    ratio.filter(|_| excludes).map(|r| -r)
}

/// A path whose rounds fall into two groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Modes {
    /// Median of the faster group's rounds, ns.
    pub fast_ns: u64,
    /// Median of the slower group's rounds, ns.
    pub slow_ns: u64,
    /// Rounds in the faster group.
    pub fast_rounds: u32,
    /// Rounds in the slower group.
    pub slow_rounds: u32,
    /// What differs between the groups, as text; empty where nothing that was recorded does.
    pub differs: Vec<String>,
}

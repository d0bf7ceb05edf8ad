//! What an interleaved A/B test shows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Schema;
use crate::engine::{EngineState, RoundCost};
use crate::judge::FigureDifference;

/// The outcome of one step's A/B test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Lower latency, and the interval excludes zero.
    Better,
    /// The interval lies within the smallest difference worth having.
    Same,
    /// Higher latency, and the interval excludes zero.
    Worse,
    /// The interval includes zero and is too wide to call it the same: no difference shown.
    #[default]
    Unclear,
    /// The kernel or the driver did not take the setting.
    Refused,
}

/// One round: samples in send order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Round {
    /// `false` for A, `true` for B.
    pub is_b: bool,
    /// RTTs in ns; [`crate::measurement::LOST`] for a lost probe.
    pub samples_ns: Vec<u64>,
    /// RTTs from the planned send time of the probes that left on a plan, spread in time, in addition to the ping-pong ones;
    /// empty where there were none. The same `LOST` for a lost probe.
    #[serde(default)]
    pub planned_ns: Vec<u64>,
    /// The flow and where it was received.
    #[serde(default)]
    pub flow: Flow,
    /// What it cost this host.
    #[serde(default)]
    pub cost: RoundCost,
    /// What the engine was at its end; empty where nobody asked.
    #[serde(default)]
    pub engine: EngineState,
}

/// The flow of a round and where the kernel received it: what may differ between rounds of one path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Flow {
    /// Source port; `null` where the protocol has none (ICMP, whose flows differ by the echo identifier) or the engine
    /// does not report.
    pub source_port: Option<u16>,
    /// NAPI instance of the last received packet (`SO_INCOMING_NAPI_ID`); `null` where the kernel does not report.
    pub napi_id: Option<u32>,
    /// CPU that handled the last received packet (`SO_INCOMING_CPU`); `null` where the kernel does not report.
    pub incoming_cpu: Option<u32>,
    /// Receive queue of the last received packet, where the engine reads the queues itself (AF_XDP); else `null`.
    #[serde(default)]
    pub rx_queue: Option<u32>,
    /// CPU on which the prober ran at the end of the round.
    pub prober_cpu: Option<u32>,
    /// What the flow got past the kernel's stack, and which way its packets took; left out for a kernel socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bypass: Option<crate::Bypass>,
}

/// Where the time of a round trip begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// The actual send of a ping-pong probe.
    #[default]
    Send,
    /// The planned send of a probe on a plan, spread in time.
    Planned,
}

/// One quantile of A against B.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuantileDifference {
    /// 0.5, 0.99, …; 1 is the slowest round trip of a round.
    pub q: f64,
    /// Of which probes. Those of `send` come first.
    #[serde(default)]
    pub from: Clock,
    /// Quantile of A in a typical round: the mean over the pairs that remain when those of most extreme difference are
    /// trimmed (in a sequential test the geometric mean). `null` where the sample does not support it or it falls among
    /// the lost.
    pub a_ns: Option<u64>,
    /// The same of B, over the same pairs, so that `diff_ns` is `b_ns − a_ns`.
    pub b_ns: Option<u64>,
    /// B − A: negative is faster.
    pub diff_ns: Option<i64>,
    /// Lower end of the 95 % interval of `diff_ns`.
    pub low_ns: Option<i64>,
    /// Upper end.
    pub high_ns: Option<i64>,
    /// `diff_ns / a_ns`.
    pub change_ratio: Option<f64>,
    /// Lower end of the 95 % interval of `change_ratio`.
    pub change_low: Option<f64>,
    /// Upper end.
    pub change_high: Option<f64>,
    /// What this quantile alone shows.
    pub verdict: Verdict,
}

/// The document of `lowlat compare`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// `lowlat.compare`.
    pub schema: Schema,
    /// Name of A.
    pub a: String,
    /// Name of B.
    pub b: String,
    /// Per quantile.
    pub quantiles: Vec<QuantileDifference>,
    /// The number of the user's own command, which judged instead of quantiles; left out where round trips or a counter
    /// did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<FigureDifference>,
    /// Smallest p50 difference this test can show. Two stored runs: one that they show with a chance of 80 %.
    /// Sequential: half the width of the interval where it stopped.
    pub smallest_detectable_ns: Option<u64>,
    /// The whole: judged on P50 *and* P99.
    pub verdict: Verdict,
    /// The verdict as text, e.g. `no difference shown (smallest detectable difference 1.2 µs)`.
    pub words: String,
    /// What was set against each other.
    #[serde(default)]
    pub design: Design,
    /// Of the order of the rounds and of the resampling: with it the comparison can be made again.
    #[serde(default)]
    pub seed: u64,
    /// For people: what weakens the comparison.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How a sequential test went; `null` for other designs.
    #[serde(default)]
    pub sequential: Option<Sequential>,
    /// Where the probers of A ran, and those of B; empty where it is the run's, and for stored runs.
    #[serde(default)]
    pub placed: Vec<crate::tune::Placement>,
}

/// Why a sequential test stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// The change is shown to help.
    Better,
    /// The change is shown to harm.
    Worse,
    /// A relevant difference is excluded.
    Excluded,
    /// The pairs that were left would hardly have shown an effect, judged by those so far.
    Futile,
    /// The pairs allowed were used up.
    #[default]
    Exhausted,
    /// A signal ended it.
    Interrupted,
}

/// A part of the rounds that was not run: on this path it would have held too few probes to be judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TooSlow {
    /// Probes that the part has to hold.
    pub probes: u64,
    /// The longest that it may last, ns.
    pub within_ns: u64,
}

impl std::fmt::Display for TooSlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.within_ns as f64 / 1e6;
        write!(f, "planned sends: not judged, path too slow for {} probes in {ms} ms", self.probes)
    }
}

/// How a sequential test went. Its error bound holds at whatever pair it stopped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sequential {
    /// Pairs of rounds run.
    pub pairs: u32,
    /// Pairs allowed.
    pub most_pairs: u32,
    /// Why it stopped.
    pub stopped: Stopped,
    /// Level of the test: the chance of `better` without an effect is at most this.
    pub alpha: f64,
    /// Wealth of the bet that the change helps; `better` from `1 / alpha` on.
    pub e_better: f64,
    /// Wealth of the bet that it harms.
    pub e_worse: f64,
    /// Smallest difference worth having, as a share of the median.
    pub worth_ratio: f64,
    /// The same in ns; the larger of the two counts.
    pub worth_ns: u64,
    /// When a probe counted as lost, ns, where that is earlier than the timeout of the path.
    #[serde(default)]
    pub timeout_ns: Option<u64>,
    /// Why the rounds held no planned sends, where they would have been too few to be judged: settled before the first
    /// pair.
    #[serde(default)]
    pub planned_too_slow: Option<TooSlow>,
    /// Probes lost without the change, ping-pong and planned together.
    #[serde(default)]
    pub a_lost: u64,
    /// Probes sent without the change.
    #[serde(default)]
    pub a_sent: u64,
    /// Probes lost with the change.
    #[serde(default)]
    pub b_lost: u64,
    /// Probes sent with the change.
    #[serde(default)]
    pub b_sent: u64,
    /// What the losses alone show: `better` for fewer, `worse` for more, `same` where none was lost, else `unclear`.
    #[serde(default)]
    pub loss: Verdict,
    /// What leaned to harm when the test stopped, as text: `P99`, `loss`. It keeps a change from being called better.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leans: Vec<String>,
}

/// What a comparison set against each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// Rounds of both, alternated in a drawn order: what drifts falls on both.
    #[default]
    Alternated,
    /// The samples of two runs taken one after the other: what changed between them is in the difference too.
    Samples,
    /// The figures of two documents and their intervals, where a run's samples are not at hand.
    Figures,
    /// As alternated, looked at after every pair and stopped when it was decided.
    Sequential,
}

//! Where the time of a round trip goes, stage by stage: the document of `lowlat trace`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{NotSeen, Quantiles, Schema};

/// The stages of round trips on one path, with what watching them cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceDocument {
    /// `lowlat.trace`.
    pub schema: Schema,
    /// Address and port.
    pub target: String,
    /// `icmp`, `udp`, `tcp`.
    pub proto: String,
    /// Far-end protocol.
    pub peer: String,
    /// Engine.
    pub engine: String,
    /// Payload bytes of one probe.
    pub size_bytes: u32,
    /// Kernel release.
    pub kernel: String,
    /// `trace` from the kernel's trace points; `stamp` where tracing was refused and time stamps had to do.
    pub how: How,
    /// Rounds that were traced.
    pub rounds: u32,
    /// Traced probes whose stages were found.
    pub probes: u64,
    /// Traced probes that were answered and whose events are not all there: they are in no figure.
    pub incomplete: u64,
    /// Probes of all rounds that got no answer.
    pub lost: u64,
    /// Round trips of the probes whose stages were found.
    pub rtt: Quantiles,
    /// Round trips of the rounds in between, without tracing; no samples where stamps had to do.
    pub rtt_untraced: Quantiles,
    /// Every stage in the order of the way, also those that were not seen.
    pub stages: Vec<TraceStage>,
    /// What the stages of the median round trip add up to: the sum of their `at_p50_ns`. (Medians do not add up: where
    /// stages take turns in being long, the sum of their medians is below the median of their sum.)
    pub sum_p50_ns: Option<u64>,
    /// `sum_p50_ns / rtt.p50_ns`.
    pub sum_ratio: Option<f64>,
    /// What tracing adds to the median round trip, by alternated rounds with and without it; `null` where it was not
    /// measured.
    pub trace_cost_ns: Option<i64>,
    /// Lower end of its 95 % interval.
    pub trace_cost_low_ns: Option<i64>,
    /// Upper end.
    pub trace_cost_high_ns: Option<i64>,
    /// Pairs of rounds behind it.
    pub trace_cost_pairs: u32,
    /// Events that were read.
    pub events: u64,
    /// Events that found no room in the kernel's buffer.
    pub overruns: u64,
    /// The largest stage of the median round trip.
    pub largest: Option<Largest>,
    /// The same, only where it is so large that something is behind it.
    pub conspicuous: Option<Largest>,
    /// What the slowest of a hundred have in common; `null` where the probes are too few.
    pub tail: Option<Tail>,
    /// The slowest probes, slowest first.
    pub slowest: Vec<SlowProbe>,
    /// Whether the far end's own stages were seen: it runs on this host, or its own trace was joined.
    pub far_seen: bool,
    /// For people.
    pub notes: Vec<String>,
    /// What could not be seen, and why.
    pub not_seen: Vec<NotSeen>,
    /// Ended by a signal: the figures are of the part that ran.
    pub interrupted: bool,
}

/// How a figure came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By the kernel's trace points.
    #[default]
    Trace,
    /// By time stamps of the kernel and of the two programs.
    Stamp,
    /// It was not seen.
    Unseen,
}

/// Which host a stage is on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The probing one.
    #[default]
    Near,
    /// The answering one, and the wire.
    Far,
}

/// Of which of the two messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceDirection {
    /// The probe.
    #[default]
    Out,
    /// Its answer.
    Back,
}

/// A stage's place: the name alone stands for several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageKey {
    /// `system call`, `queue discipline`, `driver`, `wire`, …
    pub name: String,
    /// Which host.
    pub side: Side,
    /// Which message.
    pub direction: TraceDirection,
}

impl StageKey {
    /// `near queue discipline (out)`.
    pub fn words(&self) -> String {
        let side = if self.side == Side::Near { "near" } else { "far" };
        let way = if self.direction == TraceDirection::Out { "out" } else { "back" };
        format!("{side} {} ({way})", self.name)
    }
}

/// One stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceStage {
    /// `system call`, `queue discipline`, `driver`, `wire`, …
    pub name: String,
    /// Which host.
    pub side: Side,
    /// Which message.
    pub direction: TraceDirection,
    /// From where to where, as text.
    pub what: String,
    /// How it was seen.
    pub how: How,
    /// Why it was not.
    pub why_unseen: Option<String>,
    /// Probes that went through it.
    pub samples: u64,
    /// Its mean length in the round trips next to the median (those from P45 to P55): the median round trip taken apart.
    pub at_p50_ns: Option<u64>,
    /// Median over all probes; 0 in a probe that did not need the stage (a reader that was awake needs no wake-up).
    pub p50_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// Longest.
    pub max_ns: Option<u64>,
    /// Its share of the round trips next to the median (those from P45 to P55).
    pub share_p50_ratio: Option<f64>,
    /// Its share of the slowest hundredth; `null` where that would be fewer than ten probes.
    pub share_tail_ratio: Option<f64>,
    /// It was looked for, and no probe passed through it, or hardly any: unlike other stages without a length it is known
    /// to cost nothing.
    #[serde(default)]
    pub not_passed: bool,
}

/// The largest stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Largest {
    /// Which.
    pub stage: StageKey,
    /// Its mean length in the round trips next to the median.
    pub at_p50_ns: Option<u64>,
    /// Its share of them.
    pub share_ratio: f64,
    /// What is usually behind a stage of that kind, as text.
    pub why: String,
    /// Rules whose faults lengthen it.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Knobs that act on it.
    #[serde(default)]
    pub knobs: Vec<String>,
}

/// What the trace of a far host shows of messages that a program answered there: the document of `lowlat trace
/// --answers`, from which `lowlat trace --far` takes the far end's stages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FarTrace {
    /// `lowlat.far-trace`.
    pub schema: Schema,
    /// Kernel release.
    pub kernel: String,
    /// The port whose program was traced.
    pub port: u16,
    /// For how long it was traced, ns; not what lay between the rounds, in which the ring was read.
    pub traced_ns: u64,
    /// Every message that was followed, in the order of time.
    pub answers: Vec<FarAnswer>,
    /// Messages that were answered and could not be followed.
    pub incomplete: u64,
    /// Events that found no room in the kernel's buffer.
    pub overruns: u64,
    /// Trace points that the kernel does not give, with the reason.
    pub missing: BTreeMap<String, String>,
    /// Ended by a signal: what was traced up to then.
    pub interrupted: bool,
}

/// One message that was answered. It is found again by the far program's own two time stamps, which lie between the two
/// times here: no clock of the near host is compared with one of the far host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FarAnswer {
    /// When the program's receiving call got the message, ns on the far `CLOCK_MONOTONIC`.
    pub read_ns: u64,
    /// When its sending call began, ns on the same clock.
    pub called_ns: u64,
    /// When it passed each point of the far end, ns since it arrived, from the interrupt to the end of the driver's
    /// function; `null` where it did not, or that was not seen.
    pub points_ns: Vec<Option<u32>>,
}

/// The stages of a path before and after a run of `optimize`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStages {
    /// Before anything was changed; `null` where no stage could be seen.
    pub before: Option<TraceDocument>,
    /// With every kept change; `null` where nothing was kept, or no stage could be seen.
    pub after: Option<TraceDocument>,
    /// Why one that was wanted is not there.
    pub why_not: Option<String>,
    /// The findings of this run whose faults lengthen the largest stage of `before`, by rule.
    pub findings: Vec<String>,
    /// The settings of this run's plan that act on it, with their targets.
    pub settings: Vec<String>,
    /// Settings that were tried last, with their targets: they act on stages alone that cost nothing here.
    pub tried_last: Vec<String>,
}

/// What the slowest hundredth has in common.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tail {
    /// How many probes that is.
    pub probes: u64,
    /// From this round trip on.
    pub from_ns: u64,
    /// The stage that grew most against the round trips next to the median.
    pub stage: StageKey,
    /// Its part of what the slowest take longer than the median.
    pub share_of_growth_ratio: f64,
    /// CPUs, interrupts and threads that are more frequent among the slowest than among all, most first.
    pub common: Vec<Common>,
}

/// Something that probes have in common.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Common {
    /// `received on CPU 3`, `interrupt 24 (eth0-rx-0)`, `thread kworker/1:2 on its CPUs`.
    pub what: String,
    /// Share of the slowest that have it.
    pub tail_ratio: f64,
    /// Share of all.
    pub all_ratio: f64,
}

/// One slow probe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlowProbe {
    /// When it was sent, from the first traced probe on.
    pub at_ns: u64,
    /// Its round trip.
    pub rtt_ns: u64,
    /// Its longest stages, longest first.
    pub stages: Vec<SlowStage>,
    /// What else ran meanwhile on the CPUs that it used, most time first.
    pub meanwhile: Vec<Meanwhile>,
}

/// A stage of one probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlowStage {
    /// Which.
    pub stage: StageKey,
    /// How long.
    pub length_ns: u64,
    /// On which CPU it ended.
    pub cpu: Option<u32>,
}

/// What ran on a CPU.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Meanwhile {
    /// The CPU.
    pub cpu: u32,
    /// `thread rustc (4711)`, `irq 24 (eth0-rx-0)`, `softirq TIMER`.
    pub who: String,
    /// How long.
    pub length_ns: u64,
}

//! The document of `lowlat optimize` and `lowlat demo`: the whole run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::around::Around;
use crate::engine::{EngineCost, EngineState};
use crate::finding::{Finding, NotSeen};
use crate::judge::OwnFigure;
use crate::op::Target;
use crate::trace::RunStages;
use crate::tune::{Disposition, Headline, Member, Modes, Placement};
use crate::verdict::Comparison;
use crate::{GoalResult, Measurement, PathLink, Schema, Verdict};

/// A whole run, complete enough to be reported again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunDocument {
    /// `lowlat.optimize`.
    pub schema: Schema,
    /// Run id, also the folder's name under `runs/`.
    pub run: String,
    /// Wall clock at the start, ns since the epoch.
    pub started_unix_ns: u64,
    /// Interface.
    pub iface: String,
    /// Driver, version and firmware of the interface, for the report's first line.
    pub driver: String,
    /// Driver version.
    pub driver_version: String,
    /// Kernel release.
    pub kernel: String,
    /// Target.
    pub target: String,
    /// `true` where nothing was changed.
    pub dry_run: bool,
    /// Before anything was changed; `null` when there was no path to measure.
    pub baseline: Option<Measurement>,
    /// After the last step, idle.
    pub result: Option<Measurement>,
    /// The kept configuration under load.
    pub loaded: Option<Measurement>,
    /// The path before any change, under the same load, where it was taken.
    pub loaded_baseline: Option<Measurement>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What could not be seen.
    pub not_seen: Vec<NotSeen>,
    /// What was tried, in order.
    pub steps: Vec<StepResult>,
    /// Every engine on the same path, interleaved in one run.
    pub engines: Vec<EngineResult>,
    /// The ten items.
    pub checklist: Vec<ChecklistItem>,
    /// 0–100.
    pub confidence: u8,
    /// Each rule's share of `confidence`.
    pub confidence_parts: Vec<ConfidencePart>,
    /// The goal; `null` when none was given.
    pub goal_ns: Option<u64>,
    /// Every goal was met by the result; `false` where one was missed, `null` where none was given or one could not be
    /// judged.
    pub goal_met: Option<bool>,
    /// What the whole kept configuration gained, by an A/B test of its own.
    #[serde(default)]
    pub headline: Headline,
    /// Every goal and whether it was met; the median's is `goal_ns` too.
    #[serde(default)]
    pub goals: Vec<GoalResult>,
    /// Interfaces of the path from the top down.
    #[serde(default)]
    pub path: Vec<String>,
    /// The same with role and kind.
    #[serde(default)]
    pub path_links: Vec<PathLink>,
    /// Faults elsewhere on this host, off the path: reported, never acted on.
    #[serde(default)]
    pub elsewhere: Vec<Finding>,
    /// Where the probers ran.
    #[serde(default)]
    pub placement: Placement,
    /// The rounds of the path as it was fall into two groups; `null` where they do not.
    #[serde(default)]
    pub modes: Option<Modes>,
    /// Where the time of a round trip goes, before and after; `null` where it was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Box<RunStages>>,
    /// The verdict in five lines: what is slow and why, what was changed, what it gained, the goal, the next command.
    #[serde(default)]
    pub summary: Vec<SummaryLine>,
    /// Expert-level, hardware limit, fix drops first.
    pub escalations: Vec<String>,
    /// Where what each of them says is found, in the same order, as in [`ChecklistItem::rests_on`].
    #[serde(default)]
    pub escalations_rest_on: Vec<Vec<String>>,
    /// What to do next.
    pub next_steps: Vec<String>,
    /// The user's own command that judged the run (`--judge`); left out where round trips did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<OwnFigure>,
    /// Only of `lowlat around`: what the other program changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub around: Option<Around>,
    /// Only in the demo: what its hosts were, and what follows for the figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lab: Option<String>,
    /// Only in the demo: what was planted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted: Option<Vec<Planted>>,
    /// Only in the demo: the complete state after rollback equals the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_verified: Option<bool>,
}

/// One line of the verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SummaryLine {
    /// `Cause`, `Changed`, `Gain`, `Goal` or `Next`.
    pub label: String,
    /// What is said of it.
    pub text: String,
}

impl SummaryLine {
    /// A line.
    pub fn new(label: &str, text: impl Into<String>) -> Self {
        Self { label: label.to_owned(), text: text.into() }
    }
}

/// One tried step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepResult {
    /// Knob.
    pub knob: String,
    /// 2 kernel, 3 bypass.
    pub phase: u8,
    /// Where.
    pub target: Target,
    /// Value before.
    pub before: String,
    /// Value set, as read back.
    pub after: String,
    /// What the A/B test showed.
    pub verdict: Verdict,
    /// Left in place.
    pub kept: bool,
    /// Relative change of P50, negative is faster.
    pub p50_change_ratio: Option<f64>,
    /// Lower end of its 95 % interval.
    pub p50_change_low: Option<f64>,
    /// Upper end.
    pub p50_change_high: Option<f64>,
    /// The whole comparison; `null` where the setting was refused.
    pub comparison: Option<Comparison>,
    /// One sentence: `no difference shown (smallest detectable difference 1.2 µs); put back`.
    pub note: String,
    /// The command that undoes it without lowlat; empty where nothing was set.
    #[serde(default)]
    pub undo: String,
    /// What became of it.
    #[serde(default)]
    pub disposition: Disposition,
    /// Why it was refused, or what reset; `null` where the comparison says it.
    #[serde(default)]
    pub why: Option<String>,
    /// The rules that asked for it.
    #[serde(default)]
    pub rules: Vec<String>,
    /// The settings of a joint step; empty for a single one.
    #[serde(default)]
    pub members: Vec<Member>,
    /// Which try of the same setting this was, from 1.
    #[serde(default)]
    pub attempt: u32,
    /// Time from the first round to the verdict, ns.
    #[serde(default)]
    pub took_ns: u64,
}

/// One engine on the path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EngineResult {
    /// `spin`, `io-uring`, `af-xdp`, …
    pub engine: String,
    /// Its figures; `null` where it could not run.
    pub measurement: Option<Measurement>,
    /// Why it could not run.
    pub why_not: Option<String>,
    /// Against `block` on the same path, interleaved.
    pub against_block: Option<Comparison>,
    /// What it costs: a core, the kernel's firewall, …
    pub costs: String,
    /// What it was on this host, and which of its options the kernel granted.
    #[serde(default)]
    pub state: EngineState,
    /// CPU time, system calls, sleeps and interrupts for each probe.
    #[serde(default)]
    pub cost: EngineCost,
}

/// One item of the verification checklist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChecklistItem {
    /// Stable key of the item, one of [`crate::document::item`]; empty in documents of older versions.
    #[serde(default)]
    pub id: String,
    /// The item, as text.
    pub item: String,
    /// `null` where it cannot be determined.
    pub met: Option<bool>,
    /// What was measured or read back.
    pub evidence: String,
    /// Where that is, by the run's documents: `run.baseline.rtt.p50_ns`, `facts-after.irqs of eth0`,
    /// `run.findings[interrupt-coalescing]`; empty in documents of older versions.
    #[serde(default)]
    pub rests_on: Vec<String>,
}

/// Keys of the ten checklist items ([`ChecklistItem::id`]). The wording of an item may change, its key does not.
pub mod item {
    /// A baseline with a median was stored.
    pub const BASELINE: &str = "baseline";
    /// The median fell by more than half, or lies below 100 µs.
    pub const LATENCY: &str = "latency";
    /// P99 is less than twice the median.
    pub const JITTER: &str = "jitter";
    /// Interrupts and application have cores of their own.
    pub const OWN_CORES: &str = "own-cores";
    /// Offloads and coalescing do not hold packets back.
    pub const OFFLOADS: &str = "offloads";
    /// What was kept survives a reboot.
    pub const PERSISTED: &str = "persisted";
    /// Hardware timestamps arrive where the NIC advertises them.
    pub const STAMPS: &str = "hardware-stamps";
    /// Nothing was dropped.
    pub const DROPS: &str = "drops";
    /// The governor is `performance`.
    pub const GOVERNOR: &str = "governor";
    /// NIC and application share a NUMA node.
    pub const ONE_NODE: &str = "one-node";
}

/// The parts of the confidence score that the report's three Yes/No lines show.
pub mod part {
    /// `Hardware support verified`.
    pub const HARDWARE: &str = "hardware support verified";
    /// `Version compatibility`.
    pub const VERSIONS: &str = "version compatibility";
    /// `Benchmarked under load`.
    pub const LOAD: &str = "benchmarked under load";
}

/// One rule of the confidence score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfidencePart {
    /// What was verified, or was not.
    pub what: String,
    /// Points given.
    pub points: i32,
    /// Points it could give.
    pub of: i32,
    /// Why.
    pub why: String,
    /// Where that is, as in [`ChecklistItem::rests_on`].
    #[serde(default)]
    pub rests_on: Vec<String>,
}

/// One fault the demo planted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Planted {
    /// For people: `netem delay 400us on the receive side`.
    pub fault: String,
    /// The rule that should find it.
    pub rule: String,
    /// Found.
    pub found: bool,
    /// A step for it was kept; `null` where no knob of ours may touch it.
    pub fixed: Option<bool>,
}

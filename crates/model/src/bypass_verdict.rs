//! What kernel bypass would gain on a path, and what it would cost: the rounds as they were recorded, and the verdict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tune::Placement;
use crate::verdict::{Comparison, Round};
use crate::{Goal, GoalResult, NotSeen, Schema};

/// How much of the kernel's network stack an engine goes past.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// Every packet takes the whole stack.
    #[default]
    None,
    /// The packets of the one flow go past it, all others do not.
    Partial,
    /// The whole device is taken from the kernel.
    Full,
}

/// One engine's rounds, as they were recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EngineRounds {
    /// Engine.
    pub engine: String,
    /// The same engine once more: what the test says of it shows how the test answers where there is no difference.
    pub control: bool,
    /// What it goes past.
    pub bypass: Extent,
    /// What stops working for its flow, each with its reason.
    pub loses: Vec<String>,
    /// What it costs its user.
    pub costs: String,
    /// Why it was not measured, or not to the end; `null` if it was.
    pub why_not: Option<String>,
    /// Its rounds, in the order of the laps: each engine ran once in each lap.
    pub rounds: Vec<Round>,
}

/// Everything that a verdict is made from: the same rounds give the same verdict.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BypassRounds {
    /// `lowlat.bypass-verdict`, whose rounds these are.
    pub schema: Schema,
    /// Wall clock at the start, ns since the epoch.
    pub started_unix_ns: u64,
    /// Run id.
    pub run: String,
    /// Interface; `null` where the kernel's route chose it.
    pub iface: Option<String>,
    /// Its driver; empty where it is not known.
    pub driver: String,
    /// Kernel release.
    pub kernel: String,
    /// Target.
    pub target: String,
    /// `udp`, `tcp`, `icmp`.
    pub proto: String,
    /// Message size, bytes.
    pub size_bytes: u32,
    /// Where the probers ran.
    pub placement: Placement,
    /// Seed of the order.
    pub seed: u64,
    /// Smallest gain of the median that would be worth bypass, as a share.
    pub worth_ratio: f64,
    /// Goals.
    pub goals: Vec<Goal>,
    /// Engines in the order in which they were named.
    pub engines: Vec<EngineRounds>,
}

/// The document of `lowlat bypass verdict`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BypassVerdict {
    /// `lowlat.bypass-verdict`.
    pub schema: Schema,
    /// Run id.
    pub run: String,
    /// Wall clock at the start, ns since the epoch.
    pub started_unix_ns: u64,
    /// Interface; `null` where the kernel's route chose it.
    pub iface: Option<String>,
    /// Its driver; empty where it is not known.
    pub driver: String,
    /// Kernel release.
    pub kernel: String,
    /// Target.
    pub target: String,
    /// `udp`, `tcp`, `icmp`.
    pub proto: String,
    /// Message size, bytes.
    pub size_bytes: u32,
    /// Bypass is worth it here, is not, or `null`: this run cannot say.
    pub go: Option<bool>,
    /// Why, in one sentence.
    pub why: String,
    /// The rule by which it was decided.
    pub rule: String,
    /// The kernel's best: the engine without bypass that has the lowest median; `null` where none was measured.
    pub reference: Option<String>,
    /// The engine that the verdict rests on; `null` where it rests on none.
    pub candidate: Option<String>,
    /// Smallest gain of the median that would be worth bypass, as a share.
    pub worth_ratio: f64,
    /// Rounds of each engine.
    pub laps: u32,
    /// Seed of the order.
    pub seed: u64,
    /// Each engine, in the order in which they were named.
    pub engines: Vec<EngineVerdict>,
    /// Where the probers ran.
    pub placement: Placement,
    /// For people: what weakens the verdict.
    pub warnings: Vec<String>,
}

/// One engine on the path.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EngineVerdict {
    /// Engine.
    pub engine: String,
    /// The same engine once more, as a control of the test.
    pub control: bool,
    /// What it goes past.
    pub bypass: Extent,
    /// Why it was not measured; `null` if it was.
    pub why_not: Option<String>,
    /// Median of all its rounds, ns. This and those below are `null` where the sample does not support the figure.
    pub p50_ns: Option<u64>,
    /// P99.
    pub p99_ns: Option<u64>,
    /// P99.9.
    pub p999_ns: Option<u64>,
    /// Probes lost, as a share.
    pub loss_ratio: Option<f64>,
    /// Change of the median against the kernel's best, negative is faster; `null` for that engine itself.
    pub p50_change_ratio: Option<f64>,
    /// Lower end of its 95 % interval.
    pub p50_change_low: Option<f64>,
    /// Upper end.
    pub p50_change_high: Option<f64>,
    /// The same of P99.
    pub p99_change_ratio: Option<f64>,
    /// Lower end of its 95 % interval.
    pub p99_change_low: Option<f64>,
    /// Upper end.
    pub p99_change_high: Option<f64>,
    /// CPU time of a message over that of the kernel's best; 1 for that engine itself.
    pub cpu_ratio: Option<f64>,
    /// CPU time of the probing thread for a message, ns.
    pub cpu_ns_per_message: Option<u64>,
    /// Cores that it kept busy while it ran: CPU time over wall time.
    pub cores_busy: Option<f64>,
    /// System calls of a message; `null` where the engine does not count them.
    pub syscalls_per_message: Option<f64>,
    /// Interrupts of the path's devices for a message; `null` where they have no lines of their own.
    pub interrupts_per_message: Option<f64>,
    /// Times that the probing thread went to sleep for a message.
    pub sleeps_per_message: Option<f64>,
    /// What could not be counted, and why.
    pub not_counted: Vec<NotSeen>,
    /// What stops working for its flow, each with its reason; empty where nothing does.
    pub loses: Vec<String>,
    /// What it costs its user.
    pub costs: String,
    /// Whether it met each goal.
    pub goals: Vec<GoalResult>,
    /// Against the kernel's best, by the judge of `compare`.
    pub against_best: Option<Comparison>,
    /// Against `block`, by the same judge.
    pub against_block: Option<Comparison>,
}

impl EngineVerdict {
    /// `spin`, or `spin (again)` for a control.
    pub fn name(&self) -> String {
        name(&self.engine, self.control)
    }
}

impl EngineRounds {
    /// `spin`, or `spin (again)` for a control.
    pub fn name(&self) -> String {
        name(&self.engine, self.control)
    }
}

fn name(engine: &str, control: bool) -> String {
    if control { format!("{engine} (again)") } else { engine.to_owned() }
}

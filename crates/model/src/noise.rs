//! What the host itself adds: the document of `lowlat noise`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GoalResult, NotSeen, Quantiles, Schema};

/// Wake-up latency and interruptions, CPU by CPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NoiseDocument {
    /// `lowlat.noise`.
    pub schema: Schema,
    /// Kernel release.
    pub kernel: String,
    /// How long each CPU was watched, per kind of measurement.
    pub duration_ns: u64,
    /// A spinning thread that misses at least this long between two clock reads was interrupted.
    pub gap_threshold_ns: u64,
    /// One per CPU that was watched.
    pub cpus: Vec<CpuNoise>,
    /// CPUs or sources that could not be watched.
    pub not_seen: Vec<NotSeen>,
    /// Goals of the latency, judged by the wake-up of the slowest CPU alone: one that is missed here cannot be met by a
    /// program that sleeps there. Empty where none was given.
    #[serde(default)]
    pub goals: Vec<GoalResult>,
    /// What to do about a goal that was missed.
    #[serde(default)]
    pub advice: Vec<String>,
}

/// One CPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuNoise {
    /// The CPU.
    pub cpu: u32,
    /// How late a timed sleep woke up (as cyclictest measures).
    pub wakeup: Quantiles,
    /// Scheduling of the sleeper: `SCHED_FIFO 80`, `SCHED_OTHER`.
    #[serde(default)]
    pub wakeup_policy: Option<String>,
    /// How long the interruptions of a spinning thread were (as sysjitter measures).
    pub interruption: Quantiles,
    /// Interruptions, all of them, also those that `gaps` leaves out.
    pub gaps_seen: u64,
    /// Sum of all interruptions over the time watched, 0 to 1.
    pub stolen_ratio: f64,
    /// The longest interruptions, longest first.
    pub gaps: Vec<Gap>,
    /// What the kernel counted on this CPU during the watch for interruptions: `interrupt LOC (…)` → times.
    #[serde(default)]
    pub counted: BTreeMap<String, u64>,
    /// Who had the CPU instead, from the kernel's trace points, in a separate watch, not the one of the figures above:
    /// tracing makes each interruption a little longer. `null` where it was not asked for or could not be had.
    #[serde(default)]
    pub traced: Option<Traced>,
}

/// A traced watch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Traced {
    /// How long, ns.
    pub watched_ns: u64,
    /// Events that found no room in the buffer.
    pub lost_events: u64,
    /// Most time first. Times nest: an interrupt's holds that of the softirqs it ended with.
    pub sources: Vec<TracedSource>,
    /// The longest interruptions of this watch, with who had the CPU in each.
    pub gaps: Vec<Gap>,
}

/// One source of interruptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TracedSource {
    /// `irq 24 (eth0-rx-0)`, `softirq NET_RX`, `interrupt local_timer`, `thread kworker/1:2`.
    pub source: String,
    /// How often.
    pub count: u64,
    /// In all, ns.
    pub total_ns: u64,
    /// The longest, ns.
    pub longest_ns: u64,
}

/// One interruption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// When, from the start of the watch.
    pub at_ns: u64,
    /// How long.
    pub length_ns: u64,
    /// What grew meanwhile, where the kernel's counters tell: `irq 24 (eth0-rx-0)`, `softirq NET_RX`, `steal`.
    pub cause: Option<String>,
}

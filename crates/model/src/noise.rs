//! What the host itself adds: the document of `lowlat noise`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{NotSeen, Quantiles, Schema};

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
}

/// One CPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuNoise {
    /// The CPU.
    pub cpu: u32,
    /// How late a timed sleep woke up (as cyclictest measures).
    pub wakeup: Quantiles,
    /// How long the interruptions of a spinning thread were (as sysjitter measures).
    pub interruption: Quantiles,
    /// Interruptions, all of them, also those that `gaps` leaves out.
    pub gaps_seen: u64,
    /// Sum of all interruptions over the time watched, 0 to 1.
    pub stolen_ratio: f64,
    /// The longest interruptions, longest first.
    pub gaps: Vec<Gap>,
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

//! What the host itself adds: the document of `lowlat noise`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Distribution, NotSeen, Quantiles, Schema};

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
    /// The longest that a wake-up or an interruption may take, ns; `null` where no goal was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal_ns: Option<u64>,
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
    /// How often each lateness occurred; `null` in documents of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wakeup_distribution: Option<Distribution>,
    /// Scheduling of the sleeper: `SCHED_FIFO 80`, `SCHED_OTHER`.
    #[serde(default)]
    pub wakeup_policy: Option<String>,
    /// How long the interruptions of a spinning thread were (as sysjitter measures).
    pub interruption: Quantiles,
    /// How long this CPU was spun on to see them, ns; 0 in documents of older versions.
    #[serde(default)]
    pub watched_ns: u64,
    /// How often each length of them occurred; `null` in documents of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interruption_distribution: Option<Distribution>,
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

impl CpuNoise {
    /// The longest that this CPU was seen to take: late wake-up or interruption. `None` where one of the two was not
    /// watched.
    pub fn worst_ns(&self) -> Option<u64> {
        if self.watched_ns == 0 {
            return None;
        }
        // Without an interruption there is no longest one; that is what a quiet CPU shows.
        self.wakeup.max_ns.map(|wakeup| wakeup.max(self.interruption.max_ns.unwrap_or(0)))
    }

    /// Whether nothing longer than `goal_ns` was seen; `None` where nothing was watched.
    pub fn meets(&self, goal_ns: u64) -> Option<bool> {
        self.worst_ns().map(|worst| worst <= goal_ns)
    }
}

impl NoiseDocument {
    /// Whether every CPU meets the goal; `None` without a goal.
    pub fn met(&self) -> Option<bool> {
        let goal = self.goal_ns?;
        Some(!self.cpus.is_empty() && self.cpus.iter().all(|c| c.meets(goal) == Some(true)))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(wakeup: Option<u64>, interruption: Option<u64>, watched_ns: u64) -> CpuNoise {
        CpuNoise {
            cpu: 0,
            wakeup: Quantiles { max_ns: wakeup, ..Quantiles::default() },
            wakeup_distribution: None,
            wakeup_policy: None,
            interruption: Quantiles { max_ns: interruption, ..Quantiles::default() },
            watched_ns,
            interruption_distribution: None,
            gaps_seen: 0,
            stolen_ratio: 0.0,
            gaps: Vec::new(),
            counted: BTreeMap::new(),
            traced: None,
        }
    }

    #[test]
    fn what_was_not_watched_meets_no_goal() {
        assert_eq!(cpu(Some(5), Some(9), 1).meets(9), Some(true));
        assert_eq!(cpu(Some(5), Some(10), 1).meets(9), Some(false));
        assert_eq!(cpu(Some(5), None, 1).meets(9), Some(true), "no interruption");
        assert_eq!((cpu(Some(5), None, 0).meets(9), cpu(None, Some(1), 1).meets(9)), (None, None));
        let mut d = NoiseDocument {
            schema: Schema::current("noise"),
            kernel: String::new(),
            duration_ns: 1,
            gap_threshold_ns: 1,
            goal_ns: Some(9),
            cpus: vec![cpu(Some(5), None, 1)],
            not_seen: Vec::new(),
        };
        assert_eq!(d.met(), Some(true));
        d.cpus.push(cpu(Some(5), None, 0));
        assert_eq!(d.met(), Some(false));
        d.cpus.clear();
        assert_eq!(d.met(), Some(false), "no CPU is no proof");
        d.goal_ns = None;
        assert_eq!(d.met(), None);
    }
}

//! One measured path: counts, quantiles, and what bent the numbers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Schema;

/// The document of `lowlat measure`.
///
/// A figure that the sample does not bear, or the path does not give, is `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// `lowlat.measure`.
    pub schema: Schema,
    /// Address and port.
    pub target: String,
    /// `icmp`, `udp`, `tcp`.
    pub proto: String,
    /// Far-end protocol: `lowlat`, `sockperf`, `stamp`, `irtt`, `echo`.
    pub peer: String,
    /// `block`, `spin`, `busy-poll`, `epoll`, `io-uring`, `af-xdp`, …
    pub engine: String,
    /// `ping-pong` or `open-loop`.
    pub mode: String,
    /// Payload bytes of one probe.
    pub size_bytes: u32,
    /// Planned rate; `null` for ping-pong.
    pub rate_pps: Option<f64>,
    /// CPU the prober was pinned to.
    pub cpu: Option<u32>,
    /// Probes sent, warm-up left out.
    pub sent: u64,
    /// Probes answered, first answers only.
    pub received: u64,
    /// Probes never answered within the timeout.
    pub lost: u64,
    /// Answers after the first.
    pub duplicates: u64,
    /// Answers that overtook an earlier probe's.
    pub reordered: u64,
    /// Answers that came after the timeout; their probes count as lost.
    pub late: u64,
    /// Answers that were no answers: foreign, malformed, unknown sequence.
    pub foreign: u64,
    /// Probes left out as warm-up.
    pub warmup: u64,
    /// `lost / sent`; `null` when nothing was sent.
    pub loss_ratio: Option<f64>,
    /// First planned send to last receive or timeout.
    pub duration_ns: u64,
    /// From the actual send time. Lost probes rank as +∞.
    pub rtt: Quantiles,
    /// From the planned send time; in ping-pong the plan is the send, so this is `null` throughout.
    pub rtt_planned: Quantiles,
    /// P99/P50 of `rtt`.
    pub jitter_ratio: Option<f64>,
    /// The far end's time between receive and send, taken out by its own two stamps.
    pub residence: Quantiles,
    /// Kernel and hardware stamp coverage: `software-rx` → ratio of answers that carried one.
    pub stamp_coverage: BTreeMap<String, f64>,
    /// Per-leg quantiles from stamps where the path gives them: `send→kernel-tx`, `kernel-rx→recv`, …
    pub legs: BTreeMap<String, Quantiles>,
    /// What bends the number: governor, coalescing, qdisc, CPU, clock cost, …
    pub environment: BTreeMap<String, String>,
    /// For people: what weakens these figures.
    pub warnings: Vec<String>,
}

/// Quantiles in nanoseconds; `None` where the sample does not bear one.
///
/// A quantile `q` needs `n ≥ 10 / (1 − q)` samples, so that at least ten lie beyond it (P99.9 from 100 probes is an
/// invention). Lost probes rank as +∞: a quantile that falls among them is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// Samples behind the figures, losses included.
    pub samples: u64,
    /// Smallest.
    pub min_ns: Option<u64>,
    /// Median.
    pub p50_ns: Option<u64>,
    /// 90th percentile.
    pub p90_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// 99.9th percentile.
    pub p999_ns: Option<u64>,
    /// 99.99th percentile.
    pub p9999_ns: Option<u64>,
    /// 99.999th percentile.
    pub p99999_ns: Option<u64>,
    /// Largest; `None` if any probe was lost.
    pub max_ns: Option<u64>,
    /// Mean of the received.
    pub mean_ns: Option<u64>,
}

/// The rank value of a lost probe in sample lists: +∞.
pub const LOST: u64 = u64::MAX;

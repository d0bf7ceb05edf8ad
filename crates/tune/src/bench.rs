//! What the loop measures with.

use lowlat_model::Measurement;
use lowlat_model::verdict::Round;

/// A measurement that could not be made. One line: operation, target, cause, next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BenchError(pub String);

/// One round of an A/B test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoundAsk {
    /// Time of ping-pong probes, ns.
    pub ping_pong_ns: u64,
    /// Time of probes on a plan, spread in time, ns; 0 leaves them out.
    pub planned_ns: u64,
    /// Source port of the flow; 0 lets the kernel choose. Both rounds of a pair use the same.
    pub source_port: u16,
    /// Bulk TCP streams beside the probe.
    pub load_streams: u32,
}

/// A path that can be measured, and the host's counters beside it.
pub trait Bench {
    /// One round: its samples, and the flow they were of. `is_b` is left `false`.
    fn round(&mut self, ask: &RoundAsk) -> Result<Round, BenchError>;
    /// A whole measurement, idle or under load.
    fn measure(&mut self, duration_ns: u64, load_streams: u32) -> Result<Measurement, BenchError>;
    /// A counter of the host, by counter group and key.
    fn counter(&mut self, group: &str, key: &str) -> Result<u64, BenchError>;
    /// Monotonic time, ns.
    fn now_ns(&self) -> u64;
    /// Lets time pass.
    fn wait(&mut self, ns: u64);
    /// Whether a signal asked to stop.
    fn stopped(&self) -> bool;
}

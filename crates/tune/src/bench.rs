//! What the loop measures with.

use lowlat_model::Measurement;
use lowlat_model::tune::Resets;
use lowlat_model::verdict::Round;

use crate::RunProgress;

/// A measurement that could not be made. One line: operation, target, cause, next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BenchError(pub String);

/// One round of an A/B test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoundAsk {
    /// Engine; `None` for the run's own.
    pub engine: Option<String>,
    /// Time of ping-pong probes, ns.
    pub ping_pong_ns: u64,
    /// Time of probes on a plan, spread in time, ns; 0 leaves them out.
    pub planned_ns: u64,
    /// The median that the rate of the plan is derived from, ns; `None` derives it from the round itself. Rounds that
    /// are compared have one rate.
    pub median_ns: Option<u64>,
    /// An answer later than this counts as lost, ns; `None` for the timeout of the path.
    pub timeout_ns: Option<u64>,
    /// Opening the engine resets the link or its queues: the path is steady again before a sample counts.
    pub settle: bool,
    /// Source port of the flow; 0 lets the kernel choose. Both rounds of a pair use the same.
    pub source_port: u16,
}

/// What rounds are summed up as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Engine; `None` for the run's own.
    pub engine: Option<String>,
    /// Time that the rounds took together, ns.
    pub duration_ns: u64,
    /// Bulk TCP streams that ran meanwhile.
    pub load_streams: u32,
    /// For people: what the rounds were of.
    pub words: String,
}

/// What the links of the path went through since the last look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkReport {
    /// The severest of it.
    pub resets: Resets,
    /// Each change, as text.
    pub changes: Vec<String>,
}

/// A path that can be measured, with the host's counters and the path's links.
pub trait Bench {
    /// One round: its samples, and the flow they were of. `is_b` is left `false`.
    fn round(&mut self, ask: &RoundAsk) -> Result<Round, BenchError>;
    /// Mean time between two planned sends on a path whose ping-pong has this median, ns.
    fn plan_gap_ns(&self, median_ns: u64) -> u64;
    /// A source port for the next pair; 0 where the protocol has none or the kernel's choice is as good.
    fn source_port(&mut self) -> Result<u16, BenchError>;
    /// Starts bulk streams to the far end, until [`Bench::stop_load`].
    fn start_load(&mut self, streams: u32) -> Result<(), BenchError>;
    /// Ends them.
    fn stop_load(&mut self);
    /// The figures of rounds, as a document.
    fn summarize(&mut self, rounds: &[&Round], of: &Summary) -> Measurement;
    /// A counter of the host, by counter group and key.
    fn counter(&mut self, group: &str, key: &str) -> Result<u64, BenchError>;
    /// One run of the user's own command: its number, finite.
    fn figure(&mut self) -> Result<f64, BenchError>;
    /// What the path's links went through since the last call.
    fn links(&mut self) -> LinkReport;
    /// Waits until the path's links are up again.
    fn await_links(&mut self, within_ns: u64) -> Result<(), BenchError>;
    /// Why the path is no longer the one the run began on: its route changed, or an interface went.
    fn path_lost(&mut self) -> Option<String>;
    /// Monotonic time, ns.
    fn now_ns(&self) -> u64;
    /// Lets time pass.
    fn wait(&mut self, ns: u64);
    /// Whether a signal asked to stop.
    fn stopped(&self) -> bool;
    /// Hears between two rounds how far the run is.
    fn progress(&mut self, _: &RunProgress) {}
}

//! What the kernel's and the NIC's stamps showed of a run: which came, where the time went, and one-way delays.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Quantiles;
use crate::verdict::Comparison;

/// Stamps of one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StampReport {
    /// What the engine can ask for, as text, or why it can ask for none.
    pub engine: String,
    /// The NIC's stamping mode as it stood during the run (`SIOCGHWTSTAMP`), as text; `null` where nobody knows.
    pub nic: Option<String>,
    /// Each kind that exists for the protocol, whether the engine asked for it or not.
    pub kinds: Vec<StampKind>,
    /// Where the time went, in the order of the packet's way. Each stage lies on one clock.
    pub stages: Vec<Stage>,
    /// Stages that came out below zero or longer than their round trip, which shows that a stamp was another packet's
    /// or a clock was set in between. They are in no figure.
    pub misplaced: u64,
    /// What taking stamps costs; `null` unless it was measured.
    pub cost: Option<Comparison>,
    /// What else is to be said about these figures.
    pub notes: Vec<String>,
}

/// One kind of stamp.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StampKind {
    /// `sched-tx`, `software-tx`, `hardware-tx`, `ack-tx`, `software-rx`, `hardware-rx`, `far-software-rx`.
    pub kind: String,
    /// Probes of the phase before the run that asked for one: a socket option that is taken proves nothing.
    pub probed: u64,
    /// Of those, how many came.
    pub probed_arrived: u64,
    /// Answered probes of the run's figures that asked for one; 0 where none came in the phase before.
    pub asked: u64,
    /// Of those, how many came.
    pub arrived: u64,
    /// `arrived / asked`; `null` where none was asked for.
    pub ratio: Option<f64>,
    /// Why there is none, where there is none.
    pub why_not: Option<String>,
}

/// One part of the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Where it begins: `send`, `sched-tx`, …
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// As text.
    pub what: String,
    /// Its length; each quantile only where the samples bear it.
    pub time: Quantiles,
    /// Its share of the mean round trip, over the probes that have every stage; `null` for stages that are not part of it.
    pub share: Option<f64>,
}

/// Delays of one direction. There are none without a bound on their error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OneWay {
    /// Far clock less near clock, ns; the middle of what the stamps leave possible, at the middle of the run.
    pub offset_ns: i64,
    /// `offset_ns` and the delays' use of it are no further from the truth than this, ns.
    pub bound_ns: u64,
    /// Both ends were seen to read one clock: its reading never left what the stamps leave possible.
    pub same_clock: bool,
    /// How offset and bound were found, as text.
    pub method: String,
    /// Windows the run was cut into.
    pub windows: u64,
    /// Length of one, ns.
    pub window_ns: u64,
    /// How fast the far clock runs away from the near one, parts per million: least and most that the stamps leave
    /// possible; `null` where the run is too short to tell.
    pub drift_low_ppm: Option<f64>,
    /// See `drift_low_ppm`.
    pub drift_high_ppm: Option<f64>,
    /// The delays.
    pub delays: Vec<Delay>,
}

/// One direction between two points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Delay {
    /// `send`, `software-tx`, `far-send`.
    pub from: String,
    /// `far-recv`, `far-software-rx`, `recv`, `software-rx`.
    pub to: String,
    /// No figure of `time` is further from the truth than this, ns.
    pub bound_ns: u64,
    /// Its length.
    pub time: Quantiles,
}

/// Samples that coincide with an interruption of the host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GapMarks {
    /// How interruptions were seen, as text; or why they could not be.
    pub how: String,
    /// Least length that counts, ns; `null` where none could be seen.
    pub threshold_ns: Option<u64>,
    /// Interruptions seen; `null` where none could be.
    pub seen: Option<u64>,
    /// Longest, ns.
    pub longest_ns: Option<u64>,
    /// Probes of the run's figures that were on their way during one.
    pub marked: Option<u64>,
    /// Round trips without the marked ones. The run's own figures keep them.
    pub rtt_without: Option<Quantiles>,
}

//! What zero-copy sends cost and save, by size.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Schema;

/// The document of `lowlat measure --zerocopy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ZeroCopyDocument {
    /// `lowlat.zerocopy`.
    pub schema: Schema,
    /// The sink: address and port of a far end that reads and drops.
    pub target: String,
    /// CPU of the sending thread; `null` where it was not pinned.
    pub cpu: Option<u32>,
    /// Each size, from the smallest up.
    pub sizes: Vec<ZeroCopySize>,
    /// Each way of sending without a copy.
    pub methods: Vec<ZeroCopyMethod>,
    /// Ended by a signal: rounds are missing.
    pub interrupted: bool,
}

/// Sends of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ZeroCopySize {
    /// Bytes of one send.
    pub size_bytes: u64,
    /// CPU time of the sending thread for a plain `send`, ns, median of the rounds.
    pub plain_cpu_ns: Option<u64>,
    /// Time of a plain `send`, ns, median of the rounds.
    pub plain_ns: Option<u64>,
    /// The others, against it.
    pub against: Vec<ZeroCopyFigure>,
}

/// One way of sending at one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ZeroCopyFigure {
    /// `msg-zerocopy` or `send-zc`.
    pub how: String,
    /// CPU time of the sending thread for one send, with the reading of its completion, ns, median of the rounds.
    pub cpu_ns: Option<u64>,
    /// Time of one send, until its buffer may be used again at the latest, ns, median of the rounds.
    pub send_ns: Option<u64>,
    /// CPU time against that of plain `send` in the same round, median of the pairs; below 1 it is cheaper.
    pub cpu_ratio: Option<f64>,
    /// Lower end of its 95 % interval; `null` below six pairs.
    pub cpu_ratio_low: Option<f64>,
    /// Upper end.
    pub cpu_ratio_high: Option<f64>,
    /// Sends that completed.
    pub completed: u64,
    /// Of these, those whose data the kernel copied anyway (`SO_EE_CODE_ZEROCOPY_COPIED`,
    /// `IORING_NOTIF_USAGE_ZC_COPIED`); `null` where this kernel does not say.
    pub copied: Option<u64>,
}

/// What one way of sending comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ZeroCopyMethod {
    /// `msg-zerocopy` or `send-zc`.
    pub how: String,
    /// Why it could not be tried; `null` where it was.
    pub why_not: Option<String>,
    /// From this size on it takes less CPU time than plain `send`, at every larger size too; `null` for none of the sizes.
    pub break_even_bytes: Option<u64>,
    /// The break-even size is above this one, at which it was shown to take more; `null` where it was at none below.
    pub above_bytes: Option<u64>,
    /// Completed sends whose data the kernel copied anyway, of those that say; `null` where none does.
    pub copied_ratio: Option<f64>,
    /// All of this as text.
    pub words: String,
}

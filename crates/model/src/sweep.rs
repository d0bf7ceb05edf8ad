//! One measurement after another along an axis.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Measurement, Schema};

/// The document of `lowlat measure --sweep`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepDocument {
    /// `lowlat.sweep`.
    pub schema: Schema,
    /// What changes from point to point.
    pub axis: SweepAxis,
    /// In the order in which they were measured.
    pub points: Vec<SweepPoint>,
    /// Axis `rate`: the highest sustained rate, all lower ones being sustained too. `null` where none was, or on
    /// another axis.
    pub knee_rate_pps: Option<f64>,
    /// What the sweep shows, as text.
    pub words: String,
    /// Ended by a signal: points are missing.
    pub interrupted: bool,
    /// Why a point could not be measured: it and those behind it are missing. `null` where none failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// The axis of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SweepAxis {
    /// Time between the probes of a ping-pong, ns: idle states show.
    Interval,
    /// Message length, bytes: copies and segmentation show.
    Size,
    /// Open-loop rate, probes a second: the knee shows.
    Rate,
}

impl SweepAxis {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::Size => "size",
            Self::Rate => "rate",
        }
    }
}

/// One point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepPoint {
    /// Where on the axis: ns, bytes, or probes a second.
    pub at: f64,
    /// What was measured there.
    pub measurement: Measurement,
    /// Axis `rate`: the rate was sustained, that is next to nothing was lost ([`Measurement::rate_sustained`]) and the
    /// latency stayed near that of the lower rates. `null` on another axis, and in documents of older versions.
    #[serde(default)]
    pub sustained: Option<bool>,
}

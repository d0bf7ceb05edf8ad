//! What a sample log says about itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The head of a sample log: what was measured, so that the log alone can be reported and compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LogHead {
    /// Address and port.
    pub target: String,
    /// `udp`, …
    pub proto: String,
    /// `lowlat`, …
    pub peer: String,
    /// `spin`, …
    pub engine: String,
    /// `ping-pong` or `open-loop`.
    pub mode: String,
    /// There was a plan apart from the answers.
    pub planned: bool,
    /// Planned rate.
    pub rate_pps: Option<f64>,
    /// Message length.
    pub size_bytes: u32,
    /// CPU the prober was pinned to.
    pub cpu: Option<u32>,
    /// A probe without an answer for so long was lost.
    pub timeout_ns: u64,
    /// Wall clock at the start, ns since the epoch.
    pub started_unix_ns: u64,
    /// What affects the number.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

impl LogHead {
    /// Reads a head; the error says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|e| format!("its head is damaged ({e})"))
    }
}

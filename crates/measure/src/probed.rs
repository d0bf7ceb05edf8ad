//! What the phase before a run found out of its stamps.

use std::collections::BTreeMap;

use lowlat_transport::StampSet;

/// Which kinds came in the phase before the run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probed {
    /// The engine, as text.
    pub(crate) engine: String,
    /// It can ask for these.
    pub(crate) able: StampSet,
    /// It goes on asking for these.
    pub(crate) kept: StampSet,
    /// The peer asks the far end for its kernel's stamp.
    pub(crate) far: bool,
    /// Probes of the phase.
    pub(crate) probes: u64,
    /// How many brought each kind, by its name.
    pub(crate) came: BTreeMap<&'static str, u64>,
}

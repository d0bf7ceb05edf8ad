//! What another program changed on the host, and what of it was proved.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::NotSeen;
use crate::op::{Locus, Target};
use crate::verdict::Comparison;

/// What is kept of another program's changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeepWhat {
    /// What is shown to help.
    #[default]
    Better,
    /// All of it, whatever the tests show.
    All,
    /// None of it: the run only reports.
    None,
}

/// Another program, run between two looks at the host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Around {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What was asked to be kept.
    pub keep: KeepWhat,
    /// Settings of the catalogue that were looked at, on the path and on the host.
    pub watched: usize,
    /// Settings that could not be noted, so that a change of theirs is neither seen nor put back, and why.
    #[serde(default)]
    pub not_watched: Vec<NotSeen>,
    /// What it changed of them; put back before the tests.
    pub changed: Vec<ForeignChange>,
    /// What it changed besides, and lowlat does not put back.
    pub not_put_back: Vec<OtherChange>,
    /// All of its changes in against all of them out, alternated; `null` where that was not tested.
    pub whole: Option<Comparison>,
    /// Why it was not.
    pub whole_why_not: Option<String>,
}

/// A setting of the catalogue that the program changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ForeignChange {
    /// Knob.
    pub knob: String,
    /// Where, for people.
    pub target: Target,
    /// The exact place.
    pub locus: Locus,
    /// What was there before the program.
    pub before: String,
    /// What was there after it; `null` where the place was gone.
    pub after: Option<String>,
}

/// A sysctl or a feature that is not watched and that changed while the program ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OtherChange {
    /// Its file, or what it is: `feature rx-all of eth0`.
    pub path: String,
    /// Before.
    pub before: String,
    /// After.
    pub after: String,
}

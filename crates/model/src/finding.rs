//! What makes the path slow: findings, their evidence, their remedies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::op::Target;
use crate::{Application, Schema};

/// How much a finding weighs. `check` exits 1 from [`Severity::Warning`] on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Costs latency.
    Warning,
    /// Dominates latency, or loses packets.
    Critical,
}

/// One fault that a rule found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The rule's name; `lowlat explain RULE` prints its page.
    pub rule: String,
    /// Weight.
    pub severity: Severity,
    /// One line, lower case, no full stop.
    pub title: String,
    /// What was read that shows it: `netem on eth0 root: delay 400us`.
    pub evidence: Vec<String>,
    /// What to do.
    pub remedy: Remedy,
    /// The rule of another finding of this host that this one is likely to follow from; it stands before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
}

/// What to do about a finding: words for a person, and settings for the plan where a knob can do it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Remedy {
    /// Cause and next step.
    pub advice: String,
    /// Settings to try, each judged by its own A/B test. Empty where no knob of ours may touch it.
    pub settings: Vec<Setting>,
}

/// A knob, where, and the value to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// Knob name, e.g. `sysctl.net.core.busy_read`.
    pub knob: String,
    /// Where.
    pub target: Target,
    /// The value, in the knob's own text form.
    pub value: String,
    /// Settings of one finding with the same name here are one step: they act only together. `null` for one that stands
    /// alone.
    #[serde(default)]
    pub joint: Option<String>,
}

/// Something a rule or collector could not see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotSeen {
    /// Which fact.
    pub fact: String,
    /// Kind of answer and reason: `denied: reading /proc/… needs root`.
    pub why: String,
}

/// The document of `lowlat check`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckDocument {
    /// `lowlat.check`.
    pub schema: Schema,
    /// Interface to examine.
    pub iface: Option<String>,
    /// Faults found, in the order of fixing: a cause before what follows from it, what is only worth knowing last.
    pub findings: Vec<Finding>,
    /// What could not be seen, and why.
    pub not_seen: Vec<NotSeen>,
    /// Faults elsewhere on this host, off the path in focus: reported, never acted on.
    #[serde(default)]
    pub elsewhere: Vec<Finding>,
    /// Interfaces of the path from the top down; empty where none is in focus.
    #[serde(default)]
    pub path: Vec<String>,
    /// The application that was named, as it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Application>,
}

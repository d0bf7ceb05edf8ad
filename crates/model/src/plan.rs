//! The ordered steps that findings lead to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::op::{Op, Target};
use crate::tune::{Member, Resets, Scope};
use crate::{Schema, State};

/// What can go wrong when a step is applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Reverts cleanly, touches only the path or one setting.
    #[default]
    Low,
    /// Host-wide, or other programs feel it.
    Medium,
    /// Resets the link, or can cut the connection that gives the order. Needs `--allow-disruptive`.
    High,
    /// Takes effect only after a reboot; never applied live.
    Reboot,
}

/// One step of a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    /// Knob name.
    pub knob: String,
    /// 2 for the kernel, 3 for bypass.
    pub phase: u8,
    /// Where.
    pub target: Target,
    /// The value now, in the knob's text form.
    pub from: String,
    /// The value to try.
    pub to: String,
    /// What can go wrong.
    pub risk: Risk,
    /// The rules that ask for it, and why.
    pub reason: String,
    /// What undoes it, for people: a command that works without lowlat.
    pub undo: String,
    /// The writes.
    pub ops: Vec<Op>,
    /// What stands at each op's locus now, in the same order.
    pub prior: Vec<State>,
    /// The link goes down for a moment.
    pub resets_link: bool,
    /// What resets when it is written, by driver, setting and value.
    #[serde(default)]
    pub resets: Resets,
    /// How far it reaches.
    #[serde(default)]
    pub scope: Scope,
    /// The rules that ask for it, by name.
    #[serde(default)]
    pub rules: Vec<String>,
    /// The settings of a joint step, in the order of `ops`; empty for a single setting.
    #[serde(default)]
    pub members: Vec<Member>,
    /// Knobs that this one is known to need: tried together when neither helped alone.
    #[serde(default)]
    pub needs: Vec<String>,
}

impl PlannedStep {
    /// The knob and the target that the n-th write belongs to: its member's, or the step's own.
    pub fn setting_of(&self, n: usize) -> (&str, &Target) {
        let mut before = 0;
        let member = self.members.iter().find(|m| {
            before += m.ops;
            n < before
        });
        member.map_or((&self.knob, &self.target), |m| (&m.knob, &m.target))
    }
}

/// A setting that was asked for and will not be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// Knob name.
    pub knob: String,
    /// Where.
    pub target: Target,
    /// Why: already so, inert on this kernel, refused by the driver, conflicts with a step, needs consent.
    pub why: String,
}

/// The document of `lowlat plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// `lowlat.plan`.
    pub schema: Schema,
    /// Interface in focus.
    pub iface: Option<String>,
    /// In the order in which they are tried.
    pub steps: Vec<PlannedStep>,
    /// What was asked for and is not in `steps`.
    pub left_out: Vec<LeftOut>,
}

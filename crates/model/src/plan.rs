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
    /// What is at each op's locus now, in the same order.
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
    /// The group within its finding that it belongs to ([`crate::finding::Setting::joint`]): steps of one group become
    /// one step when the plan is ordered.
    #[serde(default)]
    pub joint: Option<String>,
    /// Why something resets, or that it is not known whether it does: `ixgbe: 1 -> 0 changes TXDCTL.WTHRESH`; `null`
    /// where nothing does.
    #[serde(default)]
    pub resets_why: Option<String>,
    /// What its A/B test is judged by.
    #[serde(default)]
    pub judged_by: JudgedBy,
    /// When it is tried; a stored plan has its steps in order already.
    #[serde(skip)]
    pub order: Order,
}

/// When a step is tried, earliest first: a later one is judged on a path that an earlier one has already made quiet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// What the link negotiates: pause, energy-efficient Ethernet.
    Link,
    /// Where packets are dropped or queue.
    Queues,
    /// Which CPU does what.
    Placement,
    /// What sleeps.
    Power,
    /// When the device interrupts, and what it takes from the CPU.
    Interrupts,
    /// The kernel's own network settings.
    Kernel,
    /// Memory management.
    Memory,
    /// What is not a live setting of the host: routes, boot parameters, sockets.
    #[default]
    Last,
}

impl PlannedStep {
    /// The interfaces it writes to: its own, and those of a joint step's members.
    pub fn ifaces(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.target).chain(self.members.iter().map(|m| &m.target)).filter_map(Target::iface)
    }

    /// The writes, each with the knob and the target that it belongs to: a member's of a joint step, else the step's
    /// own.
    pub fn owned_ops(&self) -> impl Iterator<Item = (&str, &Target, &Op)> {
        let members = self.members.iter().flat_map(|m| std::iter::repeat_n((m.knob.as_str(), &m.target), m.ops));
        let owners = members.chain(std::iter::repeat((self.knob.as_str(), &self.target)));
        self.ops.iter().zip(owners).map(|(op, (knob, target))| (knob, target, op))
    }
}

/// What the A/B test of a step is judged by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JudgedBy {
    /// Round trips of the probe.
    #[default]
    RoundTrips,
    /// Growth of a counter, for faults that lose other programs' packets, which the probe's round trips cannot show.
    Counter {
        /// Counter group, e.g. `snmp`.
        group: String,
        /// Key within it, e.g. `Udp.RcvbufErrors`.
        key: String,
    },
    /// The user's own number (`--judge`, `--judge-histogram`, `--judge-live`).
    Command {
        /// Run by `sh -c`; of another source its words.
        command: String,
        /// A larger number is better.
        higher_is_better: bool,
    },
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
    /// Interface to examine.
    pub iface: Option<String>,
    /// In the order in which they are tried.
    pub steps: Vec<PlannedStep>,
    /// What was asked for and is not in `steps`.
    pub left_out: Vec<LeftOut>,
}

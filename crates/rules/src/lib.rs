//! The rule base: one file per rule, one line per file in [`RULES`].
//!
//! A rule is pure: facts (and what was measured) in, findings out. It reads no clock and no file, so a captured host
//! replays it. A rule is named for the fault, never for the remedy. Its doc comment is its page in the reference.

use lowlat_model::{Facts, Finding, Measurement, NotSeen};

/// What a rule may look at.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The host.
    pub facts: &'a Facts,
    /// The path, where it was measured.
    pub baseline: Option<&'a Measurement>,
    /// The latency wanted, ns.
    pub goal_ns: Option<u64>,
}

/// What a rule saw.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Seen {
    /// Faults.
    pub findings: Vec<Finding>,
    /// Facts it needed and did not get.
    pub not_seen: Vec<NotSeen>,
}

/// What is known of a rule before it runs.
#[derive(Debug)]
pub struct Meta {
    /// `netem-on-path`, `receive-buffer-errors`: the fault.
    pub name: &'static str,
    /// The page: Markdown with the sections `What it finds`, `Why it matters`, `Threshold`, `Remedy`.
    pub page: &'static str,
    /// Where threshold and facts come from.
    pub sources: &'static [&'static str],
    /// File of the rule.
    pub file: &'static str,
}

/// One rule.
pub trait Rule: Sync {
    /// What is known of it.
    fn meta(&self) -> &'static Meta;
    /// Looks.
    fn check(&self, input: &Input<'_>) -> Seen;
}

/// Every rule, in the order in which faults should be mended: link errors, drops, placement, power, coalescing,
/// sockets.
pub static RULES: &[&dyn Rule] = &[];

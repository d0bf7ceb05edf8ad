//! What a finished run is worth: the checklist of ten, the confidence score, escalations and next steps.
//!
//! Pure: it reads the values the stages before it stored, no file and no clock. Whatever the report says about trust
//! is decided here; the report prints it. Each rule is one small function that says its points or its condition.
//!
//! The three states matter everywhere: *met* and *not met* are claims and need something measured or read back;
//! what can be neither is `null`, with the reason as its evidence.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod checklist;
mod confidence;
mod escalation;
mod next;
#[cfg(test)]
mod sample;
mod words;

use lowlat_model::document::{ChecklistItem, ConfidencePart, EngineResult, StepResult};
use lowlat_model::{Facts, Finding, Measurement};

/// What a run left behind.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The host before anything was changed.
    pub facts: &'a Facts,
    /// The host with the kept configuration, its window over the result's measurement. `None` in a dry run.
    pub facts_after: Option<&'a Facts>,
    /// The path before.
    pub baseline: Option<&'a Measurement>,
    /// The path after, idle.
    pub result: Option<&'a Measurement>,
    /// The path after, under load.
    pub loaded: Option<&'a Measurement>,
    /// What was found.
    pub findings: &'a [Finding],
    /// What was tried.
    pub steps: &'a [StepResult],
    /// The engines on the same path.
    pub engines: &'a [EngineResult],
    /// The goal, ns.
    pub goal_ns: Option<u64>,
    /// What was kept was also written so that it survives a reboot.
    pub persisted: bool,
    /// Nothing was to be changed.
    pub dry_run: bool,
}

impl<'a> Input<'a> {
    /// The host as it stands now: after the run where it was read again.
    fn now(&self) -> &'a Facts {
        self.facts_after.unwrap_or(self.facts)
    }

    /// The path as it stands now: the result, or the baseline where nothing was changed.
    fn present(&self) -> Option<&'a Measurement> {
        self.result.or(self.baseline)
    }

    fn kept(&self) -> impl Iterator<Item = &'a StepResult> {
        self.steps.iter().filter(|s| s.kept)
    }
}

/// What the report says about trust.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The ten items, in the order of [`checklist`](crate::assess).
    pub checklist: Vec<ChecklistItem>,
    /// 0–100: the sum of `parts`.
    pub confidence: u8,
    /// Each rule's share.
    pub parts: Vec<ConfidencePart>,
    /// What a person must know before going on, weightiest first.
    pub escalations: Vec<String>,
    /// What to do next.
    pub next_steps: Vec<String>,
}

/// Judges a run.
pub fn assess(input: &Input<'_>) -> Assessment {
    let checklist = checklist::ITEMS.iter().map(|item| item(input)).collect::<Vec<_>>();
    let parts = confidence::PARTS.iter().map(|part| part(input)).collect::<Vec<_>>();
    let confidence = confidence::total(&parts);
    let escalations = escalation::all(input, confidence, &parts);
    let next_steps = next::all(input, &checklist);
    Assessment { checklist, confidence, parts, escalations, next_steps }
}

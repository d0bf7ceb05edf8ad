//! What a finished run is worth: the verdict, the checklist of ten, the confidence score, escalations and next steps.
//!
//! Pure: it reads the values the stages before it stored, no file and no clock. Whatever the report says about trust
//! is decided here; the report prints it. Each rule is one small function that says its points or its condition.
//!
//! The three states matter everywhere: *met* and *not met* are claims and need something measured or read back;
//! what can be neither is `null`, with the reason as its evidence.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cause;
mod checklist;
mod confidence;
mod escalation;
mod next;
#[cfg(test)]
mod sample;
mod steps;
mod verdict;
mod words;

use lowlat_model::document::{ChecklistItem, ConfidencePart, EngineResult, StepResult, SummaryLine};
use lowlat_model::judge::OwnFigure;
use lowlat_model::tune::{Headline, Modes, Placement};
use lowlat_model::{Facts, Finding, GoalResult, Measurement};

/// What a run left behind.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The host before anything was changed.
    pub facts: &'a Facts,
    /// The host with the kept configuration, its window over the result's measurement. `None` in a dry run.
    pub facts_after: Option<&'a Facts>,
    /// The path before: an arm of the headline's test where something was kept.
    pub baseline: Option<&'a Measurement>,
    /// The path after, idle: the other arm.
    pub result: Option<&'a Measurement>,
    /// The path after, under load.
    pub loaded: Option<&'a Measurement>,
    /// What was found.
    pub findings: &'a [Finding],
    /// What was tried.
    pub steps: &'a [StepResult],
    /// The engines on the same path.
    pub engines: &'a [EngineResult],
    /// What the whole kept configuration gained; its figures are `null` where nothing was kept.
    pub headline: &'a Headline,
    /// The user's own command, where it judged.
    pub judge: Option<&'a OwnFigure>,
    /// Every goal and whether it was met; empty where none was given.
    pub goals: &'a [GoalResult],
    /// The rounds of the path as it was fall into two groups.
    pub modes: Option<&'a Modes>,
    /// Faults off the path.
    pub elsewhere: &'a [Finding],
    /// Interfaces of the path from the top down; empty where it is not known.
    pub path: &'a [String],
    /// Where the probers ran.
    pub placement: &'a Placement,
    /// What was kept was also written so that it survives a reboot.
    pub persisted: bool,
    /// Nothing was to be changed.
    pub dry_run: bool,
    /// What was kept is put back after the report (`--rollback`, the demo): there is nothing to persist.
    pub will_be_rolled_back: bool,
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

    /// The name of the document that [`Self::now`] is stored as, among the run's.
    fn facts_name(&self) -> &'static str {
        if self.facts_after.is_some() { "facts-after" } else { "facts" }
    }

    /// Where a fact of the host as it stands now is found: `facts-after.cpus.power`.
    fn fact(&self, place: impl std::fmt::Display) -> String {
        format!("{}.{place}", self.facts_name())
    }

    /// Where a figure of the path as it stands now is found: `run.result.jitter_ratio`.
    fn figure(&self, place: &str) -> String {
        format!("run.{}.{place}", if self.result.is_some() { "result" } else { "baseline" })
    }

    /// The CPU on which the application's stand-in, the near prober, ran.
    fn application_cpu(&self) -> Option<u32> {
        self.placement.near.cpu.or(self.present().and_then(|m| m.cpu))
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
    /// Where what each of them says is found, in the same order.
    pub escalations_rest_on: Vec<Vec<String>>,
    /// What to do next, most useful first.
    pub next_steps: Vec<String>,
    /// The verdict in five lines: `Cause:`, `Changed:`, `Gain:`, `Goal:`, `Next:`.
    pub summary: Vec<SummaryLine>,
}

/// Judges a run.
pub fn assess(input: &Input<'_>) -> Assessment {
    let checklist = checklist::all(input);
    let parts = confidence::all(input);
    let confidence = confidence::total(&parts);
    let causes = cause::ranked(input, &checklist);
    let (escalations, escalations_rest_on) = escalation::all(input, confidence, &parts, &causes).into_iter().unzip();
    let next = next::all(input, &checklist);
    let summary = verdict::lines(input, &causes, &next);
    let next_steps = next.into_iter().map(|n| n.text).collect();
    Assessment { checklist, confidence, parts, escalations, escalations_rest_on, next_steps, summary }
}

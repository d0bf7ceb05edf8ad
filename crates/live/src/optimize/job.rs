//! What `optimize` is asked to do.

use lowlat_model::finding::Setting;
use lowlat_model::tune::Scope;
use lowlat_model::{Goal, GoalQuantile, NotSeen};
use lowlat_tune::Limits;

use crate::around::AroundAsk;
use crate::judge::Judge;
use crate::path::ProbePath;

/// What to do, as the flags say it.
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own; none excludes another
#[derive(Debug, Clone)]
pub struct Job {
    /// Interface.
    pub iface: String,
    /// The path that is probed; `None` where the user's command judges alone.
    pub path: Option<ProbePath>,
    /// Another program whose changes are tried, in place of what the findings ask for.
    pub around: Option<AroundAsk>,
    /// The user's own command, where it judges.
    pub judge: Option<Judge>,
    /// The path for the engine comparison, where it has a far end of its own; else `path`.
    pub engine_path: Option<ProbePath>,
    /// Goals, lowest quantile first, free of contradictions.
    pub goals: Vec<Goal>,
    /// What the user believes to have now, ns.
    pub present_ns: Option<u64>,
    /// Engine of baseline and A/B tests.
    pub engine: String,
    /// Change nothing.
    pub dry_run: bool,
    /// Try steps that reset the link.
    pub allow_disruptive: bool,
    /// How far a step may reach: the path's own interfaces, the network namespace, or the host.
    pub reach: Scope,
    /// How the steps and the whole are judged.
    pub limits: Limits,
    /// Baseline length, ns.
    pub duration_ns: u64,
    /// Engines to show.
    pub engines: Vec<String>,
    /// Settings to try beside those that the findings ask for.
    pub asked: Vec<Setting>,
    /// What was left out before the run began, and why: a load where the far end has no sink.
    pub not_seen: Vec<NotSeen>,
    /// Look where the round trips take their time, before the steps and after them.
    pub stages: bool,
    /// Everything is put back after the report, so nothing is there to be persisted.
    pub rolls_back: bool,
}

/// The quantiles of goals that the judge does not look at anyway; 1 for the slowest round trip.
pub fn goal_quantiles(goals: &[Goal]) -> Vec<f64> {
    let judged_anyway = [GoalQuantile::P50, GoalQuantile::P99];
    goals.iter().map(|g| g.quantile).filter(|q| !judged_anyway.contains(q)).map(GoalQuantile::share).collect()
}

impl Job {
    /// What the run is against, for people.
    pub fn target_words(&self) -> String {
        self.path.as_ref().map_or_else(
            || format!("none: {}", self.judge.as_ref().map_or("not judged", |j| j.kind().judged_by())),
            |p| p.words.clone(),
        )
    }

    /// The goal of the median, ns.
    pub fn median_goal_ns(&self) -> Option<u64> {
        self.goals.iter().find(|g| g.quantile == GoalQuantile::P50).map(|g| g.goal_ns)
    }
}

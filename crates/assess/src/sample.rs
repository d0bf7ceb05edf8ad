//! A run on which every rule is content, for the tests to spoil.

use lowlat_model::document::{EngineResult, StepResult};
use lowlat_model::facts::{Feature, Interface};
use lowlat_model::judge::OwnFigure;
use lowlat_model::tune::{Headline, Modes, Placement};
use lowlat_model::{Facts, Finding, GoalQuantile, GoalResult, Measurement, Reading};
use lowlat_testkit::{facts, run};

use crate::Input;

/// Owns what an [`Input`] borrows.
#[allow(clippy::struct_field_names)] // the names are those of `Input`
pub(crate) struct Run {
    pub(crate) facts: Facts,
    pub(crate) facts_after: Option<Facts>,
    pub(crate) baseline: Option<Measurement>,
    pub(crate) result: Option<Measurement>,
    pub(crate) loaded: Option<Measurement>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) steps: Vec<StepResult>,
    pub(crate) engines: Vec<EngineResult>,
    pub(crate) headline: Headline,
    pub(crate) judge: Option<OwnFigure>,
    pub(crate) goals: Vec<GoalResult>,
    pub(crate) modes: Option<Modes>,
    pub(crate) elsewhere: Vec<Finding>,
    pub(crate) path: Vec<String>,
    pub(crate) placement: Placement,
    pub(crate) persisted: bool,
    pub(crate) dry_run: bool,
    pub(crate) will_be_rolled_back: bool,
}

impl Run {
    /// From 200 µs to 80 µs, everything seen, everything in its place.
    pub(crate) fn good() -> Self {
        let document = run::document();
        let mut host = facts::healthy();
        if let Reading::Value(features) = &mut facts::iface(&mut host).features {
            features.insert("rx-lro".into(), Feature { active: false, changeable: true });
        }
        // The application runs next to the NIC, and no interrupt of it fires there.
        host.cpus.node_of = (0..4).map(|c| (c, 0)).collect();
        Self {
            facts: host.clone(),
            facts_after: Some(host),
            baseline: document.baseline,
            result: document.result,
            loaded: document.loaded,
            findings: document.findings,
            steps: document.steps.into_iter().filter(|s| s.comparison.is_some()).collect(),
            engines: vec![],
            headline: document.headline,
            judge: None,
            goals: vec![goal(100_000, 80_000)],
            modes: None,
            elsewhere: vec![],
            path: document.path,
            placement: Placement::default(),
            persisted: true,
            dry_run: false,
            will_be_rolled_back: false,
        }
    }

    /// Nothing was kept: no headline, and the path before and after by two measurements.
    pub(crate) fn nothing_kept() -> Self {
        let mut run = Self::good();
        run.steps.retain(|s| !s.kept);
        run.headline = Headline::default();
        run
    }

    pub(crate) fn after(&mut self) -> &mut Facts {
        self.facts_after.as_mut().unwrap()
    }

    pub(crate) fn iface(&mut self) -> &mut Interface {
        facts::iface(self.after())
    }

    pub(crate) fn input(&self) -> Input<'_> {
        Input {
            facts: &self.facts,
            facts_after: self.facts_after.as_ref(),
            baseline: self.baseline.as_ref(),
            result: self.result.as_ref(),
            loaded: self.loaded.as_ref(),
            findings: &self.findings,
            steps: &self.steps,
            engines: &self.engines,
            headline: &self.headline,
            judge: self.judge.as_ref(),
            goals: &self.goals,
            modes: self.modes.as_ref(),
            elsewhere: &self.elsewhere,
            path: &self.path,
            placement: &self.placement,
            persisted: self.persisted,
            dry_run: self.dry_run,
            will_be_rolled_back: self.will_be_rolled_back,
        }
    }
}

/// A goal for the median, judged.
pub(crate) fn goal(goal_ns: u64, measured_ns: u64) -> GoalResult {
    let quantile = GoalQuantile::P50;
    GoalResult { quantile, goal_ns, measured_ns: Some(measured_ns), met: Some(measured_ns <= goal_ns) }
}

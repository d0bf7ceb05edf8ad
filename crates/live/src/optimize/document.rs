//! The run's document, from what each stage left.

use lowlat_assess::Assessment;
use lowlat_model::around::Around;
use lowlat_model::document::{EngineResult, RunDocument, StepResult};
use lowlat_model::judge::OwnFigure;
use lowlat_model::measurement::{Measurement, Quantiles};
use lowlat_model::trace::RunStages;
use lowlat_model::tune::{Headline, Modes, Placement};
use lowlat_model::{Facts, Finding, Goal, GoalQuantile, GoalResult, NotSeen, Plan, Schema};
use lowlat_tune::Tuned;

use super::Job;
use crate::probe::words;

/// The run as it grows.
pub(super) struct Parts {
    pub run: String,
    pub started_unix_ns: u64,
    pub facts: Facts,
    pub facts_after: Option<Facts>,
    /// The path as it was found; the findings are of it. `None` where it is not probed.
    pub observed: Option<Measurement>,
    /// What another program changed.
    pub around: Option<Around>,
    /// What the user's command printed before anything was changed.
    pub judge: Option<OwnFigure>,
    pub findings: Vec<Finding>,
    pub elsewhere: Vec<Finding>,
    pub not_seen: Vec<NotSeen>,
    pub plan: Plan,
    pub placement: Placement,
    pub engines: Vec<EngineResult>,
    pub tuned: Option<Tuned>,
    /// `None` where they were not to be looked at.
    pub stages: Option<RunStages>,
}

impl Parts {
    /// Everything so far as a document.
    pub(super) fn document(&self, job: &Job) -> RunDocument {
        let tuned = self.tuned.as_ref();
        let baseline = tuned.and_then(|t| t.baseline.as_ref()).or(self.observed.as_ref());
        let result = tuned.and_then(|t| t.result.as_ref());
        let loaded = tuned.and_then(|t| t.loaded.as_ref());
        let steps: &[StepResult] = tuned.map_or(&[], |t| &t.steps);
        let headline = tuned.map(|t| t.headline.clone()).unwrap_or_default();
        let modes = tuned.and_then(|t| t.modes.clone());
        let goals = judged(&job.goals, result);
        let assessment = self.assess(job, (baseline, result, loaded), steps, (&headline, modes.as_ref(), &goals));
        let focus = self.facts.interfaces.get(&job.iface);
        let text = |r: Option<&lowlat_model::Reading<String>>| match r {
            Some(r) => match r.why_not() {
                None => r.value().cloned().unwrap_or_default(),
                Some((kind, _)) => format!("n/a ({kind})"),
            },
            None => "n/a (no such interface)".to_owned(),
        };
        RunDocument {
            schema: Schema::current("optimize"),
            run: self.run.clone(),
            started_unix_ns: self.started_unix_ns,
            iface: job.iface.clone(),
            driver: text(focus.map(|i| &i.driver)),
            driver_version: text(focus.map(|i| &i.driver_version)),
            kernel: text(Some(&self.facts.host.release)),
            target: job.target_words(),
            dry_run: job.dry_run,
            baseline: baseline.cloned(),
            result: result.cloned(),
            loaded: loaded.cloned(),
            loaded_baseline: tuned.and_then(|t| t.loaded_baseline.clone()),
            findings: self.findings.clone(),
            elsewhere: self.elsewhere.clone(),
            not_seen: self.not_seen(job),
            steps: steps.to_vec(),
            engines: self.engines.clone(),
            checklist: assessment.checklist,
            confidence: assessment.confidence,
            confidence_parts: assessment.parts,
            goal_ns: job.median_goal_ns(),
            goal_met: lowlat_model::goal::all_met(&goals),
            goals,
            headline,
            path: self.facts.path.iter().map(|l| l.name.clone()).collect(),
            path_links: self.facts.path.clone(),
            placement: self.placement.clone(),
            modes,
            stages: self.stages.clone().map(Box::new),
            judge: self.judge.clone(),
            around: self.around.clone(),
            summary: assessment.summary,
            escalations: assessment.escalations,
            escalations_rest_on: assessment.escalations_rest_on,
            next_steps: self.present_words(job).into_iter().chain(assessment.next_steps).collect(),
            ..RunDocument::default()
        }
    }

    fn assess(
        &self,
        job: &Job,
        (baseline, result, loaded): (Option<&Measurement>, Option<&Measurement>, Option<&Measurement>),
        steps: &[StepResult],
        (headline, modes, goals): (&Headline, Option<&Modes>, &[GoalResult]),
    ) -> Assessment {
        let path: Vec<String> = self.facts.path.iter().map(|l| l.name.clone()).collect();
        lowlat_assess::assess(&lowlat_assess::Input {
            facts: &self.facts,
            facts_after: self.facts_after.as_ref(),
            baseline,
            result,
            loaded,
            findings: &self.findings,
            steps,
            engines: &self.engines,
            headline,
            judge: self.judge.as_ref(),
            goals,
            modes,
            elsewhere: &self.elsewhere,
            path: &path,
            placement: &self.placement,
            persisted: false,
            dry_run: job.dry_run,
            will_be_rolled_back: job.rolls_back,
        })
    }

    fn present_words(&self, job: &Job) -> Option<String> {
        self.observed.as_ref().and_then(|observed| present_words(job, observed))
    }

    fn not_seen(&self, job: &Job) -> Vec<NotSeen> {
        let mut all = self.not_seen.clone();
        all.extend(self.plan.left_out.iter().map(|l| NotSeen {
            fact: format!("step {} on {}", l.knob, l.target),
            why: format!("left out: {}", l.why),
        }));
        all.extend(job.not_seen.iter().cloned());
        all
    }
}

/// The goals against the result. The median is that of ping-pong; a higher quantile has to hold for ping-pong and for
/// the probes on a plan, since a fault may show in the one alone: the slower figure counts.
fn judged(goals: &[Goal], result: Option<&Measurement>) -> Vec<GoalResult> {
    let one = |goal: &Goal| {
        let rtt = GoalResult::judge(*goal, result.map(|m| &m.rtt));
        let planned: Option<&Quantiles> = result.map(|m| &m.rtt_planned).filter(|q| q.samples > 0);
        if goal.quantile == GoalQuantile::P50 || planned.is_none() {
            return rtt;
        }
        let planned = GoalResult::judge(*goal, planned);
        match (rtt.met, planned.met) {
            (Some(false), _) | (_, None) => rtt,
            (_, Some(false)) | (None, _) => planned,
            _ if planned.measured_ns > rtt.measured_ns => planned,
            _ => rtt,
        }
    };
    goals.iter().map(one).collect()
}

/// What the user believed to have, set against what was measured; said only where they are far apart.
fn present_words(job: &Job, baseline: &Measurement) -> Option<String> {
    let (believed, measured) = (job.present_ns?, baseline.rtt.p50_ns?);
    // A factor of two: below that, the difference of load and hour explains it.
    (believed.max(measured) > 2 * believed.min(measured)).then(|| {
        format!(
            "you gave {} as the present latency, and {} was measured: check which path your figure was of",
            words(Some(believed)),
            words(Some(measured))
        )
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may end by panic
mod tests {
    use super::*;

    fn measured(rtt: u64, planned: Option<u64>) -> Measurement {
        let q = |ns: u64| Quantiles::of(&mut vec![ns; 2_000]);
        Measurement { rtt: q(rtt), rtt_planned: planned.map(q).unwrap_or_default(), ..Measurement::default() }
    }

    #[test]
    fn a_tail_goal_holds_for_ping_pong_and_from_the_plan() {
        let goals: Vec<Goal> = ["50us", "p99=100us"].iter().map(|g| g.parse().unwrap()).collect();
        let met = |m: &Measurement| judged(&goals, Some(m)).iter().map(|g| (g.measured_ns, g.met)).collect::<Vec<_>>();
        assert_eq!(met(&measured(40_000, Some(300_000))), [(Some(40_000), Some(true)), (Some(300_000), Some(false))]);
        assert_eq!(met(&measured(40_000, Some(60_000))), [(Some(40_000), Some(true)), (Some(60_000), Some(true))]);
        assert_eq!(met(&measured(40_000, None)), [(Some(40_000), Some(true)), (Some(40_000), Some(true))]);
        assert_eq!(judged(&goals, None).iter().map(|g| g.met).collect::<Vec<_>>(), [None, None]);
    }
}

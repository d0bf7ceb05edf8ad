//! The main job: baseline → findings → plan → each step proved on the live path → engines → result → report.
//!
//! This module only wires the stages together; each stage's own crate computes, and each stage's value is stored under
//! `runs/<id>/`, so that any stage can be replayed from the file before it.

mod engines;
pub mod judge;
mod preflight;
mod route;
mod steps;

use lowlat_apply::Session;
use lowlat_assess::Assessment;
use lowlat_knobs::resolve;
use lowlat_model::document::{EngineResult, RunDocument, StepResult};
use lowlat_model::measurement::Measurement;
use lowlat_model::{Facts, Finding, NotSeen, Plan, Schema, Window};
use lowlat_rules::Input;
use lowlat_sys::Sys;
use lowlat_sys::store::Store;

use crate::failure::Failure;
use crate::path::Path;
use crate::probe::{self, Ask, words};
use crate::signals;

pub use preflight::{cpu_usable, free_to_change, interface, interface_known, preflight};
pub use route::leads_over;

/// What to do, as the flags say it.
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own; none excludes another
#[derive(Debug, Clone)]
pub struct Job {
    /// Interface.
    pub iface: String,
    /// The path.
    pub path: Path,
    /// The path for the engine comparison, where it has a far end of its own; else `path`.
    pub engine_path: Option<Path>,
    /// Goal, ns.
    pub goal_ns: Option<u64>,
    /// What the user believes to have now, ns.
    pub present_ns: Option<u64>,
    /// Engine of baseline and A/B tests.
    pub engine: String,
    /// Change nothing.
    pub dry_run: bool,
    /// Try steps that reset the link.
    pub allow_disruptive: bool,
    /// Try steps that reach beyond the interface's own network namespace.
    pub allow_host_wide: bool,
    /// Try nothing but settings of the path's own interfaces.
    pub own_settings_only: bool,
    /// Pairs of rounds per step.
    pub pairs: u32,
    /// Round length, ns.
    pub round_ns: u64,
    /// Baseline and result length, ns.
    pub duration_ns: u64,
    /// Streams of the loaded measurement; 0 leaves it out.
    pub load_streams: u32,
    /// Engines to show.
    pub engines: Vec<String>,
}

/// What a run leaves behind.
pub struct Finished {
    /// The document.
    pub document: RunDocument,
    /// What was planned.
    pub plan: Plan,
    /// The open transaction, if anything was applied.
    pub session: Option<Session>,
}

/// Runs the whole job. On any failure, and on a stop, everything that was applied is put back before it returns.
pub fn run(job: &Job, sys: &dyn Sys, store: &Store, say: &mut dyn FnMut(&str)) -> Result<Finished, Failure> {
    let started_unix_ns = crate::wall_clock_ns();
    let run_id = store.new_run_id(started_unix_ns);

    say(&format!("phase 1: baseline of {} over {} ({})", job.path.words, job.iface, job.engine));
    let (facts, baseline) = observe(job, sys, say).map_err(|f| Failure::because(f, "nothing was changed"))?;
    let (findings, not_seen) = find(&facts, Some(&baseline), job.goal_ns);
    let plan = make_plan(&findings, &facts, sys, job.allow_disruptive, job.allow_host_wide, job.own_settings_only);
    store.save_stage(&run_id, "facts", &facts)?;
    store.save_stage(&run_id, "baseline", &baseline)?;
    store.save_stage(&run_id, "plan", &plan)?;
    say(&format!("{} findings, {} steps to try", findings.len(), plan.steps.len()));

    let mut parts = Parts {
        run: run_id.clone(),
        started_unix_ns,
        facts,
        facts_after: None,
        baseline,
        findings,
        not_seen,
        plan,
        steps: Vec::new(),
        engines: Vec::new(),
        result: None,
        loaded: None,
        loaded_baseline: None,
    };
    if job.dry_run {
        return Ok(Finished { document: parts.document(job), plan: parts.plan, session: None });
    }

    let mut session = Session::begin(store, sys)?;
    session.stop_on(signals::stop());
    let outcome = tune(job, sys, &mut session, &mut parts, say).and_then(|()| {
        let document = parts.document(job);
        store.save_stage(&run_id, "run", &document)?;
        Ok(document)
    });
    let document = match outcome {
        Ok(document) => document,
        Err(failure) => {
            // Also the way out of Ctrl-C: what was applied goes back before anything is said.
            let report = session.rollback(sys);
            return Err(match report {
                Ok(r) if r.complete() => Failure::new(format!("{failure}; everything that was applied was put back")),
                Ok(r) => Failure::new(format!(
                    "{failure}; {} settings could not be put back, see `lowlat status`",
                    r.failed.len()
                )),
                Err(e) => Failure::new(format!("{failure}; putting back failed too: {e}; run `lowlat rollback`")),
            });
        }
    };
    Ok(Finished { document, plan: parts.plan, session: Some(session) })
}

/// Facts with counters on both sides of the baseline measurement.
fn observe(job: &Job, sys: &dyn Sys, say: &mut dyn FnMut(&str)) -> Result<(Facts, Measurement), Failure> {
    let before = lowlat_probes::counters(sys);
    let ask = Ask { duration_ns: job.duration_ns, ..Ask::new(&job.path, &job.engine) };
    let baseline = probe::measure(&ask, sys)?;
    let mut facts = lowlat_probes::gather_path(sys, Some(&job.iface), Some(job.path.remote.into()), None);
    facts.window = Some(Window { before, after: facts.counters.clone() });
    say(&format!(
        "baseline: p50 {}, p99 {}, lost {} of {}",
        words(baseline.rtt.p50_ns),
        words(baseline.rtt.p99_ns),
        baseline.lost,
        baseline.sent
    ));
    Ok((facts, baseline))
}

/// The rules over facts and baseline.
pub fn find(facts: &Facts, baseline: Option<&Measurement>, goal_ns: Option<u64>) -> (Vec<Finding>, Vec<NotSeen>) {
    let seen = lowlat_rules::check_all(&Input { facts, baseline, goal_ns });
    (seen.findings, seen.not_seen)
}

/// The interfaces whose loss cuts the host off: those of the default route and of login sessions, and what is beneath.
pub fn management_ifaces(facts: &Facts) -> Vec<String> {
    lowlat_plan::management_ifaces(facts)
}

/// Findings to an ordered plan: each setting is resolved against the host, then ordered.
pub fn make_plan(
    findings: &[Finding],
    facts: &Facts,
    sys: &dyn Sys,
    allow_disruptive: bool,
    allow_host_wide: bool,
    own_settings_only: bool,
) -> Plan {
    let mut steps = Vec::new();
    let mut left_out = Vec::new();
    for finding in findings {
        for setting in &finding.remedy.settings {
            match resolve(sys, setting, &format!("{}: {}", finding.rule, finding.title)) {
                Ok(step) => steps.push(step),
                Err(why) => left_out.push(why),
            }
        }
    }
    let options = lowlat_plan::Options {
        allow_disruptive,
        allow_host_wide,
        allow_reboot: false,
        own_settings_only,
        management_ifaces: management_ifaces(facts),
        path: facts.path.iter().map(|l| l.name.clone()).collect(),
    };
    let mut plan = lowlat_plan::order(steps, left_out, &options);
    plan.iface.clone_from(&facts.iface);
    plan
}

/// Everything that changes the host.
fn tune(
    job: &Job,
    sys: &dyn Sys,
    session: &mut Session,
    parts: &mut Parts,
    say: &mut dyn FnMut(&str),
) -> Result<(), Failure> {
    if job.load_streams > 0 {
        say(&format!("the path as it is, under load ({} streams)", job.load_streams));
        parts.loaded_baseline = Some(under_load(job, sys)?);
    }
    stop_point()?;
    say("phase 2: each step with and without, alternated on the live path");
    steps::prove(job, sys, session, &parts.plan, &mut parts.steps, say)?;
    if !job.engines.is_empty() {
        say("phase 3: engines on the same path, interleaved");
        parts.engines = engines::side_by_side(job, &parts.facts, sys, say)?;
    }
    stop_point()?;
    say("verify: the kept configuration, idle and under load");
    let ask = Ask { duration_ns: job.duration_ns, ..Ask::new(&job.path, &job.engine) };
    let before = lowlat_probes::counters(sys);
    parts.result = Some(probe::measure(&ask, sys)?);
    let mut after = lowlat_probes::gather_path(sys, Some(&job.iface), Some(job.path.remote.into()), None);
    after.window = Some(Window { before, after: after.counters.clone() });
    parts.facts_after = Some(after);
    stop_point()?;
    if job.load_streams > 0 {
        parts.loaded = Some(under_load(job, sys)?);
    }
    stop_point()
}

/// The same measurement beside bulk TCP streams (row E2).
fn under_load(job: &Job, sys: &dyn Sys) -> Result<Measurement, Failure> {
    let ask = Ask { duration_ns: job.duration_ns, load_streams: job.load_streams, ..Ask::new(&job.path, &job.engine) };
    probe::measure(&ask, sys)
}

/// A failure if a stop was asked for.
fn stop_point() -> Result<(), Failure> {
    if signals::stopped() { Err(Failure::new("optimize: interrupted by a signal")) } else { Ok(()) }
}

/// The run as it grows.
struct Parts {
    run: String,
    started_unix_ns: u64,
    facts: Facts,
    facts_after: Option<Facts>,
    baseline: Measurement,
    findings: Vec<Finding>,
    not_seen: Vec<NotSeen>,
    plan: Plan,
    steps: Vec<StepResult>,
    engines: Vec<EngineResult>,
    result: Option<Measurement>,
    loaded: Option<Measurement>,
    loaded_baseline: Option<Measurement>,
}

impl Parts {
    fn document(&self, job: &Job) -> RunDocument {
        let focus = self.facts.interfaces.get(&job.iface);
        let text = |r: Option<&lowlat_model::Reading<String>>| match r {
            Some(r) => match r.why_not() {
                None => r.value().cloned().unwrap_or_default(),
                Some((kind, _)) => format!("n/a ({kind})"),
            },
            None => "n/a (no such interface)".to_owned(),
        };
        let goal_met = match (job.goal_ns, self.result.as_ref().and_then(|m| m.rtt.p50_ns)) {
            (Some(goal), Some(p50)) => Some(p50 <= goal),
            _ => None,
        };
        let assessment: Assessment = lowlat_assess::assess(&lowlat_assess::Input {
            facts: &self.facts,
            facts_after: self.facts_after.as_ref(),
            baseline: Some(&self.baseline),
            result: self.result.as_ref(),
            loaded: self.loaded.as_ref(),
            findings: &self.findings,
            steps: &self.steps,
            engines: &self.engines,
            goal_ns: job.goal_ns,
            persisted: false,
            dry_run: job.dry_run,
        });
        let mut not_seen = self.not_seen.clone();
        not_seen.extend(self.plan.left_out.iter().map(|l| NotSeen {
            fact: format!("step {} on {}", l.knob, l.target),
            why: format!("left out: {}", l.why),
        }));
        RunDocument {
            schema: Schema::current("optimize"),
            run: self.run.clone(),
            started_unix_ns: self.started_unix_ns,
            iface: job.iface.clone(),
            driver: text(focus.map(|i| &i.driver)),
            driver_version: text(focus.map(|i| &i.driver_version)),
            kernel: text(Some(&self.facts.host.release)),
            target: job.path.words.clone(),
            dry_run: job.dry_run,
            baseline: Some(self.baseline.clone()),
            result: self.result.clone(),
            loaded: self.loaded.clone(),
            loaded_baseline: self.loaded_baseline.clone(),
            findings: self.findings.clone(),
            not_seen,
            steps: self.steps.clone(),
            engines: self.engines.clone(),
            checklist: assessment.checklist,
            confidence: assessment.confidence,
            confidence_parts: assessment.parts,
            goal_ns: job.goal_ns,
            goal_met,
            escalations: assessment.escalations,
            next_steps: present_words(job, &self.baseline).into_iter().chain(assessment.next_steps).collect(),
            planted: None,
            lab: None,
            rollback_verified: None,
            ..RunDocument::default()
        }
    }
}

/// What the user believed to have, set against what was measured; said only where they are far apart.
fn present_words(job: &Job, baseline: &Measurement) -> Option<String> {
    let (believed, measured) = (job.present_ns?, baseline.rtt.p50_ns?);
    // A factor of two: below that, the difference of load and hour explains it.
    (believed.max(measured) > 2 * believed.min(measured)).then(|| {
        format!(
            "you gave {} as the present latency, and {} was measured: see which path the figure was of",
            words(Some(believed)),
            words(Some(measured))
        )
    })
}

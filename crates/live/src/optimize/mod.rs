//! The main job: baseline → findings → plan → each step proved on the live path → engines → result → report.
//!
//! This module only wires the stages together; each stage's own crate computes ([`lowlat_tune`] the loop), and each
//! stage's value is stored under `runs/<id>/`, so that any stage can be replayed from the file before it.

mod document;
mod engines;
mod job;
mod preflight;

use lowlat_apply::Session;
use lowlat_knobs::resolve;
use lowlat_model::document::RunDocument;
use lowlat_model::finding::Setting;
use lowlat_model::judge::OwnFigure;
use lowlat_model::measurement::Measurement;
use lowlat_model::plan::{JudgedBy, LeftOut};
use lowlat_model::trace::{RunStages, TraceDocument};
use lowlat_model::tune::Scope;
use lowlat_model::units::figure;
use lowlat_model::{Facts, Finding, Plan, PlannedStep, Window};
use lowlat_rules::{Input, Seen};
use lowlat_sys::Sys;
use lowlat_sys::store::Store;
use lowlat_tune::{Attach, Limits, RunProgress};

use crate::Failure;
use crate::around;
use crate::bench::LiveBench;
use crate::judge::Judge;
use crate::path::ProbePath;
use crate::probe::{self, Ask, words};
use crate::{signals, trace};
use document::Parts;

pub(crate) use engines::{Trying, tried};
pub use engines::{spare_the_link, xdp_resets};
pub use job::{Job, goal_quantiles};
pub use preflight::{cpu_usable, free_to_change, interface, interface_known, preflight, settle};

/// How long the far end is asked to stay where it is, ns; it is released when the run is over.
const LASTING_NS: u64 = 1_800_000_000_000;

/// What a run leaves behind.
pub struct Finished {
    /// The document.
    pub document: RunDocument,
    /// What was planned.
    pub plan: Plan,
    /// The open transaction, if anything was applied.
    pub session: Option<Session>,
}

/// Who hears what a run says meanwhile.
#[allow(missing_debug_implementations)] // closures
pub struct Reporter<'a> {
    /// How far it is, before each round.
    pub progress: &'a mut dyn FnMut(&RunProgress),
    /// A line for people.
    pub line: &'a mut dyn FnMut(&str),
}

/// Runs the whole job. On any failure, and on a stop, everything that was applied is put back before it returns.
pub fn run(job: &Job, sys: &dyn Sys, store: &Store, heard: &mut Reporter<'_>) -> Result<Finished, Failure> {
    let Reporter { progress, line: say } = heard;
    let started_unix_ns = crate::wall_clock_ns();
    // Decided once: every round of the run, idle and under load and with every engine, runs there.
    let held = job.path.as_ref().map(|path| probe::Held::take(path, LASTING_NS, sys));
    let engines_held = job.engine_path.as_ref().map(|path| probe::Held::take(path, LASTING_NS, sys));
    let path = held.as_ref().map(|held| held.path().clone());
    let placement = path.as_ref().and_then(|path| path.placed.clone()).unwrap_or_default();
    let engine_path = engines_held.as_ref().map(|held| held.path().clone());
    let job = &Job { path, engine_path, ..job.clone() };
    for line in probe::where_placed(&placement) {
        say(&line);
    }
    let attach = engines::own(job, sys, say)?;
    let run_id = store.new_run_id(started_unix_ns);

    let Observed { facts, path: observed, own } =
        observe(job, sys, say, progress).map_err(|f| Failure::because(f, "nothing was changed"))?;
    let job = &Job { limits: limits(job, own.as_ref()), ..job.clone() };
    let seen = find(&facts, observed.as_ref(), job.median_goal_ns());
    let options = plan_options(&facts, job.allow_disruptive, job.reach);
    let mut open = None;
    let (mut plan, around) = match &job.around {
        None => (make_plan(&seen.findings, &job.asked, &facts, sys, &options), None),
        Some(ask) => {
            let session = open.insert(begin(store, sys)?);
            let found = around::changes(ask, &facts, session, sys, &options, say);
            match found {
                Ok((report, plan)) => (plan, Some(report)),
                Err(failure) => return Err(undone(&failure, session, sys)),
            }
        }
    };
    // With another tuner the steps are its own, in its order.
    let stages = observed.as_ref().filter(|_| job.stages && job.around.is_none());
    let stages =
        stages.map(|seen_as| trace::lead(look_at_stages(job, seen_as, sys), &facts, &seen.findings, &mut plan));
    if let Some(judge) = &job.limits.judge {
        plan.steps.iter_mut().for_each(|step| step.judged_by = judge.judged_by());
    }
    let start = begun(store, &run_id, (&facts, observed.as_ref(), &plan));
    if let Err(failure) = start {
        return Err(match &mut open {
            Some(session) => undone(&failure, session, sys),
            None => Failure::because(failure, "nothing was changed"),
        });
    }
    say(&format!("{} findings, {} steps to try", seen.findings.len(), plan.steps.len()));
    for line in lowlat_apply::others(&plan, sys) {
        say(&line);
    }
    stages.iter().flat_map(lines).for_each(|line| say(&line));

    let mut parts = Parts {
        run: run_id.clone(),
        started_unix_ns,
        facts,
        facts_after: None,
        observed,
        around,
        judge: own,
        findings: seen.findings,
        elsewhere: seen.elsewhere,
        not_seen: seen.not_seen,
        plan,
        placement,
        engines: Vec::new(),
        tuned: None,
        stages,
    };
    if job.dry_run {
        let document = parts.document(job);
        store.save_stage(&run_id, "run", &document)?;
        return Ok(Finished { document, plan: parts.plan, session: None });
    }

    let mut session = match open {
        Some(session) => session,
        None => begin(store, sys)?,
    };
    let outcome = tune(job, (sys, attach.as_ref()), &mut session, &mut parts, &mut Reporter { progress, line: say })
        .and_then(|()| {
            // The checklist rests on it.
            if let Some(after) = &parts.facts_after {
                store.save_stage(&run_id, "facts-after", after)?;
            }
            let document = parts.document(job);
            store.save_stage(&run_id, "run", &document)?;
            Ok(document)
        });
    let document = match outcome {
        Ok(document) => document,
        Err(failure) => return Err(undone(&failure, &mut session, sys)),
    };
    Ok(Finished { document, plan: parts.plan, session: Some(session) })
}

/// Stores what the loop starts from, so that it can be replayed. Not after a signal.
fn begun(
    store: &Store,
    run_id: &str,
    (facts, observed, plan): (&Facts, Option<&Measurement>, &Plan),
) -> Result<(), Failure> {
    if signals::stopped() {
        return Err(Failure::new("optimize: interrupted by a signal"));
    }
    store.save_stage(run_id, "facts", facts)?;
    if let Some(observed) = observed {
        store.save_stage(run_id, "baseline", observed)?;
    }
    store.save_stage(run_id, "plan", plan)?;
    Ok(())
}

fn begin(store: &Store, sys: &dyn Sys) -> Result<Session, Failure> {
    let mut session = Session::begin(store, sys)?;
    session.stop_on(signals::stop());
    Ok(session)
}

/// Puts everything back, and says whether that worked. Also the way out of Ctrl-C.
fn undone(failure: &Failure, session: &mut Session, sys: &dyn Sys) -> Failure {
    match session.rollback(sys) {
        Ok(r) if r.complete() => Failure::new(format!("{failure}; every applied change was undone")),
        Ok(r) => Failure::new(format!("{failure}; {} settings were not restored, see `lowlat status`", r.failed.len())),
        Err(e) => Failure::new(format!("{failure}; restoring failed too: {e}; run `lowlat rollback`")),
    }
}

/// The host and the path before anything is changed.
struct Observed {
    facts: Facts,
    path: Option<Measurement>,
    own: Option<OwnFigure>,
}

/// Facts with counters on both sides of the baseline measurement, and of the first runs of the user's command.
fn observe(
    job: &Job,
    sys: &dyn Sys,
    say: &mut dyn FnMut(&str),
    progress: &mut dyn FnMut(&RunProgress),
) -> Result<Observed, Failure> {
    let before = lowlat_collect::counters(sys);
    let own = job.judge.as_ref().map(|judge| own_figure(judge, (job, sys), say)).transpose()?;
    let path = job.path.as_ref().map(|path| baseline(path, job, sys, say, progress)).transpose()?;
    let remote = job.path.as_ref().map(|path| path.remote.into());
    let mut facts = lowlat_collect::gather_path(sys, Some(&job.iface), remote, None);
    facts.window = Some(Window { before, after: facts.counters.clone() });
    Ok(Observed { facts, path, own })
}

/// The user's own metric, read as it will be in each round.
fn own_figure(judge: &Judge, (job, sys): (&Job, &dyn Sys), say: &mut dyn FnMut(&str)) -> Result<OwnFigure, Failure> {
    let own = judge.before(sys)?;
    let numbers: Vec<String> = own.before.iter().map(|v| figure(*v)).collect();
    let (run, pairs) = (own.run_ns as f64 / 1e9, job.limits.most_pairs);
    let longest = run * 2.0 * f64::from(pairs);
    say(&format!(
        "phase 1: {} before: {} ({}); a round takes {run:.1} s, and a step at most {longest:.0} s ({pairs} \
         pairs; --pairs)",
        own.source.number(),
        numbers.join(", "),
        own.direction()
    ));
    Ok(own)
}

/// How the run is judged, by what was seen before it.
fn limits(job: &Job, own: Option<&OwnFigure>) -> Limits {
    let judge = job.judge.as_ref().zip(own).map(|(judge, own)| judge.of_the_loop(own, job.path.is_some()));
    Limits { judge, ..job.limits.clone() }
}

/// The path, measured before anything is changed.
fn baseline(
    path: &ProbePath,
    job: &Job,
    sys: &dyn Sys,
    say: &mut dyn FnMut(&str),
    progress: &mut dyn FnMut(&RunProgress),
) -> Result<Measurement, Failure> {
    say(&format!("phase 1: baseline of {} over {} ({})", path.words, job.iface, job.engine));
    let ask = Ask { duration_ns: job.duration_ns, ..Ask::new(path, &job.engine) };
    // Its steps are not known yet; it is none of them.
    let mut so_far = |p: &lowlat_measure::Progress| {
        let left_ns = job.duration_ns.saturating_sub(p.elapsed_ns);
        progress(&RunProgress { what: "baseline".to_owned(), left_ns, ..RunProgress::default() });
    };
    let baseline = probe::measure_with(&ask, sys, &[], &mut probe::Heard { progress: &mut so_far, line: &mut |_| {} })?;
    if signals::stopped() {
        return Err(Failure::new("measure: interrupted by a signal"));
    }
    say(&format!(
        "baseline: p50 {}, p99 {}, lost {} of {}",
        words(baseline.rtt.p50_ns),
        words(baseline.rtt.p99_ns),
        baseline.lost,
        baseline.sent
    ));
    Ok(baseline)
}

/// Where the round trips take their time, on a path that was just measured.
fn look_at_stages(job: &Job, measured: &Measurement, sys: &dyn Sys) -> Result<TraceDocument, String> {
    let length = (job.duration_ns, measured.rtt.p50_ns);
    let path = job.path.as_ref().ok_or("no path is probed")?;
    trace::short(path, (job.engine.as_str(), None), None, length, sys)
}

/// What the stages lead to, as lines for people.
fn lines(stages: &RunStages) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(why) = &stages.why_not {
        lines.push(format!("stages of the round trip: not seen: {why}"));
    }
    if let Some(largest) = stages.before.as_ref().and_then(|b| b.largest.as_ref()) {
        let share = format!("{:.0} % of the round trip", largest.share_ratio * 100.0);
        lines.push(format!("largest stage: {}, {share}", largest.stage.words()));
    }
    if !stages.tried_last.is_empty() {
        lines.push(format!("tried last, their stages cost nothing here: {}", stages.tried_last.join(", ")));
    }
    lines
}

/// The rules over facts and baseline.
pub fn find(facts: &Facts, baseline: Option<&Measurement>, goal_ns: Option<u64>) -> Seen {
    lowlat_rules::check_all(&Input { facts, baseline, goal_ns })
}

/// The interfaces whose loss cuts the host off: those of the default route and of login sessions, and what is beneath.
pub fn management_ifaces(facts: &Facts) -> Vec<String> {
    lowlat_plan::management_ifaces(facts)
}

/// What may be planned on this host.
pub fn plan_options(facts: &Facts, allow_disruptive: bool, reach: Scope) -> lowlat_plan::PlanOptions {
    lowlat_plan::PlanOptions {
        allow_disruptive,
        reach,
        allow_reboot: false,
        management_ifaces: management_ifaces(facts),
        path: facts.path.iter().map(|l| l.name.clone()).collect(),
    }
}

/// Findings, and settings that were asked for in addition, to an ordered plan: each setting is resolved against the host, then
/// ordered.
pub fn make_plan(
    findings: &[Finding],
    asked: &[Setting],
    facts: &Facts,
    sys: &dyn Sys,
    options: &lowlat_plan::PlanOptions,
) -> Plan {
    let found = findings.iter().flat_map(|f| {
        let reason = format!("{}: {}", f.rule, f.title);
        f.remedy.settings.iter().map(move |setting| (setting, Some(f.rule.as_str()), reason.clone()))
    });
    let asked = asked.iter().map(|setting| (setting, None, "asked for by --try".to_owned()));
    let mut steps = Vec::new();
    let mut left_out = Vec::new();
    for (setting, rule, reason) in found.chain(asked) {
        let left = |why| LeftOut { knob: setting.knob.clone(), target: setting.target.clone(), why };
        // What apply would refuse is said now.
        let refused = |step: PlannedStep| lowlat_apply::foretold(sys, &step).map(|()| step).map_err(left);
        match resolve(sys, setting, &reason).and_then(refused) {
            Ok(step) => steps.push(PlannedStep {
                rules: rule.map(str::to_owned).into_iter().collect(),
                judged_by: rule.map(judged_by).unwrap_or_default(),
                ..step
            }),
            Err(why) => left_out.push(why),
        }
    }
    let mut plan = lowlat_plan::order(steps, left_out, options);
    plan.iface.clone_from(&facts.iface);
    plan
}

/// What a rule's steps are judged by.
fn judged_by(rule: &str) -> JudgedBy {
    match lowlat_rules::find(rule).and_then(|r| r.meta().counted_by) {
        Some((group, key)) => JudgedBy::Counter { group: group.to_owned(), key: key.to_owned() },
        None => JudgedBy::RoundTrips,
    }
}

/// Everything that changes the host.
fn tune(
    job: &Job,
    (sys, attach): (&dyn Sys, Option<&Attach>),
    session: &mut Session,
    parts: &mut Parts,
    heard: &mut Reporter<'_>,
) -> Result<(), Failure> {
    let Reporter { progress, line: say } = heard;
    let before = lowlat_collect::counters(sys);
    let median_ns = parts.observed.as_ref().and_then(|m| m.rtt.p50_ns);
    // The engines are one step more, after those of the loop.
    let engine_path = job.engine_path.as_ref().or(job.path.as_ref()).filter(|_| !job.engines.is_empty());
    let engines = u32::from(engine_path.is_some());
    let engines_ns = lowlat_tune::engines_ns(&job.limits, median_ns, job.engines.len());
    let mut steps = 0;
    let mut of_the_loop = |p: &RunProgress| {
        steps = p.of + engines;
        progress(&RunProgress { of: steps, left_ns: p.left_ns.saturating_add(engines_ns), ..p.clone() });
    };
    let probed = (job.path.as_ref(), job.engine.as_str());
    let mut bench = LiveBench::of(probed, job.judge.as_ref(), sys, &parts.facts.path).heard_by(&mut of_the_loop);
    let limits = (&job.limits, median_ns);
    let whole = match &mut parts.around {
        Some(report) => around::whole(report, (&mut bench, sys, attach), session, &parts.plan, limits, say)?,
        None => None,
    };
    say("phase 2: each step applied and undone, alternated on the live path");
    let mut tuned = lowlat_tune::tune(&mut bench, sys, session, &parts.plan, limits, attach, say)?;
    drop(bench);
    if let Some(whole) = whole {
        let missing = around::keep_all(whole, &mut tuned, session, sys, &parts.plan)?;
        if missing > 0 {
            say(&format!(
                "{missing} of its changes were refused at the end: the rest alone was not tested, and nothing is claimed of it"
            ));
        }
    }
    let after_ns = tuned.result.as_ref().and_then(|m| m.rtt.p50_ns).or(median_ns);
    let kept = tuned.steps.iter().any(|s| s.kept);
    let result = tuned.result.clone();
    parts.tuned = Some(tuned);
    if let (Some(all), Some(result)) = (&mut parts.stages, result.filter(|_| kept)) {
        match look_at_stages(job, &result, sys) {
            Ok(after) => all.after = Some(after),
            Err(why) => all.why_not = all.why_not.take().or(Some(why)),
        }
    }
    if let Some(path) = engine_path {
        say("phase 3: engines on the same path, interleaved");
        // It looks at the links before the trials do something to them.
        let mut of_the_engines = |p: &RunProgress| progress(&RunProgress { step: steps, of: steps, ..p.clone() });
        let mut bench = LiveBench::new(path, &job.engine, sys, &parts.facts.path).heard_by(&mut of_the_engines);
        let trials = engines::trials(job, &parts.facts);
        parts.engines = lowlat_tune::side_by_side(&mut bench, &job.limits, after_ns, &trials, say)?;
    }
    let remote = job.path.as_ref().map(|path| path.remote.into());
    let mut after = lowlat_collect::gather_path(sys, Some(&job.iface), remote, None);
    after.window = Some(Window { before, after: after.counters.clone() });
    parts.facts_after = Some(after);
    if signals::stopped() { Err(Failure::new("optimize: interrupted by a signal")) } else { Ok(()) }
}

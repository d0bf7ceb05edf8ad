//! Another tuner between two looks at the host: what it changed becomes a plan, and the loop proves it.
//!
//! Every setting of the catalogue that the path and the host have is noted in the journal before the program runs. So a
//! rollback puts back whatever it sets of them, also when lowlat ends in the middle. When the program is through, what
//! it changed is put back, and each change is a step like any other: tried in and out, alone and all together.

mod others;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lowlat_apply::{SeenChange, Session, WatchedPlace};
use lowlat_model::around::{Around, ForeignChange, KeepWhat, OtherChange};
use lowlat_model::op::Target;
use lowlat_model::plan::LeftOut;
use lowlat_model::tune::{Disposition, Headline};
use lowlat_model::{Facts, Locus, Op, Plan, PlannedStep, Reading, Risk, State};
use lowlat_sys::Sys;
use lowlat_tune::{Attach, Bench, Limits, Together, Tuned};

use crate::{Failure, judge, signals};

/// A daemon that was asked may go on a little after the program that asked it has ended: two looks this far apart agree…
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// …or the last one after this long counts.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Which program, and what is kept of its changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AroundAsk {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What is kept.
    pub keep: KeepWhat,
}

/// The interface that was named, or that of the route to the target.
pub fn iface(named: Option<&str>, target: Option<&str>, sys: &dyn Sys) -> Result<String, Failure> {
    if let Some(iface) = named {
        return Ok(iface.to_owned());
    }
    let target = target.unwrap_or_default();
    let remote = crate::path::resolve(target, 0)?;
    let facts = lowlat_collect::gather_path(sys, None, Some(remote.into()), None);
    facts.iface.ok_or_else(|| {
        Failure::new(format!("around: no interface is known that leads to {target:?}; name it with --iface IF"))
    })
}

/// Notes what is there, runs the program, and gives what it changed: as a report and as a plan. All of it that lowlat
/// knows is put back again. On a failure the caller rolls the session back.
pub(crate) fn changes(
    ask: &AroundAsk,
    facts: &Facts,
    session: &mut Session,
    sys: &dyn Sys,
    options: &lowlat_plan::PlanOptions,
    say: &mut dyn FnMut(&str),
) -> Result<(Around, Plan), Failure> {
    let places = places(sys, facts);
    let (watched, not_watched) = session.note_places(sys, &places).map_err(host)?;
    let known: BTreeSet<&Locus> = places.iter().map(|p| &p.locus).filter(|l| session.watches(&watched, l)).collect();
    let ifaces = ifaces(facts);
    let before = others::steady(sys, &ifaces, &known);
    let count = session.noted(&watched);
    say(&format!("around: {count} settings of the path and the host are noted; running {}", ask.command.join(" ")));
    let named = ask.command.join(" ");
    let failed = match judge::run_through(&ask.command) {
        Ok(status) if status.success() => None,
        Ok(status) => Some(Failure::new(format!("run {named:?}: {status}; run it by hand until it succeeds"))),
        Err(failure) => Some(failure),
    };
    if let Some(failure) = failed {
        // What lowlat knows the caller puts back; the rest stays, and is named.
        let other = others::differences(&before, &others::all(sys, &ifaces, &known));
        return Err(match other.as_slice() {
            [] => failure,
            all => {
                let paths: Vec<&str> = all.iter().map(|(path, ..)| path.as_str()).collect();
                Failure::new(format!(
                    "{failure}; not put back, since lowlat has no setting for it: {}",
                    paths.join(", ")
                ))
            }
        });
    }
    let changed = settled(session, sys, &watched)?;
    let other = others::differences(&before, &others::all(sys, &ifaces, &known));
    session.undo(sys, watched).map_err(host)?;
    say(&format!(
        "it changed {} settings that lowlat knows, all put back for the tests, and {} others, which stay",
        changed.len(),
        other.len()
    ));
    let plan = plan(sys, facts, &changed, options);
    let report = Around {
        command: ask.command.clone(),
        keep: ask.keep,
        watched: count,
        not_watched,
        changed: changed.iter().map(foreign).collect(),
        not_put_back: other.into_iter().map(|(path, before, after)| OtherChange { path, before, after }).collect(),
        ..Around::default()
    };
    Ok((report, plan))
}

/// The interfaces of the path, and the one in focus.
fn ifaces(facts: &Facts) -> Vec<&str> {
    facts.path.iter().map(|l| l.name.as_str()).chain(facts.iface.as_deref()).collect()
}

/// Every place of a setting that lowlat sets at once, on the interfaces of the path and on the host, each once.
fn places(sys: &dyn Sys, facts: &Facts) -> Vec<WatchedPlace> {
    let ifaces = ifaces(facts);
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for knob in lowlat_knobs::KNOBS.iter().filter(|k| k.meta.risk != Risk::Reboot) {
        let targets = ifaces.iter().filter_map(|iface| knob.targets(sys, Some(*iface)).into_value()).flatten();
        for target in targets {
            for locus in knob.places(sys, &target) {
                // A journal's place has to be known as its knob's when it is read again.
                if knob.owns(&target, &locus) && seen.insert(locus.clone()) {
                    all.push(WatchedPlace { knob: knob.meta.name.to_owned(), target: target.clone(), locus });
                }
            }
        }
    }
    all
}

/// What has changed, once two looks agree.
fn settled(session: &Session, sys: &dyn Sys, watched: &lowlat_apply::StepHandle) -> Result<Vec<SeenChange>, Failure> {
    let until = Instant::now() + LONGEST_WAIT;
    let mut last = session.changed_since(sys, watched);
    loop {
        if signals::stopped() {
            return Err(Failure::new("around: interrupted by a signal"));
        }
        std::thread::sleep(BETWEEN_LOOKS);
        let now = session.changed_since(sys, watched);
        if now == last || Instant::now() >= until {
            return Ok(now);
        }
        last = now;
    }
}

/// Its changes as steps, those of one knob and target as one, in the order in which they are tried.
fn plan(sys: &dyn Sys, facts: &Facts, changed: &[SeenChange], options: &lowlat_plan::PlanOptions) -> Plan {
    let mut of: Vec<(&str, &Target, Vec<Op>, Vec<State>)> = Vec::new();
    let mut left_out = Vec::new();
    for SeenChange { place: WatchedPlace { knob, target, locus }, before, now } in changed {
        let Reading::Value(now) = now else {
            let why = format!("{} is gone since the program ran", lowlat_apply::words(locus));
            left_out.push(LeftOut { knob: knob.clone(), target: target.clone(), why });
            continue;
        };
        let (op, prior) = (Op { locus: locus.clone(), set: now.clone() }, before.clone());
        match of.iter_mut().find(|(k, t, ..)| *k == knob.as_str() && *t == target) {
            Some((.., ops, priors)) => {
                ops.push(op);
                priors.push(prior);
            }
            None => of.push((knob, target, vec![op], vec![prior])),
        }
    }
    let mut steps = Vec::new();
    for (knob, target, ops, prior) in of {
        let Some(knob) = lowlat_knobs::find(knob) else { continue };
        let step = lowlat_knobs::observed(sys, knob, target, (ops, prior), "set by the program");
        // As many as there are CPUs or queues, they were set as one.
        let many = matches!(
            target,
            Target::Cpu(_) | Target::RxQueue(..) | Target::TxQueue(..) | Target::Irq(..) | Target::Napi(..)
        );
        let step = PlannedStep { joint: many.then(|| knob.meta.name.to_owned()), ..step };
        match lowlat_apply::foretold(sys, &step) {
            Ok(()) => steps.push(step),
            Err(why) => left_out.push(LeftOut { knob: step.knob, target: step.target, why }),
        }
    }
    let mut plan = lowlat_plan::order(steps, left_out, options);
    plan.iface.clone_from(&facts.iface);
    plan
}

fn foreign(change: &SeenChange) -> ForeignChange {
    ForeignChange {
        knob: change.place.knob.clone(),
        target: change.place.target.clone(),
        locus: change.place.locus.clone(),
        before: change.before.to_string(),
        after: change.now.value().map(ToString::to_string),
    }
}

/// All of its changes in against all of them out, for the report; the test is given back where all of them are kept.
pub(crate) fn whole(
    report: &mut Around,
    (bench, sys, attach): (&mut dyn Bench, &dyn Sys, Option<&Attach>),
    session: &mut Session,
    plan: &Plan,
    limits: (&Limits, Option<u64>),
    say: &mut dyn FnMut(&str),
) -> Result<Option<Together>, Failure> {
    if plan.steps.is_empty() {
        let why = match report.changed.len() {
            0 => "it changed no setting that lowlat knows",
            _ => "nothing that it changed can be set again by lowlat",
        };
        report.whole_why_not = Some(why.to_owned());
        return Ok(None);
    }
    say("all of its changes in against all of them out, alternated");
    let together = lowlat_tune::together(bench, sys, session, plan, limits, attach, say)?;
    report.whole.clone_from(&together.headline.idle);
    report.whole_why_not.clone_from(&together.why_not);
    Ok((report.keep == KeepWhat::All).then_some(together))
}

/// Puts what the tests left out in place too, as `--keep all` asks. What is claimed is then the test of all of it. Gives how
/// many steps were refused; where there are any, nothing is claimed.
pub(crate) fn keep_all(
    whole: Together,
    tuned: &mut Tuned,
    session: &mut Session,
    sys: &dyn Sys,
    plan: &Plan,
) -> Result<usize, Failure> {
    let mut missing = 0;
    for step in &plan.steps {
        if session.already_at(step) {
            continue;
        }
        let rows = tuned.steps.iter_mut();
        let row = rows.rev().find(|r| r.knob == step.knob && r.target == step.target && r.members == step.members);
        let Some(row) = row else { continue };
        match session.apply(sys, step) {
            Ok(_) => {
                (row.kept, row.disposition) = (true, Disposition::Kept);
                row.note = format!("{}; kept on request (--keep all)", row.note.trim_end_matches("; put back"));
                row.why = None;
            }
            Err(lowlat_apply::StepError::Refused { why }) => {
                missing += 1;
                row.why = Some(format!("refused at the end: {why}"));
            }
            Err(fatal) => return Err(host(fatal)),
        }
    }
    if missing > 0 {
        // What is set is not what was tested as a whole, so nothing is claimed of it.
        tuned.headline = Headline::default();
        (tuned.result, tuned.loaded) = (None, None);
        return Ok(missing);
    }
    // Without the bound of a false keep: settings that were not shown to help are kept on purpose.
    tuned.headline = whole.headline;
    (tuned.baseline, tuned.result) = (whole.baseline, whole.result.or(tuned.result.take()));
    (tuned.loaded_baseline, tuned.loaded) = (None, None);
    Ok(0)
}

fn host(error: lowlat_apply::StepError) -> Failure {
    Failure::from(lowlat_tune::TuneError::from(error))
}

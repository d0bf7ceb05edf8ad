//! `lowlat optimize`: the main job on a real interface.

use lowlat_model::tune::Scope;
use lowlat_sys::store::Store;
use lowlat_sys::{Live, Sys};
use lowlat_tune::Limits;

use crate::args::{FormatArg, OptimizeArgs};
use crate::output;
use crate::progress::ProgressLine;
use lowlat_live::{
    Failure, Outcome,
    optimize::{self, Finished, Job, Reporter},
    path::ProbePath,
};

/// Streams of the measurement under load, where none were asked for and the far end can take them.
const STREAMS: u32 = 2;

/// Runs the command. Exit 1 when a goal was missed.
pub fn run(args: &OptimizeArgs, json: bool) -> Outcome {
    let live = Live::new();
    let mut job = job(args, live)?;
    let store = Store::locate()?;
    optimize::preflight(&job, &live, &store)?;
    optimize::settle(&mut job, args.load.is_some(), &mut output::progress)?;
    if args.dry_run {
        // The others have proved it by now.
        store.ensure_writable()?;
    }
    lowlat_live::signals::at_stake();
    let finished = run_shown(&job, &live, &store)?;
    finish(finished, args.rollback, json, live)
}

/// Ends the transaction, put back or left in place, and prints the run.
pub(super) fn finish(finished: Finished, rolls_back: bool, json: bool, live: Live) -> Outcome {
    let Finished { document, plan, session } = finished;
    if let Some(mut session) = session {
        if rolls_back {
            let report = session.rollback(&live)?;
            output::progress(&report.words());
            if !report.complete() {
                return Err(Failure::new("optimize: not every setting was restored; see `lowlat status`"));
            }
        } else {
            session.leave_open().map_err(|e| {
                Failure::because(
                    e,
                    "kept changes stay in effect, see `lowlat status`; `lowlat rollback` restores the previous values",
                )
            })?;
        }
    }
    if json {
        output::json(&document)?;
    } else if document.dry_run {
        output::report(&lowlat_report::text_at(&document, output::width()));
        output::report(&lowlat_report::plan(&plan, output::width()));
    } else {
        super::report::print(&document, FormatArg::Text)?;
    }
    Ok(super::report::exit_code(&document))
}

/// Runs the job, and shows on stderr how far it is.
pub(super) fn run_shown(job: &Job, sys: &dyn Sys, store: &Store) -> Result<Finished, Failure> {
    let shown = ProgressLine::on_stderr();
    let mut heard = Reporter { progress: &mut |at| shown.show(at, ""), line: &mut output::progress };
    optimize::run(job, sys, store, &mut heard)
}

/// What the flags ask for.
fn job(args: &OptimizeArgs, live: Live) -> Result<Job, Failure> {
    let missing = |what: &str| {
        Failure::new(format!("optimize: {what} is missing; run `lowlat optimize --iface IF --target HOST --goal 50us`"))
    };
    let iface = args.iface.clone().ok_or_else(|| missing("--iface"))?;
    let judge = args.judge.judge()?;
    let path = match &args.target {
        Some(target) => Some(ProbePath::new(target, &args.path.ask(), Some(&iface))),
        None if judge.is_some() => None,
        None => return Err(missing("--target")),
    };
    let goals = args.goal.all()?;
    let quantiles = optimize::goal_quantiles(&goals);
    optimize::interface(&iface, &live)?;
    Ok(Job {
        path: path.transpose()?,
        iface,
        engine_path: None,
        goals,
        present_ns: args.present,
        engine: args.engine.clone(),
        dry_run: args.dry_run,
        allow_disruptive: args.allow_disruptive,
        reach: if args.own_settings_only { Scope::Interface } else { Scope::Host },
        limits: Limits {
            false_keep: args.false_keep,
            worth_ratio: args.worth.ratio,
            worth_ns: args.worth.ns,
            most_pairs: args.pairs,
            fixed: args.fixed,
            round_ns: args.round,
            headline_ns: args.duration,
            load_streams: if judge.is_some() { 0 } else { args.load.unwrap_or(STREAMS) },
            seed: lowlat_live::ab::seed(),
            goals: quantiles,
            judge: None,
        },
        duration_ns: args.duration,
        engines: match args.target {
            Some(_) => lowlat_live::engines::expanded(args.engines.iter().map(String::as_str).filter(|e| *e != "none")),
            None => Vec::new(),
        },
        judge,
        around: None,
        asked: lowlat_live::by_hand::settings("optimize --try", &args.also_try)?,
        not_seen: Vec::new(),
        stages: !args.no_stages,
        rolls_back: args.rollback,
    })
}

//! `lowlat around`: another tuner's changes, proved on the path.

use lowlat_live::around::AroundAsk;
use lowlat_live::optimize::{self, Job};
use lowlat_live::{Failure, Outcome, path::ProbePath};
use lowlat_model::around::KeepWhat;
use lowlat_model::tune::Scope;
use lowlat_sys::Live;
use lowlat_sys::store::Store;
use lowlat_tune::Limits;

use super::optimize::{finish, run_shown};
use crate::args::{AroundArgs, KeepArg};
use crate::output;

/// Runs the command. Exit 1 when a goal was missed.
pub fn run(args: &AroundArgs, json: bool) -> Outcome {
    let live = Live::new();
    let mut job = job(args, live)?;
    let store = Store::locate()?;
    optimize::preflight(&job, &live, &store)?;
    optimize::settle(&mut job, false, &mut output::progress)?;
    lowlat_live::signals::at_stake();
    let finished = run_shown(&job, &live, &store)?;
    finish(finished, args.keep == KeepArg::None, json, live)
}

fn job(args: &AroundArgs, live: Live) -> Result<Job, Failure> {
    let goals = args.goal.all()?;
    let quantiles = optimize::goal_quantiles(&goals);
    let judge = args.judge.judge()?;
    let iface = lowlat_live::around::iface(args.iface.as_deref(), args.target.as_deref(), &live)?;
    optimize::interface(&iface, &live)?;
    let path = args.target.as_ref().map(|target| ProbePath::new(target, &args.path.ask(), Some(&iface)));
    let keep = match args.keep {
        KeepArg::Better => KeepWhat::Better,
        KeepArg::All => KeepWhat::All,
        KeepArg::None => KeepWhat::None,
    };
    Ok(Job {
        path: path.transpose()?,
        iface,
        around: Some(AroundAsk { command: args.program.clone(), keep }),
        judge,
        engine_path: None,
        goals,
        present_ns: None,
        engine: args.engine.clone(),
        dry_run: false,
        allow_disruptive: args.allow_disruptive,
        reach: Scope::Host,
        limits: Limits {
            false_keep: args.false_keep,
            worth_ratio: args.worth.ratio,
            worth_ns: args.worth.ns,
            most_pairs: args.pairs,
            round_ns: args.round,
            headline_ns: args.duration,
            seed: lowlat_live::ab::seed(),
            goals: quantiles,
            ..Limits::default()
        },
        duration_ns: args.duration,
        engines: Vec::new(),
        asked: Vec::new(),
        not_seen: Vec::new(),
        // The steps are the program's own, whatever the stages lead to.
        stages: false,
        rolls_back: args.keep == KeepArg::None,
    })
}

//! `lowlat bypass verdict`: every engine on one path, alternated, and whether bypass is worth it.

use lowlat_live::bypass::{self, VerdictJob};
use lowlat_live::optimize::Reporter;
use lowlat_live::path::{ENGINES, ProbePath};
use lowlat_live::{Failure, Outcome, ab, probe, stored};
use lowlat_model::bypass_verdict::{BypassRounds, BypassVerdict};
use lowlat_model::goal::all_met;
use lowlat_sys::Live;
use lowlat_sys::store::Store;

use crate::args::VerdictArgs;
use crate::output;
use crate::progress::ProgressLine;

/// The engine that shows whether the target answers.
const PLAIN: &str = "block";

/// Runs the command. Exit 1 where goals were given and no engine meets them.
pub fn run(args: &VerdictArgs, json: bool) -> Outcome {
    let document = match &args.from {
        Some(name) => again(args, name)?,
        None => measured(args, json)?,
    };
    if json {
        output::json(&document)?;
    } else {
        output::report(&lowlat_report::bypass_verdict(&document, output::width()));
    }
    Ok(missed(&document))
}

/// 1 where goals were given and no engine was measured to meet them.
pub fn missed(document: &BypassVerdict) -> u8 {
    let mut asked = document.engines.iter().filter(|e| !e.goals.is_empty()).peekable();
    u8::from(asked.peek().is_some() && !asked.any(|e| all_met(&e.goals) == Some(true)))
}

/// The verdict on rounds that were recorded before, with what is worth having and the goals of now.
fn again(args: &VerdictArgs, name: &str) -> Result<BypassVerdict, Failure> {
    let recorded = stored::rounds_of(name)?;
    let goals = args.goal.all()?;
    let recorded = BypassRounds {
        worth_ratio: args.worth.unwrap_or(recorded.worth_ratio),
        goals: if goals.is_empty() { recorded.goals } else { goals },
        ..recorded
    };
    Ok(lowlat_verdict::bypass::verdict(&recorded))
}

fn measured(args: &VerdictArgs, json: bool) -> Result<BypassVerdict, Failure> {
    let live = Live::new();
    let target = args.target.as_ref().or(args.configured_target.as_ref()).map_or("", String::as_str);
    if let Some(iface) = &args.iface {
        lowlat_live::optimize::interface(iface, &live)?;
    }
    let goals = args.goal.all()?;
    let path = ProbePath::new(target, &args.path.ask(), args.iface.as_deref())?;
    let all = || ENGINES.iter().map(|e| (*e).to_owned()).collect();
    let job = VerdictJob {
        path,
        engines: if args.engines == ["all"] { all() } else { args.engines.clone() },
        duration_ns: args.duration,
        goals,
        worth_ratio: args.worth.unwrap_or(WORTH),
        allow_disruptive: args.allow_disruptive,
        seed: args.seed.unwrap_or_else(ab::seed),
    };
    job.check()?;
    if let Some(iface) = &args.iface {
        lowlat_collect::path::leads_over(&live, iface, job.path.remote.into())
            .map_err(|e| Failure::new(e.to_string()))?;
    }
    let store = Store::locate()?;
    store.ensure_writable()?;
    probe::reach(&job.path, PLAIN)?;
    let run = store.new_run_id(lowlat_live::wall_clock_ns());
    let shown = ProgressLine::unless(json);
    let mut heard = Reporter { progress: &mut |at| shown.show(at, ""), line: &mut output::progress };
    let recorded = bypass::rounds(&job, &run, &live, &mut heard)?;
    drop(shown);
    let document = lowlat_verdict::bypass::verdict(&recorded);
    store.save_stage(&run, "rounds", &recorded)?;
    store.save_stage(&run, "run", &document)?;
    Ok(document)
}

/// What is worth having where nothing else is asked for: below a fifth of the median few would give up firewall and
/// routing for it. A choice, not a measurement; `--worth` makes another.
const WORTH: f64 = 0.2;

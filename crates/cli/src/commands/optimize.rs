//! `lowlat optimize`: the main job on a real interface.

use lowlat_sys::Live;
use lowlat_sys::store::Store;

use crate::args::{FormatArg, OptimizeArgs};
use crate::failure::{Failure, Outcome};
use crate::optimize::{self, Finished, Job};
use crate::output;
use crate::path::Path;

/// Runs the command. Exit 1 when the goal was missed.
pub fn run(args: &OptimizeArgs, json: bool) -> Outcome {
    let missing = |what: &str| {
        Failure::new(format!("optimize: {what} is missing; run `lowlat optimize --iface IF --target HOST --goal 50us`"))
    };
    let iface = args.iface.clone().ok_or_else(|| missing("--iface"))?;
    let target = args.target.clone().ok_or_else(|| missing("--target"))?;
    let live = Live::new();
    optimize::interface(&iface, &live)?;
    let job = Job {
        path: Path::new(&target, &args.path, Some(&iface))?,
        iface,
        engine_path: None,
        goal_ns: args.goal,
        present_ns: args.present,
        engine: args.engine.clone(),
        dry_run: args.dry_run,
        allow_disruptive: args.allow_disruptive,
        allow_host_wide: !args.own_settings_only,
        pairs: args.pairs,
        round_ns: args.round,
        duration_ns: args.duration,
        load_streams: args.load,
        engines: args.engines.iter().filter(|e| *e != "none").cloned().collect(),
    };
    let store = Store::locate()?;
    optimize::preflight(&job, &live, &store)?;
    crate::signals::at_stake();
    let Finished { document, plan, session } = optimize::run(&job, &live, &store, &mut output::progress)?;
    if let Some(mut session) = session {
        if args.rollback {
            let report = session.rollback(&live)?;
            output::progress(&report.words());
            if !report.complete() {
                return Err(Failure::new("optimize: not everything could be put back; see `lowlat status`"));
            }
        } else {
            session.leave_open().map_err(|e| {
                Failure::because(e, "what was kept stands, see `lowlat status`; `lowlat rollback` puts it back")
            })?;
        }
    }
    if json {
        output::json(&document)?;
    } else if args.dry_run {
        output::text(&lowlat_report::text(&document));
        output::text(&lowlat_report::plan(&plan));
    } else {
        super::report::print(&document, FormatArg::Text)?;
    }
    Ok(super::report::exit_code(&document))
}

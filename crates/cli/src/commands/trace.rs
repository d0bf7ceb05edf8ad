//! `lowlat trace`: where the time of a round trip goes.

use lowlat_live::trace::{TraceAsk, trace};
use lowlat_live::{Failure, Outcome, path::ProbePath, signals, stored};
use lowlat_sys::Live;

use crate::args::TraceArgs;
use crate::output;

/// Runs the command. On a signal the figures up to then are printed.
pub fn run(args: &TraceArgs, json: bool) -> Outcome {
    lowlat_live::engines::known("trace with engine", [args.engine.as_str()])?;
    if args.engine == lowlat_transport::suspend::NAME {
        return Err(Failure::new(format!(
            "trace with engine {:?}: it sets NAPI values around its rounds, which trace does not; choose --engine epoll",
            args.engine
        )));
    }
    let live = Live::new();
    if let Some(iface) = &args.iface {
        lowlat_live::optimize::interface(iface, &live)?;
    }
    let path = ProbePath::new(&args.target, &args.path.ask(), args.iface.as_deref())?;
    if let Some(iface) = &args.iface {
        lowlat_collect::path::leads_over(&live, iface, path.remote.into()).map_err(|e| Failure::new(e.to_string()))?;
    }
    if let Some(folder) = &args.out {
        stored::make_room(folder, args.overwrite)?;
    }
    let ask = TraceAsk { path: &path, engine: &args.engine, duration_ns: args.duration, rt: args.rt };
    let started = lowlat_live::wall_clock_ns();
    let document = trace(&ask, &live, &mut output::progress)?;
    if let Some(folder) = &args.out {
        stored::save(folder, "trace.json", &document)?;
    } else {
        super::keep(&document, started);
    }
    if json {
        output::json(&document)?;
    } else {
        output::report(&lowlat_report::trace(&document, output::width()));
    }
    if signals::stopped() {
        output::progress("interrupted: these are the figures up to then");
    }
    Ok(0)
}

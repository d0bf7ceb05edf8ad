//! `lowlat trace`: where the time of a round trip goes.

use std::io::Read as _;
use std::path::Path;

use lowlat_live::trace::{AnswersAsk, ReadFar, TraceAsk, answers, trace_with_far};
use lowlat_live::{Failure, Outcome, path::ProbePath, signals, stored};
use lowlat_model::trace::FarTrace;
use lowlat_sys::Live;

use crate::args::TraceArgs;
use crate::output;

/// A far host's trace is no longer; what is cut is no document.
const MOST_BYTES: u64 = 64 << 20;

/// Runs the command. On a signal the figures up to then are printed.
pub fn run(args: &TraceArgs, json: bool) -> Outcome {
    let target = match (&args.target, args.answers) {
        (_, Some(port)) => return answered(port, args.duration),
        (Some(target), None) => target,
        (None, None) => return Err(Failure::new("trace: no target given; name the HOST that runs `lowlat serve`")),
    };
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
    let path = ProbePath::new(target, &args.path.ask(), args.iface.as_deref())?;
    if let Some(iface) = &args.iface {
        lowlat_collect::path::leads_over(&live, iface, path.remote.into()).map_err(|e| Failure::new(e.to_string()))?;
    }
    if let Some(folder) = &args.out {
        stored::make_room(folder, args.overwrite)?;
    }
    let ask = TraceAsk {
        path: &path,
        engine: &args.engine,
        duration_ns: args.duration,
        rt: args.rt,
        interval_ns: None,
        short_at_ns: None,
    };
    let started = lowlat_live::wall_clock_ns();
    if let Some(file) = args.far.as_deref().filter(|f| !is_stdin(f) && !f.exists()) {
        return Err(Failure::new(format!(
            "join the far host's trace {}: there is no such file; run `lowlat trace --answers PORT` there first, or give -",
            file.display()
        )));
    }
    let mut read = || far_trace(args.far.as_deref().unwrap_or(Path::new("-")));
    let far: Option<ReadFar<'_>> = if args.far.is_some() { Some(&mut read) } else { None };
    let document = trace_with_far(&ask, far, &live, &mut output::progress)?;
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

/// The far host's part.
fn answered(port: u16, duration_ns: u64) -> Outcome {
    let document = answers(&AnswersAsk { port, duration_ns }, &Live::new())?;
    let (found, lost) = (document.answers.len(), document.incomplete);
    output::progress(&format!("port {port}: {found} answers traced, {lost} could not be followed"));
    output::json(&document)?;
    Ok(0)
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// The far host's trace, whole.
fn far_trace(file: &Path) -> Result<FarTrace, Failure> {
    if !is_stdin(file) {
        return super::stored(file, "far-trace");
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MOST_BYTES).read_to_end(&mut bytes).map(|_| ()).map_err(|e| e.to_string());
    read.and_then(|()| lowlat_model::stored::read(&bytes, "far-trace")).map_err(|why| {
        Failure::new(format!(
            "read the far host's trace from standard input: {why}; pipe `lowlat trace --answers PORT` of the far host in"
        ))
    })
}

//! `lowlat measure`: round trips to a far end.

mod engines;
mod floors;
mod steps;
mod sweep;
mod zerocopy;

use std::path::Path;

use lowlat_measure::clock::Wish;
use lowlat_model::verdict::Comparison;
use lowlat_model::{Goal, GoalResult, Measurement};
use lowlat_sys::{Live, Sys};
use lowlat_verdict::sequential::SequentialOptions;

use crate::args::{ClockArg, MeasureArgs, ModeArg};
use crate::output;
use crate::progress::ProgressLine;
use lowlat_live::{
    Failure, Outcome,
    ab::{self, OnStop},
    clocks,
    path::ProbePath,
    probe::Heard,
    probe::{self, Ask},
    shape::{self, FittedShape},
    signals, stored,
};
use steps::Steps;

/// Rounds of the stamps' cost: 12 pairs of 100 ms bear a P99 on a path of 100 µs.
const STAMP_COST_PAIRS: u32 = 12;
const STAMP_COST_ROUND_NS: u64 = 100_000_000;

/// Bytes of a message that every far-end protocol carries over any path: the least of STAMP with a key are 112.
const FITS_ALL: usize = 128;
/// The far end is asked to stay where it is for so many times the length of a run: a sweep has some ten points, and a
/// loaded run comes after an idle one.
const LEASE_RUNS: u64 = 16;
/// And so much longer, ns: handshakes, stamps' cost, what a busy host adds.
const LEASE_MARGIN_NS: u64 = 20_000_000_000;

/// Runs the command. On a signal the figures up to then are printed.
pub fn run(args: &MeasureArgs, json: bool) -> Outcome {
    let wish = wish(args.clock);
    if args.self_test {
        return floors::run(wish, json);
    }
    let Some(target) = args.target.as_ref().or(args.configured_target.as_ref()) else {
        return Err(Failure::new("measure: no target given; name the HOST that runs `lowlat serve`"));
    };
    let goals = args.goal.all()?;
    let sizes = args.zerocopy.as_deref().map(zerocopy::sizes).transpose()?;
    let several = lowlat_live::engines::listed(&args.engine);
    let engine = if several.is_some() { lowlat_transport::block::NAME } else { args.engine.as_str() };
    let named = || several.iter().flatten().map(String::as_str).chain([engine]);
    lowlat_live::engines::known("measure with engine", named())?;
    let live = Live::new();
    clocks::settle(wish, &live);
    if let Some(iface) = &args.iface {
        lowlat_live::optimize::interface(iface, &live)?;
    }
    let recorded = args.shape.as_deref().map(shape::load).transpose()?;
    let mut path = path(args, target, recorded.is_some(), &live)?;
    if let Some(sizes) = &sizes {
        if let Some(folder) = &args.out {
            stored::prepare(folder, args.overwrite, zerocopy::DOCUMENT)?;
        }
        return zerocopy::run(&path, sizes, args.duration, (args.out.as_deref(), json));
    }
    // Of all engines those that may not attach are left out instead.
    if !args.allow_disruptive && args.engine != lowlat_live::engines::ALL {
        lowlat_live::optimize::spare_the_link("measure with engine", named(), &path, &live)?;
    }
    path.stamps = args.stamps;
    let shaped = recorded.map(|shape| FittedShape::new(&shape, &mut path)).transpose()?;
    let pattern = probe::pattern(&args.pattern)?;
    let axis = args.sweep.as_deref().map(|text| lowlat_measure::sweep::Axis::parse(text, pattern)).transpose()?;
    let open_loop = args.mode == ModeArg::OpenLoop;
    let mode = match &axis {
        // The axis brings its own mode, but for the size, which is swept in the mode that is asked for.
        Some(axis) if axis.axis() != lowlat_model::sweep::SweepAxis::Size => Ask::new(&path, engine).mode,
        _ => probe::mode(open_loop, args.rate, pattern)?,
    };
    let ask = Ask {
        duration_ns: args.duration,
        count: args.count,
        mode,
        warmup_ns: args.warmup,
        load_streams: args.load.unwrap_or(0),
        rt: args.rt,
        ..Ask::new(&path, engine)
    }
    .shaped(shaped.as_ref());
    ask.check()?;
    if ask.load_streams > 0 {
        probe::sink_answers(&path)?;
    }
    if let Some(folder) = &args.out {
        let document = match (&axis, &several) {
            (Some(_), _) => "sweep.json",
            (None, Some(_)) => engines::DOCUMENT,
            (None, None) => "measure.json",
        };
        stored::prepare(folder, args.overwrite, document)?;
    }
    // Once, so that idle, loaded and every point of a sweep run on the same CPUs.
    let runs = LEASE_RUNS.max(several.as_ref().map_or(0, |all| 4 * all.len() as u64));
    let lasting_ns = ask.lasting_ns().saturating_mul(runs);
    let held = probe::Held::take(&path, lasting_ns.saturating_add(LEASE_MARGIN_NS), &live);
    let path = held.path();
    let ask = Ask { path, ..ask };
    let shown = ProgressLine::unless(json);
    if let Some(all) = several {
        let named = args.engine != lowlat_live::engines::ALL;
        return engines::run(&ask, (all, named), args.out.as_deref(), &live, (shown, json));
    }
    if let Some(axis) = axis {
        return sweep::run(&ask, &axis, args.out.as_deref(), &live, (shown, json));
    }
    // A stored run keeps its samples, so that it can be compared with another.
    let own = args.out.as_ref().map(|folder| folder.join(stored::SAMPLES));
    let logs: Vec<&Path> = own.as_deref().into_iter().chain(args.log.as_deref()).collect();
    let mut measurement = idle_and_loaded(&ask, &live, &logs, &shown)?;
    measurement.goals = judged(&goals, &measurement);
    if args.stamp_cost && !signals::stopped() {
        let cost = stamp_cost(path, &args.engine, &live, &shown)?;
        if let Some(stamps) = &mut measurement.stamps {
            stamps.cost = Some(cost);
        }
    }
    if !args.no_stages && !signals::stopped() {
        lowlat_live::trace::with_stages(&mut measurement, &ask, &live);
    }
    drop(shown);
    if let Some(folder) = &args.out {
        stored::save(folder, "measure.json", &measurement)?;
    }
    if json {
        output::json(&measurement)?;
    } else {
        output::report(&lowlat_report::measurement(&measurement, output::width()));
    }
    if signals::stopped() {
        output::progress("interrupted: these are the figures up to then");
    }
    Ok(super::report::missed(&measurement.goals))
}

/// The path; of a shape with a size that every far-end protocol carries, until it is known what this one does.
fn path(args: &MeasureArgs, target: &str, of_shape: bool, sys: &dyn Sys) -> Result<ProbePath, Failure> {
    let mut asked = args.path.ask();
    if of_shape {
        asked.size = FITS_ALL;
    }
    let path = ProbePath::new(target, &asked, args.iface.as_deref())?;
    if let Some(iface) = &args.iface {
        lowlat_collect::path::leads_over(sys, iface, path.remote.into()).map_err(|e| Failure::new(e.to_string()))?;
    }
    Ok(path)
}

fn wish(clock: ClockArg) -> Wish {
    match clock {
        ClockArg::Auto => Wish::Auto,
        ClockArg::Kernel => Wish::Kernel,
        ClockArg::Tsc => Wish::Tsc,
    }
}

/// The goals, judged on what a user of the path would have seen: in open loop from the planned send, since what waits
/// behind a stall waits in his queue.
fn judged(goals: &[Goal], measurement: &Measurement) -> Vec<GoalResult> {
    let planned = measurement.rtt_planned.samples > 0;
    let figures = if planned { &measurement.rtt_planned } else { &measurement.rtt };
    goals.iter().map(|goal| GoalResult::judge(*goal, Some(figures))).collect()
}

/// Measures; with a load, first without it, so that both stand side by side.
fn idle_and_loaded(ask: &Ask<'_>, sys: &dyn Sys, logs: &[&Path], shown: &ProgressLine) -> Result<Measurement, Failure> {
    let names: &[&str] = if ask.load_streams == 0 { &[""] } else { &["idle", "loaded"] };
    let mut steps = Steps::new(shown, ask, names.len());
    let mut measured = |ask: &Ask<'_>, logs: &[&Path], name: &str| {
        steps.begin(name);
        let heard = &mut Heard { progress: &mut |p| steps.show(p), line: &mut output::progress };
        let measured = probe::measure_with(ask, sys, logs, heard);
        steps.end();
        measured
    };
    if ask.load_streams == 0 {
        return measured(ask, logs, "");
    }
    let mut idle = measured(&Ask { load_streams: 0, ..ask.clone() }, &[], "idle")?;
    if idle.interrupted {
        idle.warnings.push("interrupted before the load began: these figures are idle".into());
        return Ok(idle);
    }
    let loaded = measured(ask, logs, "loaded")?;
    Ok(Measurement { idle: Some(Box::new(idle)), ..loaded })
}

/// What taking stamps costs the round trip: rounds without and with them, alternated, on the same path. All pairs are
/// run: the figure wanted is the difference, not whether there is one.
fn stamp_cost(path: &ProbePath, engine: &str, sys: &dyn Sys, shown: &ProgressLine) -> Result<Comparison, Failure> {
    let without = ProbePath { stamps: false, ..path.clone() };
    let ask = |path| Ask { duration_ns: STAMP_COST_ROUND_NS, ..Ask::new(path, engine) };
    let options = SequentialOptions {
        seed: ab::seed(),
        least_pairs: STAMP_COST_PAIRS,
        most_pairs: STAMP_COST_PAIRS,
        ..SequentialOptions::default()
    };
    let names = ("without stamps", "with stamps");
    let mut heard = |at: &lowlat_tune::RunProgress| shown.show(&lowlat_tune::RunProgress { of: 0, ..at.clone() }, "");
    ab::alternated((&ask(&without), &ask(path)), names, options, OnStop::Fail, sys, &mut heard)
}

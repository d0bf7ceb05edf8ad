//! `lowlat measure`: round trips to a far end.

use std::io::IsTerminal;

use lowlat_measure::SampleSink;
use lowlat_measure::clock::Wish;
use lowlat_measure::log::Writer;
use lowlat_model::verdict::Comparison;
use lowlat_sys::Live;

use crate::args::{ClockArg, MeasureArgs, ModeArg};
use crate::clocks;
use crate::failure::{Failure, Outcome};
use crate::optimize::judge;
use crate::path::{ENGINES, Path};
use crate::probe::{self, Ask};
use crate::{output, signals};

/// Rounds of the stamps' cost: 12 pairs of 100 ms bear a P99 on a path of 100 µs.
const STAMP_COST_PAIRS: u32 = 12;
const STAMP_COST_ROUND_NS: u64 = 100_000_000;

/// Runs the command. On a signal the figures up to then are printed.
pub fn run(args: &MeasureArgs, json: bool) -> Outcome {
    let wish = match args.clock {
        ClockArg::Auto => Wish::Auto,
        ClockArg::Kernel => Wish::Kernel,
        ClockArg::Tsc => Wish::Tsc,
    };
    if args.self_test {
        return floors(wish);
    }
    let Some(target) = &args.target else {
        return Err(Failure::new("measure: no target was given; name the HOST that runs `lowlat serve`"));
    };
    if !ENGINES.contains(&args.engine.as_str()) {
        return Err(Failure::new(format!(
            "measure with engine {:?}: there is none of that name; choose of {}",
            args.engine,
            ENGINES.join(", ")
        )));
    }
    let live = Live::new();
    clocks::settle(wish, &live);
    if let Some(iface) = &args.iface {
        crate::optimize::interface(iface, &live)?;
    }
    let mut path = Path::new(target, &args.path, args.iface.as_deref())?;
    path.stamps = args.stamps;
    let ask = Ask {
        duration_ns: args.duration,
        count: args.count,
        mode: probe::mode(args.mode == ModeArg::OpenLoop, args.rate, &args.pattern)?,
        warmup_ns: args.warmup,
        load_streams: args.load.unwrap_or(0),
        rt: args.rt,
        ..Ask::new(&path, &args.engine)
    };
    if let Some(folder) = &args.out {
        // Found before the measurement takes its time, not after it.
        std::fs::create_dir_all(folder).map_err(|e| {
            Failure::new(format!(
                "store the run in {}: {e}; name a folder that can be written with --out",
                folder.display()
            ))
        })?;
    }
    let shown = std::io::stderr().is_terminal() && !json;
    let mut log = match &args.log {
        Some(file) => Some(Writer::create(file).map_err(|e| {
            Failure::new(format!(
                "write the sample log {}: {e}; name a file that can be written with --log",
                file.display()
            ))
        })?),
        None => None,
    };
    let sink = log.as_mut().map(|log| log as &mut dyn SampleSink);
    let (mut measurement, _) = probe::measure_with(&ask, &live, sink, &mut |p| {
        if shown {
            eprint!(
                "\r\x1b[2K{:.1} s  {:.0}/s  p50 {}  p99 {}  lost {}",
                p.elapsed_ns as f64 / 1e9,
                p.rate_pps,
                probe::words(p.rtt.p50_ns),
                probe::words(p.rtt.p99_ns),
                p.counts.lost
            );
        }
    })?;
    if shown {
        eprintln!();
    }
    if args.stamp_cost && !signals::stopped() {
        let cost = stamp_cost(&path, &args.engine)?;
        if let Some(stamps) = &mut measurement.stamps {
            stamps.cost = Some(cost);
        }
    }
    if let (Some(log), Some(file)) = (log, &args.log) {
        let probes = log.finish().map_err(|e| {
            Failure::new(format!("finish the sample log {}: {e}; look at the space left there", file.display()))
        })?;
        output::progress(&format!("{probes} probes, warm-up included, are in {}", file.display()));
    }
    if let Some(folder) = &args.out {
        let text = serde_json::to_vec_pretty(&measurement)
            .map_err(|e| Failure::new(format!("write the run: {e}; report this as a bug")))?;
        lowlat_sys::store::write_atomic(folder.join("measure.json"), text)
            .map_err(|e| Failure::because(e, "name a folder that can be written with --out"))?;
    }
    if json {
        output::json(&measurement)?;
    } else {
        output::text(&lowlat_report::measurement(&measurement));
    }
    if signals::stopped() {
        output::progress("interrupted: these are the figures up to then");
    }
    Ok(0)
}

/// What taking stamps costs the round trip: rounds without and with them, alternated, on the same path.
fn stamp_cost(path: &Path, engine: &str) -> Result<Comparison, Failure> {
    let without = Path { stamps: false, ..path.clone() };
    let ask = |path| Ask { duration_ns: STAMP_COST_ROUND_NS, ..Ask::new(path, engine) };
    let names = ("without stamps", "with stamps");
    let rounds = judge::alternate(&ask(&without), &ask(path), names, STAMP_COST_PAIRS, &mut |_| Ok(()))?;
    Ok(judge::compare(&rounds))
}

/// `measure --self`: what this tool and this host cannot go below.
fn floors(wish: Wish) -> Outcome {
    let live = Live::new();
    let clock = clocks::settle(wish, &live);
    let test = lowlat_measure::self_test(100_000)?;
    let (words, weakens) = clock.at_end();
    output::text(&format!("clock: {words}"));
    if !clock.is_tsc() {
        output::text(&format!("beside it: {}", clocks::of_tsc(&live)));
    }
    if let Some(weakens) = weakens {
        output::progress(&format!("warning: {weakens}"));
    }
    output::text(&format!("recording one sample: {:.1} ns", test.record_ns));
    for floor in &test.floors {
        output::text(&format!("{}: p50 {} ns, p99 {} ns", floor.what, ns(floor.rtt.p50_ns), ns(floor.rtt.p99_ns)));
    }
    Ok(0)
}

fn ns(value: Option<u64>) -> String {
    value.map_or_else(|| "n/a".to_owned(), |v| v.to_string())
}

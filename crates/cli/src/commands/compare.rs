//! `lowlat compare`: two stored runs, or two live configurations alternated on one path.

use lowlat_model::tune::Placement;
use lowlat_model::verdict::Comparison;
use lowlat_model::{Measurement, Verdict};
use lowlat_sys::Live;
use lowlat_tune::RunProgress;
use lowlat_verdict::{CompareOptions, sequential};

use crate::args::CompareArgs;
use crate::progress::ProgressLine;
use crate::{output, signals};
use lowlat_live::{
    Failure, Outcome,
    ab::{self, OnStop},
    path::ENGINES,
    probe,
    side::{self, ComparedSide},
    stored::{self, Stored},
};

/// Fewest pairs of a comparison of two engines, which is not one of many tests as a step of `optimize` is.
const LEAST_PAIRS: u32 = 8;
/// Opening a round, a TCP connection to a far host included, takes no longer, ns.
const OPENS_NS: u64 = 200_000_000;

/// Runs the command. Exit 1 when B is worse than A.
pub fn run(args: &CompareArgs, json: bool) -> Outcome {
    let comparison = match (ComparedSide::is_one(&args.a), ComparedSide::is_one(&args.b)) {
        (true, true) => alternated(args, json)?,
        (false, false) => {
            for name in [&args.a, &args.b] {
                known(name)?;
            }
            let seed = args.seed.unwrap_or_else(ab::seed);
            runs(&args.a, &args.b, &CompareOptions { seed, ..CompareOptions::default() })?
        }
        (live, _) => {
            let (engine, run) = if live { (&args.a, &args.b) } else { (&args.b, &args.a) };
            known(run)?;
            return Err(Failure::new(format!(
                "compare {engine} with {run}: one is a live engine, the other a stored run; give two of the same kind, or \
                 measure the live one with --out first"
            )));
        }
    };
    if json {
        output::json(&comparison)?;
    } else {
        output::report(&lowlat_report::comparison(&comparison, output::width()));
    }
    if signals::stopped() {
        output::progress("interrupted: this is what the pairs up to then show");
    }
    Ok(u8::from(comparison.verdict == Verdict::Worse))
}

fn known(name: &str) -> Result<(), Failure> {
    if stored::exists(name) {
        return Ok(());
    }
    // It may be the id of a run; whatever else it was meant to be, it is none of these.
    Stored::load(name).map(drop).map_err(|_| {
        Failure::new(format!(
            "compare {name:?}: neither an engine nor a stored run; choose one of {}, or give a folder of `measure \
             --out`, a sample log or a document",
            ENGINES.join(", ")
        ))
    })
}

fn runs(a: &str, b: &str, options: &CompareOptions) -> Result<Comparison, Failure> {
    let (run_a, run_b) = (Stored::load(a)?, Stored::load(b)?);
    run_a.left_out.iter().chain(&run_b.left_out).for_each(|line| output::progress(line));
    let (of_a, of_b) = (run_a.measurement()?, run_b.measurement()?);
    let mut out = match (run_a.samples()?, run_b.samples()?) {
        (Some(all_a), Some(all_b)) => lowlat_verdict::compare_samples((a, &all_a), (b, &all_b), options),
        _ => lowlat_verdict::compare_figures((a, of_a), (b, of_b), options),
    };
    let settings = |m: &Measurement| {
        [
            ("target", m.target.clone()),
            ("protocol", m.proto.clone()),
            ("mode", m.mode.clone()),
            ("size", m.size_bytes.to_string()),
            ("rate", m.rate_pps.map_or_else(|| "none".to_owned(), |r| format!("{r:.0}/s"))),
        ]
    };
    out.warnings.extend(lowlat_verdict::wake::between((a, of_a), (b, of_b)));
    for (in_a, in_b) in settings(of_a).into_iter().zip(settings(of_b)).filter(|(x, y)| x != y) {
        out.warnings.push(format!("the two runs differ in {}: {} and {}", in_a.0, in_a.1, in_b.1));
    }
    Ok(out)
}

fn alternated(args: &CompareArgs, json: bool) -> Result<Comparison, Failure> {
    let target = args.target.as_deref().ok_or_else(|| {
        Failure::new(format!("compare {} with {}: the far end is missing; give --target HOST", args.a, args.b))
    })?;
    if let Some(iface) = &args.iface {
        lowlat_live::optimize::interface(iface, &Live::new())?;
    }
    let side = |text| ComparedSide::parse(text, target, &args.path.ask(), args.iface.as_deref());
    let (mut a, mut b) = (side(&args.a)?, side(&args.b)?);
    b.shares_with(&a);
    if !args.allow_disruptive {
        [&a, &b].into_iter().try_for_each(ComparedSide::spare_the_link)?;
    }
    a.ask(args.round).check()?;
    b.ask(args.round).check()?;
    // Both sides get rounds of one length: those that the slower far end needs.
    let paces = [a.round_at_pace(args.round)?, b.round_at_pace(args.round)?];
    paces.iter().filter_map(|(_, words)| words.as_ref()).for_each(|words| output::progress(words));
    let round_ns = paces[0].0.max(paces[1].0);
    a.reach()?;
    b.reach()?;
    let _held = side::hold(&mut a, &mut b, lasting_ns(args.pairs, round_ns), &Live::new());
    let placed = [a.placed(), b.placed()];
    tell(&placed);
    let (ask_a, ask_b) = (a.ask(round_ns), b.ask(round_ns));
    let options = sequential::SequentialOptions {
        seed: args.seed.unwrap_or_else(ab::seed),
        // A trade that is hidden by noise shows with more pairs (docs/judge.md).
        least_pairs: LEAST_PAIRS.min(args.pairs),
        most_pairs: args.pairs,
        ..sequential::SequentialOptions::default()
    };
    let uneven = side::uneven([&placed[0], &placed[1]]);
    let shown = ProgressLine::unless(json);
    let names = (args.a.as_str(), args.b.as_str());
    let mut heard = |at: &RunProgress| shown.show(&RunProgress { of: 0, ..at.clone() }, "");
    let mut out = ab::alternated((&ask_a, &ask_b), names, options, OnStop::Keep, &Live::new(), &mut heard)?;
    drop(shown);
    out.warnings.extend(uneven);
    out.placed = placed.to_vec();
    if signals::stopped() {
        let pairs = out.sequential.as_ref().map_or(0, |s| s.pairs);
        out.warnings.push(format!("interrupted after {pairs} of {} pairs", args.pairs));
    }
    Ok(out)
}

/// Longest a comparison takes, ns: a round takes its length, and what opens, warms up and settles it not longer.
fn lasting_ns(pairs: u32, round_ns: u64) -> u64 {
    round_ns.max(OPENS_NS).saturating_mul(4 * u64::from(pairs))
}

/// Says where both sides run.
fn tell(placed: &[Placement; 2]) {
    let [a, b] = placed;
    let named: &[(&str, &Placement)] = if a == b { &[("", a)] } else { &[("a: ", a), ("b: ", b)] };
    for (name, placement) in named {
        for line in probe::where_placed(placement) {
            output::progress(&format!("{name}{line}"));
        }
    }
}

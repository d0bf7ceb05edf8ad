//! Every engine on the same path in one run, each against `block`, interleaved.

use lowlat_model::document::EngineResult;
use lowlat_model::engine::{EngineCost, EngineState};
use lowlat_model::tune::Resets;
use lowlat_model::verdict::{Round, TooSlow};
use lowlat_verdict::Random;
use lowlat_verdict::sequential::{SequentialOptions, Test};

use crate::progress::Schedule;
use crate::trial::{LINK_UP_NS, settle};
use crate::{Bench, Limits, LinkReport, RoundAsk, Summary, TuneError};

/// Rounds of each engine. Every engine runs once in each lap, in an order drawn anew, so which of two runs first is a
/// fair coin, and nothing periodic on the host keeps step with one.
pub const LAPS: u32 = 12;
/// The engine that the others are compared with.
pub(crate) const AGAINST: &str = "block";

/// Settling is begun so often, when the path does not answer yet or is not steady.
const SETTLINGS: u32 = 5;
/// Time between two of them, ns: a switch that saw the link go may take a second until it forwards again.
const BETWEEN_SETTLINGS_NS: u64 = 500_000_000;

/// An engine to be tried, or why it is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineTrial {
    /// Name.
    pub engine: String,
    /// What it costs.
    pub costs: String,
    /// What it was when it was opened once; what its rounds show replaces it.
    pub state: EngineState,
    /// Why it is left out.
    pub why_not: Option<String>,
    /// What opening and closing it resets, for one that attaches a program to the interface; `None` for one that
    /// attaches nothing.
    pub attach: Option<Attach>,
}

/// What attaching an engine's program to the path's interface does, and taking it off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attach {
    /// What resets.
    pub resets: Resets,
    /// Why, or that it is not known; `None` where nothing is known to.
    pub why: Option<String>,
}

/// Measures each engine. One that cannot run says why, and the others go on.
///
/// A reset that attaching announces is waited for, and the path settles before the next round. One that nothing
/// announced ends the engine that attaches; after any other engine it is only reported.
pub fn side_by_side(
    bench: &mut dyn Bench,
    limits: &Limits,
    median_ns: Option<u64>,
    trials: &[EngineTrial],
    say: &mut dyn FnMut(&str),
) -> Result<Vec<EngineResult>, TuneError> {
    let mut results: Vec<EngineResult> = trials.iter().map(untried).collect();
    let ping_pong_ns = ping_pong_ns(limits, median_ns);
    let planned = Limits::planned_for(ping_pong_ns, median_ns.map(|ns| bench.plan_gap_ns(ns)));
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); results.len()];
    let mut random = Random::new(limits.seed);
    // Each was opened once to see that it can be.
    for (trial, result) in trials.iter().zip(&mut results).filter(|(t, _)| t.attach.is_some()) {
        announce(trial, say);
        result.why_not = result.why_not.take().or(recover(bench, trial, say)?);
    }
    let of_those = results.iter().filter(|r| r.why_not.is_none()).count();
    let mut schedule = Schedule::new(0, 0, [lasting_ns(of_those, ping_pong_ns + planned.length_ns)]);
    schedule.begin_known("engines", bench.now_ns());
    for lap in 0..LAPS {
        bench.progress(&schedule.at((lap, LAPS), bench.now_ns()));
        let source_port = bench.source_port()?;
        for i in shuffled(results.len(), &mut random) {
            if bench.stopped() {
                return Err(TuneError::Interrupted);
            }
            if results[i].why_not.is_some() {
                continue;
            }
            let engine = Some(results[i].engine.clone());
            match bench.round(&RoundAsk {
                engine,
                ping_pong_ns,
                planned_ns: planned.length_ns,
                median_ns,
                source_port,
                timeout_ns: None,
                settle: trials[i].attach.as_ref().is_some_and(|a| a.resets > Resets::Nothing),
            }) {
                Ok(round) => rounds[i].push(Round { is_b: true, ..round }),
                Err(why) => results[i].why_not = Some(why.to_string()),
            }
            // Also after one that failed: its program was on and is off again.
            let unannounced = recover(bench, &trials[i], say)?;
            results[i].why_not = results[i].why_not.take().or(unannounced);
        }
    }
    judge(bench, (limits, ping_pong_ns, planned.too_slow), &rounds, &mut results, say);
    Ok(results)
}

fn ping_pong_ns(limits: &Limits, median_ns: Option<u64>) -> u64 {
    limits.round_for(median_ns).max(limits.headline_ns / 50)
}

/// What [`side_by_side`] takes with so many engines, ns: an estimate before any of them is opened.
pub fn engines_ns(limits: &Limits, median_ns: Option<u64>, engines: usize) -> u64 {
    lasting_ns(engines, ping_pong_ns(limits, median_ns) * 3 / 2)
}

/// How long all laps take, ns, where each round takes `round_ns`.
fn lasting_ns(engines: usize, round_ns: u64) -> u64 {
    round_ns.saturating_mul(u64::from(LAPS)).saturating_mul(engines as u64)
}

fn untried(trial: &EngineTrial) -> EngineResult {
    EngineResult {
        engine: trial.engine.clone(),
        measurement: None,
        why_not: trial.why_not.clone(),
        against_block: None,
        costs: trial.costs.clone(),
        state: trial.state.clone(),
        cost: EngineCost::default(),
    }
}

/// Says what attaching will reset, before it does.
fn announce(trial: &EngineTrial, say: &mut dyn FnMut(&str)) {
    let Some(Attach { resets: Resets::Link, why }) = trial.attach.as_ref().filter(|_| trial.why_not.is_none()) else {
        return;
    };
    let why = why.as_deref().unwrap_or("the driver does so");
    say(&format!(
        "  {}: attaching its XDP program resets the link, and so does taking it off ({why}); each time the link is \
         waited for and the path settles",
        trial.engine
    ));
}

/// After a round of an engine, or its trial: waits for the link and settles the path where attaching resets something.
/// Why the engine cannot go on, where a reset came that nothing announced.
fn recover(bench: &mut dyn Bench, trial: &EngineTrial, say: &mut dyn FnMut(&str)) -> Result<Option<String>, TuneError> {
    let announced = trial.attach.as_ref().map_or(Resets::Nothing, |a| a.resets);
    if announced == Resets::Link {
        bench.await_links(LINK_UP_NS)?;
    }
    let LinkReport { resets, changes } = bench.links();
    let unannounced = resets > announced;
    if unannounced {
        bench.await_links(LINK_UP_NS)?;
        let _ = bench.links();
    }
    if announced.max(resets) > Resets::Nothing {
        steady(bench, say)?;
    }
    if !unannounced {
        return Ok(None);
    }
    let what = changes.join("; ");
    if trial.attach.is_some() {
        return Ok(Some(format!(
            "attaching its XDP program caused an unexpected reset: {what}; it is not tried again"
        )));
    }
    say(&format!("  during a round of {}, which attaches nothing: {what}", trial.engine));
    Ok(None)
}

/// Settles the path as far as it does: figures of a path that stays unsteady show it themselves.
fn steady(bench: &mut dyn Bench, say: &mut dyn FnMut(&str)) -> Result<(), TuneError> {
    for _ in 0..SETTLINGS {
        match settle(bench, Some(AGAINST)) {
            Ok(()) => return Ok(()),
            Err(TuneError::Interrupted) => return Err(TuneError::Interrupted),
            Err(_) => bench.wait(BETWEEN_SETTLINGS_NS),
        }
    }
    say("  the path is not steady after a reset; the rounds that follow are measured anyway");
    Ok(())
}

/// Figures of each engine's rounds, and the test of each against [`AGAINST`].
fn judge(
    bench: &mut dyn Bench,
    (limits, ping_pong_ns, planned_too_slow): (&Limits, u64, Option<TooSlow>),
    rounds: &[Vec<Round>],
    results: &mut [EngineResult],
    say: &mut dyn FnMut(&str),
) {
    let against = results.iter().position(|r| r.engine == AGAINST && r.why_not.is_none());
    for i in 0..results.len() {
        if let Some(why) = &results[i].why_not {
            say(&format!("  {}: {why}", results[i].engine));
            continue;
        }
        if let Some(block) = against.filter(|b| *b != i) {
            let options = SequentialOptions {
                least_pairs: LAPS,
                most_pairs: LAPS,
                seed: limits.seed,
                planned_too_slow,
                ..SequentialOptions::default()
            };
            let mut test = Test::new((AGAINST, &results[i].engine), options);
            for (a, b) in rounds[block].iter().zip(&rounds[i]) {
                test.push(Round { is_b: false, ..a.clone() }, b.clone());
            }
            results[i].against_block = Some(test.comparison());
        }
        let of = Summary {
            engine: Some(results[i].engine.clone()),
            duration_ns: ping_pong_ns * u64::from(LAPS),
            words: "measured in rounds, alternated with the other engines".to_owned(),
            ..Summary::default()
        };
        let measurement = bench.summarize(&rounds[i].iter().collect::<Vec<_>>(), &of);
        let p50 =
            measurement.rtt.p50_ns.map_or_else(|| "n/a".to_owned(), |ns| format!("{} µs", lowlat_model::units::us(ns)));
        say(&format!("  {}: p50 {p50}", results[i].engine));
        if let Some(fallback) = measurement.flow.bypass.as_ref().and_then(lowlat_model::Bypass::fallback) {
            say(&format!("  {}: {fallback}", results[i].engine));
        }
        results[i].measurement = Some(measurement);
        results[i].cost = EngineCost::of(&rounds[i]);
        if let Some(last) = rounds[i].last().filter(|r| !r.engine.words.is_empty()) {
            results[i].state = last.engine.clone();
        }
    }
}

/// The numbers below `n` in an order drawn (Fisher and Yates).
fn shuffled(n: usize, random: &mut Random) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        all.swap(i, random.below(i + 1));
    }
    all
}

//! Every engine on the same path in one run, each against `block`, interleaved.

use lowlat_model::document::EngineResult;
use lowlat_model::verdict::Round;
use lowlat_verdict::Random;
use lowlat_verdict::sequential::{Options, Test};

use crate::{Bench, Limits, RoundAsk, Summary, TuneError};

/// Rounds of each engine. Every engine runs once in each lap, in an order drawn anew, so which of two runs first is a
/// fair coin, and nothing periodic on the host keeps step with one.
const LAPS: u32 = 12;
/// The engine that the others are compared with.
const AGAINST: &str = "block";

/// An engine to be tried, or why it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineTrial {
    /// Name.
    pub engine: String,
    /// What it costs.
    pub costs: String,
    /// Why it is left out.
    pub why_not: Option<String>,
}

/// Measures each engine. One that cannot run says why, and the others go on.
pub fn side_by_side(
    bench: &mut dyn Bench,
    limits: &Limits,
    median_ns: Option<u64>,
    trials: &[EngineTrial],
    say: &mut dyn FnMut(&str),
) -> Result<Vec<EngineResult>, TuneError> {
    let mut results: Vec<EngineResult> = trials
        .iter()
        .map(|t| EngineResult {
            engine: t.engine.clone(),
            measurement: None,
            why_not: t.why_not.clone(),
            against_block: None,
            costs: t.costs.clone(),
        })
        .collect();
    let ping_pong_ns = limits.round_for(median_ns).max(limits.headline_ns / 50);
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); results.len()];
    let mut random = Random::new(limits.seed);
    for _ in 0..LAPS {
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
                planned_ns: ping_pong_ns / 2,
                median_ns,
                source_port,
                timeout_ns: None,
            }) {
                Ok(round) => rounds[i].push(Round { is_b: true, ..round }),
                Err(why) => results[i].why_not = Some(why.to_string()),
            }
        }
    }
    let against = results.iter().position(|r| r.engine == AGAINST && r.why_not.is_none());
    for i in 0..results.len() {
        if let Some(why) = &results[i].why_not {
            say(&format!("  {}: {why}", results[i].engine));
            continue;
        }
        if let Some(block) = against.filter(|b| *b != i) {
            let options = Options { least_pairs: LAPS, most_pairs: LAPS, seed: limits.seed, ..Options::default() };
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
        results[i].measurement = Some(measurement);
    }
    Ok(results)
}

/// The numbers below `n` in an order drawn (Fisher and Yates).
fn shuffled(n: usize, random: &mut Random) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        all.swap(i, random.below(i + 1));
    }
    all
}

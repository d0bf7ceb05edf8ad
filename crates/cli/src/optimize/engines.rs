//! Phase 3: every engine on the same path in one run, each against `block`, interleaved.

use lowlat_model::Facts;
use lowlat_model::document::EngineResult;
use lowlat_model::verdict::{Round, Rounds};
use lowlat_sys::Sys;

use super::{Job, judge, stop_point};
use crate::failure::Failure;
use crate::probe::{self, Ask};

/// Rounds of each engine; every engine runs once in each lap, in an order drawn anew, so that nothing periodic on
/// the host keeps step with one.
const LAPS: u32 = 8;

/// Measures each engine of the job. One that cannot run here says why, and the others go on.
pub fn side_by_side(
    job: &Job,
    facts: &Facts,
    sys: &dyn Sys,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<EngineResult>, Failure> {
    let path = job.engine_path.as_ref().unwrap_or(&job.path);
    let mut results: Vec<EngineResult> = Vec::new();
    let held_back = !job.allow_disruptive && super::management_ifaces(facts).contains(&job.iface);
    for engine in &job.engines {
        let (costs, why_not) = match path.open(engine) {
            _ if engine == lowlat_transport_xdp::NAME && held_back => (
                lowlat_transport_xdp::COSTS.to_owned(),
                Some(format!(
                    "left out: {} carries the default route, and some drivers reset the link when the XDP program goes on \
                     and off; --allow-disruptive tries it",
                    job.iface
                )),
            ),
            Ok(open) => (open.caps().costs.clone(), None),
            Err(e) => (String::new(), Some(e.to_string())),
        };
        results.push(EngineResult { engine: engine.clone(), measurement: None, why_not, against_block: None, costs });
    }
    let mut samples: Vec<Vec<Round>> = vec![Vec::new(); results.len()];
    let seed = judge::seed();
    let mut random = lowlat_verdict::Random::new(seed);
    for _ in 0..LAPS {
        for i in shuffled(results.len(), &mut random) {
            stop_point()?;
            if results[i].why_not.is_some() {
                continue;
            }
            let ask = Ask { duration_ns: job.round_ns, ..Ask::new(path, &results[i].engine) };
            match probe::round(&ask) {
                Ok(samples_ns) => samples[i].push(Round { is_b: true, samples_ns, ..Round::default() }),
                Err(e) => results[i].why_not = Some(e.to_string()),
            }
        }
    }
    let block = job.engines.iter().position(|e| e == "block");
    for i in 0..results.len() {
        stop_point()?;
        if results[i].why_not.is_some() {
            say(&format!("  {}: {}", results[i].engine, results[i].why_not.as_deref().unwrap_or_default()));
            continue;
        }
        if let Some(block) = block.filter(|b| *b != i && results[*b].why_not.is_none()) {
            let rounds = samples[block]
                .iter()
                .zip(&samples[i])
                .flat_map(|(a, b)| [Round { is_b: false, ..a.clone() }, b.clone()])
                .collect();
            let rounds = Rounds { a_name: "block".into(), b_name: results[i].engine.clone(), rounds, seed };
            results[i].against_block = Some(judge::compare(&rounds));
        }
        let all: Vec<u64> = samples[i].iter().flat_map(|r| r.samples_ns.iter().copied()).collect();
        let measurement = probe::measurement_of(path, &results[i].engine, &all, job.round_ns * u64::from(LAPS), sys);
        say(&format!("  {}: p50 {}", results[i].engine, probe::words(measurement.rtt.p50_ns)));
        results[i].measurement = Some(measurement);
    }
    Ok(results)
}

/// The numbers below `n` in an order drawn (Fisher and Yates).
fn shuffled(n: usize, random: &mut lowlat_verdict::Random) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        all.swap(i, random.below(i + 1));
    }
    all
}

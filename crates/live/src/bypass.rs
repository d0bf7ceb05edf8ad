//! The rounds of `bypass verdict`: every engine of the catalogue on one path, alternated, with what each round costs.

use lowlat_collect::gather_path;
use lowlat_model::bypass_verdict::{BypassRounds, EngineRounds, Extent};
use lowlat_model::{Goal, Schema};
use lowlat_sys::{Sys, query};
use lowlat_tune::{Bench as _, EngineTrial, Laps, LapsAsk, RoundAsk};

use crate::Failure;
use crate::bench::LiveBench;
use crate::optimize::{self, Reporter, Trying};
use crate::path::{ProbePath, gives_up};
use crate::probe::{self, Held};

/// Rounds of each engine. A bet on the sign of as many pairs reaches the level that two bypass engines share, with a
/// third of them against it.
pub const LAPS: u32 = 20;
/// Shortest round, ns.
pub const LEAST_ROUND_NS: u64 = 10_000_000;
/// Longest round that a slow path gets, so that a round supports its median, ns.
const LONGEST_ROUND_NS: u64 = 500_000_000;
/// Probes that a round should hold.
const PROBES_A_ROUND: u64 = 24;
/// The round that shows how fast the path is, ns.
const LOOK_NS: u64 = 50_000_000;
/// The engine of that look, and of settling.
const PLAIN: &str = lowlat_transport::block::NAME;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct VerdictJob {
    /// The path.
    pub path: ProbePath,
    /// Engines, by their names in the catalogue; one that is named twice is a control of the test.
    pub engines: Vec<String>,
    /// Measured time of each engine, ns.
    pub duration_ns: u64,
    /// Goals.
    pub goals: Vec<Goal>,
    /// Smallest gain of the median worth bypass, as a share.
    pub worth_ratio: f64,
    /// Engines may reset the interface that carries the default route or a login session.
    pub allow_disruptive: bool,
    /// Seed of the order.
    pub seed: u64,
}

impl VerdictJob {
    /// Refuses what cannot be measured, before anything is opened or sent.
    pub fn check(&self) -> Result<(), Failure> {
        known(&self.engines)?;
        if self.duration_ns / u64::from(LAPS) < LEAST_ROUND_NS {
            let least = LEAST_ROUND_NS * u64::from(LAPS) / 1_000_000;
            return Err(Failure::new(format!(
                "measure each engine for {} ms: it runs in {LAPS} rounds of at least {} ms; give --duration {least}ms or more",
                self.duration_ns / 1_000_000,
                LEAST_ROUND_NS / 1_000_000
            )));
        }
        self.path.cpu.map_or(Ok(()), |cpu| optimize::cpu_usable("pin to", cpu))
    }
}

/// Names of the catalogue alone, at least one of them without bypass.
fn known(engines: &[String]) -> Result<(), Failure> {
    crate::engines::known("use engine", engines.iter().map(String::as_str))?;
    if !engines.iter().any(|e| gives_up(e).is_none_or(|(bypass, _)| bypass == Extent::None)) {
        return Err(Failure::new(format!(
            "compare {} with the kernel's best: no engine without bypass is named; add block and spin to --engines",
            engines.join(", ")
        )));
    }
    Ok(())
}

/// Measures them; an engine that cannot run here is in the answer with its reason.
pub fn rounds(job: &VerdictJob, run: &str, sys: &dyn Sys, heard: &mut Reporter<'_>) -> Result<BypassRounds, Failure> {
    let Reporter { progress, line: say } = heard;
    let started_unix_ns = crate::wall_clock_ns();
    let facts = gather_path(sys, job.path.iface.as_deref(), Some(job.path.remote.into()), None);
    let top = facts.path.first().map(|l| l.name.clone());
    let iface = job.path.iface.clone().or(top).unwrap_or_default();
    let held = Held::take(&job.path, lasting_ns(job), sys);
    let path = held.path();
    let placement = path.placed.clone().unwrap_or_default();
    for line in probe::where_placed(&placement) {
        say(&line);
    }
    let held_back = (!job.allow_disruptive).then_some("--allow-disruptive tries it");
    let ask = Trying { path, iface: &iface, engines: &job.engines, held_back, in_a_run: false };
    let trials = optimize::tried(&ask, &facts);
    let mut bench = LiveBench::new(path, PLAIN, sys, &facts.path).heard_by(*progress);
    let ask = laps_ask(job, &mut bench)?;
    let all = lowlat_tune::laps(&mut bench, &ask, &trials, say)?;
    Ok(BypassRounds {
        schema: Schema::current("bypass-verdict"),
        started_unix_ns,
        run: run.to_owned(),
        driver: facts.interfaces.get(&iface).and_then(|i| i.driver.value().cloned()).unwrap_or_default(),
        iface: (!iface.is_empty()).then_some(iface),
        kernel: query::uname(sys).into_value().map(|u| u.release).unwrap_or_default(),
        target: job.path.words.clone(),
        proto: job.path.proto_name().to_owned(),
        size_bytes: u32::try_from(job.path.size).unwrap_or(u32::MAX),
        placement,
        seed: job.seed,
        worth_ratio: job.worth_ratio,
        goals: job.goals.clone(),
        engines: recorded(&trials, all),
    })
}

/// Longest that it takes, ns: a round takes its length, and what opens, warms up and settles it not longer.
fn lasting_ns(job: &VerdictJob) -> u64 {
    let round_ns = (job.duration_ns / u64::from(LAPS)).max(LONGEST_ROUND_NS);
    round_ns.saturating_mul(4 * u64::from(LAPS)).saturating_mul(job.engines.len() as u64)
}

/// Rounds that are long enough for a median on this path.
fn laps_ask(job: &VerdictJob, bench: &mut LiveBench<'_>) -> Result<LapsAsk, Failure> {
    let look = RoundAsk { ping_pong_ns: LOOK_NS, ..RoundAsk::default() };
    let look = bench.round(&look).map_err(|e| Failure::new(e.to_string()))?;
    let median_ns = lowlat_verdict::quantiles(&look.samples_ns).p50_ns.or_else(|| look.samples_ns.first().copied());
    let wanted = median_ns.unwrap_or(0).saturating_mul(PROBES_A_ROUND).min(LONGEST_ROUND_NS);
    Ok(LapsAsk {
        laps: LAPS,
        ping_pong_ns: (job.duration_ns / u64::from(LAPS)).max(wanted),
        planned_ns: 0,
        median_ns,
        seed: job.seed,
    })
}

fn recorded(trials: &[EngineTrial], all: Vec<Laps>) -> Vec<EngineRounds> {
    let again = |i: usize| trials[..i].iter().any(|t| t.engine == trials[i].engine);
    let of = |(i, (trial, laps)): (usize, (&EngineTrial, Laps))| {
        let (bypass, loses) = gives_up(&trial.engine).unwrap_or_default();
        EngineRounds {
            engine: trial.engine.clone(),
            control: again(i),
            bypass,
            loses,
            costs: trial.costs.clone(),
            why_not: laps.why_not,
            rounds: laps.rounds,
        }
    };
    trials.iter().zip(all).enumerate().map(of).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may end by panic
mod tests {
    use super::*;
    use crate::path::ENGINES;

    #[test]
    fn a_second_mention_is_a_control() {
        let named = |name: &str| EngineTrial { engine: name.to_owned(), ..EngineTrial::default() };
        let trials = ["spin", "af-xdp", "spin"].map(named);
        let out = recorded(&trials, vec![Laps::default(); 3]);
        assert_eq!(out.iter().map(|e| e.control).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!((out[0].bypass, out[1].bypass), (Extent::None, Extent::Partial));
        assert!(out[1].loses.iter().any(|l| l.starts_with("firewall: ")));
    }

    #[test]
    fn names_are_those_of_the_catalogue_and_one_goes_past_nothing() {
        let all = |names: &[&str]| known(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert!(all(ENGINES).is_ok());
        assert!(all(&["spin", "warp"]).unwrap_err().to_string().contains("choose one of block, spin"));
        assert!(all(&["af-xdp"]).unwrap_err().to_string().contains("add block and spin"));
    }
}

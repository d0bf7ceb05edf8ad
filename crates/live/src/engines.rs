//! Engines side by side on one path, outside of a tuning run: nothing is changed.

use lowlat_measure::placement::{PlacedThread, ThreadPlacement};
use lowlat_model::{EnginesDocument, Schema};
use lowlat_sys::Sys;
use lowlat_tune::{Bench as _, EngineTrial, LAPS, Limits, RunProgress, side_by_side};

use crate::bench::LiveBench;
use crate::optimize::{Trying, tried};
use crate::path::{ENGINES, ProbePath, is_engine};
use crate::probe::{self, Ask};
use crate::{Failure, ab, conditions};

/// The name that stands for each engine of this build.
pub const ALL: &str = "all";

/// A round that shows how fast the path is, ns.
const LOOK_NS: u64 = 100_000_000;
/// The ping-pong's part of a round; the rest are sends on a plan.
const PING_PONG: (u64, u64) = (2, 3);

/// What to measure.
#[derive(Debug)]
pub struct Compared<'a> {
    /// The path, placed.
    pub path: &'a ProbePath,
    /// Engines by name.
    pub engines: Vec<String>,
    /// They were named one by one: one that cannot run ends the command.
    pub named: bool,
    /// Measured time of each engine, ns.
    pub duration_ns: u64,
    /// Bulk TCP streams of a second set of rounds; 0 leaves it out.
    pub load_streams: u32,
}

/// The engines of a list that the user wrote, [`ALL`] among them; each once. `None` where it is the name of one engine.
pub fn listed(text: &str) -> Option<Vec<String>> {
    if text != ALL && !text.contains(',') {
        return None;
    }
    Some(expanded(text.split(',')))
}

/// These engines, [`ALL`] replaced; each once, in their order.
pub fn expanded<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        let of_it = if name == ALL { ENGINES } else { &[name][..] };
        for engine in of_it {
            if !all.iter().any(|known| known == engine) {
                all.push((*engine).to_owned());
            }
        }
    }
    all
}

/// Refuses a name that no engine of this build has.
pub fn known<'a>(operation: &str, names: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
    let refused = |name: &str| is_engine(name).map_err(|why| Failure::new(format!("{operation} {name:?}: {why}")));
    names.into_iter().try_for_each(refused)
}

/// Measures every engine in alternated rounds, and with a load once more under it.
pub fn run(
    job: &Compared<'_>,
    sys: &dyn Sys,
    progress: &mut dyn FnMut(&RunProgress),
    say: &mut dyn FnMut(&str),
) -> Result<EnginesDocument, Failure> {
    let path = job.path;
    let iface = conditions::choose(path, sys).iface;
    let facts = lowlat_collect::gather_path(sys, iface.as_deref(), Some(path.remote.into()), None);
    let look = probe::flow_round(&Ask { duration_ns: LOOK_NS, ..Ask::new(path, lowlat_transport::block::NAME) })?;
    let median_ns = lowlat_verdict::quantiles(&look.samples_ns).p50_ns;
    let limits = Limits {
        round_ns: job.duration_ns / u64::from(LAPS) * PING_PONG.0 / PING_PONG.1,
        headline_ns: 0,
        seed: ab::seed(),
        ..Limits::default()
    };
    let held_back = (!job.named).then_some("named alone or in a list it is measured there");
    let ask =
        Trying { path, iface: iface.as_deref().unwrap_or_default(), engines: &job.engines, held_back, in_a_run: false };
    // It looks at the links before the trials do something to them.
    let mut bench = LiveBench::new(path, lowlat_transport::block::NAME, sys, &facts.path).heard_by(progress);
    let trials = tried(&ask, &facts);
    refuse(job.named, &trials)?;
    path.placed.iter().flat_map(probe::where_placed).for_each(|line| say(&line));
    // For all rounds: it takes longer than one may.
    let locked = PlacedThread::take(&ThreadPlacement { lock_memory: true, ..ThreadPlacement::default() })?;
    let engines = side_by_side(&mut bench, &limits, median_ns, &trials, say)?;
    let mut loaded = Vec::new();
    if job.load_streams > 0 {
        say(&format!("under load ({} streams)", job.load_streams));
        bench.start_load(job.load_streams).map_err(|e| Failure::new(e.0))?;
        let measured = side_by_side(&mut bench, &limits, median_ns, &trials, say);
        bench.stop_load();
        loaded = measured?;
    }
    Ok(EnginesDocument {
        schema: Schema::current("engines"),
        target: path.shown(),
        proto: path.proto_name().to_owned(),
        peer: path.peer.clone(),
        size_bytes: u32::try_from(path.size).unwrap_or(u32::MAX),
        iface,
        laps: LAPS,
        seed: limits.seed,
        placed: path.placed.clone().unwrap_or_default(),
        memory: locked.memory().map(probe::memory).unwrap_or_default(),
        engines,
        load_streams: job.load_streams,
        loaded,
        warnings: path.silent_words().into_iter().collect(),
    })
}

/// Ends the command where an engine that was named cannot run, or none can.
fn refuse(named: bool, trials: &[EngineTrial]) -> Result<(), Failure> {
    let runs = |t: &EngineTrial| t.why_not.is_none();
    match trials.iter().find_map(|t| Some((t, t.why_not.as_ref()?))) {
        Some((trial, why)) if named || !trials.iter().any(runs) => {
            Err(Failure::new(format!("{}: {why}", trial.engine)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_each_engine_once_and_all_is_every_one() {
        assert_eq!(listed("spin"), None);
        assert_eq!(listed("spin,block,spin").unwrap_or_default(), ["spin", "block"]);
        assert_eq!(listed(ALL).unwrap_or_default(), ENGINES);
        assert_eq!(expanded(["af-xdp", ALL]).len(), ENGINES.len());
        assert!(known("measure with engine", ["block", "io-uring:sleep+multishot"]).is_ok());
        let refused = known("measure with engine", ["io-uring:warp"]).map_err(|e| e.to_string());
        assert!(refused.is_err_and(|e| e.contains("warp") && e.contains("multishot")));
        let refused = known("measure with engine", ["block", "dpkd"]).map_err(|e| e.to_string());
        assert!(refused.is_err_and(|e| e.contains("\"dpkd\"") && e.contains("io-uring")));
    }

    #[test]
    fn a_named_engine_that_cannot_run_ends_the_command_and_one_of_all_does_not() {
        let trial = |why: Option<&str>| EngineTrial { why_not: why.map(Into::into), ..EngineTrial::default() };
        let one = [trial(None), trial(Some("it cannot"))];
        assert!(refuse(true, &one).is_err() && refuse(false, &one).is_ok());
        assert!(refuse(false, &one[1..]).is_err(), "none can");
    }
}

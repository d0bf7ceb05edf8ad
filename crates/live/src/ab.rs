//! Two live configurations, alternated: what `compare` and the stamps' cost are made of.

use lowlat_model::verdict::{Comparison, Round, TooSlow};
use lowlat_sys::Sys;
use lowlat_transport::clock;
use lowlat_tune::{Halt, Limits, Pairing, RunProgress, Schedule, TuneError, alternate};
use lowlat_verdict::sequential::{Coins, SequentialOptions, Test};

use crate::Failure;
use crate::bench::LiveBench;
use crate::probe::{self, Ask};
use crate::suspend::Suspender;

/// A round that shows how fast a side is, ns: twenty probes of a path of 5 ms.
const LOOK_NS: u64 = 100_000_000;

/// What a signal does to a test that is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// It is given up.
    Fail,
    /// The whole pairs so far stand.
    Keep,
}

/// A seed for one test: recorded with it, so that its order can be made again.
pub fn seed() -> u64 {
    // Within 53 bits: a reader of JSON may hold numbers as doubles.
    (crate::wall_clock_ns() ^ u64::from(std::process::id()).rotate_left(32)) & ((1 << 53) - 1)
}

/// Rounds of A and B, alternated until the test stops; `heard` hears before each how far it is.
pub fn alternated(
    (a, b): (&Ask<'_>, &Ask<'_>),
    names: (&str, &str),
    options: SequentialOptions,
    on_stop: OnStop,
    sys: &dyn Sys,
    heard: &mut dyn FnMut(&RunProgress),
) -> Result<Comparison, Failure> {
    // The slower side's: at its rate neither queues for being sent too much.
    let median_ns = if a.planned_ns + b.planned_ns > 0 { slower(&[a, b])? } else { None };
    let (a, planned_too_slow) = fit(a, median_ns);
    let (b, _) = fit(b, median_ns);
    let options = SequentialOptions { planned_too_slow, ..options };
    let most_pairs = options.most_pairs;
    let mut schedule = Schedule::new(1, 0, []);
    let pair_ns = a.duration_ns + a.planned_ns + b.duration_ns + b.planned_ns;
    let pairs = u64::from(if options.least_pairs < most_pairs { most_pairs.div_ceil(2) } else { most_pairs });
    schedule.begin_test(&format!("{} against {}", names.0, names.1), pair_ns.saturating_mul(pairs), clock::now());
    let mut rounds = 0;
    let mut coins = Coins::new(options.seed);
    let mut test = Test::new(names, options);
    let mut suspender = Suspender::new(sys);
    let mut bench = LiveBench::new(a.path, a.engine, sys, &[]);
    let ended = alternate(
        &mut bench,
        &mut coins,
        &mut Pairing {
            switch: &mut |_, _, _| Ok(()),
            round: &mut |_, is_b, source_port| {
                heard(&schedule.at((rounds / 2, most_pairs), clock::now()));
                rounds += 1;
                let ask = Ask { median_ns, source_port, ..(if is_b { &b } else { &a }).clone() };
                let round =
                    probe::suspended_round(&mut suspender, &ask).map_err(|f| lowlat_tune::BenchError(f.to_string()))?;
                Ok(Round { is_b, ..round })
            },
            push: &mut |a: Round, b: Round| test.push(a, b),
        },
    );
    match ended {
        Ok(_) => {}
        Err(Halt::Fail(TuneError::Interrupted)) if on_stop == OnStop::Keep => test.interrupt(),
        Err(Halt::Fail(TuneError::Interrupted)) => return Err(Failure::new("A/B test: interrupted by a signal")),
        Err(Halt::Fail(error)) => return Err(error.into()),
        Err(Halt::Refused(why) | Halt::Reset(why)) => return Err(Failure::new(why)),
    }
    Ok(test.comparison())
}

/// The ask with planned sends only where the path has enough of them for a verdict; else their time is ping-pong's, and why.
/// Both sides of a pair have one length and one median, so that it is the same for both.
fn fit<'a>(ask: &Ask<'a>, median_ns: Option<u64>) -> (Ask<'a>, Option<TooSlow>) {
    let planned = Limits::planned_for(ask.planned_ns.saturating_mul(2), median_ns.map(lowlat_measure::plan_gap));
    let (duration_ns, planned_ns) = match planned.too_slow {
        _ if ask.planned_ns == 0 => return (ask.clone(), None),
        Some(_) => (ask.duration_ns + ask.planned_ns, 0),
        None => (ask.duration_ns, planned.length_ns),
    };
    (Ask { duration_ns, planned_ns, ..ask.clone() }, planned.too_slow)
}

/// The larger of the medians of one short round each, ns.
fn slower(asks: &[&Ask<'_>]) -> Result<Option<u64>, Failure> {
    let mut slowest = None;
    for ask in asks {
        let ask = Ask { duration_ns: LOOK_NS.min(ask.duration_ns), planned_ns: 0, ..(*ask).clone() };
        slowest = slowest.max(lowlat_verdict::quantiles(&probe::flow_round(&ask)?.samples_ns).p50_ns);
    }
    Ok(slowest)
}

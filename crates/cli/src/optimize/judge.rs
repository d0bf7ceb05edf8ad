//! One A/B test: rounds without and with a change, alternated on the live path.

use std::time::Duration;

use lowlat_model::verdict::{Comparison, Round, Rounds};
use lowlat_sys::Sys;

use crate::failure::Failure;
use crate::probe::{self, Ask};
use crate::signals;

/// What a step is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// Round trips of the probe.
    RoundTrips,
    /// A counter of the host: counter group and key. For faults that lose other programs' packets, which the probe's
    /// round trips cannot show.
    Counter(&'static str, &'static str),
}

/// A receiver that opens its sockets anew takes a changed default only then; this long after a toggle nothing counts.
const SETTLE: Duration = Duration::from_millis(250);

impl Judge {
    /// The judge for a step that the named rule asks for.
    pub fn for_rule(rule: &str) -> Self {
        match rule {
            "receive-buffer-errors" => Self::Counter("snmp", "Udp.RcvbufErrors"),
            "tcp-receive-pruned" => Self::Counter("netstat", "TcpExt.PruneCalled"),
            _ => Self::RoundTrips,
        }
    }
}

/// What a stop signal does to a test that is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// It is given up.
    Fail,
    /// The whole pairs so far stand.
    Keep,
}

/// A seed for one test: recorded with it, so that its order and its resampling can be made again.
pub fn seed() -> u64 {
    // Within 53 bits: a reader of JSON may hold numbers as doubles.
    (crate::wall_clock_ns() ^ u64::from(std::process::id()).rotate_left(32)) & ((1 << 53) - 1)
}

/// Runs `pairs` pairs of rounds in an order drawn from `seed` ([`lowlat_measure::order`]). `toggle(true)` brings the
/// change, `toggle(false)` takes it away; each is called only when the state differs. `round(is_b)` is one round.
fn pairs<T>(
    pairs: u32,
    seed: u64,
    on_stop: OnStop,
    toggle: &mut dyn FnMut(bool) -> Result<(), Failure>,
    round: &mut dyn FnMut(bool) -> Result<T, Failure>,
) -> Result<Vec<(bool, T)>, Failure> {
    let mut rounds = Vec::with_capacity(pairs as usize * 2);
    let mut now = None;
    for b_first in lowlat_measure::order(pairs, seed) {
        for is_b in [b_first, !b_first] {
            if !signals::stopped() {
                if now != Some(is_b) {
                    toggle(is_b)?;
                    now = Some(is_b);
                }
                rounds.push((is_b, round(is_b)?));
            }
            if signals::stopped() {
                if on_stop == OnStop::Fail {
                    return Err(Failure::new("A/B test: interrupted by a signal"));
                }
                // The round that the signal cut short has no equal beside it.
                let whole = rounds.len().saturating_sub(1) / 2 * 2;
                rounds.truncate(whole);
                return Ok(rounds);
            }
        }
    }
    Ok(rounds)
}

/// Round trips of A and B, alternated.
pub fn alternate(
    a: &Ask<'_>,
    b: &Ask<'_>,
    names: (&str, &str),
    (count, seed, on_stop): (u32, u64, OnStop),
    toggle: &mut dyn FnMut(bool) -> Result<(), Failure>,
) -> Result<Rounds, Failure> {
    let rounds = pairs(count, seed, on_stop, toggle, &mut |is_b| probe::round(if is_b { b } else { a }))?;
    let rounds = rounds.into_iter().map(|(is_b, samples_ns)| Round { is_b, samples_ns, ..Round::default() }).collect();
    Ok(Rounds { a_name: names.0.to_owned(), b_name: names.1.to_owned(), rounds, seed })
}

/// Growth of a counter without and with a change, alternated.
pub fn alternate_counts(
    sys: &dyn Sys,
    (group, key): (&str, &str),
    round: Duration,
    count: u32,
    toggle: &mut dyn FnMut(bool) -> Result<(), Failure>,
) -> Result<Comparison, Failure> {
    let read = || {
        lowlat_probes::counters(sys)
            .get(group, key)
            .ok_or_else(|| Failure::new(format!("judge by {key}: the counter cannot be read; see `lowlat facts`")))
    };
    let seed = seed();
    let rounds = pairs(count, seed, OnStop::Fail, toggle, &mut |_| {
        std::thread::sleep(SETTLE);
        let before = read()?;
        std::thread::sleep(round);
        Ok(read()?.saturating_sub(before))
    })?;
    let of = |arm: bool| rounds.iter().filter(move |(is_b, _)| *is_b == arm).map(|(_, n)| *n);
    let paired: Vec<(u64, u64)> = of(false).zip(of(true)).collect();
    Ok(Comparison { seed, ..lowlat_verdict::compare_counts(key, "without", "with", &paired) })
}

/// What the rounds show.
pub fn compare(rounds: &Rounds) -> Comparison {
    lowlat_verdict::compare(rounds, &lowlat_verdict::Options { seed: rounds.seed, ..Default::default() })
}

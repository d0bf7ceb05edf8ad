//! `measure --self`: what this tool and this host cannot go below.

use lowlat_measure::clock::Wish;
use lowlat_model::Schema;
use lowlat_model::answer::{Floor, SelfDocument};
use lowlat_sys::Live;

use crate::output;
use lowlat_live::{Outcome, clocks};

/// Runs the self-test.
pub fn run(wish: Wish, json: bool) -> Outcome {
    let live = Live::new();
    let clock = clocks::settle(wish, &live);
    let test = lowlat_measure::self_test(100_000)?;
    let (words, weakens) = clock.at_end();
    let beside = (!clock.is_tsc()).then(|| clocks::of_tsc(&live));
    if json {
        let floor = |f: lowlat_measure::floor::MeasuredFloor| Floor { what: f.what.to_owned(), rtt: f.rtt };
        output::json(&SelfDocument {
            schema: Schema::current("self"),
            clock: words,
            beside,
            warning: weakens,
            record_ps: ps(test.record_ns),
            floors: test.floors.into_iter().map(floor).collect(),
        })?;
        return Ok(0);
    }
    output::text(&format!("clock: {words}"));
    if let Some(beside) = beside {
        output::text(&format!("other clock: {beside}"));
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

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a time, and of nanoseconds
fn ps(ns: f64) -> u64 {
    (ns * 1000.0).round() as u64
}

fn ns(value: Option<u64>) -> String {
    value.map_or_else(|| "n/a".to_owned(), |v| v.to_string())
}

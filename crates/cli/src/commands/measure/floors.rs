//! `measure --self`: what this tool and this host cannot go below.

use lowlat_measure::clock::Wish;
use lowlat_sys::Live;

use crate::clocks;
use crate::failure::Outcome;
use crate::output;

/// Runs the self-test.
pub fn run(wish: Wish) -> Outcome {
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

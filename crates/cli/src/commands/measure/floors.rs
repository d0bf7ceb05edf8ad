//! `measure --self`: what this tool and this host cannot go below.

use crate::failure::Outcome;
use crate::output;

/// Runs the self-test.
pub fn run() -> Outcome {
    let test = lowlat_measure::self_test(100_000)?;
    output::text(&format!("clock: {} ns a read, resolves {} ns", test.clock.read_ns, test.clock.resolution_ns));
    output::text(&format!("recording one sample: {:.1} ns", test.record_ns));
    for floor in &test.floors {
        output::text(&format!("{}: p50 {} ns, p99 {} ns", floor.what, ns(floor.rtt.p50_ns), ns(floor.rtt.p99_ns)));
    }
    Ok(0)
}

fn ns(value: Option<u64>) -> String {
    value.map_or_else(|| "n/a".to_owned(), |v| v.to_string())
}

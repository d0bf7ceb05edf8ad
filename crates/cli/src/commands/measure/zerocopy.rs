//! `measure --zerocopy`: from which size a send without a copy pays.

use std::path::Path;

use crate::output;
use lowlat_live::{Failure, Outcome, path::ProbePath, signals, stored};

/// The document in the folder of a stored run.
pub(super) const DOCUMENT: &str = "zerocopy.json";

/// The sizes that the flag names, in rising order.
pub fn sizes(text: &str) -> Result<Vec<u64>, Failure> {
    lowlat_measure::zerocopy::sizes(text).map_err(|why| Failure::new(format!("measure --zerocopy: {why}")))
}

/// Measures each size, stores and prints what it comes to.
pub fn run(path: &ProbePath, sizes: &[u64], duration_ns: u64, (out, json): (Option<&Path>, bool)) -> Outcome {
    let document = lowlat_live::zerocopy::measure(path, sizes, duration_ns, &mut |size| {
        if !json {
            output::progress(&lowlat_report::zerocopy_line(size));
        }
    })?;
    if let Some(folder) = out {
        stored::save(folder, DOCUMENT, &document)?;
    }
    if json {
        output::json(&document)?;
    } else {
        output::report(&lowlat_report::zerocopy(&document, output::width()));
    }
    if signals::stopped() {
        output::progress("interrupted: the rounds up to then");
    }
    Ok(0)
}

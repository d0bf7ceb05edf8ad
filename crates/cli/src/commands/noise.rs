//! `lowlat noise`: what the host itself adds.

use lowlat_measure::NoiseSpec;
use lowlat_sys::Live;

use crate::args::NoiseArgs;
use crate::failure::Outcome;
use crate::{output, signals};

/// Runs the command.
pub fn run(args: &NoiseArgs, json: bool) -> Outcome {
    let spec = NoiseSpec { cpus: args.cpus.clone(), duration_ns: args.duration, ..NoiseSpec::default() };
    let document = lowlat_measure::noise(&Live::new(), &spec, signals::stop())?;
    if json {
        output::json(&document)?;
    } else {
        output::text(&lowlat_report::noise(&document));
    }
    Ok(0)
}

//! `lowlat measure --engine all`: every engine on one path, in alternated rounds.

use std::path::Path;

use lowlat_sys::Sys;
use lowlat_tune::RunProgress;

use crate::output;
use crate::progress::ProgressLine;
use lowlat_live::{
    Outcome,
    engines::{self, Compared},
    probe::Ask,
    stored,
};

/// The document in the folder of a stored run.
pub(super) const DOCUMENT: &str = "engines.json";

/// Measures the engines, and prints them side by side. `named` engines must run.
pub(super) fn run(
    ask: &Ask<'_>,
    (list, named): (Vec<String>, bool),
    out: Option<&Path>,
    sys: &dyn Sys,
    (shown, json): (ProgressLine, bool),
) -> Outcome {
    let (duration_ns, load_streams) = (ask.duration_ns, ask.load_streams);
    let job = Compared { path: ask.path, engines: list, named, duration_ns, load_streams };
    let mut progress = |at: &RunProgress| shown.show(&RunProgress { of: 0, ..at.clone() }, "");
    let document = engines::run(&job, sys, &mut progress, &mut output::progress)?;
    drop(shown);
    if let Some(folder) = out {
        stored::save(folder, DOCUMENT, &document)?;
    }
    if json {
        output::json(&document)?;
    } else {
        output::report(&lowlat_report::engines(&document, output::width()));
    }
    Ok(0)
}

//! `measure --sweep`: the same path at several intervals, sizes or rates.

use lowlat_measure::sweep::{Axis, sweep};
use lowlat_model::sweep::SweepAxis;
use lowlat_model::units::us;
use lowlat_sys::Sys;

use super::steps::Steps;
use crate::output;
use crate::progress::ProgressLine;
use lowlat_live::{
    Failure, Outcome,
    path::ProbePath,
    probe::Heard,
    probe::{self, Ask},
    signals, stored,
};

/// Measures every point; each lasts as long as a single measurement would.
pub fn run(
    ask: &Ask<'_>,
    axis: &Axis,
    out: Option<&std::path::Path>,
    sys: &dyn Sys,
    (shown, json): (ProgressLine, bool),
) -> Outcome {
    let sizes = ask.peer()?.message_sizes();
    let name = axis.axis();
    let place = |at: f64| match name {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a duration that was read as one
        SweepAxis::Interval => format!("interval {} µs", us(at as u64)),
        SweepAxis::Size => format!("{at:.0} bytes"),
        SweepAxis::Rate => format!("{at:.0}/s"),
    };
    for (_, spec) in axis.specs(&ask.spec()) {
        Ask { mode: spec.mode, ..ask.clone() }.check()?;
    }
    let mut number = 0;
    let mut steps = Steps::new(&shown, ask, axis.specs(&ask.spec()).len());
    let document = sweep::<Failure>(axis, &ask.spec(), sizes, &mut |at, spec| {
        let path = ProbePath { size: spec.size, ..ask.path.clone() };
        let point = Ask { path: &path, mode: spec.mode, ..ask.clone() };
        number += 1;
        let log = out.map(|folder| folder.join(stored::samples_of(number)));
        let logs: Vec<&std::path::Path> = log.as_deref().into_iter().collect();
        steps.begin(&place(at));
        let heard = &mut Heard { progress: &mut |p| steps.show(p), line: &mut output::progress };
        let measured = probe::measure_with(&point, sys, &logs, heard);
        steps.end();
        measured
    })?;
    drop(shown);
    if let Some(folder) = out {
        stored::save(folder, "sweep.json", &document)?;
    }
    if json {
        output::json(&document)?;
    } else {
        output::report(&lowlat_report::sweep(&document, output::width()));
    }
    if signals::stopped() {
        output::progress("interrupted: the points up to then");
    }
    if let Some(why) = &document.failed {
        output::progress(&format!("lowlat: the sweep ended before its last point: {why}"));
    }
    Ok(u8::from(document.failed.is_some()))
}

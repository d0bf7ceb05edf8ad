//! What the statistics make of measured samples: the stage between `measure` and the document.

use lowlat_measure::{Context, Samples, Spec};
use lowlat_model::Measurement;
use lowlat_model::measurement::SteadyState;

/// Of every interval.
const CONFIDENCE: f64 = 0.95;
/// Resamples of an interval.
const ITERATIONS: usize = 1_000;

/// The document: what the steady-state test leaves out, the figures, their intervals, and the jitter.
///
/// Where not all probes were kept one by one, figures come from histograms, and neither test nor intervals can be made.
pub fn measurement(samples: &mut Samples, spec: &Spec, context: Context, steady: SteadyWindow) -> Measurement {
    let found = match steady {
        SteadyWindow::Known(known) => known,
        SteadyWindow::Find => find(samples),
    };
    let mut out = samples.measurement(spec, context);
    out.steady = found;
    if found.is_some_and(|s| !s.steady) {
        out.warnings.push(
            "the path never became steady: its level still changed in the second half of the run; measure longer"
                .into(),
        );
    }
    if samples.complete() {
        let (rtts, planned) = (samples.rtts(), samples.rtts_planned());
        let intervals = |s: &[u64]| lowlat_verdict::intervals(s, &lowlat_verdict::QUANTILES, CONFIDENCE, ITERATIONS, 1);
        out.rtt_intervals = intervals(&rtts);
        out.rtt_planned_intervals = intervals(&planned);
        out.jitter = Some(lowlat_verdict::jitter::jitter(&rtts));
    }
    out
}

/// Whether the steady state is looked for.
#[derive(Debug, Clone, Copy)]
pub enum SteadyWindow {
    /// It is.
    Find,
    /// It was, when the samples were taken, or is not to be.
    Known(Option<SteadyState>),
}

fn find(samples: &mut Samples) -> Option<SteadyState> {
    if !samples.complete() {
        return None;
    }
    let found = lowlat_verdict::steady::steady(&samples.course());
    let (warmup, cooldown) = (found.warmup as u64, found.cooldown as u64);
    samples.leave_out(warmup, cooldown);
    Some(SteadyState { warmup, cooldown, steady: found.steady })
}

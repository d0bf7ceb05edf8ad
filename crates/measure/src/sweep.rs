//! One measurement after another along an axis: idle states show over the interval, copies and segmentation over the
//! size, the knee over the rate.

use lowlat_model::Measurement;

use crate::{MeasureError, Mode, Pattern, Spec};

/// What changes from point to point.
#[derive(Debug, Clone, PartialEq)]
pub enum Axis {
    /// Time between probes of a ping-pong, ns.
    Interval(Vec<u64>),
    /// Message length, bytes.
    Size(Vec<usize>),
    /// Open-loop rate, probes a second.
    Rate(Vec<f64>, Pattern),
}

/// One point of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Where on the axis: ns, bytes, or probes a second.
    pub at: f64,
    /// What was measured there.
    pub measurement: Measurement,
    /// Planned probes that never left.
    pub unsent: u64,
}

impl Axis {
    /// The specs of its points: `base` with one thing changed.
    pub fn specs(&self, base: &Spec) -> Vec<(f64, Spec)> {
        match self {
            Self::Interval(all) => all
                .iter()
                .map(|&ns| (ns as f64, Spec { mode: Mode::PingPong { interval_ns: Some(ns) }, ..base.clone() }))
                .collect(),
            Self::Size(all) => all.iter().map(|&size| (size as f64, Spec { size, ..base.clone() })).collect(),
            Self::Rate(all, pattern) => all
                .iter()
                .map(|&rate_pps| {
                    (rate_pps, Spec { mode: Mode::OpenLoop { rate_pps, pattern: *pattern }, ..base.clone() })
                })
                .collect(),
        }
    }
}

/// Measures one spec: its figures, and how many planned probes never left.
pub type Measure<'a> = dyn FnMut(&Spec) -> Result<(Measurement, u64), MeasureError> + 'a;

/// Measures every point with `measure`, which gives the figures and the number of unsent probes. All points are checked
/// before the first is measured.
pub fn sweep(
    axis: &Axis,
    base: &Spec,
    sizes: (usize, usize),
    measure: &mut Measure<'_>,
) -> Result<Vec<Point>, MeasureError> {
    let specs = axis.specs(base);
    for (_, spec) in &specs {
        spec.check(sizes)?;
    }
    specs
        .into_iter()
        .map(|(at, spec)| measure(&spec).map(|(measurement, unsent)| Point { at, measurement, unsent }))
        .collect()
}

/// The highest rate at which less than `loss` of the planned probes was lost or never left, all lower rates being as
/// good: above it lies the knee.
pub fn knee(points: &[Point], loss: f64) -> Option<f64> {
    let mut sorted: Vec<&Point> = points.iter().collect();
    sorted.sort_by(|a, b| a.at.total_cmp(&b.at));
    sorted
        .into_iter()
        .take_while(|p| {
            let planned = p.measurement.sent + p.unsent;
            planned > 0 && ((p.measurement.lost + p.unsent) as f64) < loss * planned as f64
        })
        .last()
        .map(|p| p.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Path, SimEngine, simulate};
    use crate::{Context, Warmup};

    #[test]
    fn the_knee_is_where_the_send_cost_says() {
        // A send costs 2 µs here: 500 000 a second at the most.
        let base =
            Spec { duration_ns: Some(20_000_000), timeout_ns: 1_000_000, warmup: Warmup::Probes(0), ..Spec::default() };
        let axis = Axis::Rate(vec![1e5, 2e5, 4e5, 8e5, 1.6e6], Pattern::Fixed);
        let points = sweep(&axis, &base, (8, 1_472), &mut |spec| {
            let mut engine = SimEngine::new(Path { send_cost_ns: 2_000, ..Path::default() });
            let samples = simulate(&mut engine, spec, None, &mut |_| {})?;
            Ok((samples.measurement(spec, Context::default()), samples.counts().unsent))
        })
        .unwrap();
        assert_eq!(points.len(), 5);
        assert_eq!(knee(&points, 0.001), Some(4e5));
        assert_eq!(knee(&[], 0.001), None);
    }

    #[test]
    fn a_point_that_cannot_be_measured_is_refused_before_the_first() {
        let mut measured = 0;
        let result = sweep(&Axis::Size(vec![64, 9_000]), &Spec::default(), (8, 1_472), &mut |_| {
            measured += 1;
            Err(MeasureError::Silent { peer: "x", tries: 0, waited_ms: 0 })
        });
        assert!(matches!(result, Err(MeasureError::Spec { .. })) && measured == 0);
        assert_eq!(Axis::Interval(vec![5]).specs(&Spec::default())[0].1.mode, Mode::PingPong { interval_ns: Some(5) });
    }
}

//! One measurement after another along an axis: idle states show over the interval, copies and segmentation over the
//! size, the knee over the rate.

use std::fmt::Write as _;

use lowlat_model::measurement::QuantileInterval;
use lowlat_model::sweep::{SweepAxis, SweepDocument, SweepPoint};
use lowlat_model::units::{parse_duration_ns, us};
use lowlat_model::{Measurement, Schema};

use crate::{MeasureError, Mode, Pattern, Spec};

/// Most points of a sweep: a range typed with a nought too many must not run for days.
const MOST_POINTS: usize = 100;

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

impl Axis {
    /// Reads `interval=10us,1ms`, `size=64..1472` or `rate=1000..100000`: a list, or a range in steps of 1, 2, 5, 10.
    /// Rates leave in `pattern`.
    pub fn parse(text: &str, pattern: Pattern) -> Result<Self, MeasureError> {
        let bad = |why: &str| MeasureError::Spec {
            what: format!("sweep {text:?}"),
            why: why.to_owned(),
            next: "write interval=10us,100us,1ms, size=64..1472 or rate=1000..100000".to_owned(),
        };
        let (axis, list) = text.split_once('=').ok_or_else(|| bad("it has no ="))?;
        let number = |t: &str| -> Result<f64, MeasureError> {
            match axis {
                "interval" => parse_duration_ns(t).map(|ns| ns as f64).map_err(|e| bad(&e)),
                "size" => t.parse::<u32>().map(f64::from).map_err(|_| bad(&format!("{t:?} is no number of bytes"))),
                "rate" => match t.parse::<f64>() {
                    Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
                    _ => Err(bad(&format!("{t:?} is no rate above 0"))),
                },
                _ => Err(bad("there is no axis of that name")),
            }
        };
        let mut all = Vec::new();
        for part in list.split(',') {
            match part.split_once("..") {
                None => all.push(number(part)?),
                Some((from, to)) => {
                    let (from, to) = (number(from)?, number(to)?);
                    if from <= 0.0 || from >= to {
                        return Err(bad("a range goes from a smaller value above 0 to a larger one"));
                    }
                    all.extend(steps(from, to));
                }
            }
            if all.len() > MOST_POINTS {
                return Err(bad(&format!("it has more than {MOST_POINTS} points")));
            }
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // read from whole numbers that fit
        Ok(match axis {
            "interval" => Self::Interval(all.into_iter().map(|v| v as u64).collect()),
            "size" => Self::Size(all.into_iter().map(|v| v as usize).collect()),
            _ => Self::Rate(all, pattern),
        })
    }

    /// Its name.
    pub fn axis(&self) -> SweepAxis {
        match self {
            Self::Interval(_) => SweepAxis::Interval,
            Self::Size(_) => SweepAxis::Size,
            Self::Rate(..) => SweepAxis::Rate,
        }
    }

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

/// `from`, the numbers 1, 2, 5 · 10ⁿ between, and `to`.
fn steps(from: f64, to: f64) -> Vec<f64> {
    let mut all = vec![from];
    let mut decade = 10f64.powf(from.log10().floor());
    while decade < to && all.len() <= MOST_POINTS {
        all.extend([1.0, 2.0, 5.0].map(|m| (m * decade).round()).into_iter().filter(|v| *v > from && *v < to));
        decade *= 10.0;
    }
    all.push(to);
    all
}

/// Measures every point. All points are checked before the first is measured, and a measurement that was interrupted is
/// the last.
pub fn sweep<E: From<MeasureError>>(
    axis: &Axis,
    base: &Spec,
    sizes: (usize, usize),
    measure: &mut dyn FnMut(f64, &Spec) -> Result<Measurement, E>,
) -> Result<SweepDocument, E> {
    let specs = axis.specs(base);
    if specs.is_empty() {
        return Err(MeasureError::Spec {
            what: "sweep".into(),
            why: "it has no point".into(),
            next: "give at least one value".into(),
        }
        .into());
    }
    for (_, spec) in &specs {
        spec.check(sizes)?;
    }
    let mut points = Vec::with_capacity(specs.len());
    let mut interrupted = false;
    for (at, spec) in specs {
        let measurement = measure(at, &spec)?;
        interrupted = measurement.interrupted;
        points.push(SweepPoint { at, measurement });
        if interrupted {
            break;
        }
    }
    let knee_rate_pps = if axis.axis() == SweepAxis::Rate { knee(&points) } else { None };
    let words = words(axis.axis(), &points, knee_rate_pps);
    Ok(SweepDocument { schema: Schema::current("sweep"), axis: axis.axis(), points, knee_rate_pps, words, interrupted })
}

/// The highest rate that was borne ([`Measurement::rate_borne`]), all lower ones being borne too: above it lies the knee.
pub fn knee(points: &[SweepPoint]) -> Option<f64> {
    by_place(points).into_iter().take_while(|p| p.measurement.rate_borne == Some(true)).last().map(|p| p.at)
}

fn by_place(points: &[SweepPoint]) -> Vec<&SweepPoint> {
    let mut sorted: Vec<&SweepPoint> = points.iter().collect();
    sorted.sort_by(|a, b| a.at.total_cmp(&b.at));
    sorted
}

fn words(axis: SweepAxis, points: &[SweepPoint], knee: Option<f64>) -> String {
    let sorted = by_place(points);
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return "no point was measured".to_owned() };
    if axis == SweepAxis::Rate {
        let above = sorted.iter().find(|p| p.measurement.rate_borne != Some(true)).map(|p| p.at);
        return match (knee, above) {
            (Some(borne), Some(not)) => {
                format!(
                    "the knee lies between {borne:.0} probes a second, which were borne, and {not:.0}, which were not"
                )
            }
            (Some(borne), None) => format!("every rate was borne: the knee lies above {borne:.0} probes a second"),
            (None, _) => format!("no rate was borne: the knee lies below {:.0} probes a second", first.at),
        };
    }
    let place = |at: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a duration that was read as one
        let ns = at as u64;
        if axis == SweepAxis::Interval { format!("{} µs", us(ns)) } else { format!("{at:.0} bytes") }
    };
    let median = |p: &SweepPoint| p.measurement.rtt_intervals.iter().find(|i| i.q.total_cmp(&0.5).is_eq()).copied();
    let (Some(a), Some(b)) = (median(first), median(last)) else {
        return "the ends of the sweep bear no interval of the median; measure longer".to_owned();
    };
    let ends = (place(first.at), place(last.at));
    match apart(a, b) {
        Some((from, to)) => {
            let way = if to > from { "rises" } else { "falls" };
            let mut text = format!("P50 {way} from {} µs at {} to {} µs at {}", us(from), ends.0, us(to), ends.1);
            if axis == SweepAxis::Size && last.at > first.at {
                let slope = (to as f64 - from as f64) / (last.at - first.at);
                let _ = write!(text, ": {slope:.2} ns a byte");
            } else if axis == SweepAxis::Interval && to > from {
                text.push_str(
                    ": what sleeps between the probes (idle states, interrupts, caches) costs the difference",
                );
            }
            text
        }
        None => format!("no difference of P50 shown between {} and {}: their 95 % intervals overlap", ends.0, ends.1),
    }
}

/// The two medians, where their intervals do not overlap.
fn apart(a: QuantileInterval, b: QuantileInterval) -> Option<(u64, u64)> {
    let overlap = a.low_ns? <= b.high_ns? && b.low_ns? <= a.high_ns?;
    (!overlap).then_some((a.at_ns?, b.at_ns?))
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
        let axis = Axis::parse("rate=100000..1600000", Pattern::Fixed).unwrap();
        let document = sweep(&axis, &base, (8, 1_472), &mut |_, spec| {
            let mut engine = SimEngine::new(Path { send_cost_ns: 2_000, ..Path::default() });
            let samples = simulate(&mut engine, spec, None, &mut |_| {})?;
            Ok::<_, MeasureError>(samples.measurement(spec, Context::default()))
        })
        .unwrap();
        let at: Vec<f64> = document.points.iter().map(|p| p.at).collect();
        assert_eq!(at, [1e5, 2e5, 5e5, 1e6, 1.6e6]);
        assert_eq!(document.knee_rate_pps, Some(5e5));
        assert_eq!(
            document.words,
            "the knee lies between 500000 probes a second, which were borne, and 1000000, which were not"
        );
        assert!(document.points[4].measurement.not_borne().unwrap().contains("of 1600000 planned"));
        assert_eq!(knee(&[]), None);
    }

    #[test]
    fn a_point_that_cannot_be_measured_is_refused_before_the_first() {
        let mut measured = 0;
        let result = sweep(&Axis::Size(vec![64, 9_000]), &Spec::default(), (8, 1_472), &mut |_, _| {
            measured += 1;
            Err(MeasureError::Silent { peer: "x", tries: 0, waited_ms: 0 })
        });
        assert!(matches!(result, Err(MeasureError::Spec { .. })) && measured == 0);
        assert_eq!(Axis::Interval(vec![5]).specs(&Spec::default())[0].1.mode, Mode::PingPong { interval_ns: Some(5) });
    }

    #[test]
    fn axes_are_read_and_nonsense_is_one_line() {
        let read = |t| Axis::parse(t, Pattern::Fixed);
        assert_eq!(read("interval=10us,1ms").unwrap(), Axis::Interval(vec![10_000, 1_000_000]));
        assert_eq!(
            read("interval=10us..300us").unwrap(),
            Axis::Interval(vec![10_000, 20_000, 50_000, 100_000, 200_000, 300_000])
        );
        assert_eq!(read("size=64,1472").unwrap(), Axis::Size(vec![64, 1_472]));
        for bad in [
            "",
            "rate",
            "rate=",
            "rate=0",
            "rate=nan",
            "rate=9..1",
            "size=-1",
            "speed=4",
            "interval=5",
            "interval=0us..1s",
            "rate=1..1e300",
        ] {
            let line = read(bad).unwrap_err().to_string();
            assert!(!line.contains('\n') && line.contains("; "), "{bad}: {line}");
        }
    }

    #[test]
    fn ends_whose_intervals_overlap_show_nothing() {
        let point = |at, low, high| SweepPoint {
            at,
            measurement: Measurement {
                rtt_intervals: vec![QuantileInterval {
                    q: 0.5,
                    at_ns: Some(u64::midpoint(low, high)),
                    low_ns: Some(low),
                    high_ns: Some(high),
                }],
                ..Measurement::default()
            },
        };
        let far = [point(1e4, 5_000, 5_100), point(1e6, 9_000, 9_200)];
        assert!(
            words(SweepAxis::Interval, &far, None).starts_with("P50 rises from 5.05 µs at 10.0 µs to 9.10 µs"),
            "{}",
            words(SweepAxis::Interval, &far, None)
        );
        let near = [point(64.0, 5_000, 5_100), point(128.0, 5_050, 5_200)];
        assert!(words(SweepAxis::Size, &near, None).starts_with("no difference of P50 shown between 64 bytes"));
        assert!(
            words(SweepAxis::Size, &[point(64.0, 5_000, 5_100), point(1_064.0, 6_000, 6_100)], None)
                .ends_with("1.00 ns a byte")
        );
    }
}

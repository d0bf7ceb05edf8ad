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
                "size" => t.parse::<u32>().map(f64::from).map_err(|_| bad(&format!("{t:?} is not a number of bytes"))),
                "rate" => match t.parse::<f64>() {
                    Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
                    _ => Err(bad(&format!("{t:?} is not a rate above 0"))),
                },
                _ => Err(bad("no such axis")),
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
/// the last. A point that cannot be measured ends the sweep, and those before it stay; the first one's failure is the
/// sweep's.
pub fn sweep<E: From<MeasureError> + std::fmt::Display>(
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
    let (mut interrupted, mut failed) = (false, None);
    for (at, spec) in specs {
        let measurement = match measure(at, &spec) {
            Ok(measurement) => measurement,
            Err(why) if points.is_empty() => return Err(why),
            Err(why) => {
                failed = Some(why.to_string());
                break;
            }
        };
        interrupted = measurement.interrupted;
        points.push(SweepPoint { at, measurement, sustained: None });
        if interrupted {
            break;
        }
    }
    let knee_rate_pps = if axis.axis() == SweepAxis::Rate {
        judge(&mut points);
        knee(&points)
    } else {
        None
    };
    let words = words(axis.axis(), &points, knee_rate_pps);
    let (schema, axis) = (Schema::current("sweep"), axis.axis());
    Ok(SweepDocument { schema, axis, points, knee_rate_pps, words, interrupted, failed })
}

/// A rate counts as sustained while its median is at most this many times the lowest median at a lower rate. In an open
/// queue the waiting time equals the service time at half the capacity (M/M/1), so twice the latency of a quiet path
/// says that the knee is passed, long before packets are lost.
const MEDIAN_FACTOR: u64 = 2;
/// The same for P99, which scatters more between two runs of one rate.
const TAIL_FACTOR: u64 = 5;

/// Says of each point whether its rate was sustained: next to nothing was lost ([`Measurement::rate_sustained`]), and
/// median and P99 from the planned send stayed within [`MEDIAN_FACTOR`] and [`TAIL_FACTOR`] of the lowest at a lower
/// rate.
fn judge(points: &mut [SweepPoint]) {
    // From the lowest rate up; the points stay in the order in which they were measured.
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|a, b| points[*a].at.total_cmp(&points[*b].at));
    let (mut least_p50, mut least_p99) = (None, None);
    for n in order {
        let p = &mut points[n];
        let q = &p.measurement.rtt_planned;
        let near = within(q.p50_ns, least_p50, MEDIAN_FACTOR) && within(q.p99_ns, least_p99, TAIL_FACTOR);
        p.sustained = p.measurement.rate_sustained.map(|sustained| sustained && near);
        least_p50 = least(least_p50, q.p50_ns);
        least_p99 = least(least_p99, q.p99_ns);
    }
}

/// `true` where there is nothing to compare.
fn within(now: Option<u64>, least: Option<u64>, factor: u64) -> bool {
    now.zip(least).is_none_or(|(now, least)| now <= least.saturating_mul(factor))
}

fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}

/// The highest sustained rate ([`SweepPoint::sustained`]), all lower ones being sustained too: above it lies the knee.
pub fn knee(points: &[SweepPoint]) -> Option<f64> {
    by_place(points).into_iter().take_while(|p| p.sustained == Some(true)).last().map(|p| p.at)
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
        return rate_words(&sorted, knee);
    }
    let ends = (place(axis, first.at), place(axis, last.at));
    let (Some(a), Some(b)) = (median(first), median(last)) else {
        return "too few probes at the ends of the sweep for an interval of the median; measure longer".to_owned();
    };
    let Some((from, to)) = apart(a, b) else {
        return format!("no difference of P50 shown between {} and {}: their 95 % intervals overlap", ends.0, ends.1);
    };
    let rises = to > from;
    if let Some(words) = turns(axis, &sorted, rises) {
        return words;
    }
    let way = if rises { "rises" } else { "falls" };
    let mut text = format!("P50 {way} from {} µs at {} to {} µs at {}", us(from), ends.0, us(to), ends.1);
    let between = sorted.iter().all(|p| median(p).is_some());
    if axis == SweepAxis::Size && last.at > first.at && between && sorted.len() > 2 {
        let slope = (to as f64 - from as f64) / (last.at - first.at);
        let _ = write!(text, ": {slope:.2} ns a byte");
    } else if axis == SweepAxis::Interval && rises {
        text.push_str(": what sleeps between the probes (idle states, interrupts, caches) costs the difference");
    }
    text
}

/// Where the knee lies, and whether loss or latency reports it.
fn rate_words(sorted: &[&SweepPoint], knee: Option<f64>) -> String {
    let above = sorted.iter().find(|p| p.sustained != Some(true));
    let why = above.map_or("", |p| match p.measurement.rate_sustained {
        Some(true) => " (its latency is far above that of the lower rates)",
        Some(false) => " (probes were lost or could not leave)",
        None => "",
    });
    match (knee, above) {
        (Some(held), Some(p)) => {
            format!("the knee lies between {held:.0} probes a second, sustained, and {:.0}, not sustained{why}", p.at)
        }
        (Some(held), None) => format!("every rate was sustained: the knee lies above {held:.0} probes a second"),
        (None, Some(p)) => format!("no rate was sustained: the knee lies below {:.0} probes a second{why}", p.at),
        (None, None) => "no point was measured".to_owned(),
    }
}

/// As text, that P50 does not go one way along the axis; `None` where no pair of points is shown to go the other way.
fn turns(axis: SweepAxis, sorted: &[&SweepPoint], rises: bool) -> Option<String> {
    let against = sorted.iter().enumerate().any(|(n, early)| {
        sorted[n + 1..].iter().any(|late| {
            let shown = median(early).zip(median(late)).and_then(|(a, b)| apart(a, b));
            shown.is_some_and(|(a, b)| (b > a) != rises)
        })
    });
    let known = || sorted.iter().filter_map(|p| Some((median(p)?.at_ns?, p.at)));
    let (least, most) = known().min_by_key(|(ns, _)| *ns).zip(known().max_by_key(|(ns, _)| *ns))?;
    against.then(|| {
        format!(
            "P50 goes both ways: lowest with {} µs at {}, highest with {} µs at {}; no slope fits",
            us(least.0),
            place(axis, least.1),
            us(most.0),
            place(axis, most.1)
        )
    })
}

fn place(axis: SweepAxis, at: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a duration that was read as one
    let ns = at as u64;
    if axis == SweepAxis::Interval { format!("{} µs", us(ns)) } else { format!("{at:.0} bytes") }
}

/// The interval of a point's median, where it is complete.
fn median(p: &SweepPoint) -> Option<QuantileInterval> {
    p.measurement.rtt_intervals.iter().find(|i| i.q.total_cmp(&0.5).is_eq()).copied()
}

/// The two medians, where their intervals do not overlap.
fn apart(a: QuantileInterval, b: QuantileInterval) -> Option<(u64, u64)> {
    let overlap = a.low_ns? <= b.high_ns? && b.low_ns? <= a.high_ns?;
    (!overlap).then_some((a.at_ns?, b.at_ns?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{SimEngine, SimulatedPath, simulate};
    use crate::{Context, Warmup};

    #[test]
    fn the_knee_is_where_the_send_cost_says() {
        // A send costs 2 µs here: 500 000 a second at the most.
        let base =
            Spec { duration_ns: Some(20_000_000), timeout_ns: 1_000_000, warmup: Warmup::Probes(0), ..Spec::default() };
        let axis = Axis::parse("rate=100000..1600000", Pattern::Fixed).unwrap();
        let document = sweep(&axis, &base, (8, 1_472), &mut |_, spec| {
            let mut engine = SimEngine::new(SimulatedPath { send_cost_ns: 2_000, ..SimulatedPath::default() });
            let samples = simulate(&mut engine, spec, None, &mut |_| {})?;
            Ok::<_, MeasureError>(samples.measurement(spec, Context::default()))
        })
        .unwrap();
        let at: Vec<f64> = document.points.iter().map(|p| p.at).collect();
        assert_eq!(at, [1e5, 2e5, 5e5, 1e6, 1.6e6]);
        assert_eq!(document.knee_rate_pps, Some(5e5));
        assert_eq!(
            document.words,
            "the knee lies between 500000 probes a second, sustained, and 1000000, not sustained (probes were lost or \
             could not leave)"
        );
        assert!(document.points[4].measurement.not_sustained().unwrap().contains("of 1600000 planned"));
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
    fn a_point_that_fails_keeps_those_before_it() {
        let mut measure = |at: f64, spec: &Spec| {
            if at > 100.0 {
                return Err(MeasureError::Silent { peer: "x", tries: 0, waited_ms: 0 });
            }
            let samples = simulate(&mut SimEngine::new(SimulatedPath::default()), spec, None, &mut |_| {})?;
            Ok(samples.measurement(spec, Context::default()))
        };
        let base = Spec { count: Some(20), warmup: Warmup::Probes(0), ..Spec::default() };
        let document = sweep(&Axis::Size(vec![64, 100, 1_000, 1_200]), &base, (8, 1_472), &mut measure).unwrap();
        assert_eq!(document.points.iter().map(|p| p.at).collect::<Vec<_>>(), [64.0, 100.0]);
        assert!(document.failed.is_some_and(|why| why.contains('x')));
        assert!(sweep(&Axis::Size(vec![1_000]), &base, (8, 1_472), &mut measure).is_err());
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
            sustained: None,
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
        let size = |points: &[SweepPoint]| words(SweepAxis::Size, points, None);
        let steady = [point(64.0, 5_000, 5_100), point(564.0, 5_450, 5_650), point(1_064.0, 6_000, 6_100)];
        assert!(size(&steady).ends_with("1.00 ns a byte"), "{}", size(&steady));
        assert!(!size(&steady[1..]).contains("a byte"), "two points show no line: {}", size(&steady[1..]));
        // Slowest at the smallest size and again at the largest: nothing rises by the byte.
        let bowl = [point(64.0, 5_000, 5_100), point(512.0, 4_000, 4_100), point(1_472.0, 6_000, 6_100)];
        assert_eq!(
            size(&bowl),
            "P50 goes both ways: lowest with 4.05 µs at 512 bytes, highest with 6.05 µs at 1472 bytes; no slope fits"
        );
    }

    #[test]
    fn a_rate_whose_latency_explodes_is_not_sustained() {
        let point = |at, p50_ns, p99_ns, sustained| SweepPoint {
            at,
            sustained: None,
            measurement: Measurement {
                rate_sustained: Some(sustained),
                rtt_planned: lowlat_model::Quantiles {
                    p50_ns: Some(p50_ns),
                    p99_ns: Some(p99_ns),
                    ..Default::default()
                },
                ..Measurement::default()
            },
        };
        let judged = |mut points: Vec<SweepPoint>| {
            judge(&mut points);
            let knee = knee(&points);
            (knee, words(SweepAxis::Rate, &points, knee))
        };
        let (knee, said) = judged(vec![
            point(1e3, 40_000, 80_000, true),
            point(1e4, 20_000, 60_000, true), // a busy CPU sleeps less
            point(5e4, 40_000, 300_000, true),
            point(1e5, 10_000_000, 12_000_000, true),
        ]);
        assert_eq!(knee, Some(5e4), "{said}");
        assert!(said.contains("100000, not sustained (its latency is far above"), "{said}");
        let tail = judged(vec![point(1e3, 40_000, 80_000, true), point(1e4, 40_000, 400_001, true)]);
        assert_eq!(tail.0, Some(1e3), "{}", tail.1);
        let none = judged(vec![point(1e3, 40_000, 80_000, false)]);
        assert!(none.0.is_none() && none.1.starts_with("no rate was sustained"), "{}", none.1);
        let all = judged(vec![point(1e3, 40_000, 80_000, true)]);
        assert!(all.1.starts_with("every rate was sustained"), "{}", all.1);
    }
}

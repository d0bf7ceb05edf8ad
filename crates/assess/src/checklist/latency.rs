//! Items 1 to 3: the baseline, what was gained, and the jitter.

use lowlat_model::document::{ChecklistItem, item as id};

use super::item;
use crate::Input;
use crate::words::{percent, time};

/// 1: a baseline with a median was stored.
pub(crate) fn baseline_documented(input: &Input<'_>) -> ChecklistItem {
    let name = (id::BASELINE, "baseline documented");
    let rests_on = ["run.baseline.rtt.p50_ns".to_owned()];
    let (met, evidence) = match input.baseline {
        None => match input.judge.map(|j| (j.before.len(), j.source.number())).filter(|(runs, _)| *runs > 0) {
            Some((runs, number)) => {
                let rests_on = ["run.judge.before".to_owned()];
                return item(name, Some(true), format!("{runs} rounds of {number}"), rests_on);
            }
            None => (false, "no path was measured before the first change".to_owned()),
        },
        Some(m) if m.rtt.p50_ns.is_none() => (false, format!("{} of {} probes were lost: no median", m.lost, m.sent)),
        Some(m) => (true, format!("median {}, P99 {}, {} probes", time(m.rtt.p50_ns), time(m.rtt.p99_ns), m.sent)),
    };
    item(name, Some(met), evidence, rests_on)
}

/// 2: the A/B test of the whole configuration shows the median to fall by more than half, or it is below 100 µs.
pub(crate) fn latency_down(input: &Input<'_>) -> ChecklistItem {
    let name = (id::LATENCY, "latency down by more than 50 % or below 100 µs");
    let rests = ["run.result.rtt.p50_ns", "run.headline.p50_change_ratio"].map(str::to_owned);
    let item = |met, evidence: String| item(name, met, evidence, rests);
    let Some(result) = input.result else {
        return item(None, "the path was not measured again".to_owned());
    };
    let Some(after) = result.rtt.p50_ns else {
        return item(None, format!("{} of {} probes were lost: no median", result.lost, result.sent));
    };
    let low = after < 100_000;
    let now = format!("median {}", time(Some(after)));
    match input.headline.p50_claim() {
        Some(gain) if gain > 0.0 => {
            item(Some(gain > 0.5 || low), format!("{now}, {} lower in the A/B test of the whole", percent(gain)))
        }
        Some(loss) => item(Some(low), format!("{now}, {} higher in the A/B test of the whole", percent(-loss))),
        None if low => item(Some(true), format!("{now}; no reduction shown")),
        None if input.baseline.is_none() => item(None, format!("{now}, and no baseline to compare with")),
        None => item(Some(false), format!("{now}; no reduction shown")),
    }
}

/// 3: P99 is less than twice the median.
pub(crate) fn jitter(input: &Input<'_>) -> ChecklistItem {
    let name = (id::JITTER, "P99/P50 below 2");
    let Some(m) = input.present() else {
        return item(name, None, "nothing was measured", []);
    };
    let (met, evidence) = match m.jitter_ratio {
        Some(ratio) => (Some(ratio < 2.0), format!("{ratio:.2}")),
        None => (None, format!("no P99 from {} probes with {} lost", m.sent, m.lost)),
    };
    item(name, met, evidence, [input.figure("jitter_ratio")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use lowlat_model::tune::Headline;

    #[test]
    fn half_is_not_more_than_half() {
        let mut run = sample::Run::good();
        let mut set = |change: f64, after: u64| {
            run.headline = Headline {
                p50_change_ratio: Some(change),
                p50_change_low: Some(change - 0.01),
                p50_change_high: Some(change + 0.01),
                ..Headline::default()
            };
            run.result.as_mut().unwrap().rtt.p50_ns = Some(after);
            latency_down(&run.input()).met
        };
        assert_eq!(set(-0.5, 200_000), Some(false));
        assert_eq!(set(-0.500_01, 200_000), Some(true));
        assert_eq!(set(0.6, 200_000), Some(false));
        assert_eq!(set(0.0, 100_000), Some(false));
        assert_eq!(set(0.0, 99_999), Some(true));
    }

    #[test]
    fn what_differs_between_two_measurements_is_not_a_reduction() {
        let mut run = sample::Run::good();
        run.headline = Headline::default();
        run.baseline.as_mut().unwrap().rtt.p50_ns = Some(800_000);
        run.result.as_mut().unwrap().rtt.p50_ns = Some(150_000);
        let item = latency_down(&run.input());
        assert_eq!((item.met, item.evidence.as_str()), (Some(false), "median 150 µs; no reduction shown"));
    }

    #[test]
    fn what_was_not_measured_cannot_be_determined() {
        let mut run = sample::Run::good();
        run.result = None;
        assert_eq!(latency_down(&run.input()).met, None);
        run.baseline = None;
        assert_eq!(jitter(&run.input()).met, None);
        assert_eq!(baseline_documented(&run.input()).met, Some(false));
    }

    #[test]
    fn jitter_of_two_is_too_much() {
        let mut run = sample::Run::good();
        run.result.as_mut().unwrap().jitter_ratio = Some(2.0);
        assert_eq!(jitter(&run.input()).met, Some(false));
        run.result.as_mut().unwrap().jitter_ratio = None;
        assert_eq!(jitter(&run.input()).met, None);
    }
}

//! Items 1 to 3: the baseline, what was gained, and the jitter.

use lowlat_model::document::ChecklistItem;

use super::item;
use crate::Input;
use crate::words::{percent, reduction, time};

/// 1: a baseline with a median was stored.
pub(crate) fn baseline_documented(input: &Input<'_>) -> ChecklistItem {
    let name = "baseline documented";
    match input.baseline {
        None => item(name, Some(false), "no path was measured before the first change"),
        Some(m) if m.rtt.p50_ns.is_none() => {
            item(name, Some(false), format!("{} of {} probes were lost: no median", m.lost, m.sent))
        }
        Some(m) => item(
            name,
            Some(true),
            format!("median {}, P99 {}, {} probes", time(m.rtt.p50_ns), time(m.rtt.p99_ns), m.sent),
        ),
    }
}

/// 2: the median fell by more than half, or is below 100 µs.
pub(crate) fn latency_down(input: &Input<'_>) -> ChecklistItem {
    let name = "latency down by more than 50 % or below 100 µs";
    let Some(result) = input.result else {
        return item(name, None, "the path was not measured again");
    };
    let Some(after) = result.rtt.p50_ns else {
        return item(name, None, format!("{} of {} probes were lost: no median", result.lost, result.sent));
    };
    match input.baseline.and_then(|m| m.rtt.p50_ns).filter(|b| *b > 0) {
        Some(before) => {
            let gain = reduction(before, after);
            let evidence =
                format!("median {} to {}: {} reduction", time(Some(before)), time(Some(after)), percent(gain));
            item(name, Some(gain > 0.5 || after < 100_000), evidence)
        }
        None if after < 100_000 => item(name, Some(true), format!("median {}", time(Some(after)))),
        None => item(name, None, format!("median {}, and no baseline to compare with", time(Some(after)))),
    }
}

/// 3: P99 is less than twice the median.
pub(crate) fn jitter(input: &Input<'_>) -> ChecklistItem {
    let name = "P99/P50 below 2";
    let Some(m) = input.present() else {
        return item(name, None, "nothing was measured");
    };
    match m.jitter_ratio {
        Some(ratio) => item(name, Some(ratio < 2.0), format!("{ratio:.2}")),
        None => item(name, None, format!("{} probes with {} lost bear no P99", m.sent, m.lost)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn half_is_not_more_than_half() {
        let mut run = sample::Run::good();
        let mut set = |before: u64, after: u64| {
            run.baseline.as_mut().unwrap().rtt.p50_ns = Some(before);
            run.result.as_mut().unwrap().rtt.p50_ns = Some(after);
            latency_down(&run.input()).met
        };
        assert_eq!(set(400_000, 200_000), Some(false));
        assert_eq!(set(400_000, 199_999), Some(true));
        assert_eq!(set(100_000, 100_000), Some(false));
        assert_eq!(set(100_000, 99_999), Some(true));
    }

    #[test]
    fn what_was_not_measured_cannot_be_told() {
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

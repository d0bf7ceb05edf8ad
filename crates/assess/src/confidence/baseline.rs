//! 30 points: there is a baseline.

use lowlat_model::document::ConfidencePart;

use super::part;
use crate::{Input, words};

/// 30 points when the path's median, or the user's own number, was measured before anything was changed, else none.
pub(crate) fn baseline(input: &Input<'_>) -> ConfidencePart {
    let what = "baseline measured";
    match input.baseline {
        None if input.judge.is_some_and(|j| !j.before.is_empty()) => {
            let (runs, number) = input.judge.map(|j| (j.before.len(), j.source.number())).unwrap_or_default();
            part(what, 30, 30, format!("{runs} rounds of {number}"))
        }
        None => part(what, 0, 30, "no baseline was measured, so nothing can be compared with it".to_owned()),
        Some(m) => match m.rtt.p50_ns {
            None => {
                part(what, 0, 30, format!("{} of {} probes were lost, so the baseline has no median", m.lost, m.sent))
            }
            p50 => part(what, 30, 30, format!("median {} over {} probes", words::time(p50), m.sent)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_baseline_whose_median_is_lost_is_none() {
        let mut run = sample::Run::good();
        if let Some(b) = run.baseline.as_mut() {
            b.rtt.p50_ns = None;
        }
        assert_eq!(baseline(&run.input()).points, 0);
    }
}

//! 15 points: there are enough samples for the tail.

use lowlat_model::document::ConfidencePart;
use lowlat_model::measurement::Measurement;

use super::part;
use crate::Input;

/// 15 points when baseline and result each support P99.9, 8 when each supports P99, else none. Which quantile a sample
/// supports was decided where it was measured ([`Quantiles`](lowlat_model::Quantiles)): it is `null` where it does not.
pub(crate) fn samples(input: &Input<'_>) -> ConfidencePart {
    let what = "sample size";
    let both: Vec<&Measurement> = input.baseline.into_iter().chain(input.result).collect();
    let smallest = both.iter().map(|m| m.rtt.samples).min();
    let (points, why) = match smallest {
        None => (0, "nothing was measured".to_owned()),
        Some(n) if both.iter().all(|m| m.rtt.p999_ns.is_some()) => {
            (15, format!("{n} samples or more, enough for P99.9"))
        }
        Some(n) if both.iter().all(|m| m.rtt.p99_ns.is_some()) => {
            (8, format!("{n} samples: enough for P99, too few for P99.9"))
        }
        Some(n) => (0, format!("{n} samples: too few for P99, or P99 falls among lost probes")),
    };
    part(what, points, 15, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_weaker_of_the_two_counts() {
        let mut run = sample::Run::good();
        assert_eq!(samples(&run.input()).points, 15);
        if let Some(r) = run.result.as_mut() {
            r.rtt.p999_ns = None;
        }
        assert_eq!(samples(&run.input()).points, 8);
        if let Some(r) = run.result.as_mut() {
            r.rtt.p99_ns = None;
        }
        assert_eq!(samples(&run.input()).points, 0);
    }
}

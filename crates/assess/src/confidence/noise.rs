//! 15 points: the host is quiet enough for the tests to show what matters.

use lowlat_model::document::ConfidencePart;

use super::part;
use crate::{Input, words};

/// 15 points when the A/B tests would have shown a difference of 5 % of the baseline's median, 8 for 20 % (the
/// improvement under which the kernel's settings are not the bottleneck), else none. The median over the
/// tests counts, so that one disturbed test does not decide.
pub(crate) fn noise(input: &Input<'_>) -> ConfidencePart {
    let what = "noise";
    let of_steps = input.steps.iter().filter_map(|s| s.comparison.as_ref());
    let of_engines = input.engines.iter().filter_map(|e| e.against_block.as_ref());
    let mut shown: Vec<u64> = of_steps.chain(of_engines).filter_map(|c| c.smallest_detectable_ns).collect();
    shown.sort_unstable();
    let p50 = input.baseline.and_then(|m| m.rtt.p50_ns).filter(|p| *p > 0);
    let (Some(&middle), Some(p50)) = (shown.get(shown.len() / 2), p50) else {
        return part(
            what,
            0,
            15,
            "no A/B test gave its smallest detectable difference, so the noise is unknown".to_owned(),
        );
    };
    let ratio = middle as f64 / p50 as f64;
    let why = format!(
        "smallest detectable difference of an A/B test here: {} ({} of the median)",
        words::time(Some(middle)),
        words::percent(ratio)
    );
    let points = if ratio <= 0.05 {
        15
    } else if ratio <= 0.20 {
        8
    } else {
        0
    };
    part(what, points, 15, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn points_fall_with_the_smallest_difference_that_shows() {
        let mut run = sample::Run::good(); // its baseline's median is 200 µs
        for (smallest, points) in [(Some(10_000), 15), (Some(40_000), 8), (Some(41_000), 0), (None, 0)] {
            for step in &mut run.steps {
                step.comparison.as_mut().unwrap().smallest_detectable_ns = smallest;
            }
            assert_eq!(noise(&run.input()).points, points, "{smallest:?}");
        }
    }
}

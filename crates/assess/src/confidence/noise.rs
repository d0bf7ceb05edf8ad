//! 15 points: the host is quiet enough for the tests to show what matters.

use lowlat_model::document::ConfidencePart;
use lowlat_model::verdict::Comparison;

use super::part;
use crate::{Input, words};

/// 15 points when the smallest detectable difference of the A/B tests is 5 % of the median at most, 8 for 20 % (the
/// improvement under which the kernel's settings are not the bottleneck), else none. The median is that of the test's
/// own side A, the path as it stood: a fault fixed since makes the run's baseline a hundred times as slow, and any
/// noise small against it. The middle one of the tests counts, so that one disturbed test does not decide.
pub(crate) fn noise(input: &Input<'_>) -> ConfidencePart {
    let what = "noise";
    let of_steps = input.steps.iter().filter_map(|s| s.comparison.as_ref());
    let of_engines = input.engines.iter().filter_map(|e| e.against_block.as_ref());
    let mut tests: Vec<Detectable> = of_steps.chain(of_engines).filter_map(Detectable::of).collect();
    tests.sort_unstable_by(|x, y| x.ratio().total_cmp(&y.ratio()));
    let Some(middle) = tests.get(tests.len() / 2) else {
        return part(
            what,
            0,
            15,
            "no A/B test gave its smallest detectable difference, so the noise is unknown".to_owned(),
        );
    };
    let ratio = middle.ratio();
    let why = format!(
        "smallest detectable difference of an A/B test here: {} at a median of {} ({})",
        words::time(Some(middle.smallest_ns)),
        words::time(Some(middle.median_ns)),
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

/// What one test could show, ns.
struct Detectable {
    smallest_ns: u64,
    /// P50 of side A.
    median_ns: u64,
}

impl Detectable {
    fn of(test: &Comparison) -> Option<Self> {
        // P50 of the ping-pong probes stands first; the smallest detectable difference is its.
        let p50 = test.quantiles.first().filter(|d| d.q.total_cmp(&0.5).is_eq())?;
        let median_ns = p50.a_ns.filter(|a| *a > 0)?;
        Some(Self { smallest_ns: test.smallest_detectable_ns?, median_ns })
    }

    fn ratio(&self) -> f64 {
        self.smallest_ns as f64 / self.median_ns as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn points_fall_with_the_smallest_difference_that_shows() {
        let mut run = sample::Run::good();
        for (smallest, points) in [(Some(10_000), 15), (Some(40_000), 8), (Some(41_000), 0), (None, 0)] {
            for step in &mut run.steps {
                let test = step.comparison.as_mut().unwrap();
                test.smallest_detectable_ns = smallest;
                test.quantiles[0].a_ns = Some(200_000);
            }
            assert_eq!(noise(&run.input()).points, points, "{smallest:?}");
        }
    }

    /// A netem delay makes the baseline 2.8 ms; the tests after it is gone run at 33 µs, and 9.79 µs are a lot of that.
    #[test]
    fn a_slow_baseline_hides_no_noise() {
        let mut run = sample::Run::good();
        run.baseline = Some(lowlat_testkit::run::measurement(2_821_000));
        for step in &mut run.steps {
            let test = step.comparison.as_mut().unwrap();
            test.smallest_detectable_ns = Some(9_790);
            test.quantiles[0].a_ns = Some(33_000);
        }
        let part = noise(&run.input());
        assert_eq!(part.points, 0, "{}", part.why);
        assert!(part.why.ends_with("9.79 µs at a median of 33.0 µs (29.7 %)"), "{}", part.why);
    }

    #[test]
    fn a_test_without_a_median_says_nothing_of_the_noise() {
        let mut run = sample::Run::good();
        for step in &mut run.steps {
            step.comparison.as_mut().unwrap().quantiles[0].a_ns = None;
        }
        let part = noise(&run.input());
        assert_eq!(part.points, 0);
        assert!(part.why.ends_with("the noise is unknown"), "{}", part.why);
    }
}

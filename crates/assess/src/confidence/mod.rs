//! The confidence score: 0 to 100, the sum of six rules.
//!
//! | rule | points | full when |
//! |---|---|---|
//! | [`baseline`] | 30 | the path was measured before anything was changed |
//! | [`hardware`] | 15 | the interface's driver, features, rings, coalescing and stamping were read, or the driver said that it has none |
//! | [`versions`] | 10 | the kernel's release was read and is 5.10 or newer |
//! | [`load`] | 15 | P99 was measured with bulk streams along with the probe; 8 points where the sample supports the median only |
//! | [`samples`] | 15 | baseline and result each support P99.9; 8 points where they support P99 |
//! | [`noise`] | 15 | the A/B tests can detect 5 % of the median of the path as it stood; 8 points for 20 % |
//!
//! The weight of the first says that a run without a baseline proves nothing. The others are judgements: a
//! figure that was never taken under load, or from too few samples, or on a host too noisy to tell a tenth apart,
//! misleads more than an old kernel does.

mod baseline;
mod hardware;
mod load;
mod noise;
mod samples;
mod versions;

use lowlat_model::document::ConfidencePart;

use crate::Input;

/// One rule of the score.
type Part = fn(&Input<'_>) -> ConfidencePart;

/// Where its figures and facts are found.
type Rests = fn(&Input<'_>) -> Vec<String>;

/// Every rule, in the order of the report.
static PARTS: &[(Part, Rests)] = &[
    (baseline::baseline, |_| vec!["run.baseline.rtt.p50_ns".to_owned()]),
    (hardware::hardware, hardware::rests),
    (versions::versions, |_| vec!["facts.host.release".to_owned()]),
    (load::load, |_| vec!["run.loaded.rtt.p99_ns".to_owned()]),
    (samples::samples, |_| ["run.baseline.rtt.p999_ns", "run.result.rtt.p999_ns"].map(str::to_owned).to_vec()),
    (noise::noise, |_| {
        let of = ["run.steps[].comparison", "run.engines[].against_block"];
        of.map(|place| format!("{place}.smallest_detectable_ns")).to_vec()
    }),
];

/// The sum, held to 0–100.
pub(crate) fn total(parts: &[ConfidencePart]) -> u8 {
    let sum: i32 = parts.iter().map(|p| p.points).sum();
    u8::try_from(sum.clamp(0, 100)).unwrap_or(0)
}

/// Every part, each with what it rests on.
pub(crate) fn all(input: &Input<'_>) -> Vec<ConfidencePart> {
    let one = |(judge, rests): &(Part, Rests)| ConfidencePart { rests_on: rests(input), ..judge(input) };
    PARTS.iter().map(one).collect()
}

/// A part, with its reason.
fn part(what: &str, points: i32, of: i32, why: String) -> ConfidencePart {
    ConfidencePart { what: what.to_owned(), points, of, why, rests_on: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_run_that_verified_everything_scores_a_hundred() {
        let run = sample::Run::good();
        let parts = all(&run.input());
        assert!(parts.iter().all(|p| !p.rests_on.is_empty()), "{parts:#?}");
        assert_eq!(parts.iter().map(|p| p.of).sum::<i32>(), 100);
        assert_eq!(total(&parts), 100, "{parts:#?}");
    }

    #[test]
    fn no_baseline_costs_thirty_points_and_more() {
        let mut run = sample::Run::good();
        run.baseline = None;
        let parts = all(&run.input());
        assert_eq!(parts[0].points, 0);
        assert!(total(&parts) <= 70);
    }
}

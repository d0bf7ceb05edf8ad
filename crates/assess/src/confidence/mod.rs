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

/// Every rule, in the order of the report.
pub(crate) static PARTS: &[Part] =
    &[baseline::baseline, hardware::hardware, versions::versions, load::load, samples::samples, noise::noise];

/// The sum, held to 0–100.
pub(crate) fn total(parts: &[ConfidencePart]) -> u8 {
    let sum: i32 = parts.iter().map(|p| p.points).sum();
    u8::try_from(sum.clamp(0, 100)).unwrap_or(0)
}

/// A part, with its reason.
fn part(what: &str, points: i32, of: i32, why: String) -> ConfidencePart {
    ConfidencePart { what: what.to_owned(), points, of, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_run_that_verified_everything_scores_a_hundred() {
        let run = sample::Run::good();
        let parts: Vec<_> = PARTS.iter().map(|p| p(&run.input())).collect();
        assert_eq!(parts.iter().map(|p| p.of).sum::<i32>(), 100);
        assert_eq!(total(&parts), 100, "{parts:#?}");
    }

    #[test]
    fn no_baseline_costs_thirty_points_and_more() {
        let mut run = sample::Run::good();
        run.baseline = None;
        let parts: Vec<_> = PARTS.iter().map(|p| p(&run.input())).collect();
        assert_eq!(parts[0].points, 0);
        assert!(total(&parts) <= 70);
    }
}

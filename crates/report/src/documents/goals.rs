//! Goals and whether they were met.

use lowlat_model::goal::GoalResult;
use lowlat_model::{GoalQuantile, Quantiles};

use crate::figures::time;

/// One line each. `figures` are those that the goals were judged on.
pub(crate) fn lines(goals: &[GoalResult], figures: &Quantiles) -> Vec<String> {
    goals.iter().map(|g| of(g, figures)).collect()
}

fn of(goal: &GoalResult, figures: &Quantiles) -> String {
    let wanted = format!("{} ≤ {}", goal.quantile, time(Some(goal.goal_ns)));
    match (goal.met, goal.measured_ns) {
        (Some(true), at) => format!("{wanted}: met, {}", time(at)),
        (Some(false), Some(at)) => format!("{wanted}: missed, {}", time(Some(at))),
        (Some(false), None) => format!("{wanted}: missed, the percentile falls among lost probes"),
        (None, _) if goal.quantile == GoalQuantile::Max => format!("{wanted}: not judged, no probe was sent"),
        (None, _) => format!(
            "{wanted}: not judged, {} needs {} samples; this run has {}",
            goal.quantile,
            thousands(goal.quantile.samples_needed()),
            thousands(figures.samples)
        ),
    }
}

/// `10,000`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn met_missed_lost_and_not_judged_read_differently() {
        let judged = |goal: &str, mut samples: Vec<u64>| {
            let figures = Quantiles::of(&mut samples);
            lines(&[GoalResult::judge(goal.parse().unwrap(), Some(&figures))], &figures).remove(0)
        };
        assert_eq!(judged("p99=100us", vec![50_000; 1_000]), "p99 ≤ 100 µs: met, 50.0 µs");
        assert_eq!(judged("p99=40us", vec![50_000; 1_000]), "p99 ≤ 40.0 µs: missed, 50.0 µs");
        assert_eq!(
            judged("p99.9=1ms", vec![50_000; 2_310]),
            "p99.9 ≤ 1000 µs: not judged, p99.9 needs 10,000 samples; this run has 2,310"
        );
        let lost = lowlat_model::measurement::LOST;
        assert!(judged("max=1ms", vec![50_000, lost]).ends_with("missed, the percentile falls among lost probes"));
        assert!(judged("max=1ms", vec![]).ends_with("not judged, no probe was sent"));
        assert_eq!(thousands(1_000_000), "1,000,000");
    }
}

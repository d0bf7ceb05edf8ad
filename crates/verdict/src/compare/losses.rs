//! Losses of both sides.

use lowlat_model::Verdict;

/// Losses of both sides, and what they alone show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Losses {
    pub(crate) a: (u64, u64),
    pub(crate) b: (u64, u64),
    /// `Better`: B loses less, beyond chance. `Worse`: more, beyond chance. `Unclear`: more, and chance does not
    /// explain it well. `Same`: neither.
    pub(crate) shows: Verdict,
}

/// What losses `(lost, sent)` of A and of B show, when the difference of their shares lies between `low` and `high`.
pub(crate) fn shown((a, b): ((u64, u64), (u64, u64)), (low, high): (f64, f64)) -> Verdict {
    // Were there no difference, each loss would fall on B with B's share of the probes; one standard deviation above
    // that is chance. So a single loss says nothing; from two on, losses in B alone keep it from being called better.
    let total = (a.0 + b.0) as f64;
    let share = b.1 as f64 / (a.1 + b.1).max(1) as f64;
    let by_chance = b.0 as f64 <= total * share + (total * share * (1.0 - share)).sqrt();
    let more = u128::from(b.0) * u128::from(a.1) > u128::from(a.0) * u128::from(b.1);
    if high < 0.0 {
        Verdict::Better
    } else if low > 0.0 {
        Verdict::Worse
    } else if more && !by_chance {
        Verdict::Unclear
    } else {
        Verdict::Same
    }
}

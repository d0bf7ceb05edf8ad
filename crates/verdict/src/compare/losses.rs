//! Losses of both sides.

#![allow(clippy::many_single_char_names)] // a, b, k, x, y: the names statistics gives them

use lowlat_model::Verdict;
use lowlat_model::measurement::LOST;

use super::draws::Draws;
use super::{FEWEST_PAIRS, Options, Pair};
use crate::Random;
use crate::counts;
use crate::single::stretch;

/// Losses of both sides, and what they alone show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Losses {
    pub(crate) a: (u64, u64),
    pub(crate) b: (u64, u64),
    /// `Better`: B loses less, beyond chance. `Worse`: more, beyond chance. `Unclear`: more, and chance does not
    /// explain it well. `Same`: neither.
    pub(crate) shows: Verdict,
}

/// Losses, judged by the same bootstrap over pairs: losses come in bursts, so a test that takes probes as independent
/// would find differences everywhere. With a handful of losses a bootstrap finds them too (3 of 5606 against 6 of 5778
/// was called more loss here once), so the exact sign-flip test of the pairs must agree.
pub(super) fn losses(pairs: &[Pair<'_>], options: &Options, random: &mut Random) -> Losses {
    let count = |s: &[u64]| (s.iter().filter(|&&v| v == LOST).count() as u64, s.len() as u64);
    let per_pair: Vec<_> = pairs.iter().map(|(a, b)| (count(a), count(b))).collect();
    let (a, b) =
        per_pair.iter().fold(((0, 0), (0, 0)), |(a, b), (x, y)| ((a.0 + x.0, a.1 + x.1), (b.0 + y.0, b.1 + y.1)));
    let ratio = |(lost, sent): (u64, u64)| if sent == 0 { 0.0 } else { lost as f64 / sent as f64 };
    let diff = ratio(b) - ratio(a);
    let mut shows = Verdict::Same;
    let k = pairs.len();
    if diff != 0.0 {
        let (low, high) = if k < FEWEST_PAIRS {
            (f64::NEG_INFINITY, f64::INFINITY)
        } else {
            let rates: Vec<(f64, f64)> = per_pair.iter().map(|p| (ratio(p.0), ratio(p.1))).collect();
            let mut draws = Draws::with_capacity(options.iterations);
            for _ in 0..options.iterations {
                let (mut x, mut y) = (0.0, 0.0);
                for _ in 0..k {
                    let p = rates[random.below(k)];
                    x += p.0;
                    y += p.1;
                }
                draws.push((x / k as f64, y / k as f64));
            }
            let reach = draws.reach((diff, 0.0), options.confidence, stretch(k, options.confidence));
            let by_chance = !counts::is_shown(counts::chance(rates.iter().map(|(x, y)| y - x)));
            if by_chance { (f64::NEG_INFINITY, f64::INFINITY) } else { (diff - reach[0], diff + reach[1]) }
        };
        shows = shown((a, b), (low, high));
    }
    Losses { a, b, shows }
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

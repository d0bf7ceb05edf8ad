//! The bet on the sign of a pair's difference.

/// How a bet reads a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Its sign alone: an outlier counts no more than any other pair.
    Sign,
    /// Its size, in units of [`SCALE`] times the spread of the earlier pairs, capped at ±1: a pair that hardly differs
    /// costs little.
    Size,
}

/// Stake, share of the starting wealth, and shape. A mixture of bets is a bet; fixed beforehand, it needs no tuning.
///
/// The full stake on the bare sign doubles with each pair that agrees and is lost with the first that does not: it
/// decides large effects, after 5 pairs at a level of 0.05 and after 9 at 0.005. The smaller stakes decide effects of
/// the size of the noise. Chosen by simulation among seven mixtures: no other was as quick at −20 % (noise of a pair 7
/// %) without finding −5 % less often.
const BETS: [(f64, f64, Shape); 5] = [
    (1.0, 0.4, Shape::Sign),
    (0.5, 0.1, Shape::Sign),
    (0.95, 0.2, Shape::Size),
    (0.6, 0.15, Shape::Size),
    (0.3, 0.15, Shape::Size),
];

/// Differences are capped at this many times the median absolute deviation of the earlier ones.
const SCALE: f64 = 2.0;
/// Fewer earlier differences than this give no spread; until then, the sign alone counts.
const FOR_SPREAD: usize = 3;
/// Wealth beyond this is not counted. Far above any threshold, and far enough below the largest double that one more
/// doubling is finite.
const MOST: f64 = 1e150;
/// Standard errors that the growth of a bet is given in advance when the rest of a test is foreseen: the upper end of a
/// one-sided 90 % interval.
const OPTIMISM: f64 = 1.28;

/// What is bet on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The true difference lies below.
    Below,
    /// It lies above.
    Above,
}

/// One pair's difference B − A, and the scale that the pairs before it gave.
#[derive(Debug, Clone, Copy)]
struct Seen {
    difference: f64,
    /// 0 where there was none.
    scale: f64,
}

/// The differences of the pairs so far, infinite where a quantile falls among the lost on one side alone.
///
/// Exchanging the two labels of a pair turns the sign of its difference and leaves its size and all earlier pairs
/// unchanged. So a factor `1 + λ·s`, with `s` odd in the difference and its scale taken from earlier pairs, has the
/// mean 1 when the label was drawn by a fair coin and the change does nothing. The product is a martingale that starts
/// at 1; it ever reaches `1 / α` with a chance of at most α (Ville, Étude critique de la notion de collectif, 1939).
#[derive(Debug, Clone, Default)]
pub(super) struct Stream {
    seen: Vec<Seen>,
}

impl Stream {
    /// One more pair. Costs a sort of the earlier ones.
    pub(super) fn push(&mut self, difference: f64) {
        let scale = self.spread() * SCALE;
        let scale = if scale.is_finite() { scale } else { 0.0 };
        self.seen.push(Seen { difference, scale });
    }

    /// The differences, in order.
    pub(super) fn differences(&self) -> impl Iterator<Item = f64> + '_ {
        self.seen.iter().map(|s| s.difference)
    }

    /// Median absolute deviation; 0 where there are too few.
    fn spread(&self) -> f64 {
        if self.seen.len() < FOR_SPREAD {
            return 0.0;
        }
        let middle = median(self.differences().collect());
        median(self.differences().map(|d| (d - middle).abs()).collect())
    }

    /// Wealth of the bet that the true difference lies on `side` of `shift`: the evidence against "the change shifts by
    /// exactly `shift`". It falls (`Above`) or rises (`Below`) with `shift` throughout, since every factor does.
    pub(super) fn wealth(&self, shift: f64, side: Side) -> f64 {
        BETS.iter()
            .map(|&(stake, share, shape)| {
                self.seen
                    .iter()
                    .fold(1.0, |wealth: f64, seen| (wealth * (1.0 + stake * seen.score(shift, side, shape))).min(MOST))
                    * share
            })
            .sum()
    }

    /// What the wealth of the bet `Below` 0 may become in `more` pairs: each stake goes on to grow as it did on the
    /// mean, and [`OPTIMISM`] standard errors faster. No bound, a forecast: it only ever ends a test without an effect
    /// found.
    pub(super) fn foreseen(&self, more: u32) -> f64 {
        let n = self.seen.len() as f64;
        if n < 2.0 {
            return f64::INFINITY;
        }
        BETS.iter()
            .map(|&(stake, share, shape)| {
                let growth: Vec<f64> =
                    self.seen.iter().map(|seen| (1.0 + stake * seen.score(0.0, Side::Below, shape)).ln()).collect();
                let sum: f64 = growth.iter().sum();
                if !sum.is_finite() {
                    return 0.0; // all was lost on one pair
                }
                let mean = sum / n;
                let error = (growth.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
                share * (sum + f64::from(more) * (mean + OPTIMISM * error)).exp()
            })
            .sum()
    }
}

impl Seen {
    /// From −1 to 1; positive where the pair speaks for `side` of `shift`.
    fn score(&self, shift: f64, side: Side, shape: Shape) -> f64 {
        let over = self.difference - shift;
        let score = match shape {
            Shape::Size if self.scale > 0.0 => (over / self.scale).clamp(-1.0, 1.0),
            _ if over > 0.0 => 1.0,
            _ if over < 0.0 => -1.0,
            _ => 0.0,
        };
        match side {
            Side::Above => score,
            Side::Below => -score,
        }
    }
}

/// The median, infinities among the values; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    match n {
        0 => 0.0,
        _ if n % 2 == 1 => values[n / 2],
        _ => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    fn stream(differences: &[f64]) -> Stream {
        let mut out = Stream::default();
        for &d in differences {
            out.push(d);
        }
        out
    }

    #[test]
    fn pairs_that_agree_decide_after_five_and_after_nine() {
        let after = |n: usize| stream(&vec![-0.2; n]).wealth(0.0, Side::Below);
        assert!(after(4) < 20.0 && after(5) >= 20.0, "{} {}", after(4), after(5));
        assert!(after(8) < 200.0 && after(9) >= 200.0, "{} {}", after(8), after(9));
    }

    /// The mean over all sign patterns is 1 exactly, whatever the sizes: infinite, zero, or of any spread.
    #[test]
    fn without_an_effect_the_mean_wealth_is_one() {
        let sizes = [0.1, 3.0, 0.0, f64::INFINITY, 0.2, 0.01, 5.0, 0.4];
        for side in [Side::Below, Side::Above] {
            let all = 1u32 << sizes.len();
            let sum: f64 = (0..all)
                .map(|signs| {
                    let differences: Vec<f64> =
                        sizes.iter().enumerate().map(|(i, d)| if signs >> i & 1 == 1 { -d } else { *d }).collect();
                    stream(&differences).wealth(0.0, side)
                })
                .sum();
            assert!((sum / f64::from(all) - 1.0).abs() < 1e-12, "{}", sum / f64::from(all));
        }
    }

    #[test]
    fn wealth_is_monotone_in_the_shift() {
        let mut r = Random::new(5);
        let s = stream(&(0..40).map(|_| 0.1 * r.normal()).collect::<Vec<_>>());
        let at = |side| (-50..=50).map(|i| s.wealth(f64::from(i) / 100.0, side)).collect::<Vec<_>>();
        assert!(at(Side::Below).is_sorted());
        assert!(at(Side::Above).iter().rev().is_sorted());
    }

    #[test]
    fn equal_rounds_say_nothing_and_long_tests_stay_finite() {
        assert!((stream(&[0.0; 50]).wealth(0.0, Side::Below) - 1.0).abs() < 1e-12);
        let long = stream(&vec![-1.0; 2_000]);
        assert!(long.wealth(0.0, Side::Below).is_finite());
        assert!(long.wealth(0.0, Side::Above) < 1e-9);
    }

    #[test]
    fn the_forecast_is_hopeful_while_pairs_agree_and_not_when_they_do_not() {
        assert!(stream(&[-0.1; 6]).foreseen(20) > 1e6);
        let mixed: Vec<f64> = (0..20).map(|i| if i % 2 == 0 { 0.1 } else { -0.1 }).collect();
        assert!(stream(&mixed).foreseen(20) < 20.0, "{}", stream(&mixed).foreseen(20));
    }
}

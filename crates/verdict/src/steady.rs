//! Where a run becomes steady: the warm-up to leave out, and the cool-down.

use lowlat_model::measurement::LOST;

/// Fewest batches the test works on; below, nothing is called warm-up.
const BATCHES: usize = 20;
/// Most batches: finer than a hundredth of the run is not needed, and the cost stays linear.
const MOST_BATCHES: usize = 200;

/// A cut whose squared error is within a quarter of the least is as good: the error of a batch median's variance, from
/// the hundred batches or so that remain, is about that (√(2/100) and some for the tails).
const EARLIER: f64 = 1.25;

/// A change of level below this share is none worth leaving anything out for: the same as in a comparison
/// ([`crate::Options::worth_ratio`]). On a path without noise three standard deviations are nothing.
const WORTH: f64 = 0.02;

/// What a run looks like in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steady {
    /// Samples to leave out at the start.
    pub warmup: usize,
    /// Samples to leave out at the end.
    pub cooldown: usize,
    /// `false`: the best cut lies beyond half of the run, so it never became steady; nothing is cut then.
    pub steady: bool,
}

/// Finds the truncation point by MSER (White 1997, Simulation 69:323, in the batched form of White, Cobb and Spratt
/// 2000): the cut after which the standard error of what remains is smallest. As Hoad, Robinson and Davies (2010, J. of
/// the Operational Research Society 61:1365) advise, a cut in the second half means "not steady".
///
/// Latencies have spikes that a mean would follow, so the batches' **medians** are judged, not their means: one stall
/// is not a warm-up. A lost probe counts as the run's largest delay.
pub fn steady(samples: &[u64]) -> Steady {
    let none = Steady { warmup: 0, cooldown: 0, steady: true };
    if samples.len() < BATCHES {
        return none;
    }
    let size = (samples.len() / MOST_BATCHES).max(1).max(if samples.len() >= 5 * BATCHES { 5 } else { 1 });
    let largest = samples.iter().copied().filter(|&s| s != LOST).max().unwrap_or(0);
    let medians: Vec<f64> = samples
        .chunks_exact(size)
        .map(|chunk| {
            let mut c: Vec<u64> = chunk.iter().map(|&s| if s == LOST { largest } else { s }).collect();
            let middle = c.len() / 2;
            *c.select_nth_unstable(middle).1 as f64
        })
        .collect();
    let Some(front) = cut(&medians) else { return Steady { steady: false, ..none } };
    let mut rest: Vec<f64> = medians[front..].to_vec();
    rest.reverse();
    // A run that is not steady towards its end is one that changed, not one that cooled down.
    let Some(back) = cut(&rest) else { return Steady { warmup: front * size, cooldown: 0, steady: false } };
    Steady { warmup: front * size, cooldown: back * size, steady: true }
}

/// The MSER cut, in batches; `None` when it lies beyond the first half. No cut is made unless the level before it
/// differs from the level after by more than three of the latter's standard deviations, and by what is worth having: on
/// a steady run MSER trims noise.
fn cut(series: &[f64]) -> Option<usize> {
    let n = series.len();
    let (mut sum, mut squares) = (0.0, 0.0);
    let mut errors = Vec::with_capacity(n);
    // From the end: each step adds one batch to what remains. A tenth of the run, and never fewer than the five of
    // White, cannot stand for the whole: so few batches agree by luck.
    let fewest = (n / 10).max(5);
    for d in (0..n).rev() {
        sum += series[d];
        squares += series[d] * series[d];
        let m = (n - d) as f64;
        if n - d < fewest {
            continue;
        }
        let error = (squares - sum * sum / m).max(0.0) / (m * m);
        errors.push((error, d));
    }
    let least = errors.iter().map(|e| e.0).fold(f64::INFINITY, f64::min);
    // The earliest cut that is about as good: the least one alone lies too late, where noise put it.
    let d = errors.iter().rev().find(|e| e.0 <= EARLIER * least).map_or(0, |e| e.1);
    if d == 0 {
        return Some(0);
    }
    // Ranks again, not means: a standstill of some batches is not a level, and must not drag all before it out of the
    // figures, and itself with it. What is left out was off for most of its time: half of it by three standard
    // deviations, and four fifths of it by one (the end of a slow warm-up is near the level after).
    let at = |part: &[f64], share: f64| {
        let mut part = part.to_vec();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a place in the part
        let place = ((part.len() as f64 * share) as usize).min(part.len() - 1);
        *part.select_nth_unstable_by(place, f64::total_cmp).1
    };
    let after = at(&series[d..], 0.5);
    let spread = (series[d..].iter().map(|x| (x - after).powi(2)).sum::<f64>() / (n - d) as f64).sqrt();
    let way = if at(&series[..d], 0.5) < after { -1.0 } else { 1.0 };
    let off: Vec<f64> = series[..d].iter().map(|x| way * (x - after)).collect();
    if at(&off, 0.5) <= (3.0 * spread).max(WORTH * after) || at(&off, 0.2) <= spread {
        return Some(0);
    }
    (d <= n / 2).then_some(d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
    fn noisy(n: usize, seed: u64, level: impl Fn(usize) -> f64) -> Vec<u64> {
        let mut r = Random::new(seed);
        (0..n).map(|i| (level(i) + 100.0 * r.exponential()) as u64).collect()
    }

    #[test]
    fn a_warm_up_is_found_and_a_steady_run_is_left_whole() {
        let warm = steady(&noisy(5_000, 1, |i| 5_000.0 + if i < 600 { 4_000.0 } else { 0.0 }));
        assert!(warm.steady && (575..=650).contains(&warm.warmup) && warm.cooldown == 0, "{warm:?}");
        for seed in 0..20 {
            let flat = steady(&noisy(5_000, seed, |_| 5_000.0));
            assert_eq!(flat, Steady { warmup: 0, cooldown: 0, steady: true }, "seed {seed}");
        }
    }

    #[test]
    fn one_stall_is_not_a_warm_up() {
        let mut run = noisy(5_000, 3, |_| 5_000.0);
        run[40] = 5_000_000;
        run[2_000] = LOST;
        assert_eq!(steady(&run).warmup, 0);
    }

    #[test]
    fn a_run_that_never_settles_is_reported() {
        let late = steady(&noisy(5_000, 4, |i| if i < 4_000 { 9_000.0 } else { 5_000.0 }));
        assert!(!late.steady, "{late:?}");
        assert_eq!(steady(&[]), Steady { warmup: 0, cooldown: 0, steady: true });
        assert!(steady(&[LOST; 50]).steady);
    }

    /// A freeze of 300 ms in 6 s at 500 probes a second, wherever it lies: it stays in the figures.
    #[test]
    fn a_standstill_is_left_out_nowhere() {
        for at in (100..2_750).step_by(150) {
            let mut run = noisy(3_000, 7, |_| 70_000.0);
            for (i, ns) in run[at..at + 150].iter_mut().enumerate() {
                *ns += 2_000_000 * (150 - i as u64);
            }
            let found = steady(&run);
            assert_eq!(found, Steady { warmup: 0, cooldown: 0, steady: true }, "at {at}");
        }
    }

    /// A simulated machine repeats to the ns; its level moves by less than anybody cares for.
    #[test]
    fn a_change_of_nothing_is_none() {
        let run: Vec<u64> = (0..5_000).map(|i| 73_000 + if i < 3_000 { 200 } else { 0 } + i % 3).collect();
        assert_eq!(steady(&run), Steady { warmup: 0, cooldown: 0, steady: true });
    }

    #[test]
    fn a_cool_down_is_found() {
        let run = steady(&noisy(5_000, 5, |i| if i >= 4_700 { 9_000.0 } else { 5_000.0 }));
        assert!(run.steady && run.warmup == 0 && (250..=325).contains(&run.cooldown), "{run:?}");
    }
}

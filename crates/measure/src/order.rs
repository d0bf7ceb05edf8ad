//! The order of the rounds of an A/B test.

use crate::random::Random;

/// For each pair, whether B runs first. Drawn from the seed two pairs at a time, one of each order: no side is first more
/// often than the other, what drifts in a straight line cancels, and nothing periodic on the host can keep step with a
/// side, as it could with a fixed AB, BA, AB, …
pub fn order(pairs: u32, seed: u64) -> Vec<bool> {
    let mut random = Random::new(seed);
    let mut order = Vec::with_capacity(pairs as usize + 1);
    while order.len() < pairs as usize {
        let b_first = random.chance(0.5);
        order.extend([b_first, !b_first]);
    }
    order.truncate(pairs as usize);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disturbance that returns every two or every four rounds falls on both sides alike, whatever its phase; with the
    /// fixed order AB, BA, AB, … one of every four rounds is always the same side's.
    #[test]
    fn nothing_periodic_keeps_step_with_a_side() {
        let rounds: Vec<bool> = order(2_000, 9).into_iter().flat_map(|b_first| [b_first, !b_first]).collect();
        assert_eq!(order(2_000, 9), order(2_000, 9));
        assert_ne!(order(64, 9), order(64, 10));
        for period in [2, 3, 4, 6, 8] {
            for phase in 0..period {
                let hit: Vec<bool> = rounds.iter().copied().skip(phase).step_by(period).collect();
                let on_b = hit.iter().filter(|b| **b).count() as f64 / hit.len() as f64;
                assert!((0.44..0.56).contains(&on_b), "period {period} phase {phase}: {on_b}");
            }
        }
        assert_eq!(order(5, 1).len(), 5);
    }
}

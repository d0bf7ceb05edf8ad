//! Alternated rounds of two configurations.

use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_model::verdict::{Round, Rounds};

use crate::MeasureError;
use crate::random::Random;

/// How rounds are alternated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interleave {
    /// Name of A, without the change.
    pub a_name: String,
    /// Name of B, with it.
    pub b_name: String,
    /// Pairs of rounds. Many short ones beat few long ones: what drifts more slowly than a pair cancels.
    pub pairs: u32,
    /// Samples left out at the start of each round: what the switch itself stirred up.
    pub settle: usize,
    /// Of the order within each pair.
    pub seed: u64,
}

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

/// Runs `pairs` pairs of rounds, A and B in an order drawn for each pair, so that neither side always comes first and
/// nothing periodic on the host can side with one.
///
/// `toggle(is_b)` brings the configuration of a side about and is called only when the side changes; `round(is_b)`
/// measures it and returns samples in send order. When `stop` is set, the whole pairs so far come back.
pub fn interleave(
    how: &Interleave,
    toggle: &mut dyn FnMut(bool) -> Result<(), String>,
    round: &mut dyn FnMut(bool) -> Result<Vec<u64>, MeasureError>,
    stop: &AtomicBool,
) -> Result<Rounds, MeasureError> {
    let mut rounds: Vec<Round> = Vec::with_capacity(how.pairs as usize * 2);
    let mut side = None;
    'pairs: for b_first in order(how.pairs, how.seed) {
        let whole = rounds.len();
        for is_b in [b_first, !b_first] {
            if stop.load(Ordering::Relaxed) {
                rounds.truncate(whole);
                break 'pairs;
            }
            if side != Some(is_b) {
                let name = if is_b { &how.b_name } else { &how.a_name };
                toggle(is_b).map_err(|why| MeasureError::Toggle { side: name.clone(), why })?;
                side = Some(is_b);
            }
            let mut samples_ns = round(is_b)?;
            samples_ns.drain(..how.settle.min(samples_ns.len()));
            rounds.push(Round { is_b, samples_ns, ..Round::default() });
        }
    }
    if stop.load(Ordering::Relaxed) {
        // A round that was cut short by the same signal has no equal beside it.
        rounds.truncate(rounds.len() / 2 * 2);
    }
    Ok(Rounds { a_name: how.a_name.clone(), b_name: how.b_name.clone(), rounds, seed: how.seed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn how(pairs: u32) -> Interleave {
        Interleave { a_name: "off".into(), b_name: "on".into(), pairs, settle: 2, seed: 4 }
    }

    #[test]
    fn sides_alternate_in_drawn_order_and_settle() {
        let state = std::cell::Cell::new(None);
        let mut toggles = 0;
        let mut toggle = |is_b| {
            assert_ne!(state.get(), Some(is_b), "toggled to where it was");
            state.set(Some(is_b));
            toggles += 1;
            Ok(())
        };
        let mut round = |is_b| {
            assert_eq!(state.get(), Some(is_b));
            Ok(vec![9, 9, 1, 2, 3])
        };
        let rounds = interleave(&how(20), &mut toggle, &mut round, &AtomicBool::new(false)).unwrap();
        assert_eq!(rounds.rounds.len(), 40);
        assert!(rounds.rounds.chunks(2).all(|p| p[0].is_b != p[1].is_b));
        let b_first = rounds.rounds.chunks(2).filter(|p| p[0].is_b).count();
        assert!((5..=15).contains(&b_first), "{b_first}");
        assert_eq!(rounds.rounds[0].samples_ns, [1, 2, 3]);
        assert!(toggles < 40, "an order that lets the side stand saves its toggle");
    }

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

    #[test]
    fn a_failed_toggle_names_the_side_and_a_stop_keeps_whole_pairs() {
        let failed = interleave(&how(3), &mut |_| Err("no".into()), &mut |_| Ok(vec![]), &AtomicBool::new(false));
        assert!(failed.unwrap_err().to_string().contains(": no"));
        let stop = AtomicBool::new(false);
        let mut n = 0;
        let mut round = |_| {
            n += 1;
            if n == 5 {
                stop.store(true, Ordering::Relaxed);
            }
            Ok(vec![1; 5])
        };
        let rounds = interleave(&how(10), &mut |_| Ok(()), &mut round, &stop).unwrap();
        assert_eq!(rounds.rounds.len(), 4);
    }
}

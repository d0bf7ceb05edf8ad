//! Probes on a plan that follow the ping-pong of a round, so that a fault which ping-pong steps around shows.
//!
//! Ping-pong sends when the last answer is in, so it takes one sample of a stall however long that lasts (coordinated
//! omission), and what a path does after a pause, or to two packets close together, it never sees. The plan's gaps are
//! drawn from an exponential distribution (RFC 2330 §11.1.1: Poisson sampling sees time averages, and nothing periodic
//! can keep step with it), and latency counts from the planned send.

use lowlat_model::measurement::{LOST, rank};

use crate::{Mode, Pattern, Spec, Warmup};

/// Mean gap in ping-pong medians. At four, 22 % of the probes leave while the one before is on its way (1 − e^(−1/4)),
/// so that close pairs are among the sample, and a far end that takes a whole round trip for each probe would still be
/// idle three quarters of the time: the plan adds no queue of its own to speak of.
const MEDIANS: u64 = 4;
/// Shortest mean gap, ns: 20,000 probes a second are far below what one core answers (a round trip over veth takes 5 to
/// 15 µs), also under a bulk load.
const LEAST_GAP_NS: u64 = 50_000;
/// Probes of one plan at most. They bound its memory (40 bytes each) and what a round costs a far end.
const MOST: u64 = 50_000;
/// Left out at the start at most, as in a round of ping-pong.
const WARMUP: u64 = 5;
/// Nor is more than this part of a plan left out, besides the first probe: on a path of 3 ms five probes are 60 ms, longer
/// than the plan, and the flow was in use a moment ago.
const WARMUP_PART: u64 = 10;

/// Mean time between two sends of a plan on a path whose ping-pong has this median, ns.
pub fn plan_gap(median_ns: u64) -> u64 {
    median_ns.saturating_mul(MEDIANS).max(LEAST_GAP_NS)
}

/// The plan that follows `ping_pong` on the same flow, whose round trips were `rtts_ns` ([`LOST`] for a lost probe);
/// `None` where fewer than half were answered, since there is nothing to derive a rate from, or `duration_ns` is 0.
///
/// Rounds that are compared need one rate: a side that is faster would else be sent more, and its queues be compared
/// with those of a slower pace. `median_ns` is then the median that the rate of both is derived from.
pub fn paced(
    ping_pong: &Spec,
    rtts_ns: &[u64],
    median_ns: Option<u64>,
    (duration_ns, seed): (u64, u64),
) -> Option<Spec> {
    let own = || {
        let mut sorted = rtts_ns.to_vec();
        sorted.sort_unstable();
        sorted.get(rank(sorted.len(), 0.5)).copied().filter(|ns| *ns != LOST)
    };
    let median = median_ns.or_else(own)?;
    // A far end that allows ping-pong no shorter interval allows the plan none.
    let interval = if let Mode::PingPong { interval_ns } = ping_pong.mode { interval_ns.unwrap_or(0) } else { 0 };
    let gap = plan_gap(median).max(interval).max(duration_ns / MOST);
    (duration_ns > 0).then(|| Spec {
        mode: Mode::OpenLoop { rate_pps: 1e9 / gap as f64, pattern: Pattern::Poisson },
        count: Some(MOST),
        duration_ns: Some(duration_ns),
        warmup: Warmup::Probes((duration_ns / gap / WARMUP_PART).clamp(1, WARMUP)),
        seed,
        ..ping_pong.clone()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use lowlat_model::Quantiles;

    use super::*;
    use crate::testing::{SimEngine, SimulatedPath, simulate, simulate_rounds};

    fn ping_pong() -> Spec {
        Spec { duration_ns: Some(300_000_000), warmup: Warmup::Probes(WARMUP), ..Spec::default() }
    }

    /// The figures of both kinds of probes on one flow.
    fn both(path: &SimulatedPath) -> (Quantiles, Quantiles) {
        let spec = ping_pong();
        let rtts = simulate(&mut SimEngine::new(path.clone()), &spec, None, &mut |_| {}).unwrap().rtts();
        let plan = paced(&spec, &rtts, None, (300_000_000, 7)).unwrap();
        let rounds =
            simulate_rounds(&mut SimEngine::new(path.clone()), &[spec, plan], &AtomicBool::new(false)).unwrap();
        (Quantiles::of(&mut rounds[0].rtts()), Quantiles::of(&mut rounds[1].rtts_planned()))
    }

    #[test]
    fn a_stall_that_ping_pong_steps_around_shows_on_the_plan() {
        // A twentieth of the time nothing is answered: ping-pong takes one sample in each stall, 1 of some 1,700.
        let (closed, planned) = both(&SimulatedPath { stall: Some((10_000_000, 500_000)), ..SimulatedPath::default() });
        assert!(closed.p99_ns.unwrap() < 20_000, "{closed:?}");
        assert!(planned.p99_ns.unwrap() > 200_000, "{planned:?}");
        assert!(planned.p50_ns.unwrap() < 20_000, "{planned:?}");
    }

    #[test]
    fn what_a_path_does_after_a_pause_shows_on_the_plan() {
        // An answer after 30 µs of silence is held back: ping-pong never is silent for so long.
        let (closed, planned) = both(&SimulatedPath { asleep: Some((30_000, 80_000)), ..SimulatedPath::default() });
        assert!(closed.p99_ns.unwrap() < 20_000, "{closed:?}");
        assert!(planned.p90_ns.unwrap() > 80_000, "{planned:?}");
    }

    #[test]
    fn rounds_that_are_compared_are_sent_at_one_rate() {
        let rate = |rtt: u64, median| paced(&ping_pong(), &[rtt; 40], median, (300_000_000, 7)).unwrap().rate_pps();
        assert_eq!(rate(20_000, Some(400_000)), rate(400_000, Some(400_000)));
        assert_ne!(rate(20_000, None), rate(400_000, None));
    }

    #[test]
    fn the_warm_up_of_a_plan_is_a_small_part_of_it() {
        let warmup = |median, length| paced(&ping_pong(), &[], Some(median), (length, 7)).unwrap().warmup;
        assert_eq!(warmup(60_000, 25_000_000), Warmup::Probes(5));
        assert_eq!(warmup(500_000, 50_000_000), Warmup::Probes(2));
        assert_eq!(warmup(2_800_000, 125_000_000), Warmup::Probes(1));
    }

    #[test]
    fn a_path_without_a_fault_shows_none_on_the_plan() {
        let (closed, planned) = both(&SimulatedPath::default());
        let (a, b) = (closed.p99_ns.unwrap(), planned.p99_ns.unwrap());
        assert!(b < a + a / 5, "{a} {b}");
        assert_eq!(closed.max_ns.is_some(), planned.max_ns.is_some());
    }

    #[test]
    fn the_rate_is_one_that_the_path_supports() {
        let rate = |rtt: u64, spec: &Spec| match paced(spec, &[rtt; 9], None, (1_000_000_000, 1)).map(|s| s.mode) {
            Some(Mode::OpenLoop { rate_pps, pattern: Pattern::Poisson }) => rate_pps,
            other => panic!("{other:?}"),
        };
        assert!((rate(5_000, &ping_pong()) - 20_000.0).abs() < 1e-6, "never more than one in 50 µs");
        assert!((rate(1_000_000, &ping_pong()) - 250.0).abs() < 1e-6, "one in four medians");
        let slow = Spec { mode: Mode::PingPong { interval_ns: Some(10_000_000) }, ..ping_pong() };
        assert!((rate(5_000, &slow) - 100.0).abs() < 1e-6, "not below the interval of ping-pong");
        assert!(paced(&ping_pong(), &[5_000; 9], None, (0, 1)).is_none(), "not asked for");
        assert!(
            paced(&ping_pong(), &[], None, (1_000, 1)).is_none()
                && paced(&ping_pong(), &[LOST; 3], None, (1_000, 1)).is_none()
        );
        let other = paced(&ping_pong(), &[5_000; 9], None, (60_000_000_000, 1)).unwrap();
        assert!(other.rate_pps().unwrap() * 60.0 <= MOST as f64 + 1.0, "its memory is bounded");
    }
}

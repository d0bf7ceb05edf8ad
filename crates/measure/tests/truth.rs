//! Every count and figure against a simulated path whose truth is known.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end by panic

use std::sync::atomic::AtomicBool;

use lowlat_measure::testing::{SimEngine, SimulatedPath, simulate, simulate_rounds};
use lowlat_measure::{Context, Flags, MeasureError, Mode, Pattern, Samples, Spec, Warmup};

const MS: u64 = 1_000_000;

fn open_loop(rate_pps: f64, pattern: Pattern, seconds: u64) -> Spec {
    Spec {
        mode: Mode::OpenLoop { rate_pps, pattern },
        duration_ns: Some(seconds * 1_000 * MS),
        warmup: Warmup::Probes(0),
        timeout_ns: 50 * MS,
        ..Spec::default()
    }
}

fn run(path: SimulatedPath, spec: &Spec) -> (Samples, SimEngine) {
    let mut engine = SimEngine::new(path);
    let samples = simulate(&mut engine, spec, None, &mut |_| {}).unwrap();
    (samples, engine)
}

#[test]
fn an_open_loop_counts_exactly_what_happened() {
    let path = SimulatedPath { loss: 0.015, duplicate: 0.02, foreign: 0.005, seed: 3, ..SimulatedPath::default() };
    for pattern in [Pattern::Fixed, Pattern::Poisson, Pattern::Burst(8)] {
        let (samples, engine) = run(path.clone(), &open_loop(50_000.0, pattern, 2));
        let (c, truth) = (samples.counts(), engine.truth);
        // The greeting's one probe left before the run.
        assert_eq!(c.sent + 1, truth.sent, "{pattern:?}");
        assert_eq!((c.lost, c.duplicates, c.foreign), (truth.lost, truth.duplicated, truth.foreign), "{pattern:?}");
        assert!(c.lost > 800 && c.duplicates > 1_500 && c.foreign > 300, "{c:?}");
        assert_eq!(c.received, c.sent - c.lost);
        assert_eq!((c.late, c.unsent), (0, 0));
        assert_eq!(samples.rtts().len() as u64, c.sent);
        let m = samples.measurement(&open_loop(50_000.0, pattern, 2), Context::default());
        assert_eq!((m.rtt.p99_ns, m.rtt.max_ns), (None, None), "1 % and more lost: P99 falls among them");
        assert!(m.rtt.p50_ns.is_some() && m.residence.p50_ns == Some(100), "{m:?}");
    }
}

#[test]
fn a_ping_pong_counts_exactly_what_happened() {
    let spec =
        Spec { count: Some(20_000), duration_ns: None, warmup: Warmup::Probes(0), timeout_ns: MS, ..Spec::default() };
    let (samples, engine) =
        run(SimulatedPath { loss: 0.01, duplicate: 0.02, foreign: 0.005, seed: 9, ..SimulatedPath::default() }, &spec);
    let (c, truth) = (samples.counts(), engine.truth);
    assert_eq!((c.sent, c.sent + 1), (20_000, truth.sent));
    assert_eq!((c.lost, c.foreign), (truth.lost, truth.foreign));
    // The last probe's second answer may come after the end.
    assert!(truth.duplicated - c.duplicates <= 1, "{c:?} {truth:?}");
    assert_eq!(c.reordered, 0, "one probe on its way: nothing can be overtaken");
    let m = samples.measurement(&spec, Context::default());
    assert_eq!(m.rtt_planned.samples, 0, "without an interval the plan is the send");
}

#[test]
fn an_answer_that_is_overtaken_is_reordered_and_one_beyond_the_timeout_is_late() {
    let held = SimulatedPath { hold: 0.01, hold_ns: 2 * MS, tail_ns: 0.0, seed: 5, ..SimulatedPath::default() };
    let (samples, _) = run(held.clone(), &open_loop(10_000.0, Pattern::Fixed, 1));
    let c = samples.counts();
    let held_back = samples.rtts().iter().filter(|&&r| r > MS).count() as u64;
    assert!(held_back > 50);
    // The gap is 100 µs and the hold 2 ms: each held answer is overtaken by about twenty, but for those whose own next
    // twenty were held or which came last.
    assert!(c.reordered <= held_back && c.reordered + 3 >= held_back, "{c:?} {held_back}");
    assert_eq!((c.lost, c.late), (0, 0));

    let (samples, _) = run(held, &Spec { timeout_ns: MS, ..open_loop(10_000.0, Pattern::Fixed, 1) });
    let c = samples.counts();
    assert_eq!(c.lost, held_back, "the same path, a shorter timeout");
    assert!(c.late + 20 >= held_back && c.late <= held_back, "{c:?}");
    assert_eq!(c.duplicates, 0);
    assert_eq!(samples.probes().iter().filter(|p| p.flags.has(Flags::LATE)).count() as u64, c.late);
}

#[test]
fn a_late_answer_to_a_ping_pong_is_distinguished_from_a_duplicate() {
    let path = SimulatedPath { hold: 0.02, hold_ns: 3 * MS, tail_ns: 0.0, seed: 6, ..SimulatedPath::default() };
    let spec = Spec {
        mode: Mode::PingPong { interval_ns: Some(MS) },
        count: Some(5_000),
        duration_ns: None,
        warmup: Warmup::Probes(0),
        timeout_ns: 2 * MS,
        ..Spec::default()
    };
    let (samples, _) = run(path, &spec);
    let c = samples.counts();
    assert!(c.lost > 50, "{c:?}");
    assert!(c.late <= c.lost && c.late + 2 >= c.lost, "{c:?}");
    assert_eq!((c.duplicates, c.foreign), (0, 0));
}

/// 300 ms of standstill in 6 s is 5 % of the time, so it must show in the P99 from the plan.
#[test]
fn a_frozen_far_end_shows_in_the_planned_tail_and_in_the_actual_one() {
    let path = SimulatedPath { freeze: Some((2_000 * MS, 2_300 * MS)), ..SimulatedPath::default() };
    let spec = Spec { timeout_ns: 1_000 * MS, ..open_loop(500.0, Pattern::Fixed, 6) };
    let m = run(path, &spec).0.measurement(&spec, Context::default());
    assert!(m.rtt_planned.p99_ns.unwrap() > 200 * MS, "{:?}", m.rtt_planned);
    assert!(m.rtt.p99_ns.unwrap() > 200 * MS, "an open loop goes on sending, so even the actual times show it");
    assert_eq!(m.lost, 0);
}

#[test]
fn a_frozen_client_shows_in_the_planned_tail_alone() {
    let path = SimulatedPath { client_freeze: Some((2_000 * MS, 2_300 * MS)), ..SimulatedPath::default() };
    let spec = open_loop(500.0, Pattern::Fixed, 6);
    let m = run(path, &spec).0.measurement(&spec, Context::default());
    assert!(m.rtt_planned.p99_ns.unwrap() > 200 * MS, "{:?}", m.rtt_planned);
    assert!(m.rtt.p99_ns.unwrap() < MS, "late senders look innocent from the actual send: {:?}", m.rtt);
    assert_eq!((m.sent, m.lost), (3_000, 0));
}

#[test]
fn a_paced_ping_pong_shows_a_freeze_too() {
    let path = SimulatedPath { freeze: Some((2_000 * MS, 2_300 * MS)), ..SimulatedPath::default() };
    let spec = Spec {
        mode: Mode::PingPong { interval_ns: Some(2 * MS) },
        duration_ns: Some(6_000 * MS),
        warmup: Warmup::Probes(0),
        ..Spec::default()
    };
    let m = run(path, &spec).0.measurement(&spec, Context::default());
    assert!(m.rtt_planned.p99_ns.unwrap() > 200 * MS, "{:?}", m.rtt_planned);
    assert!(m.rtt.p99_ns.unwrap() < MS, "one slow answer of three thousand: a closed loop hides it");
}

#[test]
fn a_full_queue_delays_a_probe_and_never_uncounts_it() {
    let spec = open_loop(10_000.0, Pattern::Fixed, 1);
    let (samples, engine) = run(SimulatedPath { full_every: Some(10), ..SimulatedPath::default() }, &spec);
    assert_eq!(samples.counts().sent, 10_000);
    assert_eq!(samples.counts().unsent, 0);
    assert!(engine.truth.full > 1_000);
    let late = samples.send_errors().iter().filter(|&&e| e >= 10_000).count();
    assert!(late > 1_000, "each full queue shows as a late send: {late}");
    let closed = Spec { count: Some(1_000), duration_ns: None, ..Spec::default() };
    assert_eq!(run(SimulatedPath { full_every: Some(10), ..SimulatedPath::default() }, &closed).0.counts().sent, 1_000);
}

#[test]
fn a_rate_above_capacity_is_reported_as_such() {
    // A send costs 300 ns: 3.3 million a second at the most.
    let spec = Spec { timeout_ns: 10 * MS, duration_ns: Some(100 * MS), ..open_loop(1e7, Pattern::Fixed, 1) };
    let (samples, _) = run(SimulatedPath::default(), &spec);
    let c = samples.counts();
    assert_eq!(c.sent + c.unsent, 1_000_000, "every planned probe is in the books");
    assert!(c.unsent > 500_000, "{c:?}");
    let m = samples.measurement(&spec, Context::default());
    assert!(m.warnings.iter().any(|w| w.contains("rate is above what this host or path sustains")), "{:?}", m.warnings);
    assert_eq!((m.rate_sustained, m.unsent), (Some(false), c.unsent));
    assert!((3.0e6..3.5e6).contains(&m.sent_rate_pps.unwrap()), "{:?}", m.sent_rate_pps);
    assert!(m.send_delay.p50_ns.unwrap() > 10 * MS, "{:?}", m.send_delay);
    assert_eq!(m.rtt_planned.samples, 1_000_000);
    assert_eq!(m.rtt_planned.p50_ns, None, "more than half never left: from the plan the median is +∞");
    assert!(m.rtt.p50_ns.unwrap() < MS, "those that left came back as fast as ever");
}

#[test]
fn warm_up_is_kept_marked_and_left_out() {
    let spec = Spec { warmup: Warmup::Probes(500), count: Some(2_000), duration_ns: None, ..Spec::default() };
    let (samples, _) = run(SimulatedPath { loss: 0.1, ..SimulatedPath::default() }, &spec);
    let c = samples.counts();
    assert_eq!((c.warmup, c.sent, samples.probes().len()), (500, 2_000, 2_500));
    assert!(samples.probes()[..500].iter().all(|p| p.flags.has(Flags::WARMUP)));
    let by_time = Spec { warmup: Warmup::For(200 * MS), ..open_loop(1_000.0, Pattern::Fixed, 1) };
    let (mut samples, _) = run(SimulatedPath { duplicate: 0.1, ..SimulatedPath::default() }, &by_time);
    assert_eq!((samples.counts().warmup, samples.counts().sent), (200, 1_000));
    // What a steady-state test leaves out of the figures stays counted.
    let counts = samples.counts();
    samples.leave_out(300, 50);
    assert_eq!(samples.counts(), counts);
    let m = samples.measurement(&by_time, Context::default());
    assert_eq!((m.sent, m.rtt.samples, m.rtt_planned.samples), (1_000, 650, 650));
    assert_eq!((samples.rtts().len(), samples.rtts_planned().len(), samples.course().len()), (650, 650, 1_000));
}

#[test]
fn beyond_what_is_kept_the_figures_go_on() {
    let spec = Spec { keep: 1_000, count: Some(50_000), duration_ns: None, ..Spec::default() };
    let (samples, _) = run(SimulatedPath::default(), &spec);
    assert!(!samples.complete() && samples.probes().len() == 1_000);
    let m = samples.measurement(&spec, Context::default());
    assert_eq!((m.sent, m.rtt.samples), (50_000, 50_000));
    let all =
        run(SimulatedPath::default(), &Spec { keep: 1 << 20, ..spec.clone() }).0.measurement(&spec, Context::default());
    let (few, exact) = (m.rtt.p99_ns.unwrap(), all.rtt.p99_ns.unwrap());
    assert!(few >= exact && few - exact <= exact / 256, "{few} {exact}");
    assert!(m.warnings.iter().any(|w| w.contains("histogram")));
}

#[test]
fn silence_and_nonsense_are_told_apart() {
    let spec = Spec::default();
    let silent = simulate(
        &mut SimEngine::new(SimulatedPath { loss: 1.0, ..SimulatedPath::default() }),
        &spec,
        None,
        &mut |_| {},
    );
    assert!(matches!(silent, Err(MeasureError::Silent { tries: 8, waited_ms: 4_937, .. })), "{silent:?}");
    let nonsense = simulate(
        &mut SimEngine::new(SimulatedPath { loss: 1.0, foreign: 1.0, ..SimulatedPath::default() }),
        &spec,
        None,
        &mut |_| {},
    );
    assert!(matches!(nonsense, Err(MeasureError::Nonsense { answers: 8, .. })), "{nonsense:?}");
}

#[test]
fn progress_is_reported_and_gaps_mark_what_they_touch() {
    let mut reported = 0;
    let mut engine = SimEngine::new(SimulatedPath::default());
    let spec = open_loop(1_000.0, Pattern::Fixed, 2);
    let samples = simulate(&mut engine, &spec, None, &mut |p| {
        reported += 1;
        assert!(p.rate_pps > 500.0 && p.counts.sent > 0);
    })
    .unwrap();
    assert!((7..=8).contains(&reported), "{reported}");
    assert!(samples.probes().iter().all(|p| !p.flags.has(Flags::GAP)), "not watched for");
    // This program stands still for 10 ms: the probes of that time are marked, and no others.
    let path = SimulatedPath { client_freeze: Some((100_000_000, 110_000_000)), ..SimulatedPath::default() };
    let watching = Spec { watch_gaps: true, ..spec };
    let samples = simulate(&mut SimEngine::new(path), &watching, None, &mut |_| {}).unwrap();
    let marked: Vec<_> = samples.probes().iter().filter(|p| p.flags.has(Flags::GAP)).collect();
    assert!((10..=12).contains(&marked.len()), "{}", marked.len());
    let figures = samples.measurement(&watching, Context::default());
    let gaps = figures.gaps.unwrap();
    assert_eq!((gaps.seen, gaps.marked), (Some(1), Some(marked.len() as u64)));
    assert!(gaps.longest_ns.unwrap() >= 9_000_000, "{gaps:?}");
    assert_eq!(figures.rtt_planned.samples, 2_000, "marked probes stay in the figures");
    assert_eq!(gaps.rtt_without.unwrap().samples, 2_000 - marked.len() as u64);
}

#[test]
fn an_answer_to_an_earlier_round_is_reported_and_mixed_with_none() {
    // Held answers take 5 ms, the timeout is 1 ms: each lost probe's answer comes while later ones run, the last ones'
    // in the next round.
    let path =
        SimulatedPath { hold: 0.3, hold_ns: 5 * MS, tail_ns: 0.0, duplicate: 0.1, seed: 8, ..SimulatedPath::default() };
    let spec =
        Spec { count: Some(20), duration_ns: None, warmup: Warmup::Probes(0), timeout_ns: MS, ..Spec::default() };
    let mut engine = SimEngine::new(path);
    let rounds = simulate_rounds(&mut engine, &vec![spec; 50], &AtomicBool::new(false)).unwrap();
    let total = |f: fn(&lowlat_measure::Counts) -> u64| rounds.iter().map(|r| f(&r.counts())).sum::<u64>();
    assert_eq!((total(|c| c.sent), total(|c| c.foreign)), (1_000, 0));
    assert!(total(|c| c.stale) > 10, "{}", total(|c| c.stale));
    for r in &rounds {
        assert!(r.counts().late <= r.counts().lost, "{:?}", r.counts());
        assert_eq!(r.counts().reordered, 0);
    }
    // Every second answer and every late one is somewhere.
    let truth = engine.truth;
    let seen = total(|c| c.received + c.late + c.duplicates + c.stale);
    let sent_back = truth.sent - truth.lost + truth.duplicated;
    assert!(sent_back - seen <= 25, "{seen} of {sent_back}: only what came after the last round may be missing");
}

#[test]
fn a_stopped_run_gives_what_it_had() {
    for mode in [Mode::PingPong { interval_ns: None }, Mode::OpenLoop { rate_pps: 1e3, pattern: Pattern::Fixed }] {
        let spec = Spec { mode, ..Spec::default() };
        let rounds = simulate_rounds(
            &mut SimEngine::new(SimulatedPath::default()),
            std::slice::from_ref(&spec),
            &AtomicBool::new(true),
        )
        .unwrap();
        assert!(rounds[0].interrupted() && rounds[0].counts().sent == 0);
        let m = rounds[0].measurement(&spec, Context::default());
        assert_eq!((m.loss_ratio, m.rtt.p50_ns), (None, None));
        assert!(m.warnings.iter().any(|w| w.contains("interrupted")));
    }
}

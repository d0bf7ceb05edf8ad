//! How often the sequential judge is wrong, and how soon it finds what is there, on simulated paths with fixed seeds.
#![allow(clippy::unwrap_used)] // a test may end by panic

#[path = "../examples/sim/mod.rs"]
mod sim;

use lowlat_model::Verdict;
use lowlat_model::measurement::LOST;
use lowlat_model::verdict::{Clock, Comparison, Design, Round, Stopped};
use lowlat_verdict::sequential::{Next, Online, SequentialOptions, Test};
use sim::{Effect, HOSTS, Host, NONE, Path, faster, run};

fn options(alpha: f64, seed: u64) -> SequentialOptions {
    SequentialOptions { alpha, seed, ..SequentialOptions::default() }
}

/// The coins of a test are never those of its path.
fn test_of(host: Host, seed: u64, effect: Effect, alpha: f64) -> Test {
    run(&mut Path::new(host, seed), effect, options(alpha, 1_000_000 + seed))
}

/// Verdicts and pairs of `trials` tests.
fn trials(host: Host, effect: Effect, alpha: f64, trials: u64) -> Vec<(Verdict, u32)> {
    (0..trials)
        .map(|seed| {
            let test = test_of(host, seed, effect, alpha);
            (test.comparison().verdict, test.pairs())
        })
        .collect()
}

fn share(of: &[(Verdict, u32)], verdict: Verdict) -> f64 {
    of.iter().filter(|t| t.0 == verdict).count() as f64 / of.len() as f64
}

fn median_pairs(of: &[(Verdict, u32)]) -> u32 {
    let mut pairs: Vec<u32> = of.iter().map(|t| t.1).collect();
    pairs.sort_unstable();
    pairs[pairs.len() / 2]
}

/// The bound is 0.05 each way; of 150 trials at that rate more than 13 would be false in one of forty.
#[test]
fn without_an_effect_false_finds_stay_within_the_level() {
    for (name, host) in HOSTS {
        let all = trials(host, NONE, 0.05, 150);
        for verdict in [Verdict::Better, Verdict::Worse] {
            assert!(share(&all, verdict) <= 0.087, "{name}: {verdict:?} in {:.3}", share(&all, verdict));
        }
        assert!(median_pairs(&all) <= 20, "{name}: a test without an effect takes {} pairs", median_pairs(&all));
    }
}

/// Every wealth is an e-value, so its mean is at most 1 without an effect, whenever a test stopped.
#[test]
fn the_mean_e_value_without_an_effect_is_at_most_one() {
    let e: Vec<f64> = (0..400).map(|s| test_of(Host::Period(2), s, NONE, 0.05).e_value()).collect();
    let mean = e.iter().sum::<f64>() / e.len() as f64;
    let deviation = (e.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / e.len() as f64).sqrt();
    assert!(mean <= 1.0 + 2.5 * deviation / (e.len() as f64).sqrt(), "mean {mean}");
}

#[test]
fn large_effects_are_found_in_a_few_pairs() {
    for (effect, alpha, most) in [(0.5, 0.05, 7), (0.2, 0.05, 9), (0.5, 0.005, 11), (0.2, 0.005, 12)] {
        for host in [Host::White, Host::Drift, Host::Spikes] {
            let all = trials(host, faster(effect), alpha, 40);
            assert!(share(&all, Verdict::Better) >= 0.95, "{host:?} −{effect}: {:.2}", share(&all, Verdict::Better));
            assert!(median_pairs(&all) <= most, "{host:?} −{effect} at {alpha}: {} pairs", median_pairs(&all));
        }
    }
    let small = trials(Host::White, faster(0.05), 0.05, 60);
    assert!(share(&small, Verdict::Better) >= 0.8, "{:.2}", share(&small, Verdict::Better));
}

#[test]
fn harm_is_shown_soon_and_named() {
    let all = trials(Host::White, faster(-0.2), 0.005, 40);
    assert!(share(&all, Verdict::Worse) >= 0.85 && median_pairs(&all) <= 8, "{:.2}", share(&all, Verdict::Worse));
    let c = test_of(Host::White, 3, faster(-0.3), 0.005).comparison();
    assert!(c.words.starts_with("worse: P50 +"), "{}", c.words);
}

/// A faster median does not buy a slower tail, nor lost probes.
#[test]
fn a_trade_is_not_kept() {
    for (what, effect, most) in [
        ("tail", Effect { body: 0.8, stalls: 4.0, loss: 0.0 }, 0.05),
        ("loss", Effect { body: 0.8, stalls: 0.8, loss: 0.001 }, 0.0),
    ] {
        let all = trials(Host::White, effect, 0.005, 60);
        assert!(share(&all, Verdict::Better) <= most, "{what}: kept in {:.2}", share(&all, Verdict::Better));
        assert!(share(&all, Verdict::Worse) >= 0.9, "{what}: worse in {:.2}", share(&all, Verdict::Worse));
    }
    let effect = Effect { body: 0.8, stalls: 0.8, loss: 0.01 };
    let c = test_of(Host::White, 1, effect, 0.005).comparison();
    assert!(c.words.starts_with("a trade") && c.words.contains("loss 0 → "), "{}", c.words);
}

/// One probe in 250 is lost without the change and none with it: better, though nothing is faster. Turned round it is
/// worse.
#[test]
fn fewer_losses_are_better_and_more_are_worse() {
    let lossy = Effect { loss: 0.004, ..NONE };
    for (a, b, verdict) in [(lossy, NONE, Verdict::Better), (NONE, lossy, Verdict::Worse)] {
        let mut path = Path::new(Host::White, 7);
        let mut test = Test::new(("without", "with"), options(0.05, 1));
        while test.push(path.round(a), path.round(b)) == Next::More {}
        let c = test.comparison();
        assert_eq!((c.verdict, c.sequential.as_ref().unwrap().loss), (verdict, verdict), "{}", c.words);
        assert!(c.words.contains("loss "), "{}", c.words);
    }
}

/// The interval holds the truth at the moment of stopping, which is chosen by what was seen.
#[test]
fn the_interval_holds_the_truth_where_the_test_stopped() {
    let mut held = 0;
    for seed in 0..150 {
        let c = test_of(Host::Drift, seed, faster(0.1), 0.05).comparison();
        let d = &c.quantiles[0];
        held += u32::from(d.change_low.is_none_or(|l| l <= -0.1) && d.change_high.is_none_or(|h| h >= -0.1));
        if c.verdict == Verdict::Better {
            let one = c.quantiles.iter().any(|d| d.change_high.is_some_and(|h| h < 0.0));
            assert!(one, "better without an interval that excludes 0: {}", c.words);
        }
    }
    assert!(held >= 139, "{held} of 150"); // 95 % less 1.5 standard deviations
}

/// Twelve steps that do nothing, 60 runs: a false keep in a run with a chance of 5 % at most.
#[test]
fn a_run_of_steps_without_an_effect_keeps_none() {
    let false_keeps = (0..60u64)
        .filter(|&run_seed| {
            let mut path = Path::new(Host::Drift, run_seed);
            let mut online = Online::new(0.05);
            (0..12).any(|step| {
                let test = run(&mut path, NONE, options(online.level(), 1_000_000 + 100 * run_seed + step));
                online.record(test.e_value())
            })
        })
        .count();
    assert!(false_keeps <= 5, "{false_keeps} of 60 runs");
}

#[test]
fn a_fault_that_ping_pong_steps_around_shows_from_the_plan() {
    let planned = |slow: bool, seed: u64| {
        let mut path = Path::new(Host::White, seed);
        path.probes = (1_000, 300);
        let mut out = path.round(NONE);
        if slow {
            // Every second planned probe waits for the one after it.
            out.planned_ns.iter_mut().step_by(2).for_each(|ns| *ns += 40_000);
        }
        out
    };
    let mut test = Test::new(("without", "with"), options(0.005, 1));
    let mut seed = 0;
    while test.push(planned(true, seed), planned(false, seed + 1)) == Next::More {
        seed += 2;
    }
    let c = test.comparison();
    assert_eq!(c.verdict, Verdict::Better, "{}", c.words);
    let p99 = c.quantiles.iter().find(|d| d.from == Clock::Planned && d.q > 0.95).unwrap();
    assert_eq!(p99.verdict, Verdict::Better, "{p99:?}");
    assert!(c.words.contains("planned P99"), "{}", c.words);
    let froms: Vec<Clock> = c.quantiles.iter().map(|d| d.from).collect();
    assert_eq!(froms, [[Clock::Send; 3], [Clock::Planned; 3]].concat());
    assert_eq!(c.quantiles.iter().map(|d| d.q).collect::<Vec<_>>(), [0.5, 0.9, 0.99, 0.5, 0.9, 0.99]);
}

#[test]
fn a_goal_beyond_p99_is_judged_although_no_round_supports_it() {
    // One probe in 500 is late without the change: P99 does not know it, P99.9 does, and a round of 1000 supports none.
    let round = |late: bool, seed: u64| {
        let mut samples_ns = Path::new(Host::White, seed).round(Effect { stalls: 0.1, ..NONE }).samples_ns;
        samples_ns.iter_mut().step_by(500).for_each(|ns| *ns += if late { 500_000 } else { 0 });
        Round { samples_ns, ..Round::default() }
    };
    let mut test = Test::new(("without", "with"), SequentialOptions { goals: vec![0.999], ..options(0.005, 1) });
    let mut seed = 0;
    while test.push(round(true, seed), round(false, seed + 1)) == Next::More {
        seed += 2;
    }
    let c = test.comparison();
    let d = c.quantiles.iter().find(|d| d.q > 0.995).unwrap();
    assert_eq!((c.verdict, d.verdict), (Verdict::Better, Verdict::Better), "{}", c.words);
    assert!(c.words.contains("P99.9"), "{}", c.words);
}

fn constant(a: u64, b: u64, samples: usize) -> (Test, Comparison) {
    let round = |ns: u64| Round { samples_ns: vec![ns; samples], ..Round::default() };
    let mut test = Test::new(("without", "with"), options(0.05, 1));
    while test.push(round(a), round(b)) == Next::More {}
    let c = test.comparison();
    (test, c)
}

#[test]
fn equal_rounds_exclude_a_difference_worth_having() {
    let (test, c) = constant(10_000, 10_000, 1_000);
    assert_eq!((c.verdict, c.design), (Verdict::Same, Design::Sequential), "{}", c.words);
    let s = c.sequential.unwrap();
    assert_eq!((s.stopped, s.loss, s.worth_ns), (Stopped::Excluded, Verdict::Same, 500));
    assert!(c.words.starts_with("no relevant difference: P50 +0.0 %"), "{}", c.words);
    assert!(test.pairs() <= 8 && test.e_value() <= 1.0, "{}", test.pairs());
    // 0.4 µs are shown beyond doubt and are not worth having.
    let (_, tiny) = constant(10_000, 9_600, 1_000);
    assert_eq!(tiny.verdict, Verdict::Same, "{}", tiny.words);
    let (_, more) = constant(10_000, 9_000, 1_000);
    assert_eq!(more.verdict, Verdict::Better, "{}", more.words);
    let d = &more.quantiles[0];
    assert_eq!(
        (d.a_ns, d.b_ns, d.diff_ns, d.low_ns, d.high_ns),
        (Some(10_000), Some(9_000), Some(-1_000), Some(-1_000), Some(-1_000))
    );
}

#[test]
fn nothing_measured_and_all_lost_show_nothing() {
    let (_, none) = constant(1, 1, 0);
    assert_eq!((none.verdict, none.quantiles[0].a_ns), (Verdict::Unclear, None), "{}", none.words);
    assert!(none.words.starts_with("no difference shown"), "{}", none.words);
    assert!(none.warnings.iter().any(|w| w.contains("P50 has no figure")), "{:?}", none.warnings);
    let (_, lost) = constant(LOST, LOST, 1_000);
    assert_eq!(lost.verdict, Verdict::Unclear, "{}", lost.words);
    let (_, gone) = constant(10_000, LOST, 1_000);
    assert_eq!(gone.verdict, Verdict::Worse, "{}", gone.words);
    assert!(gone.words.contains("loss 0 → 100 %"), "{}", gone.words);
    let untouched = Test::new(("a", "b"), SequentialOptions::default());
    assert_eq!(untouched.comparison().verdict, Verdict::Unclear);
    assert!((untouched.e_value() - 1.0).abs() < 1e-12);
}

#[test]
fn a_stop_in_the_middle_keeps_the_pairs_and_claims_nothing() {
    let mut path = Path::new(Host::White, 1);
    let mut test = Test::new(("without", "with"), options(0.05, 1));
    for _ in 0..3 {
        let (a, b) = (path.round(NONE), path.round(faster(0.5)));
        assert_eq!(test.push(a, b), Next::More);
    }
    test.interrupt();
    let c = test.comparison();
    assert_eq!((c.verdict, c.sequential.unwrap().pairs), (Verdict::Unclear, 3));
    assert!(c.words.starts_with("interrupted"), "{}", c.words);
    assert_eq!(test.push(Round::default(), Round::default()), Next::Stop(Stopped::Interrupted));
    assert_eq!(test.pairs(), 3);
}

/// Exchanging the labels of all pairs exchanges better and worse.
#[test]
fn the_labels_are_symmetric() {
    let rounds: Vec<(Round, Round)> = (0..8)
        .map(|i| {
            let mut path = Path::new(Host::White, i);
            path.probes = (300, 100);
            (path.round(NONE), path.round(faster(0.1)))
        })
        .collect();
    // Harm has a margin of what is worth having, and gain has none: without a margin both are the same bets.
    let options = SequentialOptions {
        least_pairs: 8,
        most_pairs: 8,
        goals: vec![0.999, 1.0],
        worth_ratio: 0.0,
        worth_floor_ns: 0,
        ..SequentialOptions::default()
    };
    let judge = |turn: bool| {
        let mut test = Test::new(("a", "b"), options.clone());
        for (a, b) in rounds.clone() {
            let (a, b) = if turn { (b, a) } else { (a, b) };
            test.push(a, b);
        }
        test.comparison().sequential.unwrap()
    };
    let (one, other) = (judge(false), judge(true));
    assert!((one.e_better - other.e_worse).abs() < 1e-9 * one.e_better, "{one:?} {other:?}");
    assert!((one.e_worse - other.e_better).abs() < 1e-9 * one.e_better, "{one:?} {other:?}");
}

/// A round with too few probes on a plan for its median is bet on by counts: there too a rise smaller than what is
/// worth having is not harm, and one that is larger is.
#[test]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
fn a_rise_that_is_not_worth_fixing_is_not_harm_where_a_round_does_not_support_the_quantile_either() {
    let ends = |planned_rise: f64| {
        let mut random = lowlat_verdict::Random::new(11);
        let mut test = Test::new(("without", "with"), options(0.005, 11));
        loop {
            let mut side =
                |ns: f64, n: usize| (0..n).map(|_| (ns * f64::exp(0.002 * random.normal())) as u64).collect();
            let a = Round { samples_ns: side(400_000.0, 60), planned_ns: side(30_000.0, 9), ..Round::default() };
            let b = Round {
                samples_ns: side(10_000.0, 900),
                planned_ns: side(30_000.0 * (1.0 + planned_rise), 9),
                ..Round::default()
            };
            if let Next::Stop(why) = test.push(a, b) {
                return why;
            }
        }
    };
    // Half a microsecond of 30 is 1.7 %.
    assert_eq!(ends(0.01), Stopped::Better);
    assert_eq!(ends(0.10), Stopped::Worse);
}

/// A loss smaller than what is worth having is not harm, however surely it is there.
#[test]
fn a_loss_that_is_not_worth_fixing_is_not_harm() {
    let pairs = |worth_ratio: f64| {
        let mut test =
            Test::new(("a", "b"), SequentialOptions { worth_ratio, worth_floor_ns: 0, ..SequentialOptions::default() });
        for _ in 0..60 {
            let round = |ns: u64| Round { samples_ns: vec![ns; 2_000], ..Round::default() };
            test.push(round(100_000), round(103_000));
        }
        test.comparison().sequential.unwrap().stopped
    };
    assert_eq!(pairs(0.01), Stopped::Worse);
    assert_ne!(pairs(0.10), Stopped::Worse);
}

/// A round of a slow path that loses one probe in 150, and one of a path a hundred times as fast that loses one in 300.
fn slow_and_fast(random: &mut lowlat_verdict::Random, slow: bool) -> Round {
    let (probes, ns, loss) = if slow { (35, 2_800_000.0, 1.0 / 150.0) } else { (2_500, 30_000.0, 1.0 / 300.0) };
    let mut sample = |_| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
        let ns = (ns * (1.0 + 0.3 * random.unit())) as u64;
        if random.chance(loss) { LOST } else { ns }
    };
    Round { samples_ns: (0..probes).map(&mut sample).collect(), ..Round::default() }
}

/// By their bare shares the fast side loses more in most pairs: of its many probes some are always lost, of 35 mostly none.
#[test]
fn a_side_that_sends_more_probes_is_not_blamed_for_losing_some() {
    for (b_is_fast, verdict) in [(true, Verdict::Better), (false, Verdict::Worse)] {
        let shown = (0..40u64).filter(|&seed| {
            let mut random = lowlat_verdict::Random::new(seed);
            let least = SequentialOptions { least_pairs: 20, most_pairs: 40, ..options(0.05, seed) };
            let mut test = Test::new(("without", "with"), least);
            while test.push(slow_and_fast(&mut random, b_is_fast), slow_and_fast(&mut random, !b_is_fast)) == Next::More
            {
            }
            test.comparison().verdict == verdict
        });
        let shown = shown.count();
        assert!(shown >= 39, "{verdict:?} in {shown} of 40");
    }
}

//! Prints how often the sequential judge is wrong, what it finds and after how many pairs, as the table of
//! docs/judge.md.
//!
//! `cargo run -p lowlat-verdict --release --example judge_table -- [TRIALS]`
#![allow(clippy::print_stdout)] // an example prints

mod sim;

use lowlat_model::Verdict;
use lowlat_model::verdict::Round;
use lowlat_verdict::Random;
use lowlat_verdict::sequential::{Coins, SequentialOptions};
use sim::{Effect, HOSTS, Host, NONE, Path, faster, run};

/// Pairs of the fixed design next to it: the default of `optimize` before there was a sequential judge.
const FIXED_PAIRS: usize = 10;

fn main() {
    let trials: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000);
    println!("{trials} tests a line; at most 60 pairs; rounds of 1000 probes.\n");
    println!("| truth | level | better | worse | pairs: median, P90 | fixed, {FIXED_PAIRS} pairs: better |");
    println!("|---|---|---|---|---|---|");
    for alpha in [0.05, 0.005] {
        for (name, host) in HOSTS {
            line(&format!("no effect, {name}"), host, NONE, alpha, trials);
        }
        for percent in [50, 20, 10, 5, 2] {
            for (name, host) in [("white noise", Host::White), ("drift AR(0.95)", Host::Drift)] {
                line(&format!("−{percent} %, {name}"), host, faster(f64::from(percent) / 100.0), alpha, trials);
            }
        }
        line("+20 %", Host::White, faster(-0.2), alpha, trials);
        line("only the stalls go", Host::White, Effect { stalls: 0.2, ..NONE }, alpha, trials);
        let trade = |stalls, loss| Effect { body: 0.8, stalls, loss };
        line("median −20 %, stalls × 1.5", Host::White, trade(1.5, 0.0), alpha, trials);
        line("median −20 %, stalls × 2", Host::White, trade(2.0, 0.0), alpha, trials);
        line("median −20 %, stalls × 4", Host::White, trade(4.0, 0.0), alpha, trials);
        line("median −20 %, new loss 0.03 %", Host::White, trade(0.8, 0.0003), alpha, trials);
        line("median −20 %, new loss 0.1 %", Host::White, trade(0.8, 0.001), alpha, trials);
    }
}

fn line(truth: &str, host: Host, effect: Effect, alpha: f64, trials: u64) {
    let (mut better, mut worse, mut fixed_better) = (0, 0, 0);
    let mut pairs = Vec::new();
    for seed in 0..trials {
        let test = run(
            &mut Path::new(host, seed),
            effect,
            SequentialOptions { alpha, seed: 1_000_000 + seed, ..SequentialOptions::default() },
        );
        pairs.push(test.pairs());
        match test.comparison().verdict {
            Verdict::Better => better += 1,
            Verdict::Worse => worse += 1,
            _ => {}
        }
        fixed_better += u64::from(fixed(&mut Path::new(host, seed), effect, alpha, 1_000_000 + seed));
    }
    pairs.sort_unstable();
    let share = |n: u64| n as f64 / trials.max(1) as f64;
    let at = |q: usize| pairs.get(pairs.len() * q / 100).copied().unwrap_or(0);
    println!(
        "| {truth} | {alpha} | {:.3} | {:.3} | {}, {} | {:.3} |",
        share(better),
        share(worse),
        at(50),
        at(90),
        share(fixed_better)
    );
}

/// A fixed number of pairs, looked at once: is the mean of the differences of P50, or of P99, so low by chance? By
/// random sign flips, half of the level each, which asks nothing of the noise either.
fn fixed(path: &mut Path, effect: Effect, alpha: f64, seed: u64) -> bool {
    const FLIPS: u32 = 4_000;
    let mut coins = Coins::new(seed);
    let mut random = Random::new(seed);
    let mut differences = [Vec::new(), Vec::new()];
    for _ in 0..FIXED_PAIRS {
        let b_first = coins.b_first();
        let (first, second) = if b_first { (effect, NONE) } else { (NONE, effect) };
        let (first, second) = (path.round(first), path.round(second));
        let (a, b) = if b_first { (second, first) } else { (first, second) };
        for (out, q) in differences.iter_mut().zip([0.5, 0.99]) {
            out.push(log_quantile(&b, q) - log_quantile(&a, q));
        }
    }
    differences.iter().any(|d| {
        let observed: f64 = d.iter().sum();
        let lower = (0..FLIPS)
            .filter(|_| d.iter().map(|d| if random.unit() < 0.5 { -d } else { *d }).sum::<f64>() <= observed + 1e-12)
            .count();
        (lower as f64 + 1.0) / (f64::from(FLIPS) + 1.0) <= alpha / 2.0
    })
}

fn log_quantile(round: &Round, q: f64) -> f64 {
    let mut sorted = round.samples_ns.clone();
    sorted.sort_unstable();
    sorted.get(lowlat_model::measurement::rank(sorted.len(), q)).map_or(0.0, |&ns| (ns as f64).min(1e9).ln())
}

//! Simulated runs of steps that do nothing: how many keep one, and of how many the test of the whole claims a gain.
//!
//! `cargo run -p lowlat-verdict --release --example null_runs -- [RUNS] [STEPS]`; exit 1 where more runs keep a step
//! than the bound and chance allow.
#![allow(clippy::print_stdout)] // an example prints

mod sim;

use std::process::ExitCode;

use lowlat_verdict::sequential::{Online, SequentialOptions};
use sim::{HOSTS, NONE, Path, run};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).map(|n| n.parse::<u64>().ok());
    let runs = args.next().flatten().unwrap_or(200);
    let steps = args.next().flatten().unwrap_or(12);
    let (mut false_keeps, mut claims, mut pairs) = (0u64, 0u64, 0u64);
    let mut bound = 0.0;
    for run_seed in 0..runs {
        // Each run on one of the hosts in turn; its steps follow each other on the same path.
        let (_, host) = HOSTS[usize::try_from(run_seed).unwrap_or(0) % HOSTS.len()];
        let mut path = Path::new(host, run_seed);
        let mut online = Online::new(0.05);
        bound = online.bound();
        let mut kept = 0;
        for step in 0..steps {
            let options = SequentialOptions {
                alpha: online.level(),
                seed: 1_000_000 + run_seed * 1_000 + step,
                ..SequentialOptions::default()
            };
            let test = run(&mut path, NONE, options);
            kept += u64::from(online.record(test.e_value()));
            pairs += u64::from(test.pairs());
        }
        false_keeps += u64::from(kept > 0);
        if kept > 0 {
            // The headline: the kept whole against the original state, by pairs of its own.
            let test = run(
                &mut path,
                NONE,
                SequentialOptions { seed: 1_000_000 + run_seed * 1_000 + 999, ..SequentialOptions::default() },
            );
            let c = test.comparison();
            claims += u64::from(c.quantiles.iter().any(|d| d.change_high.is_some_and(|h| h < 0.0)));
        }
    }
    let mean = pairs as f64 / (runs * steps).max(1) as f64;
    println!("false keeps: {false_keeps} of {runs} runs");
    println!("headline claims: {claims} of {runs} runs (tested where a step was kept, by pairs of its own)");
    println!("bound of the chance of a false keep in a run: {bound}");
    println!("pairs of a step: {mean:.1} on the mean");
    // At the bound itself the count would exceed this in one of forty series.
    let most = runs as f64 * bound + 2.0 * (runs as f64 * bound * (1.0 - bound)).sqrt();
    ExitCode::from(u8::from(false_keeps as f64 > most))
}

//! scratch
#![allow(clippy::print_stdout)] // an example prints
mod sim;
use lowlat_model::verdict::Stopped;
use lowlat_verdict::sequential::Options;
use sim::*;

fn line(host: Host, effect: Effect, alpha: f64, trials: u64, probes: (usize, usize)) -> String {
    let mut pairs = Vec::new();
    let mut counts = [0u32; 5];
    for seed in 0..trials {
        let mut path = Path::new(host, 1_000 + seed);
        path.probes = probes;
        let t = run(&mut path, effect, Options { alpha, seed: 7 * seed + 1, ..Options::default() });
        let s = t.comparison().sequential.unwrap().stopped;
        counts[match s {
            Stopped::Better => 0,
            Stopped::Worse => 1,
            Stopped::Excluded => 2,
            Stopped::Futile => 3,
            _ => 4,
        }] += 1;
        pairs.push(t.pairs());
    }
    pairs.sort_unstable();
    let n = pairs.len();
    let mean: f64 = pairs.iter().map(|&p| f64::from(p)).sum::<f64>() / n as f64;
    format!(
        "better {:.3} worse {:.3} excl {:.3} futile {:.3} exh {:.3} | pairs med {} p90 {} mean {mean:.1}",
        f64::from(counts[0]) / n as f64,
        f64::from(counts[1]) / n as f64,
        f64::from(counts[2]) / n as f64,
        f64::from(counts[3]) / n as f64,
        f64::from(counts[4]) / n as f64,
        pairs[n / 2],
        pairs[n * 9 / 10]
    )
}

fn main() {
    let trials: u64 = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(300);
    for probes in [(1000, 0), (1000, 300)] {
        for alpha in [0.05, 0.005] {
            for (name, host) in HOSTS {
                println!("{probes:?} {alpha} null {name:26} {}", line(host, NONE, alpha, trials, probes));
            }
            for share in [0.5, 0.2, 0.1, 0.05, 0.02] {
                println!(
                    "{probes:?} {alpha} -{share} white {}",
                    line(Host::White, faster(share), alpha, trials, probes)
                );
                println!(
                    "{probes:?} {alpha} -{share} drift {}",
                    line(Host::Drift, faster(share), alpha, trials, probes)
                );
            }
            for stalls in [1.2, 1.5, 2.0, 3.0] {
                println!(
                    "{probes:?} {alpha} trade body -20% stalls x{stalls} {}",
                    line(Host::White, Effect { body: 0.8, stalls, loss: 0.0 }, alpha, trials, probes)
                );
            }
            for loss in [0.0001, 0.001, 0.01] {
                println!(
                    "{probes:?} {alpha} trade body -20% loss {loss} {}",
                    line(Host::White, Effect { body: 0.8, stalls: 0.8, loss }, alpha, trials, probes)
                );
            }
            println!("{probes:?} {alpha} worse 20% {}", line(Host::White, faster(-0.2), alpha, trials, probes));
            println!("{probes:?} {alpha} worse 5% {}", line(Host::White, faster(-0.05), alpha, trials, probes));
            println!(
                "{probes:?} {alpha} stalls gone {}",
                line(Host::White, Effect { body: 1.0, stalls: 0.2, loss: 0.0 }, alpha, trials, probes)
            );
        }
    }
}

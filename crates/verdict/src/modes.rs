//! A path whose rounds fall into two groups.

use lowlat_model::measurement::{LOST, rank};
use lowlat_model::tune::Modes;
use lowlat_model::verdict::{Flow, Round};

/// Fewest rounds in which two groups can be distinguished from noise.
const FEWEST: usize = 6;
/// Rounds that each group holds at the least, and a fifth of all: one or two slow rounds are outliers.
const EACH: usize = 2;
const SHARE: usize = 5;
/// The slower group's median is at least this many times the faster one's. Less is no matter of placement: on one core
/// and across cores, or woken and polled, differ by more.
const RATIO: f64 = 1.25;
/// The gap between the groups is at least this many times the distance between the quartiles within the wider group,
/// and as many times the largest gap within either, on the scale of the logarithm…
const CLEAR: f64 = 3.0;
/// …and more by this many n-ths for n rounds: among few rounds wide gaps are common. With both, of 2,000 simulated
/// hosts of one mode (noise up to 30 %, drift, spikes, exponential tails; 6 to 60 rounds) fewer than one in a hundred
/// is called one of two modes: `a_host_of_one_mode_is_hardly_ever_called_two`.
const FEW: f64 = 8.0;

/// The two groups into which the medians of `rounds` fall, or `None`. The rounds must be of **one** configuration:
/// those of A and B of a test differ by the change.
///
/// The medians are sorted and cut at their widest gap on the scale of the logarithm. They are two modes when both sides
/// hold two rounds and a fifth of all or more, the medians of the sides are 25 % apart or more, and the gap is wide
/// beside what lies within the sides.
pub fn modes(rounds: &[Round]) -> Option<Modes> {
    let mut medians: Vec<(u64, &Flow)> =
        rounds.iter().filter_map(|r| median(&r.samples_ns).map(|m| (m, &r.flow))).collect();
    if medians.len() < FEWEST {
        return None;
    }
    medians.sort_by_key(|m| m.0);
    let logs: Vec<f64> = medians.iter().map(|m| (m.0.max(1) as f64).ln()).collect();
    let gaps: Vec<f64> = logs.windows(2).map(|w| w[1] - w[0]).collect();
    // Among those that leave enough rounds on either side.
    let each = EACH.max(medians.len().div_ceil(SHARE));
    let cuts = each - 1..gaps.len() + 1 - each;
    let cut = cuts.max_by(|&x, &y| gaps[x].total_cmp(&gaps[y]))?;
    let (fast, slow) = medians.split_at(cut + 1);
    let middle = |part: &[(u64, &Flow)]| part[rank(part.len(), 0.5)].0;
    let (fast_ns, slow_ns) = (middle(fast), middle(slow));
    let spread = |logs: &[f64]| logs[rank(logs.len(), 0.75)] - logs[rank(logs.len(), 0.25)];
    let within = spread(&logs[..=cut]).max(spread(&logs[cut + 1..]));
    let next = gaps[..cut].iter().chain(&gaps[cut + 1..]).copied().fold(0.0, f64::max);
    let few = 1.0 + FEW / medians.len() as f64;
    let clear = gaps[cut] >= few * CLEAR * within.max(next);
    if !clear || (slow_ns as f64) < RATIO * fast_ns as f64 {
        return None;
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Some(Modes {
        fast_ns,
        slow_ns,
        fast_rounds: count(fast.len()),
        slow_rounds: count(slow.len()),
        differs: differs(fast, slow),
    })
}

fn median(samples: &[u64]) -> Option<u64> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted.get(rank(sorted.len(), 0.5)).copied().filter(|&m| m != LOST)
}

/// What separates the groups, as text.
fn differs(fast: &[(u64, &Flow)], slow: &[(u64, &Flow)]) -> Vec<String> {
    type Field = fn(&Flow) -> Option<u32>;
    let fields: [(&str, Field); 5] = [
        ("CPU of the prober", |f| f.prober_cpu),
        ("CPU that received", |f| f.incoming_cpu),
        ("receive queue (NAPI id)", |f| f.napi_id),
        ("receive queue", |f| f.rx_queue),
        ("source port", |f| f.source_port.map(u32::from)),
    ];
    fields
        .into_iter()
        .filter_map(|(name, field)| {
            let of = |part: &[(u64, &Flow)]| -> Option<Vec<u32>> {
                let mut values = part.iter().map(|(_, flow)| field(flow)).collect::<Option<Vec<u32>>>()?;
                values.sort_unstable();
                values.dedup();
                // A value that never comes back separates any two groups.
                (values.len() < part.len()).then_some(values)
            };
            let (x, y) = (of(fast)?, of(slow)?);
            let apart = x.iter().all(|v| !y.contains(v));
            apart.then(|| format!("{name}: {} when fast, {} when slow", list(&x), list(&y)))
        })
        .collect()
}

/// `2, 3, 5`; of many the first few.
fn list(values: &[u32]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<String> = values.iter().take(SHOWN).map(u32::to_string).collect();
    let more = if values.len() > SHOWN { ", …" } else { "" };
    shown.join(", ") + more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    fn round(ns: f64, flow: Flow) -> Round {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
        let ns = ns as u64;
        Round { samples_ns: vec![ns; 3], flow, ..Round::default() }
    }

    fn on(cpu: u32, port: u16) -> Flow {
        Flow { prober_cpu: Some(cpu), source_port: Some(port), incoming_cpu: Some(0), ..Flow::default() }
    }

    #[test]
    fn two_groups_are_seen_with_what_separates_them() {
        let mut r = Random::new(1);
        let rounds: Vec<Round> = (0..10)
            .map(|i| {
                let slow = i % 3 == 0;
                let ns = if slow { 83_000.0 } else { 6_000.0 } * (0.05 * r.normal()).exp();
                round(ns, on(if slow { 3 } else { 1 }, 40_000 + i))
            })
            .collect();
        let m = modes(&rounds).unwrap();
        assert_eq!((m.fast_rounds, m.slow_rounds), (6, 4));
        assert!((5_500..6_500).contains(&m.fast_ns) && (75_000..90_000).contains(&m.slow_ns), "{m:?}");
        assert_eq!(m.differs, ["CPU of the prober: 1 when fast, 3 when slow"]);
        // Groups that nothing recorded separates are two modes anyway.
        let bare: Vec<Round> = rounds.into_iter().map(|r| Round { flow: Flow::default(), ..r }).collect();
        assert_eq!(modes(&bare).unwrap().differs, Vec::<String>::new());
    }

    #[test]
    fn neither_an_outlier_nor_a_small_step_nor_few_rounds_are_two_modes() {
        let of = |ns: &[f64]| modes(&ns.iter().map(|&ns| round(ns, Flow::default())).collect::<Vec<_>>());
        assert_eq!(of(&[10e3, 10.1e3, 10.2e3, 9.9e3, 10e3, 50e3, 10.1e3]), None);
        assert_eq!(of(&[10e3, 10.1e3, 10e3, 10.1e3, 12e3, 12.1e3, 12e3, 12.1e3]), None);
        assert_eq!(of(&[10e3, 10.1e3, 50e3, 50.1e3]), None);
        assert_eq!(of(&[10e3; 20]), None);
        assert_eq!(of(&[]), None);
        assert_eq!(modes(&vec![Round { samples_ns: vec![LOST; 5], ..Round::default() }; 9]), None);
        assert!(of(&[10e3, 10.1e3, 10.2e3, 50e3, 50.2e3, 50.1e3]).is_some());
    }

    /// A host of one mode: noise of `sigma`, drift with a correlation of `rho`, a spike in `spikes` of the rounds.
    fn one_mode(seed: u64, n: usize, sigma: f64, rho: f64, spikes: f64) -> Vec<Round> {
        let mut r = Random::new(seed);
        let mut level = sigma * r.normal();
        (0..n)
            .map(|_| {
                level = rho * level + (1.0 - rho * rho).sqrt() * sigma * r.normal();
                let spike = if r.unit() < spikes { r.exponential() } else { 0.0 };
                round(10_000.0 * (level + spike).exp(), Flow::default())
            })
            .collect()
    }

    #[test]
    fn a_host_of_one_mode_is_hardly_ever_called_two() {
        for (name, sigma, rho, spikes) in [
            ("white noise", 0.05, 0.0, 0.0),
            ("wide noise", 0.3, 0.0, 0.0),
            ("drift", 0.2, 0.95, 0.0),
            ("spikes", 0.05, 0.0, 0.1),
            ("exponential", 0.02, 0.0, 1.0),
        ] {
            for n in [6, 8, 12, 20, 60] {
                let called = (0..2_000).filter(|&s| modes(&one_mode(s, n, sigma, rho, spikes)).is_some()).count();
                assert!(called <= 20, "{name}, {n} rounds: {called} of 2000");
            }
        }
    }
}

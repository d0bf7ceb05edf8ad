//! `rules_time ROOT IFACE [ROUNDS]`: how long all rules take over the facts of a stored host, µs, the median of the rounds.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // an example

use std::time::Instant;

use lowlat_rules::{Input, check_all};
use lowlat_sys::Captured;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [root, iface, rest @ ..] = words.as_slice() else { panic!("rules_time ROOT IFACE [ROUNDS]") };
    let rounds: usize = rest.first().map_or(200, |n| n.parse().unwrap());
    let facts = lowlat_collect::gather(&Captured::open(root).unwrap(), Some(iface), Some(1));
    let input = Input { facts: &facts, baseline: None, goal_ns: Some(50_000) };
    let mut took: Vec<u128> = (0..rounds.max(1))
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(check_all(&input));
            start.elapsed().as_micros()
        })
        .collect();
    took.sort_unstable();
    println!("{}", took[took.len() / 2]);
}

//! A simulated path, as noisy as hosts are: shared by the calibration tests and the examples.
#![allow(dead_code, unreachable_pub)] // included by path; each of its users needs a part

use lowlat_model::measurement::LOST;
use lowlat_model::verdict::Round;
use lowlat_verdict::Random;
use lowlat_verdict::sequential::{Coins, Next, SequentialOptions, Test};

/// How the level of the rounds moves, in the order in which they run.
#[derive(Debug, Clone, Copy)]
pub enum Host {
    /// Each round on its own.
    White,
    /// An autoregressive level with a correlation of 0.95 from round to round.
    Drift,
    /// One round in ten is up to three times as slow.
    Spikes,
    /// Every n-th round is 20 % slower.
    Period(u32),
    /// The host changes between two speeds, 40 % apart, every ten rounds or so.
    TwoSpeeds,
    /// One round in ten loses a burst of probes.
    LossBursts,
}

pub const HOSTS: [(&str, Host); 7] = [
    ("white noise", Host::White),
    ("drift AR(0.95)", Host::Drift),
    ("spikes, one round in ten", Host::Spikes),
    ("load of period 2", Host::Period(2)),
    ("load of period 7", Host::Period(7)),
    ("two speeds", Host::TwoSpeeds),
    ("bursts of loss", Host::LossBursts),
];

/// What a change does.
#[derive(Debug, Clone, Copy)]
pub struct Effect {
    /// Factor of every round trip.
    pub body: f64,
    /// Factor of the time lost in stalls.
    pub stalls: f64,
    /// Chance that a probe is lost.
    pub loss: f64,
}

pub const NONE: Effect = Effect { body: 1.0, stalls: 1.0, loss: 0.0 };

/// All of a round trip becomes shorter by `share`.
pub fn faster(share: f64) -> Effect {
    Effect { body: 1.0 - share, stalls: 1.0 - share, loss: 0.0 }
}

pub struct Path {
    host: Host,
    random: Random,
    rounds: u32,
    level: f64,
    slow: bool,
    /// Probes of a round, ping-pong and planned.
    pub probes: (usize, usize),
}

impl Path {
    pub fn new(host: Host, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (level, slow) = (0.2 * random.normal(), random.unit() < 0.5);
        Self { host, random, rounds: 0, level, slow, probes: (1_000, 0) }
    }

    /// One round of probes: a median of some 10 µs that varies by 5 % from round to round, and three probes in a
    /// hundred in a stall of some 10 µs. How many there are varies from round to round too, so P99 of 1000 probes
    /// varies by some 30 %.
    pub fn round(&mut self, effect: Effect) -> Round {
        let r = &mut self.random;
        self.rounds += 1;
        let mut level = 0.05 * r.normal();
        let mut lost = 0;
        match self.host {
            Host::Drift => {
                self.level = 0.95 * self.level + 0.2 * (1.0f64 - 0.95 * 0.95).sqrt() * r.normal();
                level += self.level;
            }
            Host::Spikes if r.unit() < 0.1 => level += 1.1 * r.unit(),
            Host::Period(n) if self.rounds.is_multiple_of(n) => level += 0.18,
            Host::TwoSpeeds => {
                self.slow ^= r.unit() < 0.1;
                level += if self.slow { 0.34 } else { 0.0 };
            }
            Host::LossBursts if r.unit() < 0.1 => lost = 1 + r.below(self.probes.0 / 20),
            Host::White | Host::Spikes | Host::Period(_) | Host::LossBursts => {}
        }
        let stall = 0.03 * (0.25 * r.normal()).exp();
        let mut sample = |planned: bool| {
            if effect.loss > 0.0 && r.unit() < effect.loss {
                return LOST;
            }
            let stalled = r.unit();
            let stalled = if stalled < stall { -10_000.0 * (stalled / stall).ln() } else { 0.0 };
            let base = if planned { 12_000.0 } else { 10_000.0 } * (1.0 + 0.1 * r.unit());
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
            let ns = (level.exp() * (base * effect.body + stalled * effect.stalls)) as u64;
            ns
        };
        let mut samples_ns: Vec<u64> = (0..self.probes.0).map(|_| sample(false)).collect();
        let planned_ns = (0..self.probes.1).map(|_| sample(true)).collect();
        samples_ns[..lost].fill(LOST);
        Round { samples_ns, planned_ns, ..Round::default() }
    }
}

/// Runs one test to its end. The seed of the options must not be the path's: the coins know nothing of the path.
pub fn run(path: &mut Path, effect: Effect, options: SequentialOptions) -> Test {
    let mut coins = Coins::new(options.seed);
    let mut test = Test::new(("without", "with"), options);
    loop {
        let b_first = coins.b_first();
        let (first, second) = if b_first { (effect, NONE) } else { (NONE, effect) };
        let (first, second) = (path.round(first), path.round(second));
        let (a, b) = if b_first { (second, first) } else { (first, second) };
        if test.push(a, b) != Next::More {
            return test;
        }
    }
}

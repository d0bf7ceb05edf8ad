//! One measured path: counts, quantiles, and what bent the numbers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::EngineState;
use crate::shape::ShapeFigures;
use crate::trace::TraceDocument;
use crate::tune::Placement;
use crate::verdict::Flow;
use crate::{Conditions, Course, Distribution, GapMarks, GoalResult, OneWay, Schema, StampReport};

/// The document of `lowlat measure`.
///
/// A figure that the sample does not support, or the path does not give, is `null`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// `lowlat.measure`.
    pub schema: Schema,
    /// Address and port.
    pub target: String,
    /// `icmp`, `udp`, `tcp`.
    pub proto: String,
    /// Far-end protocol: `lowlat`, `sockperf`, `stamp`, `irtt`, `echo`.
    pub peer: String,
    /// `block`, `spin`, `busy-poll`, `epoll`, `suspend`, `io-uring`, `af-xdp`, …
    pub engine: String,
    /// `ping-pong` or `open-loop`.
    pub mode: String,
    /// Payload bytes of one probe; with `--shape` of the largest.
    pub size_bytes: u32,
    /// Planned rate; with `--shape` the mean; `null` for ping-pong.
    pub rate_pps: Option<f64>,
    /// CPU the prober was pinned to.
    pub cpu: Option<u32>,
    /// Probes sent, warm-up left out.
    pub sent: u64,
    /// Probes answered, first answers only.
    pub received: u64,
    /// Probes never answered within the timeout.
    pub lost: u64,
    /// Answers after the first.
    pub duplicates: u64,
    /// First answers that came after the answer to a later probe (RFC 4737, Type-P-Reordered).
    pub reordered: u64,
    /// Answers that came after the timeout; their probes count as lost.
    pub late: u64,
    /// Answers that were no answers: foreign, malformed, unknown sequence.
    pub foreign: u64,
    /// Probes left out as warm-up.
    pub warmup: u64,
    /// `lost / sent`; `null` when nothing was sent.
    pub loss_ratio: Option<f64>,
    /// First planned send to last receive or timeout.
    pub duration_ns: u64,
    /// From the actual send time. Lost probes rank as +∞.
    pub rtt: Quantiles,
    /// From the planned send time; in ping-pong the plan is the send, so this is `null` throughout.
    pub rtt_planned: Quantiles,
    /// P99/P50 of `rtt`.
    pub jitter_ratio: Option<f64>,
    /// The far end's time between receive and send, taken out by its own two stamps.
    pub residence: Quantiles,
    /// Kernel and hardware stamp coverage: `software-rx` → ratio of answers that carried one.
    pub stamp_coverage: BTreeMap<String, f64>,
    /// Per-leg quantiles from stamps where the path gives them: `send→kernel-tx`, `kernel-rx→recv`, …
    pub legs: BTreeMap<String, Quantiles>,
    /// Stamps, stage by stage; `null` where none were asked for.
    #[serde(default)]
    pub stamps: Option<StampReport>,
    /// One-way delays with their bound; `null` where no bound could be found.
    #[serde(default)]
    pub one_way: Option<OneWay>,
    /// Samples that coincide with interruptions of the host, and the figures without them.
    #[serde(default)]
    pub gaps: Option<GapMarks>,
    /// What the engine was on this host, and which of its options the kernel granted.
    #[serde(default)]
    pub engine_state: EngineState,
    /// Where the run took place; `null` in documents of older versions.
    #[serde(default)]
    pub conditions: Option<Conditions>,
    /// What else affects the number, as text: load, …
    pub environment: BTreeMap<String, String>,
    /// For people: what weakens these figures.
    pub warnings: Vec<String>,
    /// Planned probes that never left: the rate was above what the host or the path supports. They rank as lost in
    /// `rtt_planned`.
    #[serde(default)]
    pub unsent: u64,
    /// Probes a second that really left, from the first to the last; `null` below two.
    #[serde(default)]
    pub sent_rate_pps: Option<f64>,
    /// Open loop: whether the planned rate was sustained, as the note of [`Measurement::not_sustained`] reports; `null`
    /// where there is no plan.
    #[serde(default)]
    #[serde(alias = "rate_borne")]
    pub rate_sustained: Option<bool>,
    /// How late each probe left, behind its plan.
    #[serde(default)]
    pub send_delay: Quantiles,
    /// 95 % intervals of the quantiles of `rtt`, by moving blocks, so that autocorrelation is respected. Only those
    /// that the sample supports; empty where the samples were not kept one by one.
    #[serde(default)]
    pub rtt_intervals: Vec<QuantileInterval>,
    /// The same of `rtt_planned`.
    #[serde(default)]
    pub rtt_planned_intervals: Vec<QuantileInterval>,
    /// Delay variation of `rtt` in the senses of the RFCs; `null` where the samples were not kept one by one.
    #[serde(default)]
    pub jitter: Option<Jitter>,
    /// How often each round trip of `rtt` occurred; `null` in documents of older versions, and where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// The same of `rtt_planned`; `null` also where the plan is the send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution_planned: Option<Distribution>,
    /// The run over time; `null` where the samples were not kept one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course: Option<Course>,
    /// `--shape`: what was sent, and the figures of each phase of its bursts; `null` elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Box<ShapeFigures>>,
    /// What the steady-state test found; `null` where it could not look.
    #[serde(default)]
    pub steady: Option<SteadyState>,
    /// Ended by a signal: the figures are of the part that ran.
    #[serde(default)]
    pub interrupted: bool,
    /// Where the probers ran; `null` in documents of older versions.
    #[serde(default)]
    pub placed: Option<Placement>,
    /// The flow, and where its packets were received.
    #[serde(default)]
    pub flow: Flow,
    /// Goals and whether they were met; empty where none was given.
    #[serde(default)]
    pub goals: Vec<GoalResult>,
    /// Where the time of a round trip goes, from a short phase after the measurement; `null` where it was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Box<TraceDocument>>,
    /// Why `trace` is not there, where it was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_why_not: Option<String>,
    /// The same path just before, without the load; only where a load was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Box<Measurement>>,
}

/// A quantile with its interval, ns. `null` at an end means that the end lies among the lost, or beyond the sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuantileInterval {
    /// 0.5, 0.99, …
    pub q: f64,
    /// The quantile.
    pub at_ns: Option<u64>,
    /// Lower end.
    pub low_ns: Option<u64>,
    /// Upper end.
    pub high_ns: Option<u64>,
}

/// Delay variation. From round trips these are round-trip variations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Jitter {
    /// Inter-packet delay variation, absolute values (RFC 3393). A pair with a lost packet has none.
    pub ipdv: Quantiles,
    /// Packet delay variation: above the run's smallest delay (RFC 5481 §4.2). Lost packets rank as +∞.
    pub pdv: Quantiles,
    /// The smoothed interarrival jitter at the end of the run, ns (RFC 3550 §6.4.1); `null` below two answers.
    pub rfc3550_ns: Option<u64>,
}

/// What the steady-state test left out of the figures. These probes are counted, and they are in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SteadyState {
    /// Probes at the start.
    pub warmup: u64,
    /// Probes at the end.
    pub cooldown: u64,
    /// `false`: the level still changed in the second half; nothing was left out for it.
    pub steady: bool,
}

/// A planned rate counts as sustained when less than this share of the planned probes was lost or never left.
///
/// The same share as in the usual statement of a highest rate ("at below 0.1 % loss").
pub const SUSTAINED_LOSS: f64 = 0.001;

impl Measurement {
    /// As text, why the planned rate was not supported; `None` where it was, or where there is no plan.
    pub fn not_sustained(&self) -> Option<String> {
        if self.rate_sustained != Some(false) {
            return None;
        }
        let planned = self.sent + self.unsent;
        let lost = format!("{} of {planned} probes got no answer", self.lost);
        let (left, rate) = (self.sent_rate_pps.unwrap_or(0.0), self.rate_pps.unwrap_or(0.0));
        let behind = self.unsent > 0 || left < 0.99 * rate;
        if !behind {
            return Some(format!(
                "the path did not sustain the planned rate: {lost}; if it loses as much at a lower --rate, the path itself \
                 loses (--sweep rate= reports)"
            ));
        }
        let mut parts = vec![format!("{left:.0} a second left of {rate:.0} planned")];
        if self.unsent > 0 {
            parts.push(format!("{} of {planned} probes could not leave", self.unsent));
        }
        if self.lost > 0 {
            parts.push(lost);
        }
        Some(format!(
            "the rate is above what this host or path sustains: {}; take a lower --rate, or find the knee with --sweep rate=",
            parts.join(", ")
        ))
    }
}

/// Quantiles in nanoseconds; `None` where the sample does not support one.
///
/// A quantile `q` needs `n ≥ 10 / (1 − q)` samples, so that at least ten lie beyond it (P99.9 from 100 probes is an
/// invention). Lost probes rank as +∞: a quantile that falls among them is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// Samples behind the figures, losses included.
    pub samples: u64,
    /// Smallest.
    pub min_ns: Option<u64>,
    /// Median.
    pub p50_ns: Option<u64>,
    /// 90th percentile.
    pub p90_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// 99.9th percentile.
    pub p999_ns: Option<u64>,
    /// 99.99th percentile.
    pub p9999_ns: Option<u64>,
    /// 99.999th percentile.
    pub p99999_ns: Option<u64>,
    /// Largest; `None` if any probe was lost.
    pub max_ns: Option<u64>,
    /// Mean of the received.
    pub mean_ns: Option<u64>,
}

/// The rank value of a lost probe in sample lists: +∞.
pub const LOST: u64 = u64::MAX;

/// How many samples a quantile needs: `10 / (1 − q)`, so that ten are expected beyond it, and never fewer than ten.
///
/// The mirror image holds for quantiles below the median: ten are expected before it.
pub fn samples_needed(q: f64) -> u64 {
    let beyond = q.min(1.0 - q);
    if beyond <= 0.0 || !beyond.is_finite() {
        return u64::MAX;
    }
    // 10 / (1 − 0.999) is 10 000.000000000009 in binary: the rounding error must not ask for one sample more.
    let needed = 10.0 / beyond;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // beyond > 0 makes it positive; casts saturate
    let whole = (needed - needed * 1e-9).ceil() as u64;
    whole
}

/// The place of quantile `q` among `n` sorted samples, counted from 0: the nearest-rank definition, `⌈q·n⌉ − 1`. It is
/// always one of the samples, never an average of two, so a lost probe (+∞) cannot be averaged away.
pub fn rank(n: usize, q: f64) -> usize {
    let at = q * n as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 ≤ q·n ≤ n; casts saturate
    let up = (at - at * 1e-12).ceil() as usize;
    up.clamp(1, n.max(1)) - 1
}

impl Quantiles {
    /// The figures of `samples` (ns, [`LOST`] for a lost probe), in any order; sorts them.
    ///
    /// Costs one sort; a caller with very many samples counts them in a histogram instead.
    pub fn of(samples: &mut [u64]) -> Self {
        samples.sort_unstable();
        let received = &samples[..samples.partition_point(|&s| s != LOST)];
        let sum: u128 = received.iter().map(|&s| u128::from(s)).sum();
        Self::by_rank(samples.len() as u64, received.len() as u64, sum, |at| {
            samples.get(usize::try_from(at).unwrap_or(usize::MAX)).copied().unwrap_or(LOST)
        })
    }

    /// The figures of `samples` samples of which `received` have a value, with the sum of those, where `at(k)` gives
    /// the `k`-th smallest from 0 ([`LOST`] from `received` on). For histograms.
    pub fn by_rank(samples: u64, received: u64, sum_ns: u128, at: impl Fn(u64) -> u64) -> Self {
        let value = |k: u64| Some(at(k)).filter(|&v| v != LOST);
        let quantile = |q: f64| {
            if samples < samples_needed(q) {
                return None;
            }
            value(rank(usize::try_from(samples).unwrap_or(usize::MAX), q) as u64)
        };
        let some = received > 0;
        Self {
            samples,
            min_ns: some.then(|| at(0)),
            p50_ns: quantile(0.5),
            p90_ns: quantile(0.9),
            p99_ns: quantile(0.99),
            p999_ns: quantile(0.999),
            p9999_ns: quantile(0.9999),
            p99999_ns: quantile(0.99999),
            max_ns: if some && received == samples { value(samples - 1) } else { None },
            mean_ns: some.then(|| u64::try_from(sum_ns / u128::from(received)).unwrap_or(u64::MAX)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may end by panic
mod tests {
    use super::*;

    #[test]
    fn a_quantile_needs_ten_samples_beyond_it() {
        assert_eq!(
            [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999].map(samples_needed),
            [20, 100, 1_000, 10_000, 100_000, 1_000_000]
        );
        let mut few: Vec<u64> = (1..=999).collect();
        let mut enough: Vec<u64> = (1..=1_000).collect();
        assert_eq!(Quantiles::of(&mut few).p99_ns, None);
        assert_eq!(Quantiles::of(&mut enough).p99_ns, Some(990));
        assert_eq!(Quantiles::of(&mut enough).p50_ns, Some(500));
    }

    #[test]
    fn a_lost_probe_ranks_last_and_hides_nothing() {
        let mut s: Vec<u64> = (0..1_000).map(|i| if i < 989 { 10 } else { LOST }).collect();
        let q = Quantiles::of(&mut s);
        assert_eq!((q.samples, q.p50_ns, q.p99_ns, q.max_ns, q.mean_ns), (1_000, Some(10), None, None, Some(10)));
        let nothing = Quantiles::of(&mut []);
        assert_eq!((nothing.samples, nothing.min_ns, nothing.max_ns), (0, None, None));
        assert_eq!(Quantiles::of(&mut [LOST]).min_ns, None);
    }
}

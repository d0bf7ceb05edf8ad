//! `TCA_OPTIONS` of the kinds lowlat knows: read for people and rules, written for the lab.
//!
//! Decoding never decides what is put back: the bytes themselves do, as [`as_request`] turns them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::attr::{Attr, Attrs, tail, u16_at, u32_at};
use crate::message::attrs;

/// A kind's options for people and for rules.
///
/// | key | unit |
/// |---|---|
/// | `limit` | packets |
/// | `limit_bytes`, `burst_bytes`, `memory_limit_bytes`, `quantum` | bytes |
/// | `delay_us`, `jitter_us`, `target_us`, `interval_us`, `rtt_us`, `latency_us`, `ce_threshold_us` | µs |
/// | `rate_bps`, `maxrate_bps`, `peakrate_bps` | bit/s |
/// | `loss_ppm`, `duplicate_ppm`, `reorder_ppm`, `corrupt_ppm` | parts per million |
/// | `flows`, `flow_limit`, `buckets`, `default_class`, `ecn` | counts; `ecn` is 0 or 1 |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecodedOptions {
    /// `limit 1000 delay 400us`.
    pub summary: String,
    /// As far as they could be decoded.
    pub options: BTreeMap<String, u64>,
}

impl DecodedOptions {
    fn put(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.options.insert(key.to_owned(), value);
        }
    }

    fn word(&mut self, word: &str) {
        if !self.summary.is_empty() {
            self.summary.push(' ');
        }
        self.summary.push_str(word);
    }
}

/// One tick of the packet scheduler's clock, ns (`PSCHED_SHIFT` 6, include/net/pkt_sched.h).
const TICK_NS: u64 = 64;

/// Reads the options of a kind. What is not known, or garbled, is left out: the map says what was decoded.
pub fn decode(kind: &str, bytes: &[u8]) -> DecodedOptions {
    let mut d = DecodedOptions::default();
    match kind {
        "pfifo" | "pfifo_head_drop" => d.put("limit", number(bytes, 0)),
        "bfifo" => d.put("limit_bytes", number(bytes, 0)),
        "netem" => netem_options(bytes, &mut d),
        "sfq" => {
            d.put("quantum", number(bytes, 0));
            d.put("limit", number(bytes, 8));
            d.put("flows", number(bytes, 16));
        }
        _ => {
            if let Ok(a) = Attrs::parse(bytes) {
                by_attributes(kind, a, &mut d);
            }
        }
    }
    summarize(&mut d);
    d
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    u32_at(bytes, at).map(u64::from)
}

fn by_attributes(kind: &str, a: Attrs<'_>, d: &mut DecodedOptions) {
    let n = |kind: u16| a.get(kind).and_then(Attr::uint);
    match kind {
        // TCA_FQ_*
        "fq" => {
            d.put("limit", n(1));
            d.put("flow_limit", n(2));
            d.put("quantum", n(3));
            // ~0 means no limit.
            d.put("maxrate_bps", n(7).filter(|v| *v != u64::from(u32::MAX)).map(|v| v.saturating_mul(8)));
            d.put("buckets", n(8).map(|log| 1 << log.min(63)));
        }
        // TCA_FQ_CODEL_*
        "fq_codel" => {
            d.put("target_us", n(1));
            d.put("limit", n(2));
            d.put("interval_us", n(3));
            d.put("ecn", n(4));
            d.put("flows", n(5));
            d.put("quantum", n(6));
            d.put("ce_threshold_us", n(7));
            d.put("memory_limit_bytes", n(9));
        }
        // TCA_CODEL_*
        "codel" => {
            d.put("target_us", n(1));
            d.put("limit", n(2));
            d.put("interval_us", n(3));
            d.put("ecn", n(4));
            d.put("ce_threshold_us", n(5));
        }
        // TCA_PIE_*
        "pie" => {
            d.put("target_us", n(1));
            d.put("limit", n(2));
        }
        "tbf" => tbf_options(a, d),
        // TCA_HTB_INIT: version, rate2quantum, default class, …
        "htb" => d.put("default_class", a.get(2).and_then(|i| u32_at(i.data, 8)).map(u64::from)),
        // TCA_CAKE_*: the rate is in bytes per second, 0 for unlimited
        "cake" => {
            d.put("rate_bps", n(2).filter(|v| *v != 0).map(|v| v.saturating_mul(8)));
            d.put("rtt_us", n(7));
            d.put("target_us", n(8));
            d.put("memory_limit_bytes", n(10).filter(|v| *v != 0));
        }
        _ => {}
    }
}

/// `struct tc_netem_qopt`, then `TCA_NETEM_*` (net/sched/sch_netem.c, `netem_dump`).
fn netem_options(bytes: &[u8], d: &mut DecodedOptions) {
    const QOPT: usize = 24;
    let attrs = Attrs::parse(tail(bytes, QOPT)).ok();
    let attr = |kind: u16| attrs.and_then(|a| a.get(kind));
    let us = |kind: u16, at: usize| {
        let ns = attr(kind).and_then(Attr::u64).or_else(|| number(bytes, at).map(|ticks| ticks * TICK_NS))?;
        (ns > 0).then_some(ns / 1000)
    };
    let ppm = |p: Option<u32>| p.filter(|p| *p != 0).map(|p| u64::from(p) * 1_000_000 / u64::from(u32::MAX));
    d.put("delay_us", us(10, 0));
    d.put("jitter_us", us(11, 20));
    d.put("limit", number(bytes, 4));
    d.put("loss_ppm", ppm(u32_at(bytes, 8)));
    d.put("duplicate_ppm", ppm(u32_at(bytes, 16)));
    d.put("reorder_ppm", ppm(attr(3).and_then(Attr::u32)));
    d.put("corrupt_ppm", ppm(attr(4).and_then(Attr::u32)));
    // struct tc_netem_rate begins with the rate in bytes per second; RATE64 stands in where it does not fit.
    let rate = attr(8).and_then(Attr::u64).or_else(|| attr(6).and_then(Attr::u32).map(u64::from));
    d.put("rate_bps", rate.filter(|r| *r != 0).map(|r| r.saturating_mul(8)));
    // TCA_NETEM_LOSS holds a loss model (Gilbert-Elliott, Markov) in place of the plain probability.
    if attr(5).is_some_and(|a| !a.data.is_empty()) {
        d.word("loss-model");
    }
}

/// `TCA_TBF_PARMS`: two `struct tc_ratespec` of 12 bytes, limit, buffer (ticks), mtu (ticks).
fn tbf_options(a: Attrs<'_>, d: &mut DecodedOptions) {
    let Some(parms) = a.get(1).map(|p| p.data) else { return };
    let rate = a.get(4).and_then(Attr::u64).or_else(|| number(parms, 8)).filter(|r| *r != 0);
    let peak = a.get(5).and_then(Attr::u64).or_else(|| number(parms, 20)).filter(|r| *r != 0);
    d.put("rate_bps", rate.map(|r| r.saturating_mul(8)));
    d.put("peakrate_bps", peak.map(|r| r.saturating_mul(8)));
    d.put("limit_bytes", number(parms, 24));
    if let (Some(rate), Some(ticks)) = (rate, number(parms, 28)) {
        let burst = u128::from(rate) * u128::from(ticks * TICK_NS) / 1_000_000_000;
        d.put("burst_bytes", u64::try_from(burst).ok());
        if let Some(limit) = number(parms, 24) {
            // As tc shows it: how long a full queue takes beyond the burst.
            let beyond = u128::from(limit).saturating_sub(burst);
            d.put("latency_us", u64::try_from(beyond * 1_000_000 / u128::from(rate)).ok());
        }
    }
}

fn summarize(d: &mut DecodedOptions) {
    let words: Vec<String> = d
        .options
        .iter()
        .map(|(key, value)| match key.as_str() {
            "ecn" if *value == 0 => "noecn".to_owned(),
            "ecn" => "ecn".to_owned(),
            k if k.ends_with("_us") => format!("{} {value}us", k.trim_end_matches("_us")),
            k if k.ends_with("_bps") => format!("{} {}", k.trim_end_matches("_bps"), rate(*value)),
            k if k.ends_with("_bytes") => format!("{} {value}b", k.trim_end_matches("_bytes")),
            k if k.ends_with("_ppm") => format!("{} {}%", k.trim_end_matches("_ppm"), *value as f64 / 1e4),
            k => format!("{k} {value}"),
        })
        .collect();
    for w in &words {
        d.word(w);
    }
}

fn rate(bps: u64) -> String {
    match bps {
        0..1_000 => format!("{bps}bit"),
        1_000..1_000_000 => format!("{}Kbit", bps as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{}Mbit", bps as f64 / 1e6),
        _ => format!("{}Gbit", bps as f64 / 1e9),
    }
}

/// A dump's options as the request that makes the kernel dump them again.
///
/// The same bytes, but for the times of the CoDel family: the kernel keeps them in units of 1024 ns and rounds down
/// both ways (include/net/codel.h, `codel_time_to_us`; `codel_change`), so that the default target of 5 ms dumps as
/// 4999 µs, and 4999 sent back dumps as 4998 (seen on Linux 6.12). One microsecond more names the same unit: with `u`
/// units dumped as `d = ⌊1.024 u⌋`, `u < (d + 1) / 1.024 < u + 1`.
pub fn as_request(kind: &str, dump: &[u8]) -> Vec<u8> {
    let times: &[u16] = match kind {
        "fq_codel" => &[1, 3, 7],
        "codel" => &[1, 3, 5],
        _ => return dump.to_vec(),
    };
    let Ok(all) = Attrs::parse(dump) else { return dump.to_vec() };
    attrs(|m| {
        all.iter().fold(m, |m, a| match a.u32() {
            Some(us) if times.contains(&a.kind) => m.u32(a.kind, us.saturating_add(1)),
            _ => m.attr(a.kind, a.data),
        })
    })
}

/// Options of `pfifo` (packets) and `bfifo` (bytes).
pub fn fifo(limit: u32) -> Vec<u8> {
    limit.to_ne_bytes().to_vec()
}

/// What netem does to packets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Netem {
    /// Added to every packet.
    pub delay: Duration,
    /// Uniform, plus and minus.
    pub jitter: Duration,
    /// Queue, packets.
    pub limit: u32,
    /// Lost, 0 to 1.
    pub loss: f64,
    /// Duplicated, 0 to 1.
    pub duplicate: f64,
    /// Sent at once, past the delayed ones, 0 to 1; needs a delay.
    pub reorder: f64,
}

impl Default for Netem {
    /// Nothing; the limit is tc's default.
    fn default() -> Self {
        Self { delay: Duration::ZERO, jitter: Duration::ZERO, limit: 1000, loss: 0.0, duplicate: 0.0, reorder: 0.0 }
    }
}

/// Options of `netem`.
pub fn netem(n: &Netem) -> Vec<u8> {
    let ticks = |d: Duration| u32::try_from(d.as_nanos() / u128::from(TICK_NS)).unwrap_or(u32::MAX);
    let ns = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
    let mut out = Vec::new();
    // A reorder probability without a gap means a gap of 1 (iproute2, tc/q_netem.c).
    let gap = u32::from(n.reorder > 0.0);
    for field in [ticks(n.delay), n.limit, probability(n.loss), gap, probability(n.duplicate), ticks(n.jitter)] {
        out.extend_from_slice(&field.to_ne_bytes());
    }
    out.extend(attrs(|m| {
        let m = m.attr(10, &ns(n.delay).to_ne_bytes()).attr(11, &ns(n.jitter).to_ne_bytes());
        if n.reorder > 0.0 {
            let reorder = [probability(n.reorder).to_ne_bytes(), [0; 4]].concat();
            m.attr(3, &reorder)
        } else {
            m
        }
    }));
    out
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped to 0..=u32::MAX first
fn probability(p: f64) -> u32 {
    (p.clamp(0.0, 1.0) * f64::from(u32::MAX)).round() as u32
}

/// Options of `tbf`: a rate, and the largest burst and queue.
pub fn tbf(rate_bps: u64, burst_bytes: u32, limit_bytes: u32) -> Vec<u8> {
    const LINKLAYER_ETHERNET: u8 = 1;
    let rate = rate_bps / 8;
    let mut parms = vec![0, LINKLAYER_ETHERNET, 0, 0, 0, 0, 0, 0];
    parms.extend_from_slice(&u32::try_from(rate).unwrap_or(u32::MAX).to_ne_bytes());
    parms.extend_from_slice(&[0; 12]);
    parms.extend_from_slice(&limit_bytes.to_ne_bytes());
    // Buffer in ticks; TCA_TBF_BURST, exact, takes its place on kernels that know it (all from 3.14 on).
    let ticks = u128::from(burst_bytes) * 1_000_000_000 / u128::from(rate.max(1)) / u128::from(TICK_NS);
    parms.extend_from_slice(&u32::try_from(ticks).unwrap_or(u32::MAX).to_ne_bytes());
    parms.extend_from_slice(&[0; 4]);
    attrs(|m| {
        let m = m.attr(1, &parms).u32(6, burst_bytes);
        if rate > u64::from(u32::MAX) { m.attr(4, &rate.to_ne_bytes()) } else { m }
    })
}

/// Options of `fq_codel`, `None` keeps a default: limit (packets), flows.
pub fn fq_codel(limit: Option<u32>, flows: Option<u32>) -> Vec<u8> {
    attrs(|m| {
        let m = limit.map_or(m.clone(), |v| m.u32(2, v));
        match flows {
            Some(v) => m.u32(5, v),
            None => m,
        }
    })
}

/// Whether a netem's options leave out a part of its state: a delay distribution is loaded and never dumped, so with
/// jitter (or a slot distribution) nobody can tell whether there is one.
pub(super) fn netem_may_hide_a_distribution(bytes: &[u8]) -> bool {
    const QOPT: usize = 24;
    const SLOT: u16 = 12;
    let jitter_ticks = u32_at(bytes, 20).unwrap_or(0);
    let Ok(attrs) = Attrs::parse(tail(bytes, QOPT)) else { return true };
    let jitter = attrs.get(11).and_then(Attr::u64).unwrap_or(u64::from(jitter_ticks));
    // struct tc_netem_slot: …, dist_delay at 24
    let slot_dist = attrs.get(SLOT).is_some_and(|a| Attr { kind: 0, data: tail(a.data, 24) }.u64().unwrap_or(0) != 0);
    jitter != 0 || slot_dist || u16_at(bytes, 0).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [&str; 12] =
        ["pfifo", "bfifo", "pfifo_fast", "fq", "fq_codel", "codel", "netem", "tbf", "htb", "cake", "sfq", "whatever"];

    proptest! {
        #[test]
        fn any_bytes_of_any_kind_are_read_without_panic(kind in 0usize..12, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(KINDS[kind], &bytes);
            let _ = (netem_may_hide_a_distribution(&bytes), as_request(KINDS[kind], &bytes));
        }

        #[test]
        fn attributes_with_any_numbers_are_read_without_panic(kind in 0usize..12, values in proptest::collection::vec((1u16..16, any::<u64>()), 0..10)) {
            let bytes = attrs(|m| values.iter().fold(m, |m, (k, v)| m.attr(*k, &v.to_ne_bytes())));
            let _ = decode(KINDS[kind], &bytes);
        }

        #[test]
        fn a_codel_time_sent_back_names_the_same_unit(units in 0u64..4_000_000) {
            let dumped = |units: u64| u32::try_from((units << 10) / 1000).unwrap();
            let kept = |us: u32| (u64::from(us) * 1000) >> 10;
            let dump = attrs(|m| m.u32(1, dumped(units)).u32(2, 777));
            let request = as_request("fq_codel", &dump);
            let request = Attrs::parse(&request).unwrap();
            prop_assert_eq!(kept(request.u32(1).unwrap()), units);
            prop_assert_eq!(request.u32(2), Some(777));
        }

        #[test]
        fn netem_reads_as_it_is_written(delay in 1u32..10_000_000, limit in 1u32..100_000) {
            let n = Netem { delay: Duration::from_micros(delay.into()), limit, ..Netem::default() };
            let d = decode("netem", &netem(&n));
            prop_assert_eq!(d.options.get("delay_us"), Some(&u64::from(delay)));
            prop_assert_eq!(d.options.get("limit"), Some(&u64::from(limit)));
        }
    }

    #[test]
    fn summaries() {
        let n = Netem { delay: Duration::from_micros(400), loss: 0.01, ..Netem::default() };
        assert_eq!(decode("netem", &netem(&n)).summary, "delay 400us limit 1000 loss 1%");
        assert_eq!(decode("pfifo", &fifo(50)).summary, "limit 50");
        let t = decode("tbf", &tbf(8_000_000, 2000, 10_000));
        assert_eq!(t.options.get("rate_bps"), Some(&8_000_000));
        assert_eq!(t.options.get("latency_us"), Some(&8_000));
    }

    #[test]
    fn a_jittered_netem_may_hide_its_distribution() {
        let still = netem(&Netem { delay: Duration::from_millis(1), ..Netem::default() });
        assert!(!netem_may_hide_a_distribution(&still));
        let jittered = netem(&Netem { jitter: Duration::from_millis(1), ..Netem::default() });
        assert!(netem_may_hide_a_distribution(&jittered));
    }
}

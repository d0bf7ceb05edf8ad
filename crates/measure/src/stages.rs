//! Where the time of a round trip went, from the stamps of each probe.
//!
//! ```text
//! send ─► sched-tx ─► software-tx ─► (wire) ─► far-software-rx ─► far-recv ─► far-send ─► (wire) ─► software-rx ─►
//! recv
//! ```
//!
//! Kernel stamps are on `CLOCK_REALTIME`, this program's own on `CLOCK_MONOTONIC`: the two are joined by their
//! difference, read at both ends of the run. Far stamps are on the far end's clock. Each stage is a difference of two
//! readings of one clock (the far end's own time is taken out of what lies between the near stamps), so none needs the
//! two hosts' clocks to agree.

use std::collections::BTreeMap;

use lowlat_model::stamps::{Stage, StampKind, StampReport};
use lowlat_model::{OneWay, Quantiles};
use lowlat_transport::StampAt;

use crate::oneway::{Offset, StampedExchange};
use crate::probe::{Flags, Probe, ProbeStamps};
use crate::probed::Probed;
use crate::samples::Samples;

/// A wall clock that moved further than this in the run was stepped or slewed hard.
const STEPPED_NS: u64 = 1_000_000;

/// No stage of a probe is longer, ns: what lies on both sides of a step of the wall clock is. The round trip itself is
/// on the monotonic clock, which is never set.
fn longest(p: &Probe) -> u64 {
    p.rtt().saturating_add(STEPPED_NS)
}

/// The far kernel's receive stamp, unless the far end's wall clock was set between it and the far program's.
fn far_rx(p: &Probe, s: &ProbeStamps) -> Option<u64> {
    let plausible = |rx: &u64| s.far_recv.checked_sub(*rx).is_some_and(|length| length <= longest(p));
    Some(s.far_rx).filter(|rx| *rx > 0).filter(plausible)
}

/// What the stamps of a run show.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) report: Option<StampReport>,
    pub(crate) one_way: Option<OneWay>,
    /// As the document's `stamp_coverage`.
    pub(crate) coverage: BTreeMap<String, f64>,
    /// As the document's `legs`.
    pub(crate) legs: BTreeMap<String, Quantiles>,
}

/// Name of the far kernel's receive stamp.
pub(crate) const FAR_RX: &str = "far-software-rx";

/// A stamp of a probe by its kind; 0 for none.
fn stamp(s: &ProbeStamps, at: StampAt) -> u64 {
    match at {
        StampAt::TxSched => s.tx_sched,
        StampAt::TxSoftware => s.tx_software,
        StampAt::TxHardware => s.tx_hardware,
        StampAt::TxAck => s.tx_ack,
        StampAt::RxSoftware => s.rx_software,
        StampAt::RxHardware => s.rx_hardware,
    }
}

/// How many of these probes have each kind.
pub(crate) fn count<'a>(stamps: impl Iterator<Item = &'a ProbeStamps>) -> BTreeMap<&'static str, u64> {
    let mut came = BTreeMap::new();
    for s in stamps {
        for at in StampAt::ALL {
            *came.entry(at.name()).or_default() += u64::from(stamp(s, at) > 0);
        }
        *came.entry(FAR_RX).or_default() += u64::from(s.far_rx > 0);
    }
    came
}

/// The clocks of this host, joined over the run.
struct Join {
    first: u64,
    span: f64,
    begin: i64,
    end: i64,
}

impl Join {
    fn of(samples: &Samples, pairs: &[(&Probe, &ProbeStamps)]) -> Option<Self> {
        let (begin, end) = samples.realtime?;
        let first = pairs.first().map_or(0, |(p, _)| p.sent);
        let span = samples.last_event().saturating_sub(first).max(1) as f64;
        (begin.abs_diff(end) <= STEPPED_NS).then_some(Self { first, span, begin, end })
    }

    /// Realtime less monotonic at `t`.
    fn offset(&self, t: u64) -> i64 {
        #[allow(clippy::cast_possible_truncation)] // a fraction of a difference below 1 ms
        let slew = ((self.end - self.begin) as f64 * (t.saturating_sub(self.first) as f64 / self.span)) as i64;
        self.begin + slew
    }
}

/// A stage in the making: its ends, its words, and whether it is part of the way.
type Plan = (&'static str, &'static str, &'static str, bool);

const STAGES: [Plan; 9] = [
    ("send", "sched-tx", "system call and stack, to the queue discipline", true),
    ("send", "software-tx", "system call and stack, to the driver", true),
    ("sched-tx", "software-tx", "queue discipline, to the driver", true),
    ("software-tx", "software-rx", "both wires and the far host, less the far end's own time", true),
    (FAR_RX, "far-recv", "far kernel, to the far program", true),
    ("far-recv", "far-send", "far program", true),
    ("software-rx", "recv", "stack and wake-up, to the program", true),
    ("software-tx", "ack-tx", "driver, to the far kernel's acknowledgement", false),
    ("hardware-tx", "hardware-rx", "NIC to NIC, less the far end's own time", false),
];

/// The lengths of one probe's stages; `Some(Err)` where one came out below zero or longer than the round trip.
fn lengths(p: &Probe, s: &ProbeStamps, join: Option<&Join>) -> [Option<Result<u64, ()>>; STAGES.len()] {
    let own = |t: u64| join.and_then(|j| t.checked_add_signed(j.offset(t)));
    let some = |t: u64| (t > 0).then_some(t);
    let between = |from: Option<u64>, to: Option<u64>| {
        Some(to?.checked_sub(from?).filter(|length| *length <= longest(p)).ok_or(()))
    };
    let less = |length: Option<Result<u64, ()>>, part: Option<u64>| match (length?, part) {
        (Ok(all), Some(part)) => Some(all.checked_sub(part).ok_or(())),
        (other, _) => Some(other),
    };
    let (send, recv) = (own(p.sent), own(p.received));
    let (sched, tx, rx) = (some(s.tx_sched), some(s.tx_software), some(s.rx_software));
    // The far end's own time: from its kernel's stamp, else from its program's.
    let far = some(s.far_send).zip(far_rx(p, s).or(some(s.far_recv))).and_then(|(to, from)| to.checked_sub(from));
    [
        between(send, sched),
        if sched.is_none() { between(send, tx) } else { None },
        between(sched, tx),
        less(between(tx, rx), far),
        between(some(s.far_rx), some(s.far_recv)),
        between(some(s.far_recv), some(s.far_send)),
        between(rx, recv),
        between(tx, some(s.tx_ack)),
        less(between(some(s.tx_hardware), some(s.rx_hardware)), far),
    ]
}

/// Everything the stamps of a run show.
pub(crate) fn show(samples: &Samples, peer_is_ours: bool) -> Shown {
    let Some(probed) = &samples.probed else { return Shown::default() };
    let none = ProbeStamps::default();
    let pairs: Vec<(&Probe, &ProbeStamps)> = samples
        .probes()
        .iter()
        .enumerate()
        .filter(|(_, p)| !p.flags.has(Flags::WARMUP | Flags::UNSTEADY) && p.answered())
        .map(|(i, p)| (p, samples.stamps.get(i).unwrap_or(&none)))
        .collect();
    let mut report = StampReport { engine: probed.engine.clone(), ..StampReport::default() };
    let mut shown = Shown::default();
    kinds(probed, &pairs, &mut report, &mut shown.coverage);
    let join = Join::of(samples, &pairs);
    if join.is_none() && !pairs.is_empty() {
        report.notes.push(
            "the wall clock was changed during the run: stages between this program and the kernel's stamps are left out"
                .to_owned(),
        );
    }
    stages(&pairs, join.as_ref(), &mut report);
    shown.legs = report.stages.iter().map(|s| (format!("{}→{}", s.from, s.to), s.time)).collect();
    match one_way(samples, &pairs, join.as_ref(), peer_is_ours) {
        Ok(found) => shown.one_way = Some(found),
        Err(why) => report.notes.push(format!("no one-way delays: {why}")),
    }
    shown.report = Some(report);
    shown
}

fn kinds(
    probed: &Probed,
    pairs: &[(&Probe, &ProbeStamps)],
    report: &mut StampReport,
    coverage: &mut BTreeMap<String, f64>,
) {
    let came = count(pairs.iter().map(|(_, s)| *s));
    let answered = pairs.len() as u64;
    let all = StampAt::ALL.map(|at| (at.name(), probed.able.has(at), probed.kept.has(at)));
    for (name, able, kept) in all.into_iter().chain([(FAR_RX, probed.far, probed.far)]) {
        let probed_arrived = probed.came.get(name).copied().unwrap_or(0);
        let arrived = came.get(name).copied().unwrap_or(0);
        let asked = if kept { answered } else { 0 };
        let why_not = match (able, probed_arrived + arrived) {
            (_, 1..) => None,
            (false, _) if name == FAR_RX => Some(
                "the far-end protocol carries none (lowlat's does, in messages of 8 bytes more than its header)"
                    .to_owned(),
            ),
            (false, _) if name == "ack-tx" => Some("TCP alone has acknowledgements".to_owned()),
            (false, _) => Some("this engine asks for none".to_owned()),
            (true, _) => Some("asked for, and none came".to_owned()),
        };
        let ratio = (asked > 0).then(|| arrived as f64 / asked as f64);
        coverage.insert(name.to_owned(), ratio.unwrap_or(0.0));
        report.kinds.push(StampKind {
            kind: name.to_owned(),
            probed: if able { probed.probes } else { 0 },
            probed_arrived,
            asked,
            arrived,
            ratio,
            why_not,
        });
    }
}

fn stages(pairs: &[(&Probe, &ProbeStamps)], join: Option<&Join>, report: &mut StampReport) {
    let mut times: [Vec<u64>; STAGES.len()] = Default::default();
    let (mut sums, mut whole) = ([0u64; STAGES.len()], 0u64);
    // A stage that most probes have is part of the way; the shares are over the probes that have all of those.
    let all: Vec<_> = pairs.iter().map(|(p, s)| (p.rtt(), lengths(p, s, join))).collect();
    let mut have = [0usize; STAGES.len()];
    for (_, lengths) in &all {
        for (i, length) in lengths.iter().enumerate() {
            have[i] += usize::from(length.is_some());
        }
    }
    let is_part: Vec<bool> = (0..STAGES.len()).map(|i| STAGES[i].3 && have[i] * 2 > all.len()).collect();
    for (rtt, lengths) in &all {
        let mut good = *lengths;
        for length in &mut good {
            if *length == Some(Err(())) {
                report.misplaced += 1;
                *length = None;
            }
        }
        for (i, length) in good.iter().enumerate() {
            if let Some(Ok(ns)) = length {
                times[i].push(*ns);
            }
        }
        if (0..STAGES.len()).all(|i| !is_part[i] || good[i].is_some()) {
            whole += rtt;
            for (i, length) in good.iter().enumerate() {
                sums[i] += length.and_then(Result::ok).unwrap_or(0);
            }
        }
    }
    for (i, mut times) in times.into_iter().enumerate().filter(|(_, t)| !t.is_empty()) {
        let (from, to, what, _) = STAGES[i];
        let share = (is_part[i] && whole > 0).then(|| sums[i] as f64 / whole as f64);
        report.stages.push(Stage {
            from: from.to_owned(),
            to: to.to_owned(),
            what: what.to_owned(),
            time: Quantiles::of(&mut times),
            share,
        });
    }
}

/// One-way delays between the programs, and between the kernels where both ends' kernels stamp.
fn one_way(
    samples: &Samples,
    pairs: &[(&Probe, &ProbeStamps)],
    join: Option<&Join>,
    peer_is_ours: bool,
) -> Result<OneWay, &'static str> {
    let signed = |t: u64| i64::try_from(t).unwrap_or(i64::MAX);
    // A clock that was set and set back joins well at both ends of the run, and lies in between.
    let mono = |stamp: u64, p: &Probe| {
        let at = join.filter(|_| stamp > 0).map(|j| signed(stamp) - j.offset(p.sent))?;
        let about = signed(p.sent.saturating_sub(STEPPED_NS))..=signed(p.received.saturating_add(STEPPED_NS));
        about.contains(&at).then_some(at)
    };
    let with_far: Vec<_> = pairs.iter().filter(|(_, s)| s.far_recv > 0 && s.far_send > 0).collect();
    let by_kernels = |(p, s): &&&(&Probe, &ProbeStamps)| far_rx(p, s).is_some() && mono(s.tx_software, p).is_some();
    let kernels = with_far.iter().filter(by_kernels).count() * 2 > with_far.len();
    let exchange = |p: &Probe, s: &ProbeStamps| StampedExchange {
        t1: mono(s.tx_software, p).unwrap_or(signed(p.sent)),
        t2: signed(far_rx(p, s).unwrap_or(s.far_recv)),
        t3: signed(s.far_send),
        t4: mono(s.rx_software, p).unwrap_or(signed(p.received)),
    };
    let mut exchanges: Vec<StampedExchange> = with_far.iter().map(|(p, s)| exchange(p, s)).collect();
    exchanges.sort_unstable_by_key(|e| e.t1);
    // Kernel stamps are joined to the monotonic clock at both ends, each within its bracket.
    let error = if kernels { samples.join_error_ns + lowlat_transport::clock::BRACKET_NS / 2 } else { 0 };
    // The TSC is scaled to the monotonic clock's epoch and not bent with it: near it, and not the same.
    let could_be_same = peer_is_ours && !lowlat_transport::clock::is_tsc();
    let offset = Offset::of(&exchanges, error, could_be_same)?;
    let delay = |from: Option<i64>, to: Option<i64>, at: i64, sign: i64| {
        Some(u64::try_from(to? - from? - sign * offset.at(at)).unwrap_or(0))
    };
    let direction = |of: &dyn Fn(&Probe, &ProbeStamps) -> Option<u64>| -> Vec<u64> {
        with_far.iter().filter_map(|(p, s)| of(p, s)).collect()
    };
    let t = |x: u64| (x > 0).then(|| signed(x));
    let mut shown = vec![
        ("send", "far-recv", false, direction(&|p, s| delay(Some(signed(p.sent)), t(s.far_recv), signed(p.sent), 1))),
        (
            "far-send",
            "recv",
            false,
            direction(&|p, s| delay(t(s.far_send), Some(signed(p.received)), signed(p.sent), -1)),
        ),
    ];
    if kernels {
        let there = direction(&|p, s| delay(mono(s.tx_software, p), far_rx(p, s).map(signed), signed(p.sent), 1));
        let back = direction(&|p, s| delay(t(s.far_send), mono(s.rx_software, p), signed(p.sent), -1));
        shown.push(("software-tx", FAR_RX, true, there));
        shown.push(("far-send", "software-rx", true, back));
    }
    Ok(offset.document(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const EPOCH: u64 = 1_700_000_000 * SECOND;

    /// A probe of 60 µs: 10 to the driver, 20 on the wires, 10 in the far kernel, 10 in the far program, 10 back up.
    fn one() -> (Probe, ProbeStamps) {
        let probe = Probe { sent: SECOND, received: SECOND + 60_000, ..Probe::default() };
        let stamps = ProbeStamps {
            tx_software: EPOCH + 10_000,
            rx_software: EPOCH + 50_000,
            far_rx: 5 * SECOND,
            far_recv: 5 * SECOND + 10_000,
            far_send: 5 * SECOND + 20_000,
            ..ProbeStamps::default()
        };
        (probe, stamps)
    }

    fn join() -> Join {
        let offset = i64::try_from(EPOCH - SECOND).expect("300 years");
        Join { first: SECOND, span: 1.0, begin: offset, end: offset }
    }

    fn report(p: &Probe, s: &ProbeStamps, join: Option<&Join>) -> (u64, Vec<(String, Option<u64>)>) {
        let mut report = StampReport::default();
        stages(&[(p, s)], join, &mut report);
        let found = report.stages.iter().map(|s| (format!("{}→{}", s.from, s.to), s.time.max_ns)).collect();
        (report.misplaced, found)
    }

    #[test]
    fn the_stages_of_a_probe_are_its_parts() {
        let (p, s) = one();
        let (misplaced, found) = report(&p, &s, Some(&join()));
        let is = [
            ("send→software-tx", 10_000),
            ("software-tx→software-rx", 20_000),
            ("far-software-rx→far-recv", 10_000),
            ("far-recv→far-send", 10_000),
            ("software-rx→recv", 10_000),
        ];
        assert_eq!(found, is.map(|(name, ns)| (name.to_owned(), Some(ns))));
        assert_eq!(misplaced, 0);
    }

    #[test]
    fn a_stage_across_a_step_of_the_wall_clock_is_counted_and_in_no_figure() {
        for set in [EPOCH + 10 * SECOND, EPOCH - 10 * SECOND, EPOCH + 5_000_000] {
            let (p, mut s) = one();
            s.rx_software = set + 50_000;
            let (misplaced, found) = report(&p, &s, None);
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["far-software-rx→far-recv", "far-recv→far-send"], "{set}");
            assert_eq!(misplaced, 1, "{set}");
        }
    }

    #[test]
    fn a_step_of_the_far_wall_clock_takes_its_kernels_stamp_alone() {
        for set in [3 * SECOND, 7 * SECOND] {
            let (p, mut s) = one();
            s.far_rx = set;
            let (misplaced, found) = report(&p, &s, Some(&join()));
            assert_eq!(misplaced, 1, "{set}");
            // The far end's own time is then its program's, and the way there holds its kernel's 10 µs.
            assert!(found.contains(&("software-tx→software-rx".to_owned(), Some(30_000))), "{found:?}");
            assert!(!found.iter().any(|(name, _)| name == "far-software-rx→far-recv"), "{found:?}");
        }
    }

    #[test]
    fn one_way_delays_take_no_stamp_of_a_clock_that_was_set() {
        let mut samples = Samples::default();
        let bent = |s: &mut ProbeStamps| {
            s.tx_software += 10 * SECOND;
            s.rx_software += 10 * SECOND;
            s.far_rx -= SECOND;
        };
        let all: Vec<(Probe, ProbeStamps)> = (0..200)
            .map(|i| {
                let (mut p, mut s) = one();
                let later = i * 1_000_000;
                (p.sent, p.received) = (p.sent + later, p.received + later);
                for t in [&mut s.tx_software, &mut s.rx_software, &mut s.far_rx, &mut s.far_recv, &mut s.far_send] {
                    *t += later;
                }
                if i == 100 {
                    bent(&mut s);
                }
                (p, s)
            })
            .collect();
        samples.join_error_ns = 500;
        let pairs: Vec<_> = all.iter().map(|(p, s)| (p, s)).collect();
        let found = one_way(&samples, &pairs, Some(&join()), false).expect("an offset");
        assert!(found.bound_ns < 100_000, "{found:#?}");
        for direction in &found.delays {
            assert!(direction.time.max_ns.is_some_and(|max| max < 100_000), "{direction:#?}");
        }
    }
}

//! Phases of a burst: how the probes of each differ from the first one of their burst.

use std::collections::BTreeMap;

use lowlat_model::measurement::{LOST, rank, samples_needed};
use lowlat_model::shape::{BurstPhase, PacketPlace, PhaseDifference, PhaseFigures, PhaseVerdict};
use lowlat_model::units::us;
use lowlat_model::{FlowShape, Quantiles};

use crate::single::intervals;

/// Of the intervals of all phases together.
const CONFIDENCE: f64 = 0.95;
/// Resamples: with the twenty phases that the longest burst has, an end of an interval is the third of them.
const ITERATIONS: usize = 2_000;
/// Positions that are phases of their own; those behind are taken together, twice as many each time.
const ALONE_UP_TO: u32 = 4;
/// A phase differs where its interval lies beyond this part of the first packets' median…
const WORTH_PART: u64 = 10;
/// …and beyond this, ns: the call that sends a packet takes about as long, and is the prober's own.
const LEAST_WORTH_NS: u64 = 1_000;
/// Added to a difference so that it is a sample like others; one above it is positive.
const ZERO: u64 = 1 << 62;

/// One measured probe in the shape of a flow.
#[derive(Debug, Clone, Copy)]
pub struct ShapedProbe {
    /// Its number among all that were planned, from 0.
    pub number: u64,
    /// Round trip from the planned send, ns; [`LOST`] for a lost one and one that never left.
    pub rtt_planned: u64,
    /// Round trip from the send; `None` for one that never left.
    pub rtt: Option<u64>,
    /// How late it left, ns; `None` for one that never did.
    pub late: Option<u64>,
}

/// What they show.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PhaseReport {
    /// The phases in the order of the burst.
    pub phases: Vec<PhaseFigures>,
    /// Beyond this a phase differs, ns.
    pub worth_ns: Option<u64>,
    /// As text.
    pub words: String,
}

/// Where a phase stands in its burst: phase, first and last position.
type Group = (BurstPhase, u32);

/// The phases of a shape by the measured probes, in the order of their numbers.
///
/// A phase is set against the first packets burst by burst, so that what changes from burst to burst is in neither; the
/// median of these differences has an interval by moving blocks ([`intervals`]), whose level is shared out among the phases.
/// Where a phase has several probes in a burst, their lower median stands for them.
pub fn phases(shape: &FlowShape, probes: impl IntoIterator<Item = ShapedProbe>) -> PhaseReport {
    let mut all = Gathered::new(shape);
    probes.into_iter().for_each(|probe| all.take(probe));
    all.finish()
}

/// The position that stands for a group.
fn group(place: PacketPlace) -> Group {
    let phase = place.phase();
    let from = match phase {
        BurstPhase::Inside if place.position > ALONE_UP_TO => {
            // 5 to 8, 9 to 16, 17 to 32, …
            place.position.next_power_of_two() / 2 + 1
        }
        BurstPhase::Inside => place.position,
        // However long its burst was.
        BurstPhase::Last => 0,
        BurstPhase::Alone | BurstPhase::First => 1,
    };
    (phase, from)
}

#[derive(Debug, Default)]
struct OfGroup {
    positions: Option<(u32, u32)>,
    rtt_planned: Vec<u64>,
    rtt: Vec<u64>,
    late: Vec<u64>,
    /// Against the first packet of each burst that has both, in their order.
    differences: Vec<u64>,
}

struct Gathered {
    places: Vec<PacketPlace>,
    bursts: u64,
    groups: BTreeMap<Group, OfGroup>,
    /// The burst that is gathered.
    burst: u64,
    first: Option<u64>,
    members: BTreeMap<Group, Vec<u64>>,
}

impl Gathered {
    fn new(shape: &FlowShape) -> Self {
        let places = shape.places();
        let bursts = places.last().map_or(1, |p| u64::from(p.burst) + 1);
        Self { places, bursts, groups: BTreeMap::new(), burst: 0, first: None, members: BTreeMap::new() }
    }

    fn take(&mut self, probe: ShapedProbe) {
        let length = self.places.len().max(1) as u64;
        let at = usize::try_from(probe.number % length).unwrap_or(0);
        let Some(place) = self.places.get(at).copied() else { return };
        let burst = probe.number / length * self.bursts + u64::from(place.burst);
        if burst != self.burst {
            self.end_burst();
            self.burst = burst;
        }
        let key = group(place);
        let of = self.groups.entry(key).or_default();
        let (from, to) = of.positions.unwrap_or((place.position, place.position));
        of.positions = Some((from.min(place.position), to.max(place.position)));
        of.rtt_planned.push(probe.rtt_planned);
        of.rtt.extend(probe.rtt);
        of.late.extend(probe.late);
        match key.0 {
            BurstPhase::First => self.first = Some(probe.rtt_planned),
            BurstPhase::Alone => {}
            BurstPhase::Inside | BurstPhase::Last => self.members.entry(key).or_default().push(probe.rtt_planned),
        }
    }

    fn end_burst(&mut self) {
        let (first, members) = (self.first.take(), std::mem::take(&mut self.members));
        let Some(first) = first else { return };
        for (key, mut of) in members {
            of.sort_unstable();
            let middle = of[rank(of.len(), 0.5)];
            self.groups.entry(key).or_default().differences.push(difference(first, middle));
        }
    }

    fn finish(mut self) -> PhaseReport {
        self.end_burst();
        let first = self.groups.iter_mut().find(|(key, _)| key.0 == BurstPhase::First);
        let median = first.and_then(|(_, of)| Quantiles::of(&mut of.rtt_planned).p50_ns);
        let worth_ns = median.map(|ns| (ns / WORTH_PART).max(LEAST_WORTH_NS));
        let judged = self.groups.keys().filter(|key| matches!(key.0, BurstPhase::Inside | BurstPhase::Last)).count();
        let confidence = 1.0 - (1.0 - CONFIDENCE) / judged.max(1) as f64;
        let phases: Vec<PhaseFigures> = self
            .groups
            .into_iter()
            .map(|((phase, _), mut of)| {
                let (from_position, to_position) = of.positions.unwrap_or_default();
                let compared = matches!(phase, BurstPhase::Inside | BurstPhase::Last);
                PhaseFigures {
                    phase,
                    from_position,
                    to_position,
                    probes: of.rtt_planned.len() as u64,
                    lost: of.rtt_planned.iter().filter(|ns| **ns == LOST).count() as u64,
                    rtt_planned: Quantiles::of(&mut of.rtt_planned),
                    rtt: Quantiles::of(&mut of.rtt),
                    send_delay: Quantiles::of(&mut of.late),
                    against_first: compared.then(|| judge(&of.differences, confidence, worth_ns)),
                }
            })
            .collect();
        let words = words(&phases, worth_ns);
        PhaseReport { phases, worth_ns, words }
    }
}

/// How much longer `this` took, as a sample: [`ZERO`] where it took as long, [`LOST`] where it alone was lost, 0 where the
/// first one alone was.
fn difference(first: u64, this: u64) -> u64 {
    match (first, this) {
        (LOST, LOST) => ZERO,
        (LOST, _) => 0,
        (_, LOST) => LOST,
        _ => ZERO.saturating_add(this).saturating_sub(first).clamp(1, LOST - 1),
    }
}

/// The difference that a sample stands for; `None` for the two that are without end.
fn signed(sample: u64) -> Option<i64> {
    if sample == 0 || sample == LOST {
        return None;
    }
    i64::try_from(i128::from(sample) - i128::from(ZERO)).ok()
}

fn judge(differences: &[u64], confidence: f64, worth_ns: Option<u64>) -> PhaseDifference {
    let none = PhaseDifference {
        bursts: differences.len() as u64,
        diff_ns: None,
        low_ns: None,
        high_ns: None,
        verdict: PhaseVerdict::Unclear,
    };
    let found = intervals(differences, &[0.5], confidence, ITERATIONS, 1).into_iter().next();
    let (Some(found), Some(worth)) = (found, worth_ns) else { return none };
    // Where everything before an end is lost, the end is beyond all.
    let (low, high) = (found.low_ns.unwrap_or(LOST), found.high_ns.unwrap_or(LOST));
    let verdict = if low > ZERO.saturating_add(worth) {
        PhaseVerdict::Longer
    } else if high < ZERO.saturating_sub(worth) {
        PhaseVerdict::Shorter
    } else {
        PhaseVerdict::Same
    };
    PhaseDifference {
        diff_ns: found.at_ns.and_then(signed),
        low_ns: signed(low),
        high_ns: signed(high),
        verdict,
        ..none
    }
}

/// `first`, `position 3`, `positions 5 to 8`, `last`.
fn name(p: &PhaseFigures) -> String {
    match p.phase {
        BurstPhase::Alone => "packets alone".to_owned(),
        BurstPhase::First => "the first".to_owned(),
        BurstPhase::Last => "the last".to_owned(),
        BurstPhase::Inside if p.from_position == p.to_position => format!("position {}", p.from_position),
        BurstPhase::Inside => format!("positions {} to {}", p.from_position, p.to_position),
    }
}

fn words(phases: &[PhaseFigures], worth_ns: Option<u64>) -> String {
    let judged = || phases.iter().filter_map(|p| Some((p, p.against_first?)));
    let worth = us(worth_ns.unwrap_or(0));
    let Some(most) = judged().map(|(_, d)| d.bursts).max() else {
        return "no burst of the shape has a second packet: there is nothing to compare".to_owned();
    };
    let needed = samples_needed(0.5);
    if judged().all(|(_, d)| d.verdict == PhaseVerdict::Unclear) {
        return format!(
            "whether a phase differs from the first packet of its burst is not known: {needed} bursts with answers are \
             needed, and there are {most}; measure longer"
        );
    }
    let of = |verdict: PhaseVerdict| {
        let all = judged().filter(|(_, d)| d.verdict == verdict);
        let sizes = all.clone().map(|(p, d)| (d.diff_ns.map_or(u64::MAX, i64::unsigned_abs), p, d));
        let (_, p, d) = sizes.max_by_key(|(size, ..)| *size)?;
        let by = d
            .diff_ns
            .map_or_else(|| "most of them are lost".to_owned(), |ns| format!("by {} µs", us(ns.unsigned_abs())));
        Some((all.count(), name(p), by))
    };
    let mut parts = Vec::new();
    for (verdict, what) in [(PhaseVerdict::Longer, "longer"), (PhaseVerdict::Shorter, "shorter")] {
        if let Some((count, name, by)) = of(verdict) {
            let phases = judged().count();
            parts.push(format!(
                "{count} of {phases} phases take {what} than the first packet of their burst, {name} most: {by}"
            ));
        }
    }
    if parts.is_empty() {
        return format!("no phase is shown to differ from the first packet of its burst by more than {worth} µs");
    }
    format!("{} (95 % for all phases together; below {worth} µs is no difference)", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;
    use lowlat_model::shape::ShapePacket;
    use proptest::prelude::*;

    /// Bursts of so many packets.
    fn bursts(of: &[usize]) -> FlowShape {
        let mut packets = Vec::new();
        for n in of {
            packets.push(ShapePacket { gap_ns: 10_000_000, size_bytes: 100 });
            packets.extend(vec![ShapePacket { gap_ns: 10_000, size_bytes: 100 }; n - 1]);
        }
        FlowShape { burst_gap_ns: 50_000, packets, ..FlowShape::default() }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
    fn run(shape: &FlowShape, bursts: u64, random: &mut Random, wait: impl Fn(u32) -> u64) -> PhaseReport {
        let places = shape.places();
        let mut drift = 0.0;
        let all = (0..bursts * places.len() as u64).map(|number| {
            let place = places[usize::try_from(number).unwrap() % places.len()];
            if place.position == 1 {
                // The path changes from burst to burst, and with it all of its packets.
                drift = 0.8 * drift + 5_000.0 * random.exponential();
            }
            let rtt = 40_000 + (drift + 4_000.0 * random.exponential()) as u64 + wait(place.position);
            ShapedProbe { number, rtt_planned: rtt, rtt: Some(rtt), late: Some(1_000) }
        });
        phases(shape, all)
    }

    #[test]
    fn a_queue_that_grows_along_the_burst_shows() {
        use BurstPhase::{First, Inside, Last};
        let r = run(&bursts(&[12]), 60, &mut Random::new(5), |position| u64::from(position - 1) * 20_000);
        let shown: Vec<_> = r.phases.iter().map(|p| (p.phase, p.from_position, p.to_position, p.probes)).collect();
        assert_eq!(
            shown,
            [
                (First, 1, 1, 60),
                (Inside, 2, 2, 60),
                (Inside, 3, 3, 60),
                (Inside, 4, 4, 60),
                (Inside, 5, 8, 240),
                (Inside, 9, 11, 180),
                (Last, 12, 12, 60)
            ]
        );
        for pair in r.phases.windows(2) {
            assert!(pair[0].rtt_planned.p50_ns < pair[1].rtt_planned.p50_ns, "{pair:#?}");
            let d = pair[1].against_first.unwrap();
            assert_eq!((d.verdict, d.bursts), (PhaseVerdict::Longer, 60), "{d:?}");
            let wait = i64::from(pair[1].from_position - 1) * 20_000;
            assert!(d.low_ns.unwrap() > wait / 2 && d.diff_ns >= d.low_ns && d.high_ns >= d.diff_ns, "{d:?}");
        }
        assert!(
            r.words.starts_with("6 of 6 phases take longer") && r.words.contains("the last most: by 2"),
            "{}",
            r.words
        );
        let shorter = run(&bursts(&[3]), 60, &mut Random::new(5), |position| u64::from(position == 1) * 50_000);
        assert!(shorter.words.contains("2 of 2 phases take shorter"), "{}", shorter.words);
    }

    #[test]
    fn without_a_difference_none_is_claimed() {
        let mut random = Random::new(11);
        let claims = (0..200)
            .map(|_| run(&bursts(&[2, 8, 1, 5]), 40, &mut random, |_| 0))
            .filter(|r| !r.words.starts_with("no phase is shown to differ"))
            .count();
        assert_eq!(claims, 0);
        // Also where any difference would be worth a word, the intervals of all phases together hold their level.
        let false_finds = (0..200)
            .filter(|_| {
                let r = run(&bursts(&[6]), 100, &mut random, |_| 0);
                let beyond = |d: PhaseDifference| d.low_ns > Some(0) || d.high_ns.is_some_and(|high| high < 0);
                r.phases.iter().filter_map(|p| p.against_first).any(beyond)
            })
            .count();
        assert!(false_finds <= 20, "{false_finds} of 200");
    }

    #[test]
    fn the_lost_rank_last_and_too_few_bursts_are_said() {
        let shape = bursts(&[2]);
        let dropped = |number: u64| !number.is_multiple_of(2) && !number.is_multiple_of(3);
        let probe = |number| {
            let ns = if dropped(number) { LOST } else { 40_000 };
            ShapedProbe { number, rtt_planned: ns, rtt: Some(ns), late: Some(0) }
        };
        let report = phases(&shape, (0..240).map(probe));
        let (first, last) = (&report.phases[0], &report.phases[1]);
        assert_eq!((first.lost, last.lost, last.probes, last.rtt_planned.p50_ns), (0, 80, 120, None));
        let d = last.against_first.unwrap();
        assert_eq!((d.verdict, d.diff_ns, d.high_ns), (PhaseVerdict::Longer, None, None), "{d:?}");
        assert!(report.words.contains("most of them are lost"), "{}", report.words);
        let few = phases(&shape, (0..38).map(probe));
        assert!(few.words.contains("20 bursts") && few.words.contains("there are 19"), "{}", few.words);
        assert!(phases(&bursts(&[1, 1]), (0..80).map(probe)).words.starts_with("no burst of the shape"));
        assert_eq!(phases(&FlowShape::default(), (0..3).map(probe)).phases, []);
    }

    #[test]
    fn a_difference_is_a_sample_and_back() {
        assert_eq!(signed(difference(700, 500)), Some(-200));
        assert_eq!(signed(difference(500, 700)), Some(200));
        assert_eq!((difference(LOST, 5), difference(5, LOST), difference(LOST, LOST)), (0, LOST, ZERO));
    }

    proptest! {
        #[test]
        fn every_probe_is_in_one_phase(
            of in proptest::collection::vec(1usize..40, 1..6),
            skipped in 0u64..50,
            rtts in proptest::collection::vec(any::<u64>(), 0..300),
        ) {
            let shape = bursts(&of);
            let probes = rtts.iter().enumerate().map(|(n, ns)| {
                ShapedProbe { number: skipped + n as u64, rtt_planned: *ns, rtt: Some(*ns), late: None }
            });
            let r = phases(&shape, probes);
            prop_assert_eq!(r.phases.iter().map(|p| p.probes).sum::<u64>(), rtts.len() as u64);
            prop_assert_eq!(
                r.phases.iter().map(|p| p.lost).sum::<u64>(),
                rtts.iter().filter(|ns| **ns == LOST).count() as u64
            );
            for p in &r.phases {
                prop_assert!(1 <= p.from_position && p.from_position <= p.to_position);
            }
            // In the order of the burst.
            prop_assert!(r.phases.is_sorted_by_key(|p| (p.phase, p.from_position)));
        }
    }
}

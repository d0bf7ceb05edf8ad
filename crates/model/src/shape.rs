//! The shape of a flow: sizes of its packets and the gaps between them, without anything that they carry. And what a
//! measurement in that shape shows, phase by phase of its bursts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Quantiles, Schema};

/// Packets of a shape at most: some 4 MB of JSON.
pub const MOST_PACKETS: usize = 100_000;
/// The longest gap, ns.
pub const MOST_GAP_NS: u64 = 60_000_000_000;
/// The largest packet: the length field of IPv4 and of UDP has 16 bits.
pub const MOST_BYTES: u32 = 65_535;

/// The document of `lowlat shape`: what `measure --shape` sends, again and again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowShape {
    /// `lowlat.shape`.
    pub schema: Schema,
    /// Where it was recorded: `capture`, `socket`.
    pub source: String,
    /// `udp` or `tcp`.
    pub proto: String,
    /// The flow, sender first: `192.0.2.1:5000 to 192.0.2.2:6000`.
    pub flow: String,
    /// Flows that were seen too and are not in here.
    pub other_flows: u64,
    /// From the first packet to the last, ns.
    pub recorded_ns: u64,
    /// A gap of at least this begins a burst, ns.
    pub burst_gap_ns: u64,
    /// In the order of their sending, at least two. The first one begins a burst.
    pub packets: Vec<ShapePacket>,
    /// For people: what the recording left out or changed.
    pub notes: Vec<String>,
}

/// One packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShapePacket {
    /// Time since the packet before, ns; of the first one the pause between two repetitions.
    pub gap_ns: u64,
    /// Payload of UDP or TCP, bytes.
    pub size_bytes: u32,
}

/// Where in its burst a packet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BurstPhase {
    /// Its burst has no other packet.
    Alone,
    /// The first packet after a gap, with others behind it.
    First,
    /// Neither first nor last.
    Inside,
    /// The last one of two or more.
    Last,
}

/// The place of a packet: every packet has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketPlace {
    /// Which burst of the shape, from 0.
    pub burst: u32,
    /// Where in it, from 1.
    pub position: u32,
    /// Packets of the burst.
    pub of: u32,
}

impl PacketPlace {
    /// The phase.
    pub fn phase(self) -> BurstPhase {
        match self {
            Self { of: 1, .. } => BurstPhase::Alone,
            Self { position: 1, .. } => BurstPhase::First,
            Self { position, of, .. } if position == of => BurstPhase::Last,
            _ => BurstPhase::Inside,
        }
    }
}

impl FlowShape {
    /// What is wrong with it, where it was written by another hand.
    pub fn check(&self) -> Result<(), String> {
        let n = self.packets.len();
        if !(2..=MOST_PACKETS).contains(&n) {
            return Err(format!("it has {n} packets, and a shape has 2 to {MOST_PACKETS}"));
        }
        if self.burst_gap_ns == 0 {
            return Err(
                "its burst_gap_ns is 0, so that every packet would begin a burst and none would be in one".into()
            );
        }
        for (n, packet) in (1u32..).zip(&self.packets) {
            if packet.gap_ns > MOST_GAP_NS {
                return Err(format!(
                    "packet {n} comes {} ns after the one before, at most {MOST_GAP_NS} are sent",
                    packet.gap_ns
                ));
            }
            if packet.size_bytes > MOST_BYTES {
                return Err(format!(
                    "packet {n} has {} bytes, and a packet has at most {MOST_BYTES}",
                    packet.size_bytes
                ));
            }
        }
        // Sent again and again, it would be one packet after the other without end.
        if self.packets[0].gap_ns < self.burst_gap_ns {
            return Err(format!(
                "its first packet comes {} ns after the last one, and a burst begins after {} ns",
                self.packets[0].gap_ns, self.burst_gap_ns
            ));
        }
        Ok(())
    }

    /// Time from one repetition to the next, ns.
    pub fn period_ns(&self) -> u64 {
        self.packets.iter().fold(0, |sum: u64, p| sum.saturating_add(p.gap_ns))
    }

    /// When packet `n` (from 0, repetitions included) leaves, ns after the first one.
    pub fn at_ns(&self, n: u64) -> u64 {
        let length = self.packets.len().max(1) as u64;
        let within = usize::try_from(n % length).unwrap_or(0);
        let gaps = self.packets.iter().take(within + 1).skip(1).map(|p| p.gap_ns);
        gaps.fold(self.period_ns().saturating_mul(n / length), u64::saturating_add)
    }

    /// Packets a second, over all.
    pub fn mean_rate_pps(&self) -> f64 {
        self.packets.len() as f64 * 1e9 / self.period_ns().max(1) as f64
    }

    /// More packets than that do not leave within any time of this length.
    pub fn most_within(&self, ns: u64) -> u64 {
        (ns / self.period_ns().max(1)).saturating_add(2).saturating_mul(self.packets.len() as u64)
    }

    /// Smallest and largest packet, bytes.
    pub fn sizes(&self) -> (u32, u32) {
        let sizes = || self.packets.iter().map(|p| p.size_bytes);
        (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0))
    }

    /// With sizes of `least` to `most` bytes, and how many packets had another.
    #[must_use]
    pub fn clipped(&self, least: u32, most: u32) -> (Self, u64) {
        let mut out = self.clone();
        let mut changed = 0;
        for packet in &mut out.packets {
            let size = packet.size_bytes.min(most).max(least);
            changed += u64::from(size != packet.size_bytes);
            packet.size_bytes = size;
        }
        (out, changed)
    }

    /// The place of each packet.
    pub fn places(&self) -> Vec<PacketPlace> {
        let begins = |n: usize| n == 0 || self.packets[n].gap_ns >= self.burst_gap_ns;
        let mut places: Vec<PacketPlace> = Vec::with_capacity(self.packets.len());
        for n in 0..self.packets.len() {
            let (burst, position) = match places.last() {
                Some(last) if begins(n) => (last.burst + 1, 1),
                Some(last) => (last.burst, last.position + 1),
                None => (0, 1),
            };
            places.push(PacketPlace { burst, position, of: 0 });
        }
        let mut of = 0;
        for place in places.iter_mut().rev() {
            of = of.max(place.position);
            place.of = of;
            if place.position == 1 {
                of = 0;
            }
        }
        places
    }

    /// Packets of each burst, in order.
    pub fn bursts(&self) -> Vec<u32> {
        self.places().iter().filter(|p| p.position == 1).map(|p| p.of).collect()
    }
}

/// What a measurement in the shape of a flow shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShapeFigures {
    /// The flow that was recorded.
    pub flow: String,
    /// Its packets.
    pub packets: u64,
    /// Time from one repetition to the next, ns.
    pub period_ns: u64,
    /// Smallest probe, bytes.
    pub smallest_bytes: u32,
    /// Largest probe, bytes.
    pub largest_bytes: u32,
    /// Packets whose size the far-end protocol or the path does not carry: they were sent with the nearest that it does.
    pub clipped: u64,
    /// A gap of at least this began a burst, ns.
    pub burst_gap_ns: u64,
    /// Bursts in one repetition.
    pub bursts: u64,
    /// A phase differs where its interval lies beyond this, ns; `null` where the first packets have no median.
    pub worth_ns: Option<u64>,
    /// The phases that the shape has, in the order of the burst. Empty where the samples were not kept one by one.
    pub phases: Vec<PhaseFigures>,
    /// What they show, as text.
    pub words: String,
}

/// The probes of one phase. Each measured probe is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseFigures {
    /// Which.
    pub phase: BurstPhase,
    /// Smallest position of its probes in their bursts, from 1.
    pub from_position: u32,
    /// Largest.
    pub to_position: u32,
    /// Planned probes.
    pub probes: u64,
    /// Of these lost, or never sent.
    pub lost: u64,
    /// From the planned send. Lost probes rank as +∞.
    pub rtt_planned: Quantiles,
    /// From the actual send.
    pub rtt: Quantiles,
    /// How late they left, behind their plan.
    pub send_delay: Quantiles,
    /// Against the first packets of the same bursts; `null` for these and for packets alone.
    pub against_first: Option<PhaseDifference>,
}

/// How much longer a phase takes than the first packet of the same burst, from the planned send: the median over the bursts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseDifference {
    /// Bursts that have both.
    pub bursts: u64,
    /// The median; `null` where it is among the lost, or fewer than 20 bursts have both.
    pub diff_ns: Option<i64>,
    /// Lower end of its interval; 95 % hold for all phases together. `null` where there is no such end.
    pub low_ns: Option<i64>,
    /// Upper end.
    pub high_ns: Option<i64>,
    /// What that shows.
    pub verdict: PhaseVerdict,
}

/// What the difference of a phase shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseVerdict {
    /// It takes longer, by more than is worth a word.
    Longer,
    /// It takes less time.
    Shorter,
    /// No difference is shown.
    Same,
    /// Too few bursts.
    Unclear,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(gaps: &[u64]) -> FlowShape {
        let packets = gaps.iter().map(|gap_ns| ShapePacket { gap_ns: *gap_ns, size_bytes: 100 }).collect();
        FlowShape { schema: Schema::current("shape"), burst_gap_ns: 50, packets, ..FlowShape::default() }
    }

    #[test]
    fn each_packet_has_its_place_in_its_burst() {
        use BurstPhase::{Alone, First, Inside, Last};
        let s = shape(&[900, 10, 10, 60, 50, 49]);
        let phases: Vec<_> = s.places().iter().map(|p| (p.burst, p.position, p.of, p.phase())).collect();
        let wanted =
            [(0, 1, 3, First), (0, 2, 3, Inside), (0, 3, 3, Last), (1, 1, 1, Alone), (2, 1, 2, First), (2, 2, 2, Last)];
        assert_eq!(phases, wanted);
        assert_eq!((s.bursts(), s.period_ns()), (vec![3, 1, 2], 1_079));
        assert_eq!([0, 1, 3, 5, 6, 7].map(|n| s.at_ns(n)), [0, 10, 80, 179, 1_079, 1_089]);
        assert!((s.mean_rate_pps() - 6e9 / 1_079.0).abs() < 1e-3);
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        assert_eq!(shape(&[50, 0]).check(), Ok(()));
        let why = |gaps: &[u64], change: fn(&mut FlowShape)| {
            let mut s = shape(gaps);
            change(&mut s);
            s.check().unwrap_err()
        };
        assert!(why(&[50], |_| ()).contains("1 packets"));
        assert!(why(&[49, 0], |_| ()).contains("49 ns after the last"));
        assert!(why(&[50, MOST_GAP_NS + 1], |_| ()).contains("packet 2"));
        assert!(why(&[50, 0], |s| s.packets[1].size_bytes = 65_536).contains("65536 bytes"));
        assert!(why(&[50, 0], |s| s.burst_gap_ns = 0).contains("burst_gap_ns"));
        assert!(
            why(&[50, 0], |s| s.packets.resize(MOST_PACKETS + 1, ShapePacket::default())).contains("100001 packets")
        );
    }

    #[test]
    fn sizes_are_clipped_and_counted() {
        let mut s = shape(&[50, 0, 0]);
        (s.packets[0].size_bytes, s.packets[2].size_bytes) = (4, 9_000);
        let (clipped, changed) = s.clipped(48, 1_472);
        assert_eq!((clipped.sizes(), changed, s.sizes()), ((48, 1_472), 2, (4, 9_000)));
        assert_eq!(s.clipped(0, 65_535), (s.clone(), 0));
    }

    proptest! {
        #[test]
        fn places_and_times_fit_the_gaps(gaps in proptest::collection::vec(0u64..200, 2..60), n in 0u64..500) {
            let s = shape(&gaps);
            let places = s.places();
            prop_assert_eq!(s.bursts().iter().map(|b| u64::from(*b)).sum::<u64>(), gaps.len() as u64);
            for (i, p) in places.iter().enumerate() {
                prop_assert!(p.position >= 1 && p.position <= p.of);
                prop_assert_eq!(p.position == 1, i == 0 || gaps[i] >= s.burst_gap_ns);
            }
            // One after the other, by the gap of the later one.
            let next = usize::try_from((n + 1) % gaps.len() as u64).unwrap();
            prop_assert_eq!(s.at_ns(n + 1) - s.at_ns(n), gaps[next]);
            if s.check().is_ok() {
                let window = 777;
                let many = (0..2_000).filter(|n| (s.at_ns(*n)..s.at_ns(*n) + window).contains(&s.at_ns(n + s.most_within(window)))).count();
                prop_assert_eq!(many, 0);
            }
        }
    }
}

//! Packets by flow, and the shape of the largest one.

use std::collections::BTreeMap;

use lowlat_model::shape::{MOST_BYTES, MOST_GAP_NS, MOST_PACKETS, ShapePacket};

use crate::packet::{FlowEnd, segment};
use crate::{Segment, capture, packet};

/// Packets that are kept at most over all flows, 16 bytes each.
const MOST_KEPT: usize = 4_000_000;
/// Flows at most.
const MOST_FLOWS: usize = 65_536;

/// One direction of one flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowKey {
    /// TCP, else UDP.
    pub tcp: bool,
    /// Its sender.
    pub from: FlowEnd,
    /// Its receiver.
    pub to: FlowEnd,
}

/// A flow: its ends, its packets (when, ns; bytes), and how many other flows there are.
pub type LargestFlow = (FlowKey, Vec<(u64, u32)>, u64);

/// Packets by flow as they come, in bounded memory.
#[derive(Debug, Default)]
pub struct Flows {
    packets: BTreeMap<FlowKey, Vec<(u64, u32)>>,
    kept: usize,
    no_room: u64,
    no_time: u64,
    unknown_links: BTreeMap<u32, u64>,
}

impl Flows {
    /// Takes one packet of a capture; with a port those from or to it alone. Gives whether it was kept.
    pub fn take_captured(&mut self, captured: &capture::CapturedPacket<'_>, port: Option<u16>) -> bool {
        if !packet::is_known_link(captured.link) {
            *self.unknown_links.entry(captured.link).or_default() += 1;
            return false;
        }
        let Some(Segment { tcp, from, to, payload }) = segment(captured.link, captured.bytes, captured.length) else {
            return false;
        };
        if port.is_some_and(|p| from.port != p && to.port != p) {
            return false;
        }
        let Some(at_ns) = captured.at_ns else {
            self.no_time += 1;
            return false;
        };
        self.take(FlowKey { tcp, from, to }, at_ns, payload)
    }

    /// Takes one packet: when it was seen, ns on any one clock, and what it carries, bytes. Gives whether there was room.
    pub fn take(&mut self, key: FlowKey, at_ns: u64, bytes: u32) -> bool {
        let room = self.kept < MOST_KEPT && (self.packets.len() < MOST_FLOWS || self.packets.contains_key(&key));
        if room {
            self.kept += 1;
            self.packets.entry(key).or_default().push((at_ns, bytes));
        } else {
            self.no_room += 1;
        }
        room
    }

    /// Whether more packets of any flow find room.
    pub fn has_room(&self) -> bool {
        self.kept < MOST_KEPT
    }

    /// Packets that are kept.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// The flow with the most packets, and how many others there are; `None` where nothing was kept.
    pub fn largest(mut self) -> Option<LargestFlow> {
        // Of several the first by its ends, so that the same packets give the same flow.
        let most = self.packets.values().map(Vec::len).max()?;
        let key = *self.packets.iter().find(|(_, packets)| packets.len() == most)?.0;
        let packets = self.packets.remove(&key)?;
        Some((key, packets, self.packets.len() as u64))
    }

    /// What was left out, as text.
    pub fn left_out(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.no_room > 0 {
            notes.push(format!(
                "{} packets are left out: there is room for {MOST_KEPT} of {MOST_FLOWS} flows",
                self.no_room
            ));
        }
        if self.no_time > 0 {
            notes.push(format!("{} packets carry no time and are left out", self.no_time));
        }
        for (link, packets) in &self.unknown_links {
            notes.push(format!(
                "{packets} packets of link type {link} are left out: Ethernet, Linux cooked and raw IP are read"
            ));
        }
        notes
    }
}

/// The packets of a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapedFlow {
    /// In the order of time.
    pub packets: Vec<ShapePacket>,
    /// From the first to the last, ns.
    pub recorded_ns: u64,
    /// What was left out or changed, as text.
    pub notes: Vec<String>,
}

/// The shape of packets (when, ns on one clock; bytes), in any order. A gap of `burst_gap_ns` begins a burst. The error says
/// what there is too little of.
///
/// Nothing was seen before the first packet, so the pause before it is the median of the gaps that begin a burst; where
/// there is none, the least such gap.
pub fn shaped(mut packets: Vec<(u64, u32)>, burst_gap_ns: u64) -> Result<ShapedFlow, String> {
    let mut notes = Vec::new();
    // Two CPUs that receive for one flow are captured one after the other.
    packets.sort_by_key(|p| p.0);
    if packets.len() > MOST_PACKETS {
        notes.push(format!("the first {MOST_PACKETS} of {} packets are kept", packets.len()));
        packets.truncate(MOST_PACKETS);
    }
    let (Some(first), Some(last)) = (packets.first(), packets.last()) else { return Err("no packet came".to_owned()) };
    if packets.len() < 2 {
        return Err("one packet has no gap".to_owned());
    }
    let recorded_ns = last.0 - first.0;
    let mut gaps: Vec<u64> = packets.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let long = gaps.iter().filter(|gap| **gap > MOST_GAP_NS).count();
    if long > 0 {
        notes.push(format!("{long} gaps are longer than {0} s and are kept as {0} s", MOST_GAP_NS / 1_000_000_000));
        for gap in &mut gaps {
            *gap = (*gap).min(MOST_GAP_NS);
        }
    }
    // A packet that the NIC was to divide may be larger than any on the wire.
    let large = packets.iter().filter(|p| p.1 > MOST_BYTES).count();
    if large > 0 {
        notes.push(format!("{large} packets have more than {MOST_BYTES} bytes and are kept with so many"));
    }
    let mut pauses: Vec<u64> = gaps.iter().copied().filter(|gap| *gap >= burst_gap_ns).collect();
    pauses.sort_unstable();
    let pause = pauses.get(pauses.len() / 2).copied();
    if pause.is_none() {
        notes.push(
            "no gap of the flow begins a burst: all of it is one, with the least such gap between repetitions"
                .to_owned(),
        );
    }
    let all = std::iter::once(pause.unwrap_or(burst_gap_ns)).chain(gaps);
    let packets =
        all.zip(&packets).map(|(gap_ns, (_, bytes))| ShapePacket { gap_ns, size_bytes: (*bytes).min(MOST_BYTES) });
    Ok(ShapedFlow { packets: packets.collect(), recorded_ns, notes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::FlowShape;
    use proptest::prelude::*;

    fn end(port: u16) -> FlowEnd {
        FlowEnd { address: [7; 16], v6: true, port }
    }

    fn key(from: u16, to: u16) -> FlowKey {
        FlowKey { tcp: false, from: end(from), to: end(to) }
    }

    #[test]
    fn the_flow_with_the_most_packets_is_taken() {
        let mut flows = Flows::default();
        for n in 0..5 {
            assert!(flows.take(key(1, 2), n * 100, 10) && flows.take(key(2, 1), n * 100, 20));
        }
        flows.take(key(2, 1), 900, 30);
        let (taken, packets, others) = flows.largest().unwrap();
        assert_eq!((taken, packets.len(), others), (key(2, 1), 6, 1));
        assert_eq!(Flows::default().largest(), None);
    }

    #[test]
    fn captured_packets_are_sorted_into_flows_by_their_headers() {
        let ip = crate::packet::tests::udp4(0, 0, (5_000, 6_000), 100);
        let packet = |link, at_ns| capture::CapturedPacket { at_ns, link, bytes: &ip, length: 128 };
        let mut flows = Flows::default();
        assert!(
            flows.take_captured(&packet(101, Some(1)), Some(6_000)) && flows.take_captured(&packet(101, Some(2)), None)
        );
        assert!(!flows.take_captured(&packet(101, Some(3)), Some(6_001)), "another port");
        assert!(!flows.take_captured(&packet(101, None), None) && !flows.take_captured(&packet(147, Some(4)), None));
        let notes = flows.left_out().join("\n");
        assert!(notes.contains("1 packets carry no time") && notes.contains("link type 147"), "{notes}");
        assert_eq!((flows.kept(), flows.largest().unwrap().1), (2, vec![(1, 100), (2, 100)]));
    }

    #[test]
    fn gaps_bursts_and_the_pause_are_those_of_the_flow() {
        let s =
            shaped(vec![(10_000, 1), (10_000_000, 3), (10_010, 2), (10_000_020, 4), (30_000_000, 5)], 50_000).unwrap();
        assert_eq!(
            s.packets.iter().map(|p| (p.gap_ns, p.size_bytes)).collect::<Vec<_>>(),
            [(19_999_980, 1), (10, 2), (9_989_990, 3), (20, 4), (19_999_980, 5)]
        );
        assert_eq!((s.recorded_ns, s.notes.len()), (29_990_000, 0));
        let dense = shaped(vec![(0, 1), (10, 1), (20, 1)], 50_000).unwrap();
        assert_eq!((dense.packets[0].gap_ns, dense.notes.len()), (50_000, 1));
        let rare = shaped(vec![(0, 1), (100 * MOST_GAP_NS, 1)], 50_000).unwrap();
        assert_eq!((rare.packets[1].gap_ns, rare.notes.len()), (MOST_GAP_NS, 1));
        assert!(shaped(vec![], 1).is_err() && shaped(vec![(5, 1)], 1).is_err());
    }

    proptest! {
        #[test]
        fn every_shape_that_is_made_can_be_sent(
            stamps in proptest::collection::vec((any::<u64>(), any::<u32>()), 2..80),
            burst_gap_ns in 1u64..MOST_GAP_NS,
        ) {
            let made = shaped(stamps.clone(), burst_gap_ns).unwrap();
            prop_assert_eq!(made.packets.len(), stamps.len());
            let shape = FlowShape { burst_gap_ns, packets: made.packets, ..FlowShape::default() };
            prop_assert_eq!(shape.check(), Ok(()));
        }
    }
}

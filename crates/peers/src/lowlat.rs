//! `lowlat`: our own far end, over UDP and TCP.
//!
//! Probe and answer have the same length and the same layout, little-endian, so that the far end answers in place and
//! never sends more than it got:
//!
//! | offset | field | set by |
//! |---|---|---|
//! | 0 | magic `LwLt` | near |
//! | 4 | version `u8` = 1 | near |
//! | 5 | flags `u8`: 1 answer, 2 tagged, 4 sink, 8 kernel stamp wanted, 16 placement ([`place`]) | both |
//! | 6 | zero `u16` | near |
//! | 8 | length `u32` of the whole message | near |
//! | 12 | session `u32`: random, so that other runs' answers do not fit | near |
//! | 16 | sequence number `u64`, from 0 | near |
//! | 24 | planned send time `u64`, ns, near `CLOCK_MONOTONIC` | near |
//! | 32 | received `u64`, ns, far `CLOCK_MONOTONIC` | far |
//! | 40 | sent `u64`, ns, far `CLOCK_MONOTONIC` | far |
//! | 48 | tag, 16 bytes, if flag 2: HMAC-SHA256 of all else, cut | both |
//! | then | if flag 8: the far kernel's receive stamp `u64`, ns, far `CLOCK_MONOTONIC`; 0 for none | far |
//! | then | padding, sent back as it came | near |
//!
//! A far end with a key answers each message once: it ignores one that was recorded and is sent again, as long as its
//! session is among the last 1,024.
//!
//! A far end that does not know flag 8 sends those 8 bytes back unchanged: zeros, which means "none".
//!
//! An answer is marked as such (flag 1) and gets no answer, so two far ends cannot be made to answer each other. A sink
//! request (flag 4, TCP only) turns its connection into one whose data is read and discarded: the bulk load of
//! `--load`.

pub mod place;
pub(crate) mod replay;

use std::sync::Arc;

use lowlat_transport::{Ns, Proto, clock};

use crate::key::{Key, TAG};
use crate::reflector::{Arrival, Ignored, Reflection, Reflector};
use crate::serve::Desk;
use crate::{Decoded, FarStamps, Peer, PeerEntry, PeerOptions, bytes_at, random};

/// Port of `lowlat serve`, UDP and TCP: unassigned by IANA, below every ephemeral range.
pub const DEFAULT_PORT: u16 = 8620;

/// The list entry.
pub const ENTRY: PeerEntry = PeerEntry {
    name: "lowlat",
    protos: PROTOS,
    default_port: DEFAULT_PORT,
    where_refused: "start `lowlat serve` there (port 8620 by default), or name the port of the one that runs there",
    make: |o| Box::new(Lowlat::new(o)),
};

const PROTOS: &[Proto] = &[Proto::Udp, Proto::Tcp];
const MAGIC: [u8; 4] = *b"LwLt";
const VERSION: u8 = 1;
const ANSWER: u8 = 1;
const TAGGED: u8 = 2;
const SINK: u8 = 4;
const KERNEL_STAMP: u8 = 8;
const PLACE: u8 = 16;
/// Length of the kernel's stamp.
const STAMP: usize = 8;
/// Header without and with its tag.
const PLAIN: usize = 48;
const WITH_TAG: usize = PLAIN + TAG;
/// Longest message: what a UDP datagram over IPv4 carries.
const LONGEST: usize = 65507;

/// Where what is in a message without a key, for a far end that is not a Rust program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The first four bytes.
    pub magic: [u8; 4],
    /// The next four of a probe.
    pub probe: [u8; 4],
    /// The same of its answer.
    pub answer: [u8; 4],
    /// Where the message's length stands.
    pub length_at: usize,
    /// Where the far end's two stamps stand, one behind the other.
    pub stamps_at: usize,
    /// Shortest message, bytes.
    pub shortest: usize,
}

/// Of this protocol.
pub const LAYOUT: Layout = Layout {
    magic: MAGIC,
    probe: [VERSION, 0, 0, 0],
    answer: [VERSION, ANSWER, 0, 0],
    length_at: 8,
    stamps_at: 32,
    shortest: PLAIN,
};

/// Probes for `lowlat serve`.
#[derive(Debug)]
pub struct Lowlat {
    key: Option<Key>,
    session: u32,
    /// Ask for the far kernel's stamp.
    stamps: bool,
}

impl Lowlat {
    /// With or without a key.
    pub fn new(options: &PeerOptions) -> Self {
        #[allow(clippy::cast_possible_truncation)] // any 32 bits do
        let session = random() as u32;
        let room = after_header(options.key.is_some()) + STAMP;
        Self { key: options.key.clone(), session, stamps: options.stamps && options.message_len >= room }
    }

    fn header(&self, flags: u8, seq: u64, planned: Ns, message: &mut [u8]) {
        let tagged = if self.key.is_some() { TAGGED } else { 0 };
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        message[..4].copy_from_slice(&MAGIC);
        message[4..8].copy_from_slice(&[VERSION, flags | tagged, 0, 0]);
        message[8..12].copy_from_slice(&length.to_le_bytes());
        message[12..16].copy_from_slice(&self.session.to_le_bytes());
        message[16..24].copy_from_slice(&seq.to_le_bytes());
        message[24..32].copy_from_slice(&planned.to_le_bytes());
        message[32..48].fill(0);
        if let Some(stamp) = stamp_place(message) {
            message[stamp].fill(0);
        }
        seal(self.key.as_ref(), message);
    }
}

/// The message that turns its TCP connection into a sink: sent first, answered by nothing, followed by any bytes.
pub fn sink_request(key: Option<&Key>) -> Vec<u8> {
    let peer = Lowlat::new(&PeerOptions { key: key.cloned(), ..PeerOptions::default() });
    let mut message = vec![0; if key.is_some() { WITH_TAG } else { PLAIN }];
    peer.header(SINK, 0, clock::now(), &mut message);
    message
}

/// Writes the tag, where there is a key.
fn seal(key: Option<&Key>, message: &mut [u8]) {
    if let Some(key) = key {
        let tag = key.tag(&[&message[..PLAIN], &message[WITH_TAG..]]);
        message[PLAIN..WITH_TAG].copy_from_slice(&tag);
    }
}

/// Why a message is none of this protocol, or not with this key.
fn refuse(key: Option<&Key>, message: &[u8]) -> Option<Ignored> {
    let Some([version, flags, 0, 0]) = bytes_at::<4>(message, 4) else {
        return Some(Ignored::Malformed);
    };
    let length = bytes_at::<4>(message, 8).map_or(0, u32::from_le_bytes);
    if message[..4] != MAGIC
        || version != VERSION
        || usize::try_from(length) != Ok(message.len())
        || message.len() < PLAIN
    {
        return Some(Ignored::Malformed);
    }
    match (key, flags & TAGGED != 0) {
        (None, false) => None,
        // Tagged, and no key here to check it with: answering would look like a check that was passed.
        (None, true) | (Some(_), false) => Some(Ignored::Unauthenticated),
        (Some(key), true) => match bytes_at::<TAG>(message, PLAIN) {
            Some(tag) if key.verify(&[&message[..PLAIN], &message[WITH_TAG..]], &tag) => None,
            _ => Some(Ignored::Unauthenticated),
        },
    }
}

/// Length of the message at the start of `bytes`. Bytes that are not message get the length 0, which no reader accepts.
fn framing(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(bytes_at(bytes, 8)?);
    let length = usize::try_from(length).ok()?;
    Some(if bytes[..4] == MAGIC && (PLAIN..=LONGEST).contains(&length) { length } else { 0 })
}

/// Where padding begins.
fn after_header(tagged: bool) -> usize {
    if tagged { WITH_TAG } else { PLAIN }
}

/// Where the far kernel's stamp stands, in messages that ask for it and have room.
fn stamp_place(message: &[u8]) -> Option<std::ops::Range<usize>> {
    let flags = *message.get(5)?;
    let at = after_header(flags & TAGGED != 0);
    (flags & KERNEL_STAMP != 0 && message.len() >= at + STAMP).then_some(at..at + STAMP)
}

fn u64_at(message: &[u8], at: usize) -> u64 {
    bytes_at(message, at).map_or(0, u64::from_le_bytes)
}

impl Peer for Lowlat {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn protos(&self) -> &'static [Proto] {
        PROTOS
    }

    fn default_port(&self) -> u16 {
        DEFAULT_PORT
    }

    fn takes_shapes(&self) -> bool {
        true
    }

    fn message_sizes(&self) -> (usize, usize) {
        (if self.key.is_some() { WITH_TAG } else { PLAIN }, LONGEST)
    }

    fn encode(&mut self, seq: u64, planned: Ns, message: &mut [u8]) {
        self.header(if self.stamps { KERNEL_STAMP } else { 0 }, seq, planned, message);
    }

    fn decode(&mut self, message: &[u8]) -> Decoded {
        match refuse(self.key.as_ref(), message) {
            Some(Ignored::Unauthenticated) => return Decoded::Foreign("no tag of our key"),
            Some(_) => return Decoded::Foreign("no lowlat message"),
            None => {}
        }
        if message[5] & ANSWER == 0 {
            return Decoded::Foreign("a probe, not an answer");
        }
        if message[5] & PLACE != 0 {
            return Decoded::Foreign("an answer to a placement request");
        }
        if bytes_at(message, 12) != Some(self.session.to_le_bytes()) {
            return Decoded::Foreign("an answer to another run");
        }
        let kernel_ns = stamp_place(message).map(|at| u64_at(message, at.start)).filter(|ns| *ns > 0);
        let far = FarStamps { received_ns: u64_at(message, 32), sent_ns: u64_at(message, 40), kernel_ns };
        Decoded::Reply { seq: u64_at(message, 16), far: Some(far) }
    }

    fn framing(&self) -> fn(&[u8]) -> Option<usize> {
        framing
    }

    fn asks_far_stamp(&self) -> bool {
        self.stamps
    }
}

/// The far end's side.
#[derive(Debug)]
pub struct LowlatReflector {
    key: Option<Key>,
    desk: Arc<Desk>,
}

impl LowlatReflector {
    /// With a key, only probes tagged with it are answered.
    pub fn new(key: Option<Key>) -> Self {
        Self::with_desk(key, Arc::new(Desk::new(None, None)))
    }

    /// As [`LowlatReflector::new`]; placement requests are decided at `desk`.
    pub fn with_desk(key: Option<Key>, desk: Arc<Desk>) -> Self {
        Self { key, desk }
    }
}

impl LowlatReflector {
    /// Whether a message with the right tag came for the first time.
    fn is_new(&self, message: &[u8], now: Ns) -> bool {
        let session = bytes_at(message, 12).map_or(0, u32::from_le_bytes);
        // Placement requests have one number; each try has a later time.
        let number = if message[5] & PLACE != 0 { u64_at(message, 24) } else { u64_at(message, 16) };
        self.desk.is_new(session, number, now)
    }
}

impl Reflector for LowlatReflector {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn longest(&self) -> usize {
        LONGEST
    }

    fn reflect(&mut self, message: &mut [u8], arrival: &Arrival) -> Reflection {
        if let Some(why) = refuse(self.key.as_ref(), message) {
            return Reflection::Ignore(why);
        }
        let flags = message[5];
        if flags & ANSWER != 0 {
            return Reflection::Ignore(Ignored::Malformed);
        }
        if self.key.is_some() && !self.is_new(message, arrival.at) {
            return Reflection::Ignore(Ignored::Replayed);
        }
        if flags & SINK != 0 {
            return Reflection::Sink;
        }
        if flags & PLACE != 0 {
            let tagged = flags & TAGGED != 0;
            let Some(request) = place::read(tagged, message) else {
                return Reflection::Ignore(Ignored::Malformed);
            };
            let answer = self.desk.ask(&request, arrival.at);
            message[5] = flags | ANSWER;
            place::write(tagged, message, answer);
            seal(self.key.as_ref(), message);
            return Reflection::Reply(message.len());
        }
        message[5] = flags | ANSWER;
        if let (Some(place), Some(stamp)) = (stamp_place(message), arrival.kernel) {
            message[place].copy_from_slice(&stamp.to_le_bytes());
        }
        message[32..40].copy_from_slice(&arrival.at.to_le_bytes());
        message[40..48].copy_from_slice(&clock::now().to_le_bytes());
        seal(self.key.as_ref(), message);
        Reflection::Reply(message.len())
    }

    fn framing(&self) -> fn(&[u8]) -> Option<usize> {
        framing
    }

    fn wants_stamp(&self, message: &[u8]) -> bool {
        stamp_place(message).is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(of: &[u8]) -> Option<Key> {
        Key::new(of)
    }

    fn arrival() -> Arrival {
        Arrival { at: 7, ttl: None, kernel: Some(5) }
    }

    fn pair(near: Option<Key>, far: Option<Key>) -> (Lowlat, LowlatReflector) {
        (Lowlat::new(&PeerOptions { key: near, ..PeerOptions::default() }), LowlatReflector::new(far))
    }

    #[test]
    fn a_probe_comes_back_with_the_far_stamps() {
        for k in [None, key(b"k")] {
            let (mut near, mut far) = pair(k.clone(), k);
            let mut m = [0u8; 100];
            near.encode(42, 9, &mut m);
            assert_eq!(framing(&m), Some(100));
            assert!(matches!(near.decode(&m), Decoded::Foreign(_)), "a probe is not an answer");
            assert_eq!(far.reflect(&mut m, &arrival()), Reflection::Reply(100));
            let Decoded::Reply { seq: 42, far: Some(stamps) } = near.decode(&m) else {
                panic!("{:?}", near.decode(&m))
            };
            assert!(stamps.received_ns == 7 && stamps.sent_ns > 7);
            assert_eq!(stamps.kernel_ns, None, "not asked for");
            assert_eq!(
                far.reflect(&mut m, &arrival()),
                Reflection::Ignore(Ignored::Malformed),
                "no answer to an answer"
            );
        }
    }

    #[test]
    fn the_far_kernel_s_stamp_comes_to_who_asks_and_has_room() {
        for (k, len, want) in [(None, 56, Some(5)), (None, 55, None), (key(b"k"), 72, Some(5)), (key(b"k"), 71, None)] {
            let mut near =
                Lowlat::new(&PeerOptions { key: k.clone(), message_len: len, stamps: true, ..PeerOptions::default() });
            let mut far = LowlatReflector::new(k);
            let mut m = vec![9; len];
            near.encode(1, 2, &mut m);
            assert_eq!((near.asks_far_stamp(), far.wants_stamp(&m)), (want.is_some(), want.is_some()));
            assert_eq!(far.reflect(&mut m, &Arrival { kernel: None, ..arrival() }), Reflection::Reply(len));
            assert!(
                matches!(near.decode(&m), Decoded::Reply { far: Some(f), .. } if f.kernel_ns.is_none()),
                "none came"
            );
            near.encode(2, 2, &mut m);
            far.reflect(&mut m, &arrival());
            assert!(matches!(near.decode(&m), Decoded::Reply { far: Some(f), .. } if f.kernel_ns == want));
        }
    }

    #[test]
    fn keys_must_agree_and_runs_do_not_mix() {
        for (near, far) in [(None, key(b"a")), (key(b"a"), None), (key(b"a"), key(b"b"))] {
            let (mut near, mut far) = pair(near, far);
            let mut m = [0u8; 64];
            near.encode(0, 0, &mut m);
            assert_eq!(far.reflect(&mut m, &arrival()), Reflection::Ignore(Ignored::Unauthenticated));
        }
        let (mut a, mut far) = pair(None, None);
        let (mut b, _) = pair(None, None);
        let mut m = [0u8; 64];
        a.encode(0, 0, &mut m);
        far.reflect(&mut m, &arrival());
        assert_eq!(b.decode(&m), Decoded::Foreign("an answer to another run"));
    }

    /// A far end that knows the layout alone answers as ours does.
    #[test]
    fn the_layout_is_that_of_the_messages() {
        let (mut near, mut far) = pair(None, None);
        let mut m = [0u8; 64];
        near.encode(3, 4, &mut m);
        let mut by_layout = m;
        assert_eq!((&m[..4], &m[4..8]), (&LAYOUT.magic[..], &LAYOUT.probe[..]));
        assert_eq!(bytes_at(&m, LAYOUT.length_at).map(u32::from_le_bytes), Some(64));
        assert_eq!(far.reflect(&mut m, &arrival()), Reflection::Reply(64));
        by_layout[4..8].copy_from_slice(&LAYOUT.answer);
        let stamps = LAYOUT.stamps_at..LAYOUT.stamps_at + 16;
        by_layout[stamps.clone()].copy_from_slice(&m[stamps]);
        assert_eq!(by_layout, m);
        assert!(matches!(near.decode(&by_layout[..LAYOUT.shortest]), Decoded::Foreign(_)), "its length says 64");
        let mut short = [0u8; LAYOUT.shortest];
        near.encode(0, 0, &mut short);
        assert_eq!(far.reflect(&mut short, &arrival()), Reflection::Reply(LAYOUT.shortest));
    }

    #[test]
    fn a_sink_request_is_one() {
        for k in [None, key(b"k")] {
            let mut m = sink_request(k.as_ref());
            assert_eq!(LowlatReflector::new(k).reflect(&mut m, &arrival()), Reflection::Sink);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_none_are_ours(bytes in proptest::collection::vec(any::<u8>(), 0..200), tagged: bool) {
            let (mut near, mut far) = pair(if tagged { key(b"k") } else { None }, if tagged { key(b"k") } else { None });
            prop_assert!(matches!(near.decode(&bytes), Decoded::Foreign(_)));
            let mut copy = bytes.clone();
            prop_assert!(matches!(far.reflect(&mut copy, &arrival()), Reflection::Ignore(_)));
            let _ = framing(&bytes);
        }

        /// One changed byte: never a panic, and with a key never an answer.
        #[test]
        fn a_changed_byte_is_survived_and_shows_where_there_is_a_key(at in 0usize..64, by in 1u8.., cut in 0usize..=64) {
            let (mut near, mut far) = pair(key(b"k"), key(b"k"));
            let mut m = [0u8; 64];
            near.encode(3, 4, &mut m);
            far.reflect(&mut m, &arrival());
            let mut changed = m;
            changed[at] ^= by;
            prop_assert!(matches!(near.decode(&changed), Decoded::Foreign(_)));
            if cut < 64 {
                prop_assert!(matches!(near.decode(&m[..cut]), Decoded::Foreign(_)));
            }
            let (mut near, _) = pair(None, None);
            let _ = near.decode(&changed);
        }
    }
}

//! `stamp`: STAMP (RFC 8762), as sender and as reflector, open and authenticated; the reflector also answers
//! TWAMP-Light senders (RFC 5357 appendix I), whose test packets have the same order of fields. UDP.
//!
//! Big-endian. Open, 44 bytes in both directions (RFC 8762 §4.2.1, §4.3.1):
//!
//! | sender | reflector |
//! |---|---|
//! | 0 sequence `u32` | 0 sequence `u32` |
//! | 4 timestamp `u64` | 4 timestamp `u64`: the answer's send |
//! | 12 error estimate `u16` | 12 error estimate `u16` |
//! | 14 zero, 30 bytes | 14 session id or zero `u16`, 16 received `u64`, 24 the sender's first 14 bytes, 38 zero `u16`, 40 the sender's TTL, 41 zero |
//!
//! Authenticated, 112 bytes in both directions, the last 16 of them the tag of the 96 before (§4.2.2, §4.3.2, §4.4).
//! The reflector is stateless (§4: it copies the sequence number). Everything beyond the base packet (padding, TLVs of
//! RFC 8972) is sent back unchanged; unknown TLVs are not flagged. The reflector never sends more than it got: an open
//! packet of less than 41 bytes (TWAMP-Light without padding) gets no answer.

use std::time::{SystemTime, UNIX_EPOCH};

use lowlat_transport::{Ns, Proto, clock};

use crate::key::{Key, TAG};
use crate::reflector::{Arrival, Ignored, Reflection, Reflector};
use crate::{Decoded, FarStamps, Peer, PeerEntry, PeerOptions, bytes_at, random, widen};

/// The list entry.
pub const ENTRY: PeerEntry = PeerEntry {
    name: "stamp",
    protos: PROTOS,
    default_port: DEFAULT_PORT,
    where_refused: "start a STAMP or TWAMP-Light reflector there (port 862 by default), or name the port of the one that runs there",
    make: |o| Box::new(Stamp::new(o)),
};

/// RFC 8762 §4.1.
pub const DEFAULT_PORT: u16 = 862;

const PROTOS: &[Proto] = &[Proto::Udp];
const OPEN: usize = 44;
/// The part of an open answer that carries something; a TWAMP-Light sender pads to it.
const OPEN_ANSWER: usize = 41;
const AUTHENTICATED: usize = 112;
const AUTHENTICATED_TEXT: usize = 96;
const LONGEST: usize = 65507;

/// Seconds from 1900 to 1970 (RFC 868).
const NTP_EPOCH: u64 = 2_208_988_800;
/// Error estimate (RFC 4656 §4.1.2): not known to be synchronized (S = 0), NTP format (Z = 0), multiplier 1 at scale
/// 32: one second. The multiplier must not be 0.
const ERROR: [u8; 2] = [32, 1];

/// Where the fields of one mode stand.
struct Layout {
    time: usize,
    error: usize,
    received: usize,
    sender_seq: usize,
    sender_time: usize,
    sender_error: usize,
    ttl: usize,
}

/// RFC 8762 §4.3.1.
const OPEN_AT: Layout =
    Layout { time: 4, error: 12, received: 16, sender_seq: 24, sender_time: 28, sender_error: 36, ttl: 40 };
/// RFC 8762 §4.3.2.
const AUTHENTICATED_AT: Layout =
    Layout { time: 16, error: 24, received: 32, sender_seq: 48, sender_time: 64, sender_error: 72, ttl: 80 };

/// ns since 1970 as an NTP timestamp: seconds since 1900 and their 2⁻³² parts (RFC 5905 §6).
fn ntp(unix_ns: u64) -> u64 {
    let seconds = (unix_ns / 1_000_000_000 + NTP_EPOCH) & 0xffff_ffff;
    let fraction = ((unix_ns % 1_000_000_000) << 32) / 1_000_000_000;
    seconds << 32 | fraction
}

/// An NTP or, with Z set in its error estimate, a truncated PTP timestamp (seconds, ns) in ns from its own epoch.
fn stamp_ns(stamp: u64, error: [u8; 2]) -> u64 {
    let fraction = stamp & 0xffff_ffff;
    let ns = if error[0] & 0x40 == 0 { (fraction * 1_000_000_000 + (1 << 31)) >> 32 } else { fraction };
    (stamp >> 32) * 1_000_000_000 + ns
}

fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

fn sealed(key: &Key, message: &[u8]) -> bool {
    bytes_at::<TAG>(message, AUTHENTICATED_TEXT).is_some_and(|tag| key.verify(&[&message[..AUTHENTICATED_TEXT]], &tag))
}

fn seal(key: &Key, message: &mut [u8]) {
    let tag = key.tag(&[&message[..AUTHENTICATED_TEXT]]);
    message[AUTHENTICATED_TEXT..AUTHENTICATED].copy_from_slice(&tag);
}

/// A session sender.
#[derive(Debug)]
pub struct Stamp {
    key: Option<Key>,
    /// Stands in the fraction of the sender's timestamp, which the reflector sends back unread: the protocol has no
    /// field that tells sessions apart, and our own clock reading need not travel.
    cookie: u32,
    /// The newest sequence number sent: the wire has its lower half.
    newest: u64,
}

impl Stamp {
    /// With a key, in authenticated mode.
    pub fn new(options: &PeerOptions) -> Self {
        #[allow(clippy::cast_possible_truncation)] // any 32 bits do
        let cookie = random() as u32;
        Self { key: options.key.clone(), cookie, newest: 0 }
    }

    fn layout(&self) -> &'static Layout {
        if self.key.is_some() { &AUTHENTICATED_AT } else { &OPEN_AT }
    }
}

impl Peer for Stamp {
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
        (if self.key.is_some() { AUTHENTICATED } else { OPEN }, LONGEST)
    }

    fn encode(&mut self, seq: u64, _: Ns, message: &mut [u8]) {
        let at = self.layout();
        self.newest = self.newest.max(seq);
        message.fill(0);
        #[allow(clippy::cast_possible_truncation)] // the lower half
        message[..4].copy_from_slice(&(seq as u32).to_be_bytes());
        // The true second, and our cookie for its fraction: the reflector returns both.
        let time = ntp(unix_ns()) & !0xffff_ffff | u64::from(self.cookie);
        message[at.time..at.time + 8].copy_from_slice(&time.to_be_bytes());
        message[at.error..at.error + 2].copy_from_slice(&ERROR);
        if let Some(key) = &self.key {
            seal(key, message);
        }
    }

    fn decode(&mut self, message: &[u8]) -> Decoded {
        let at = self.layout();
        let shortest = if self.key.is_some() { AUTHENTICATED } else { OPEN_ANSWER };
        if message.len() < shortest {
            return Decoded::Foreign("shorter than a STAMP answer");
        }
        if self.key.as_ref().is_some_and(|k| !sealed(k, message)) {
            return Decoded::Foreign("no tag of our key");
        }
        let long = |at| bytes_at(message, at).map_or(0, u64::from_be_bytes);
        if long(at.sender_time) & 0xffff_ffff != u64::from(self.cookie) {
            return Decoded::Foreign("an answer to another session");
        }
        let Some(seq) = bytes_at(message, at.sender_seq).and_then(|b| widen(self.newest, u32::from_be_bytes(b))) else {
            return Decoded::Foreign("a sequence number that was not sent");
        };
        let error = bytes_at(message, at.error).unwrap_or([0; 2]);
        let far = FarStamps {
            received_ns: stamp_ns(long(at.received), error),
            sent_ns: stamp_ns(long(at.time), error),
            kernel_ns: None,
        };
        Decoded::Reply { seq, far: Some(far) }
    }

    fn framing(&self) -> fn(&[u8]) -> Option<usize> {
        |bytes| Some(bytes.len())
    }
}

/// The session reflector, stateless.
#[derive(Debug)]
pub struct StampReflector {
    key: Option<Key>,
}

impl StampReflector {
    /// With a key, only authenticated senders are answered.
    pub fn new(key: Option<Key>) -> Self {
        Self { key }
    }
}

impl Reflector for StampReflector {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn longest(&self) -> usize {
        LONGEST
    }

    fn wants_ttl(&self) -> bool {
        true
    }

    fn reflect(&mut self, message: &mut [u8], arrival: &Arrival) -> Reflection {
        let (at, shortest) =
            if self.key.is_some() { (&AUTHENTICATED_AT, AUTHENTICATED) } else { (&OPEN_AT, OPEN_ANSWER) };
        if message.len() < shortest {
            return Reflection::Ignore(Ignored::Malformed);
        }
        if self.key.as_ref().is_some_and(|k| !sealed(k, message)) {
            return Reflection::Ignore(Ignored::Unauthenticated);
        }
        // The order matters: each field is read before the answer's own stand in its place.
        message.copy_within(0..4, at.sender_seq);
        message.copy_within(at.time..at.time + 8, at.sender_time);
        message.copy_within(at.error..at.error + 2, at.sender_error);
        message[at.ttl] = arrival.ttl.unwrap_or(0);
        message[at.error..at.error + 2].copy_from_slice(&ERROR);
        // One reading of both clocks puts the arrival on the wall clock, so that a step between cannot tear the two.
        let (wall, now) = (unix_ns(), clock::now());
        let received = wall.saturating_sub(now.saturating_sub(arrival.at));
        message[at.received..at.received + 8].copy_from_slice(&ntp(received).to_be_bytes());
        message[at.time..at.time + 8].copy_from_slice(&ntp(wall).to_be_bytes());
        if let Some(key) = &self.key {
            seal(key, message);
        }
        Reflection::Reply(message.len())
    }

    fn framing(&self) -> fn(&[u8]) -> Option<usize> {
        |bytes| Some(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(key: Option<Key>) -> (Stamp, StampReflector) {
        (Stamp::new(&PeerOptions { key: key.clone(), ..PeerOptions::default() }), StampReflector::new(key))
    }

    #[test]
    fn ntp_time_goes_there_and_back() {
        // RFC 868: 2 208 988 800 is 1970-01-01.
        assert_eq!(ntp(0) >> 32, 2_208_988_800);
        for ns in [1, 999_999_999, 1_700_000_000_123_456_789] {
            assert_eq!(stamp_ns(ntp(ns), ERROR).wrapping_sub(NTP_EPOCH * 1_000_000_000).abs_diff(ns), 0, "{ns}");
        }
        assert_eq!(stamp_ns(5 << 32 | 7, [0x40, 1]), 5_000_000_007, "PTP");
    }

    #[test]
    fn an_answer_has_its_fields_in_their_places() {
        let (mut near, mut far) = pair(None);
        let mut m = [0u8; OPEN];
        near.encode(3, 0, &mut m);
        let sent = m;
        let at = clock::now();
        let reflected = far.reflect(&mut m, &Arrival { at, ttl: Some(61), kernel: None });
        let took = clock::now() - at;
        assert_eq!(reflected, Reflection::Reply(OPEN));
        assert_eq!(m[..4], [0, 0, 0, 3]);
        assert_eq!(m[24..38], sent[..14], "the sender's part comes back");
        assert_eq!((m[14..16].to_vec(), m[40]), (vec![0, 0], 61));
        let Decoded::Reply { seq: 3, far: Some(stamps) } = near.decode(&m) else { panic!("{:?}", near.decode(&m)) };
        // A fraction of 32 bits is a quarter of a nanosecond, and each of the two is rounded.
        let residence = stamps.sent_ns.checked_sub(stamps.received_ns);
        assert!(residence.is_some_and(|ns| ns <= took + 1), "{stamps:?}, reflected within {took} ns");
    }

    #[test]
    fn authenticated_mode_needs_the_key() {
        let (mut near, mut far) = pair(Key::new(b"k"));
        let mut m = [0u8; AUTHENTICATED];
        near.encode(9, 0, &mut m);
        let mut other = m;
        let arrival = Arrival { at: clock::now(), ttl: None, kernel: None };
        let mut stranger = StampReflector::new(Key::new(b"x"));
        assert_eq!(stranger.reflect(&mut other, &arrival), Reflection::Ignore(Ignored::Unauthenticated));
        assert_eq!(far.reflect(&mut m, &arrival), Reflection::Reply(AUTHENTICATED));
        assert!(matches!(near.decode(&m), Decoded::Reply { seq: 9, .. }));
        m[50] ^= 1;
        assert_eq!(near.decode(&m), Decoded::Foreign("no tag of our key"));
    }

    #[test]
    fn short_senders_get_nothing_and_long_runs_keep_count() {
        let (mut near, mut far) = pair(None);
        let arrival = Arrival { at: 0, ttl: None, kernel: None };
        assert_eq!(far.reflect(&mut [0; 14], &arrival), Reflection::Ignore(Ignored::Malformed), "no amplification");
        assert_eq!(far.reflect(&mut [0; 41], &arrival), Reflection::Reply(41));
        let seq = (1u64 << 32) + 5;
        let mut m = [0u8; OPEN];
        near.encode(seq, 0, &mut m);
        far.reflect(&mut m, &arrival);
        assert!(matches!(near.decode(&m), Decoded::Reply { seq: s, .. } if s == seq));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 0..160), keyed: bool) {
            let (mut near, mut far) = pair(if keyed { Key::new(b"k") } else { None });
            let _ = near.decode(&bytes);
            let len = bytes.len();
            if let Reflection::Reply(n) = far.reflect(&mut bytes, &Arrival { at: 0, ttl: None, kernel: None }) {
                prop_assert!(n <= len && !keyed);
            }
        }
    }
}

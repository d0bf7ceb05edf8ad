//! `irtt`: stock IRTT servers (protocol version 1); UDP.
//!
//! Little-endian (IRTT's `packet.go`, `params.go`): `magic 14 a7 5b | flags u8 | [HMAC-MD5, 16 bytes] | token u64 |
//! sequence u32 | [received i64] | [sent i64] | payload`.
//! Flags: 1 open, 2 reply, 4 close, 8 HMAC. The HMAC is before the token (the drawing in `packet.go` shows it
//! elsewhere, but the code and the packets have it here) and covers the whole packet with its own field zeroed.
//!
//! In the handshake we request length, interval, duration and timestamps, and the server cuts each to its limits. If it
//! grants a shorter run or message than requested, that is an error, which names the server's option that lifts the
//! limit. A longer interval is accepted: a server without `-i` takes no more than one probe per 10 ms (`defaults.go`,
//! `DefaultMinInterval`) and does not answer faster ones (`sconn.go`, `ShortInterval`). Of the optional fields we
//! request only the two monotonic timestamps.

use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_transport::{Engine, EngineError, Ns, Proto, clock};

use crate::key::{Key, TAG};
use crate::{Decoded, FarStamps, Peer, PeerEntry, PeerOptions, bytes_at, widen};

/// The list entry.
pub const ENTRY: PeerEntry = PeerEntry {
    name: "irtt",
    protos: PROTOS,
    default_port: DEFAULT_PORT,
    where_refused: "start `irtt server` there (port 2112 by default), or name the port of the one that runs there",
    make: |o| Box::new(Irtt::new(o)),
};

/// IRTT's own default.
pub const DEFAULT_PORT: u16 = 2112;

const PROTOS: &[Proto] = &[Proto::Udp];
const MAGIC: [u8; 3] = [0x14, 0xa7, 0x5b];
const OPEN: u8 = 1;
const REPLY: u8 = 2;
const CLOSE: u8 = 4;
const HMAC: u8 = 8;
const LONGEST: usize = 65507;

/// Parameter ids of the handshake (`params.go`).
const VERSION: u64 = 1;
const DURATION: u64 = 2;
const INTERVAL: u64 = 3;
const LENGTH: u64 = 4;
const STAMP_AT: u64 = 6;
const CLOCK: u64 = 7;
const FILL: u64 = 9;
/// `AtReceive | AtSend`, and `Monotonic`.
const BOTH: i64 = 3;
const MONOTONIC: i64 = 2;

/// An open request is sent again after this time, ns.
const AGAIN_NS: u64 = 300_000_000;
/// What is asked where the run has no stated length, ns: an hour.
const LONG_NS: u64 = 3_600_000_000_000;

/// Probes for a stock IRTT server.
#[derive(Debug)]
pub struct Irtt {
    options: PeerOptions,
    token: u64,
    /// Which stamps the server grants.
    stamp_at: i64,
    /// The server's own limit, where it is above what was asked for.
    min_interval: Option<Ns>,
    newest: u64,
}

/// What a server granted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Granted {
    version: i64,
    duration: i64,
    interval: i64,
    length: i64,
    stamp_at: i64,
    clock: i64,
}

impl Irtt {
    /// With a key, with its HMAC.
    pub fn new(options: &PeerOptions) -> Self {
        Self { options: options.clone(), token: 0, stamp_at: BOTH, min_interval: None, newest: 0 }
    }

    fn key(&self) -> Option<&Key> {
        self.options.key.as_ref()
    }

    /// Where the token stands.
    fn token_at(&self) -> usize {
        if self.key().is_some() { 4 + TAG } else { 4 }
    }

    fn start(&self, flags: u8, packet: &mut [u8]) {
        packet[..3].copy_from_slice(&MAGIC);
        packet[3] = flags | if self.key().is_some() { HMAC } else { 0 };
    }

    fn seal(&self, packet: &mut [u8]) {
        if let Some(key) = self.key() {
            packet[4..4 + TAG].fill(0);
            let tag = key.md5_tag(&[packet]);
            packet[4..4 + TAG].copy_from_slice(&tag);
        }
    }

    /// Why a packet is none of a server that shares our key.
    fn refuse(&self, packet: &[u8]) -> Option<&'static str> {
        if packet.len() < self.token_at() + 8 || packet[..3] != MAGIC || packet[3] & REPLY == 0 {
            return Some("no IRTT answer");
        }
        match self.key() {
            None if packet[3] & HMAC != 0 => Some("an HMAC, and no key here to check it"),
            None => None,
            Some(_) if packet[3] & HMAC == 0 => Some("no HMAC"),
            Some(key) => {
                let tag = bytes_at::<TAG>(packet, 4).unwrap_or_default();
                let good = key.md5_verify(&[&packet[..4], &[0; TAG], &packet[4 + TAG..]], &tag);
                (!good).then_some("no HMAC of our key")
            }
        }
    }

    fn interval(&self) -> i64 {
        i64::try_from(self.options.interval_ns.max(1)).unwrap_or(i64::MAX)
    }

    fn duration(&self) -> i64 {
        let ns = if self.options.duration_ns == 0 { LONG_NS } else { self.options.duration_ns };
        i64::try_from(ns).unwrap_or(i64::MAX)
    }

    fn length(&self) -> i64 {
        i64::try_from(self.options.message_len).unwrap_or(i64::MAX)
    }

    fn open_request(&self) -> Vec<u8> {
        let mut packet = vec![0; self.token_at()];
        self.start(OPEN, &mut packet);
        let asked = [
            (VERSION, 1),
            (DURATION, self.duration()),
            (INTERVAL, self.interval()),
            (LENGTH, self.length()),
            (STAMP_AT, BOTH),
            (CLOCK, MONOTONIC),
        ];
        for (id, value) in asked {
            put_varint(&mut packet, id);
            put_varint(&mut packet, zigzag(value));
        }
        self.seal(&mut packet);
        packet
    }

    /// Takes what the server granted, or says which of its limits is in the way.
    fn take(&mut self, flags: u8, token: u64, granted: &Granted) -> Result<(), (String, &'static str)> {
        if flags & CLOSE != 0 || granted.version != 1 {
            return Err((format!("it speaks protocol version {}, not 1", granted.version), "use IRTT 0.9 there"));
        }
        if granted.duration < self.duration() && self.options.duration_ns != 0 {
            let ms = granted.duration / 1_000_000;
            return Err((format!("it serves at most {ms} ms"), "start it with `irtt server -d 0`, or measure shorter"));
        }
        if granted.length != self.length() {
            return Err((
                format!("it accepts at most {} bytes", granted.length),
                "start it with `irtt server -l 0`, or use a smaller --size",
            ));
        }
        self.token = token;
        self.min_interval = Some(granted.interval).filter(|i| *i > self.interval()).and_then(|i| Ns::try_from(i).ok());
        self.stamp_at = if granted.clock == MONOTONIC { granted.stamp_at } else { 0 };
        Ok(())
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Base 128, lowest group first, as Go's `binary.PutUvarint`.
fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    #[allow(clippy::cast_possible_truncation)] // below 0x80
    to.push(value as u8);
}

/// One varint, and what is behind it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().enumerate().take(10) {
        let group = u64::from(byte & 0x7f);
        let shift = u32::try_from(7 * i).ok()?;
        if group.checked_shl(shift).and_then(|g| g.checked_shr(shift)) != Some(group) {
            return None;
        }
        value |= group << shift;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

fn parse_granted(mut bytes: &[u8]) -> Option<Granted> {
    let mut granted = Granted::default();
    while !bytes.is_empty() {
        let (id, rest) = varint(bytes)?;
        let (value, rest) = varint(rest)?;
        bytes = rest;
        if id == FILL {
            bytes = bytes.get(usize::try_from(value).ok()?..)?;
            continue;
        }
        let value = unzigzag(value);
        match id {
            VERSION => granted.version = value,
            DURATION => granted.duration = value,
            INTERVAL => granted.interval = value,
            LENGTH => granted.length = value,
            STAMP_AT => granted.stamp_at = value,
            CLOCK => granted.clock = value,
            _ => {}
        }
    }
    Some(granted)
}

impl Peer for Irtt {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn protos(&self) -> &'static [Proto] {
        PROTOS
    }

    fn default_port(&self) -> u16 {
        DEFAULT_PORT
    }

    fn message_sizes(&self) -> (usize, usize) {
        // Token, sequence number and both stamps.
        (self.token_at() + 8 + 4 + 16, LONGEST)
    }

    fn open(&mut self, engine: &mut dyn Engine, until: Ns, stop: &AtomicBool) -> Result<(), EngineError> {
        let fail = |why: String, next: &str| EngineError::Unreachable {
            what: "open a session at the irtt server".to_owned(),
            why,
            next: next.to_owned(),
        };
        let request = self.open_request();
        let mut buf = vec![0; self.options.message_len.max(512)];
        let mut odd = None;
        while clock::now() < until {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            engine.send(&request)?;
            let again = until.min(clock::now() + AGAIN_NS);
            while let Some(got) = engine.recv(&mut buf, again)? {
                let packet = &buf[..got.len];
                let at = self.token_at();
                if let Some(why) = self.refuse(packet) {
                    odd = Some(why);
                    continue;
                }
                let granted = (packet[3] & OPEN != 0).then(|| parse_granted(&packet[at + 8..])).flatten();
                let (Some(granted), Some(token)) = (granted, bytes_at(packet, at)) else {
                    odd = Some("an answer to no open request");
                    continue;
                };
                let flags = packet[3];
                return self.take(flags, u64::from_le_bytes(token), &granted).map_err(|(why, next)| fail(why, next));
            }
        }
        let why = odd.map_or_else(|| "no answer".to_owned(), |o| format!("what came was {o}"));
        Err(fail(why, "check that `irtt server` runs there, and that both have the same key (--hmac there)"))
    }

    fn encode(&mut self, seq: u64, _: Ns, message: &mut [u8]) {
        self.newest = self.newest.max(seq);
        message.fill(0);
        self.start(0, message);
        let at = self.token_at();
        message[at..at + 8].copy_from_slice(&self.token.to_le_bytes());
        #[allow(clippy::cast_possible_truncation)] // the wire has the lower half
        message[at + 8..at + 12].copy_from_slice(&(seq as u32).to_le_bytes());
        self.seal(message);
    }

    fn decode(&mut self, message: &[u8]) -> Decoded {
        if let Some(why) = self.refuse(message) {
            return Decoded::Foreign(why);
        }
        let at = self.token_at();
        if message[3] & OPEN != 0 || bytes_at(message, at) != Some(self.token.to_le_bytes()) {
            return Decoded::Foreign("no answer of this session");
        }
        let seq = bytes_at(message, at + 8).and_then(|b| widen(self.newest, u32::from_le_bytes(b)));
        let Some(seq) = seq else {
            return Decoded::Foreign("a sequence number that was not sent");
        };
        let stamp = |at| bytes_at(message, at).map(u64::from_le_bytes);
        let far = match (stamp(at + 12), stamp(at + 20)) {
            (Some(received_ns), Some(sent_ns)) if self.stamp_at == BOTH => {
                Some(FarStamps { received_ns, sent_ns, kernel_ns: None })
            }
            _ => None,
        };
        Decoded::Reply { seq, far }
    }

    fn framing(&self) -> fn(&[u8]) -> Option<usize> {
        |bytes| Some(bytes.len())
    }

    fn min_interval(&self) -> Option<Ns> {
        self.min_interval
    }

    fn close(&mut self, engine: &mut dyn Engine) {
        let mut packet = vec![0; self.token_at() + 8];
        self.start(CLOSE, &mut packet);
        let at = self.token_at();
        packet[at..].copy_from_slice(&self.token.to_le_bytes());
        self.seal(&mut packet);
        // The run is over; a server that misses this lets the session expire.
        let _ = engine.send(&packet);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer(key: Option<Key>) -> Irtt {
        Irtt::new(&PeerOptions { key, message_len: 64, ..PeerOptions::default() })
    }

    #[test]
    fn varints_are_those_of_go() {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, zigzag(-129));
        assert_eq!(bytes, [0x81, 0x02]);
        for value in [0, 1, -1, 300, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, zigzag(value));
            assert_eq!(varint(&bytes).map(|(v, rest)| (unzigzag(v), rest.len())), Some((value, 0)));
        }
        assert_eq!(varint(&[0xff; 10]), None, "overflow");
        assert_eq!(varint(&[0x80]), None, "cut short");
    }

    #[test]
    fn limits_of_the_server_are_said_with_the_option_that_lifts_them() {
        let good = Granted { version: 1, duration: i64::MAX, interval: 1, length: 64, stamp_at: 3, clock: 2 };
        let error = |granted: &Granted| {
            peer(None).take(OPEN | REPLY, 1, granted).map_err(|(why, next)| format!("{why}; {next}"))
        };
        assert_eq!(error(&good), Ok(()));
        let good = Granted { version: 1, duration: i64::MAX, interval: 1, length: 64, stamp_at: 3, clock: 2 };
        assert!(error(&Granted { length: 60, ..good }).is_err_and(|e| e.contains("60 bytes")));
    }

    #[test]
    fn a_longer_interval_than_asked_for_is_the_pace_and_no_error() {
        let granted =
            |interval| Granted { version: 1, duration: i64::MAX, interval, length: 64, stamp_at: 3, clock: 2 };
        let pace = |asked, given| {
            let options = PeerOptions { message_len: 64, interval_ns: asked, ..PeerOptions::default() };
            let mut peer = Irtt::new(&options);
            peer.take(OPEN | REPLY, 1, &granted(given)).map(|()| peer.min_interval())
        };
        assert_eq!(pace(0, 10_000_000), Ok(Some(10_000_000)));
        assert_eq!(pace(20_000_000, 20_000_000), Ok(None), "as asked for");
        assert_eq!(pace(0, 1), Ok(None), "a server with -i 0");
        assert_eq!(pace(1_000_000, 10_000_000), Ok(Some(10_000_000)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100), keyed: bool, magic: bool) {
            let mut bytes = bytes;
            if magic && bytes.len() > 4 {
                bytes[..3].copy_from_slice(&MAGIC);
                bytes[3] = REPLY;
            }
            let mut peer = peer(if keyed { Key::new(b"k") } else { None });
            let answer = peer.decode(&bytes);
            prop_assert!(!keyed || matches!(answer, Decoded::Foreign(_)));
            let _ = parse_granted(&bytes);
            let _ = varint(&bytes);
        }
    }
}

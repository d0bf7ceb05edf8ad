//! Placement requests: the prober asks the far end to stay on one CPU for the length of its run.
//!
//! A request is a message of the protocol with flag 16; behind the header and its tag stand, little-endian:
//!
//! | offset | field | set by |
//! |---|---|---|
//! | 0 | client `u64`: random, the same for all requests of one prober | near |
//! | 8 | host `u64`: a token of the prober's host; 0 for unknown | near |
//! | 16 | the prober's CPU `u32`; all ones for unknown | near |
//! | 20 | seconds `u32` for which it asks; 0 gives the placement back | near |
//! | 24 | answer `u8`, see [`Answer`]; 0 in the request | far |
//! | 25 | zero, 3 bytes | near |
//! | 28 | the far end's CPU `u32` | far |
//!
//! The answer is the request with the far end's fields filled in, so that it is never longer. A far end that does not
//! know flag 16 sends the request back as it came: answer 0, which is "too old". The prober names no CPU for the far
//! end: it says where it runs itself, and the far end chooses among those that its own rule gives.

use lowlat_transport::{Engine, EngineError, Ns, clock};

use super::{ANSWER, Lowlat, PLACE, after_header, refuse, seal};
use crate::key::Key;
use crate::{PeerOptions, bytes_at};

/// Bytes of the fields.
const FIELDS: usize = 32;
/// "Unknown" among CPUs.
const NO_CPU: u32 = u32::MAX;
/// Sequence number of requests: no probe has it.
const SEQ: u64 = u64::MAX;
/// A request is sent so many times, as long as none is answered.
const TRIES: u64 = 3;

/// What a prober asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacementRequest {
    /// Random, the same for all requests of one prober.
    pub client: u64,
    /// Token of its host; 0 for unknown.
    pub host: u64,
    /// Its CPU.
    pub cpu: Option<u32>,
    /// For so long; 0 gives the placement back.
    pub seconds: u32,
}

/// What the far end answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It does not know placement requests.
    TooOld,
    /// It runs on this CPU as it was started (`serve --cpu`), and stays there.
    Fixed(u32),
    /// It stays on this CPU, by the rule of its own host.
    ByRule(u32),
    /// It stays on this CPU: another one than the prober's, on the same host.
    Beside(u32),
    /// It is placed for another client.
    Busy,
    /// It cannot: it was not reported the CPUs of its host, has no other one, or the kernel said no.
    Cannot,
    /// It has given up the placement.
    Released,
}

impl Answer {
    fn parts(self) -> (u8, u32) {
        match self {
            Self::TooOld => (0, NO_CPU),
            Self::Fixed(cpu) => (1, cpu),
            Self::ByRule(cpu) => (2, cpu),
            Self::Beside(cpu) => (3, cpu),
            Self::Busy => (4, NO_CPU),
            Self::Cannot => (5, NO_CPU),
            Self::Released => (6, NO_CPU),
        }
    }

    fn of(code: u8, cpu: u32) -> Self {
        match code {
            0 => Self::TooOld,
            1 => Self::Fixed(cpu),
            2 => Self::ByRule(cpu),
            3 => Self::Beside(cpu),
            4 => Self::Busy,
            6 => Self::Released,
            _ => Self::Cannot,
        }
    }
}

/// Length of a request and of its answer, bytes.
pub fn message_len(key: Option<&Key>) -> usize {
    after_header(key.is_some()) + FIELDS
}

/// Asks the far end that `engine` leads to, until `until` (`CLOCK_MONOTONIC`); `None` if it did not answer.
pub fn ask(
    engine: &mut dyn Engine,
    key: Option<&Key>,
    request: &PlacementRequest,
    until: Ns,
) -> Result<Option<Answer>, EngineError> {
    let peer = Lowlat::new(&PeerOptions { key: key.cloned(), ..PeerOptions::default() });
    engine.set_framing(super::framing);
    let mut buf = vec![0; engine.caps().max_message.max(message_len(key)) + 1];
    let began = clock::now();
    for tries in 1..=TRIES {
        let message = peer.place_request(request);
        engine.send(&message)?;
        let give_up = began + until.saturating_sub(began) / TRIES * tries;
        while let Some(got) = engine.recv(&mut buf, give_up)? {
            if let Some(answer) = peer.place_answer(&buf[..got.len]) {
                engine.rest();
                return Ok(Some(answer));
            }
        }
    }
    engine.rest();
    Ok(None)
}

impl Lowlat {
    /// The message of a request.
    pub(crate) fn place_request(&self, request: &PlacementRequest) -> Vec<u8> {
        let mut message = vec![0; message_len(self.key.as_ref())];
        self.header(PLACE, SEQ, clock::now(), &mut message);
        let at = after_header(self.key.is_some());
        let fields = &mut message[at..];
        fields[..8].copy_from_slice(&request.client.to_le_bytes());
        fields[8..16].copy_from_slice(&request.host.to_le_bytes());
        fields[16..20].copy_from_slice(&request.cpu.unwrap_or(NO_CPU).to_le_bytes());
        fields[20..24].copy_from_slice(&request.seconds.to_le_bytes());
        fields[28..32].copy_from_slice(&NO_CPU.to_le_bytes());
        seal(self.key.as_ref(), &mut message);
        message
    }

    /// The answer in a message; `None` if it is none to this peer's request.
    pub(crate) fn place_answer(&self, message: &[u8]) -> Option<Answer> {
        let ours = refuse(self.key.as_ref(), message).is_none() && message[5] & ANSWER != 0 && message[5] & PLACE != 0;
        if !ours || bytes_at(message, 12) != Some(self.session.to_le_bytes()) {
            return None;
        }
        let at = after_header(self.key.is_some());
        let cpu = u32::from_le_bytes(bytes_at(message, at + 28)?);
        Some(Answer::of(*message.get(at + 24)?, cpu))
    }
}

/// The request in a message that was checked; `None` where it is too short for one.
pub(super) fn read(tagged: bool, message: &[u8]) -> Option<PlacementRequest> {
    let at = after_header(tagged);
    let cpu = u32::from_le_bytes(bytes_at(message, at + 16)?);
    bytes_at::<FIELDS>(message, at)?;
    Some(PlacementRequest {
        client: u64::from_le_bytes(bytes_at(message, at)?),
        host: u64::from_le_bytes(bytes_at(message, at + 8)?),
        cpu: (cpu != NO_CPU).then_some(cpu),
        seconds: u32::from_le_bytes(bytes_at(message, at + 20)?),
    })
}

/// Writes the answer over a request that [`read`] took.
pub(super) fn write(tagged: bool, message: &mut [u8], answer: Answer) {
    let at = after_header(tagged);
    let (code, cpu) = answer.parts();
    if let Some(fields) = message.get_mut(at + 24..at + FIELDS) {
        fields.fill(0);
        fields[0] = code;
        fields[4..].copy_from_slice(&cpu.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lowlat::LowlatReflector;
    use crate::reflector::{Arrival, Ignored, Reflection, Reflector};
    use crate::serve::{Desk, Places};
    use crate::{Decoded, Peer};

    const ARRIVAL: Arrival = Arrival { at: 7, ttl: None, kernel: None };
    const REQUEST: PlacementRequest = PlacementRequest { client: 11, host: 5, cpu: Some(3), seconds: 9 };

    fn near(key: Option<Key>) -> Lowlat {
        Lowlat::new(&PeerOptions { key, ..PeerOptions::default() })
    }

    #[test]
    fn a_request_reads_back_and_every_answer_comes_through() {
        for key in [None, Key::new(b"k")] {
            let near = near(key.clone());
            let message = near.place_request(&REQUEST);
            assert_eq!(message.len(), message_len(key.as_ref()));
            assert_eq!(read(key.is_some(), &message), Some(REQUEST));
            assert_eq!(near.place_answer(&message), None, "a request is not an answer");
            let unknown = PlacementRequest { cpu: None, ..REQUEST };
            assert_eq!(read(key.is_some(), &near.place_request(&unknown)), Some(unknown));
            for answer in [
                Answer::TooOld,
                Answer::Fixed(1),
                Answer::ByRule(0),
                Answer::Beside(8191),
                Answer::Busy,
                Answer::Cannot,
                Answer::Released,
            ] {
                let mut m = message.clone();
                m[5] |= ANSWER;
                write(key.is_some(), &mut m, answer);
                seal(key.as_ref(), &mut m);
                assert_eq!(near.place_answer(&m), Some(answer));
            }
        }
    }

    #[test]
    fn the_far_end_answers_in_place_and_a_prober_takes_no_answer_for_a_probe_s() {
        let (mut near, mut far) = (near(None), LowlatReflector::new(None));
        let mut m = near.place_request(&REQUEST);
        let len = m.len();
        assert_eq!(far.reflect(&mut m, &ARRIVAL), Reflection::Reply(len));
        assert_eq!(near.place_answer(&m), Some(Answer::Cannot), "it was reported no CPUs");
        assert!(matches!(near.decode(&m), Decoded::Foreign(_)));
        assert_eq!(far.reflect(&mut m, &ARRIVAL), Reflection::Ignore(Ignored::Malformed), "no answer to an answer");
    }

    #[test]
    fn a_far_end_of_before_sends_it_back_as_it_came() {
        let near = near(None);
        let mut m = near.place_request(&REQUEST);
        m[5] |= ANSWER; // all that such a far end changes, but for its stamps
        assert_eq!(near.place_answer(&m), Some(Answer::TooOld));
    }

    #[test]
    fn a_request_without_the_key_or_cut_short_places_nothing() {
        let places = Places { alone: Some(0), ..Places::default() };
        let desk = std::sync::Arc::new(Desk::new(Some(places), None));
        let mut far = LowlatReflector::with_desk(Key::new(b"k"), desk.clone());
        let mut m = near(None).place_request(&REQUEST);
        assert_eq!(far.reflect(&mut m, &ARRIVAL), Reflection::Ignore(Ignored::Unauthenticated));
        let mut m = near(Key::new(b"other")).place_request(&REQUEST);
        assert_eq!(far.reflect(&mut m, &ARRIVAL), Reflection::Ignore(Ignored::Unauthenticated));
        let keyless = near(None);
        let mut short = vec![0; 60];
        keyless.header(PLACE, 0, 0, &mut short);
        let mut far = LowlatReflector::with_desk(None, desk.clone());
        assert_eq!(far.reflect(&mut short, &ARRIVAL), Reflection::Ignore(Ignored::Malformed));
        assert_eq!(desk.cpu(), None);
    }
}

//! `sockperf`: stock sockperf servers, and the far side for stock sockperf clients; UDP and TCP.
//!
//! Big-endian, the same in both directions (sockperf's `message.h`): `sequence u64 | flags u16 | length u32 | payload`.
//! Flags: 1 from the client, 2 wants an answer, 4 warm-up. The server answers only messages with flags 1 and 2 and
//! without 4. The answer has flag 1 cleared and `length` bytes. It carries no timestamps and no session, so it is
//! recognised by its sequence number and flags alone. Sequences count from 1 on the wire.
//!
//! A stock server trusts `length` (a wrong one stalls it), so we always send the true length of the message; our own
//! server does not trust it.

use lowlat_transport::{Ns, Proto};

use crate::reflector::{Arrival, Ignored, Reflection, Reflector};
use crate::{Decoded, Peer, PeerEntry, PeerOptions, bytes_at};

/// The list entry.
pub const ENTRY: PeerEntry = PeerEntry {
    name: "sockperf",
    protos: PROTOS,
    default_port: DEFAULT_PORT,
    where_refused: "start `sockperf server` there (`--tcp` for TCP; port 11111 by default), or name the port of the one that runs there",
    make: |o| Box::new(Sockperf::new(o)),
};

/// sockperf's own default.
pub const DEFAULT_PORT: u16 = 11111;

const PROTOS: &[Proto] = &[Proto::Udp, Proto::Tcp];
const HEADER: usize = 14;
/// `MAX_PAYLOAD_SIZE` of sockperf; beyond it needs `-m` on both ends, and only on TCP.
const LONGEST: usize = 65507;
const CLIENT: u16 = 1;
const PONG: u16 = 2;
const WARM_UP: u16 = 4;

/// Probes for a stock sockperf server.
#[derive(Debug)]
pub struct Sockperf;

impl Sockperf {
    /// There is nothing to choose: sockperf knows no key.
    pub fn new(_: &PeerOptions) -> Self {
        Self
    }
}

struct Header {
    seq: u64,
    flags: u16,
    len: usize,
}

fn header(message: &[u8]) -> Option<Header> {
    Some(Header {
        seq: u64::from_be_bytes(bytes_at(message, 0)?),
        flags: u16::from_be_bytes(bytes_at(message, 8)?),
        len: usize::try_from(u32::from_be_bytes(bytes_at(message, 10)?)).ok()?,
    })
}

fn framing(bytes: &[u8]) -> Option<usize> {
    let len = header(bytes)?.len;
    Some(if (HEADER..=LONGEST).contains(&len) { len } else { 0 })
}

impl Peer for Sockperf {
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
        (HEADER, LONGEST)
    }

    fn encode(&mut self, seq: u64, _: Ns, message: &mut [u8]) {
        message[..8].copy_from_slice(&seq.wrapping_add(1).to_be_bytes());
        message[8..10].copy_from_slice(&(CLIENT | PONG).to_be_bytes());
        let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
        message[10..14].copy_from_slice(&len.to_be_bytes());
    }

    fn decode(&mut self, message: &[u8]) -> Decoded {
        match header(message) {
            Some(h) if h.len == message.len() && h.flags == PONG && h.seq > 0 => {
                Decoded::Reply { seq: h.seq - 1, far: None }
            }
            _ => Decoded::Foreign("no sockperf answer"),
        }
    }

    fn framing(&self) -> fn(&[u8]) -> Option<usize> {
        framing
    }
}

/// The far side for stock clients.
#[derive(Debug)]
pub struct SockperfReflector;

impl Reflector for SockperfReflector {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn longest(&self) -> usize {
        LONGEST
    }

    fn reflect(&mut self, message: &mut [u8], _: &Arrival) -> Reflection {
        let Some(h) = header(message) else {
            return Reflection::Ignore(Ignored::Malformed);
        };
        if h.len < HEADER || h.len > message.len() || h.flags & CLIENT == 0 {
            return Reflection::Ignore(Ignored::Malformed);
        }
        if h.flags & WARM_UP != 0 || h.flags & PONG == 0 {
            return Reflection::Ignore(Ignored::NoneWanted);
        }
        message[8..10].copy_from_slice(&(h.flags & !CLIENT).to_be_bytes());
        Reflection::Reply(h.len)
    }

    fn framing(&self) -> fn(&[u8]) -> Option<usize> {
        framing
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Arrival = Arrival { at: 1, ttl: None, kernel: None };

    #[test]
    fn the_wire_form_is_that_of_sockperf() {
        let mut m = [0u8; 16];
        Sockperf.encode(0, 0, &mut m);
        assert_eq!(m, [0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 16, 0, 0]);
        assert_eq!(SockperfReflector.reflect(&mut m, &NOW), Reflection::Reply(16));
        assert_eq!(m[8..10], [0, 2]);
        assert_eq!(Sockperf.decode(&m), Decoded::Reply { seq: 0, far: None });
        assert_eq!(SockperfReflector.reflect(&mut m, &NOW), Reflection::Ignore(Ignored::Malformed), "an answer");
    }

    #[test]
    fn a_length_that_lies_is_not_believed() {
        let mut m = [0u8; 16];
        Sockperf.encode(0, 0, &mut m);
        for (len, want) in [(17u32, false), (13, false), (0, false), (u32::MAX, false), (14, true)] {
            let mut lie = m;
            lie[10..14].copy_from_slice(&len.to_be_bytes());
            assert_eq!(SockperfReflector.reflect(&mut lie, &NOW) == Reflection::Reply(14), want, "{len}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_the_answer_is_never_longer(mut bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Sockperf.decode(&bytes);
            let _ = framing(&bytes);
            let len = bytes.len();
            if let Reflection::Reply(n) = SockperfReflector.reflect(&mut bytes, &NOW) {
                prop_assert!(n <= len);
            }
        }
    }
}

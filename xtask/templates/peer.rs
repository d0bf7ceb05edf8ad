//! `new_unit`: FILL IN: whose far end it is, the layout of its messages, and where that is documented.

use lowlat_transport::{Ns, Proto};

use crate::{Decoded, Peer, PeerEntry, PeerOptions, bytes_at, random};

/// The list entry.
pub const ENTRY: PeerEntry = PeerEntry {
    name: "new_unit",
    protos: PROTOS,
    default_port: PORT,
    where_refused: "FILL IN: the command that starts its far end, with the port",
    make: |o| Box::new(NewUnit::new(o)),
};

// FILL IN: what it runs on, its port (the words above name it too), and its shortest and longest message.
const PROTOS: &[Proto] = &[Proto::Udp];
const PORT: u16 = 0;
const SHORTEST: usize = 16;
const LONGEST: usize = 65507;

/// FILL IN: its probes.
#[derive(Debug)]
pub struct NewUnit {
    cookie: u64,
}

impl NewUnit {
    /// With a new cookie.
    pub fn new(_: &PeerOptions) -> Self {
        Self { cookie: random() }
    }
}

impl Peer for NewUnit {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn protos(&self) -> &'static [Proto] {
        PROTOS
    }

    fn default_port(&self) -> u16 {
        PORT
    }

    fn message_sizes(&self) -> (usize, usize) {
        (SHORTEST, LONGEST)
    }

    // FILL IN: the protocol's own layout here and in `decode`.
    fn encode(&mut self, seq: u64, _: Ns, message: &mut [u8]) {
        message[..8].copy_from_slice(&self.cookie.to_ne_bytes());
        message[8..16].copy_from_slice(&seq.to_ne_bytes());
    }

    fn decode(&mut self, message: &[u8]) -> Decoded {
        match (bytes_at(message, 0), bytes_at(message, 8)) {
            (Some(cookie), Some(seq)) if u64::from_ne_bytes(cookie) == self.cookie => {
                Decoded::Reply { seq: u64::from_ne_bytes(seq), far: None }
            }
            _ => Decoded::Foreign("FILL IN: what else comes there"),
        }
    }

    fn framing(&self) -> fn(&[u8]) -> Option<usize> {
        |bytes| Some(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_probe_has_the_bytes_of_its_document() {
        // FILL IN: the bytes of probe 5 and of its answer, out of the document or a capture.
        let document: [u8; 0] = [];
        let mut peer = NewUnit::new(&PeerOptions::default());
        let mut message = [0u8; 64];
        peer.encode(5, 0, &mut message);
        assert_eq!(message[..], document[..], "FILL IN: there are no bytes of its document yet");
    }

    #[test]
    fn our_answer_is_known_and_another_runs_is_not() {
        let (mut ours, mut others) = (NewUnit::new(&PeerOptions::default()), NewUnit::new(&PeerOptions::default()));
        let mut message = [0u8; 64];
        ours.encode(5, 0, &mut message);
        assert_eq!(ours.decode(&message), Decoded::Reply { seq: 5, far: None });
        assert!(matches!(others.decode(&message), Decoded::Foreign(_)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_none_are_ours(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut peer = NewUnit::new(&PeerOptions::default());
            prop_assert!(matches!(peer.decode(&bytes), Decoded::Foreign(_)));
        }
    }
}

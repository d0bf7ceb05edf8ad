//! `icmp`: the far host's kernel answers echo requests; nothing needs to run there.
//!
//! The payload is `cookie u64 | sequence u64 | padding`, native-endian: it comes back unchanged, so the answer is
//! recognised by its payload. The header's identifier cannot serve for that (the kernel rewrites it on ping sockets),
//! nor can its sequence number (16 bits wrap within a second of an open loop). There are no timestamps of the far end:
//! the far kernel's own time is part of the round trip.
//!
//! Nobody at the far end was asked, so probes are paced: one each 10 ms unless `--rate` asks for more.

use lowlat_transport::{Ns, Proto};

use crate::{Decoded, ECHOED_SHORTEST, Echoed, POLITE_NS, Peer, PeerEntry, PeerOptions};

/// The list entry.
pub const ENTRY: PeerEntry = PeerEntry {
    name: "icmp",
    protos: PROTOS,
    default_port: 0,
    where_refused: "let the far host answer echo requests (net.ipv4.icmp_echo_ignore_all)",
    make: |o| Box::new(Icmp::new(o)),
};

const PROTOS: &[Proto] = &[Proto::Icmp];
/// What an echo over IPv4 carries.
const LONGEST: usize = 65507;

/// Echo probes.
#[derive(Debug)]
pub struct Icmp {
    echoed: Echoed,
    asked_ns: Ns,
}

impl Icmp {
    /// With a new cookie.
    pub fn new(options: &PeerOptions) -> Self {
        Self { echoed: Echoed::new(), asked_ns: options.interval_ns }
    }
}

impl Peer for Icmp {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn protos(&self) -> &'static [Proto] {
        PROTOS
    }

    fn default_port(&self) -> u16 {
        0
    }

    fn takes_shapes(&self) -> bool {
        true
    }

    fn message_sizes(&self) -> (usize, usize) {
        (ECHOED_SHORTEST, LONGEST)
    }

    fn encode(&mut self, seq: u64, _: Ns, message: &mut [u8]) {
        self.echoed.encode(seq, message);
    }

    fn decode(&mut self, message: &[u8]) -> Decoded {
        self.echoed.decode(message, "an echo of another program")
    }

    fn framing(&self) -> fn(&[u8]) -> Option<usize> {
        |bytes| Some(bytes.len())
    }

    fn min_interval(&self) -> Option<Ns> {
        (self.asked_ns == 0).then_some(POLITE_NS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn our_payload_is_known_again_and_another_runs_is_not() {
        let (mut a, mut b) = (Icmp::new(&PeerOptions::default()), Icmp::new(&PeerOptions::default()));
        let mut m = [0u8; 56];
        a.encode(5, 0, &mut m);
        assert_eq!(a.decode(&m), Decoded::Reply { seq: 5, far: None });
        assert!(matches!(b.decode(&m), Decoded::Foreign(_)));
        assert!(matches!(a.decode(&m[..15]), Decoded::Foreign(_)));
    }

    #[test]
    fn it_is_polite_unless_a_pace_is_asked_for() {
        assert_eq!(Icmp::new(&PeerOptions::default()).min_interval(), Some(POLITE_NS));
        let asked = PeerOptions { interval_ns: 1_000, ..PeerOptions::default() };
        assert_eq!(Icmp::new(&asked).min_interval(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_none_are_ours(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut peer = Icmp::new(&PeerOptions::default());
            prop_assert!(matches!(peer.decode(&bytes), Decoded::Foreign(_)));
        }
    }
}

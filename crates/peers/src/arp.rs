//! `arp`: the far host's kernel answers ARP requests (RFC 826); nothing needs to run there, and no address of IP is routed.
//!
//! It is the round trip of one link, below the network stack of either end. An answer carries nothing of its request, so the
//! engine hands the message back itself. Nobody at the far end was asked, so probes are paced: one each 10 ms unless `--rate` asks
//! for more.

use lowlat_transport::{Ns, Proto};

use crate::{Decoded, ECHOED_SHORTEST, Echoed, POLITE_NS, Peer, PeerEntry, PeerOptions};

/// The list entry.
pub const ENTRY: PeerEntry = PeerEntry {
    name: "arp",
    protos: PROTOS,
    default_port: 0,
    where_refused: "name a host of the same link",
    make: |o| Box::new(Arp::new(o)),
};

const PROTOS: &[Proto] = &[Proto::Arp];
/// A payload of one frame on Ethernet; it stays on this host.
const LONGEST: usize = 1_460;

/// Probes by ARP.
#[derive(Debug)]
pub struct Arp {
    echoed: Echoed,
    asked_ns: Ns,
}

impl Arp {
    /// With a new cookie.
    pub fn new(options: &PeerOptions) -> Self {
        Self { echoed: Echoed::new(), asked_ns: options.interval_ns }
    }
}

impl Peer for Arp {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn protos(&self) -> &'static [Proto] {
        PROTOS
    }

    fn default_port(&self) -> u16 {
        0
    }

    fn message_sizes(&self) -> (usize, usize) {
        (ECHOED_SHORTEST, LONGEST)
    }

    fn encode(&mut self, seq: u64, _: Ns, message: &mut [u8]) {
        self.echoed.encode(seq, message);
    }

    fn decode(&mut self, message: &[u8]) -> Decoded {
        self.echoed.decode(message, "an answer to another run")
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
    use super::*;

    #[test]
    fn it_is_polite_and_knows_its_messages_again() {
        let (mut a, mut b) = (Arp::new(&PeerOptions::default()), Arp::new(&PeerOptions::default()));
        assert_eq!(a.min_interval(), Some(POLITE_NS));
        let asked = PeerOptions { interval_ns: 1_000, ..PeerOptions::default() };
        assert_eq!(Arp::new(&asked).min_interval(), None);
        let mut m = [0u8; 64];
        a.encode(5, 0, &mut m);
        assert_eq!(a.decode(&m), Decoded::Reply { seq: 5, far: None });
        assert!(matches!(b.decode(&m), Decoded::Foreign(_)));
    }
}

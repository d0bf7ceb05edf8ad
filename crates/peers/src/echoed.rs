//! What the protocols have in common whose answer is the probe itself: the far host's kernel, or a server that was never asked,
//! answers, and the engine or the network gives the message back unchanged.

use lowlat_transport::{Ns, Proto};

use crate::{Decoded, Peer, PeerEntry, PeerOptions, bytes_at, random};

/// Time between two probes where nobody asked for another pace, ns: what a monitoring system does to a host, not a flood.
pub(crate) const POLITE_NS: Ns = 10_000_000;

/// Shortest payload of [`Echoed`], bytes.
pub(crate) const ECHOED_SHORTEST: usize = 16;

/// A payload that comes back unchanged: `cookie u64 | sequence u64 | padding`, native-endian. The cookie distinguishes it from
/// another run's.
#[derive(Debug)]
pub(crate) struct Echoed {
    cookie: u64,
}

impl Echoed {
    pub(crate) fn new() -> Self {
        Self { cookie: random() }
    }

    pub(crate) fn encode(&self, seq: u64, message: &mut [u8]) {
        message[..8].copy_from_slice(&self.cookie.to_ne_bytes());
        message[8..16].copy_from_slice(&seq.to_ne_bytes());
    }

    pub(crate) fn decode(&self, message: &[u8], otherwise: &'static str) -> Decoded {
        match (bytes_at(message, 0), bytes_at(message, 8)) {
            (Some(cookie), Some(seq)) if u64::from_ne_bytes(cookie) == self.cookie => {
                Decoded::Reply { seq: u64::from_ne_bytes(seq), far: None }
            }
            _ => Decoded::Foreign(otherwise),
        }
    }
}

/// A protocol of this kind.
#[derive(Debug)]
pub(crate) struct EchoedPeer {
    entry: &'static PeerEntry,
    longest: usize,
    foreign: &'static str,
    takes_shapes: bool,
    echoed: Echoed,
    asked_ns: Ns,
}

impl EchoedPeer {
    /// With a new cookie. `longest`: bytes of the longest message; `foreign`: what a message of somebody else's is.
    pub(crate) fn new(
        entry: &'static PeerEntry,
        (longest, foreign): (usize, &'static str),
        options: &PeerOptions,
    ) -> Self {
        let (echoed, asked_ns) = (Echoed::new(), options.interval_ns);
        Self { entry, longest, foreign, takes_shapes: false, echoed, asked_ns }
    }

    /// Its messages may have any sizes and leave at any time.
    pub(crate) fn shaped(self) -> Self {
        Self { takes_shapes: true, ..self }
    }
}

impl Peer for EchoedPeer {
    fn name(&self) -> &'static str {
        self.entry.name
    }

    fn protos(&self) -> &'static [Proto] {
        self.entry.protos
    }

    fn default_port(&self) -> u16 {
        self.entry.default_port
    }

    fn takes_shapes(&self) -> bool {
        self.takes_shapes
    }

    fn message_sizes(&self) -> (usize, usize) {
        (ECHOED_SHORTEST, self.longest)
    }

    fn encode(&mut self, seq: u64, _: Ns, message: &mut [u8]) {
        self.echoed.encode(seq, message);
    }

    fn decode(&mut self, message: &[u8]) -> Decoded {
        self.echoed.decode(message, self.foreign)
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
    use crate::PEERS;

    /// The protocols whose far end nobody asked.
    const OF_THIS_KIND: [&str; 6] = ["icmp", "tcp-connect", "tls", "udp-closed", "arp", "nd"];

    fn all(interval_ns: Ns) -> Vec<Box<dyn Peer>> {
        let options = PeerOptions { interval_ns, ..PeerOptions::default() };
        PEERS.iter().filter(|e| OF_THIS_KIND.contains(&e.name)).map(|e| (e.make)(&options)).collect()
    }

    #[test]
    fn each_is_polite_unless_a_pace_is_asked_for() {
        assert_eq!(all(0).len(), OF_THIS_KIND.len());
        assert!(all(0).iter().all(|p| p.min_interval() == Some(POLITE_NS)));
        assert!(all(1_000).iter().all(|p| p.min_interval().is_none()));
        let shaped: Vec<&str> = all(0).iter().filter(|p| p.takes_shapes()).map(|p| p.name()).collect();
        assert_eq!(shaped, ["icmp"]);
    }

    #[test]
    fn a_message_is_known_again_and_another_runs_is_not() {
        for (mut a, mut b) in all(0).into_iter().zip(all(0)) {
            let mut m = [0u8; 64];
            a.encode(5, 0, &mut m);
            assert_eq!(a.decode(&m), Decoded::Reply { seq: 5, far: None }, "{}", a.name());
            assert!(matches!(b.decode(&m), Decoded::Foreign(_)), "{}", a.name());
            assert!(matches!(a.decode(&m[..15]), Decoded::Foreign(_)), "{}", a.name());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_none_are_ours(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            for mut peer in all(0) {
                prop_assert!(matches!(peer.decode(&bytes), Decoded::Foreign(_)));
            }
        }
    }
}

//! `tcp-connect`: the far host's kernel answers each SYN with a SYN-ACK; any TCP port that listens will do, and nothing of
//! ours needs to run there.
//!
//! Each probe is a connection of its own, ended by a reset once it stands. A server sees connections that say nothing, so
//! they are paced: one each 10 ms unless `--rate` asks for more. A listener whose accept queue is full drops the SYN
//! (`tcp_conn_request`, net/ipv4/tcp_input.c), which the client repeats only after a second (`TCP_TIMEOUT_INIT`, include/net/tcp.h):
//! that probe is slow or, by `--timeout`, lost. The message carries nothing of the probe to the far end; its size has no effect.

use lowlat_transport::{Ns, Proto};

use crate::{Decoded, ECHOED_SHORTEST, Echoed, POLITE_NS, Peer, PeerEntry, PeerOptions};

/// The list entry.
pub const ENTRY: PeerEntry = PeerEntry {
    name: "tcp-connect",
    protos: PROTOS,
    default_port: 0,
    where_refused: "name a port on which a server listens",
    make: |o| Box::new(TcpConnect::new(o)),
};

const PROTOS: &[Proto] = &[Proto::TcpConnect];
/// A payload of one segment on Ethernet; it stays on this host.
const LONGEST: usize = 1_460;

/// Handshake probes.
#[derive(Debug)]
pub struct TcpConnect {
    echoed: Echoed,
    asked_ns: Ns,
}

impl TcpConnect {
    /// With a new cookie.
    pub fn new(options: &PeerOptions) -> Self {
        Self { echoed: Echoed::new(), asked_ns: options.interval_ns }
    }
}

impl Peer for TcpConnect {
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
        self.echoed.decode(message, "a handshake of another run")
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
    fn it_is_polite_unless_a_pace_is_asked_for() {
        assert_eq!(TcpConnect::new(&PeerOptions::default()).min_interval(), Some(POLITE_NS));
        let asked = PeerOptions { interval_ns: 1_000, ..PeerOptions::default() };
        assert_eq!(TcpConnect::new(&asked).min_interval(), None);
    }

    #[test]
    fn a_message_is_known_again_and_another_runs_is_not() {
        let (mut a, mut b) = (TcpConnect::new(&PeerOptions::default()), TcpConnect::new(&PeerOptions::default()));
        let mut m = [0u8; 64];
        a.encode(5, 0, &mut m);
        assert_eq!(a.decode(&m), Decoded::Reply { seq: 5, far: None });
        assert!(matches!(b.decode(&m), Decoded::Foreign(_)));
    }
}

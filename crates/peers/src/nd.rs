//! `nd`: the far host's kernel answers neighbour solicitations (RFC 4861 §4.3); nothing needs to run there.
//!
//! What `arp` is for IPv4: the round trip of one link. An answer carries nothing of its request, so the engine hands the message
//! back itself. Nobody at the far end was asked, so probes are paced: one each 10 ms unless `--rate` asks for more.

use lowlat_transport::Proto;

use crate::echoed::EchoedPeer;
use crate::{Peer, PeerEntry, PeerOptions};

/// The list entry.
pub const ENTRY: PeerEntry = PeerEntry {
    name: "nd",
    protos: &[Proto::Nd],
    default_port: 0,
    where_refused: "name a host of the same link",
    make,
};

/// A payload of one frame on Ethernet; it stays on this host.
const LONGEST: usize = 1_460;

fn make(options: &PeerOptions) -> Box<dyn Peer> {
    Box::new(EchoedPeer::new(&ENTRY, (LONGEST, "an answer to another run"), options))
}

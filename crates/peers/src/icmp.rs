//! `icmp`: the far host's kernel answers echo requests; nothing needs to run there.
//!
//! The payload is `cookie u64 | sequence u64 | padding`, native-endian: it comes back unchanged, so the answer is
//! recognised by its payload. The header's identifier cannot serve for that (the kernel rewrites it on ping sockets),
//! nor can its sequence number (16 bits wrap within a second of an open loop). There are no timestamps of the far end:
//! the far kernel's own time is part of the round trip.
//!
//! Nobody at the far end was asked, so probes are paced: one each 10 ms unless `--rate` asks for more.

use lowlat_transport::Proto;

use crate::echoed::EchoedPeer;
use crate::{Peer, PeerEntry, PeerOptions};

/// The list entry.
pub const ENTRY: PeerEntry = PeerEntry {
    name: "icmp",
    protos: &[Proto::Icmp],
    default_port: 0,
    where_refused: "let the far host answer echo requests (net.ipv4.icmp_echo_ignore_all)",
    make,
};

/// What an echo over IPv4 carries.
const LONGEST: usize = 65507;

fn make(options: &PeerOptions) -> Box<dyn Peer> {
    Box::new(EchoedPeer::new(&ENTRY, (LONGEST, "an echo of another program"), options).shaped())
}

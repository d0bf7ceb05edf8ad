//! `tcp-connect`: the far host's kernel answers each SYN with a SYN-ACK; any TCP port that listens will do, and nothing of
//! ours needs to run there.
//!
//! Each probe is a connection of its own, ended by a reset once it stands. A server sees connections that say nothing, so
//! they are paced: one each 10 ms unless `--rate` asks for more. A listener whose accept queue is full drops the SYN
//! (`tcp_conn_request`, net/ipv4/tcp_input.c), which the client repeats only after a second (`TCP_TIMEOUT_INIT`, include/net/tcp.h):
//! that probe is slow or, by `--timeout`, lost. The message carries nothing of the probe to the far end; its size has no effect.

use lowlat_transport::Proto;

use crate::echoed::EchoedPeer;
use crate::{Peer, PeerEntry, PeerOptions};

/// The list entry.
pub const ENTRY: PeerEntry = PeerEntry {
    name: "tcp-connect",
    protos: &[Proto::TcpConnect],
    default_port: 0,
    where_refused: "name a port on which a server listens",
    make,
};

/// A payload of one segment on Ethernet; it stays on this host.
const LONGEST: usize = 1_460;

fn make(options: &PeerOptions) -> Box<dyn Peer> {
    Box::new(EchoedPeer::new(&ENTRY, (LONGEST, "a handshake of another run"), options))
}

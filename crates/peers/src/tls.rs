//! `tls`: a server that speaks TLS answers a ClientHello with its ServerHello; any HTTPS, TLS or WSS port will do, and nothing of
//! ours needs to run there.
//!
//! The round trip is from the ClientHello to the first record of the answer: one round trip of the path, and the server's own
//! work in between, of which its key exchange is most. What `tcp-connect` shows for the same port is the path and the two kernels
//! alone; the difference is the server. The connection below it is made before the probe is due and does not count.
//!
//! The server's certificate is not looked at and no session is made: the connection is ended by a reset after the first record, so
//! nothing that the server says is trusted. The ClientHello (RFC 8446 §4.1.2) offers TLS 1.3 and 1.2 and names the server where
//! the target is a name (SNI, RFC 6066 §3), which many servers want. An alert, another protocol, and a server that closes the
//! connection are reported as such and end the run.
//!
//! Nobody at the far end was asked, and each probe costs the server a key exchange, so probes are paced: one each 10 ms
//! unless `--rate` asks for more. The port is 443 unless the target names one.

use lowlat_transport::Proto;

use crate::echoed::EchoedPeer;
use crate::{Peer, PeerEntry, PeerOptions};

/// The list entry.
pub const ENTRY: PeerEntry = PeerEntry {
    name: "tls",
    protos: &[Proto::Tls],
    default_port: 443,
    where_refused: "leave the port out (443), or name one on which a TLS server listens",
    make,
};

/// A payload of one segment on Ethernet; it stays on this host.
const LONGEST: usize = 1_460;

fn make(options: &PeerOptions) -> Box<dyn Peer> {
    Box::new(EchoedPeer::new(&ENTRY, (LONGEST, "a handshake of another run"), options))
}

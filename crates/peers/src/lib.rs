//! What the bytes of a probe mean: one file per far-end protocol, one line per file in [`PEERS`], and the far end
//! itself (`lowlat serve`).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod arp;
mod echoed;
pub mod icmp;
pub mod irtt;
pub mod key;
pub mod lowlat;
pub mod nd;
pub mod reflector;
pub mod serve;
pub mod sockperf;
pub mod stamp;
pub mod tcp_connect;
pub mod tls;
pub mod udp_closed;

use std::sync::atomic::AtomicBool;

use lowlat_transport::{Engine, EngineError, Ns, Proto};

pub use key::Key;

/// Two clock readings of the far end, on its own clock: only their difference means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FarStamps {
    /// The probe reached the far end's program, ns.
    pub received_ns: u64,
    /// The answer left it, ns.
    pub sent_ns: u64,
    /// The probe reached the far end's kernel, ns, where the protocol carries that and the kernel stamped it.
    pub kernel_ns: Option<u64>,
}

/// What a message turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// The answer to probe `seq` (counted from 0).
    Reply {
        /// Which probe.
        seq: u64,
        /// The far end's stamps, where the protocol carries them.
        far: Option<FarStamps>,
    },
    /// No answer of ours, and why.
    Foreign(&'static str),
}

/// Writes probes and reads answers of one far-end protocol. No I/O but in [`Peer::open`] and [`Peer::close`], and no
/// allocation after construction.
pub trait Peer {
    /// `lowlat`, `sockperf`, `stamp`, `irtt`, `icmp`, `tcp-connect`, `tls`, `udp-closed`, `arp`, `nd`.
    fn name(&self) -> &'static str;
    /// Protocols it runs on.
    fn protos(&self) -> &'static [Proto];
    /// Port its far ends use; 0 where it has none.
    fn default_port(&self) -> u16;
    /// Smallest and largest message, bytes.
    fn message_sizes(&self) -> (usize, usize);
    /// Handshake, for protocols that have one, until `until` (`CLOCK_MONOTONIC`). It ends early, and without an error, once `stop` is
    /// set: whoever set it knows why.
    fn open(&mut self, engine: &mut dyn Engine, until: Ns, stop: &AtomicBool) -> Result<(), EngineError> {
        let _ = (engine, until, stop);
        Ok(())
    }
    /// How long [`Peer::open`] has to be given, ns, where that is longer than an answer may take; 0 where it is not.
    fn opens_within(&self) -> Ns {
        0
    }
    /// What [`Peer::open`] found that holds for the next session with the same far end ([`PeerOptions::found`]).
    fn found(&self) -> Option<FoundPace> {
        None
    }
    /// Writes probe `seq`, planned for `planned`, over the whole of `message`.
    fn encode(&mut self, seq: u64, planned: Ns, message: &mut [u8]);
    /// Reads a message. Never panics, whatever the bytes.
    fn decode(&mut self, message: &[u8]) -> Decoded;
    /// For streams: the length of the message at the start of `bytes`, when enough of it is there to tell.
    fn framing(&self) -> fn(&[u8]) -> Option<usize>;
    /// Whether its probes ask for the far kernel's receive stamp ([`FarStamps::kernel_ns`]).
    fn asks_far_stamp(&self) -> bool {
        false
    }
    /// The least time between two probes that the far end answers, ns, known once [`Peer::open`] has returned; `None`
    /// where it sets no limit. Probes that come faster are not answered and count as lost.
    fn min_interval(&self) -> Option<Ns> {
        None
    }
    /// Whether [`Peer::min_interval`] is a limit that the far end was found to have, and not a courtesy to it.
    fn limits_answers(&self) -> bool {
        false
    }
    /// Whether the messages of one run may have any sizes within [`Peer::message_sizes`], and may leave at any time. `false`
    /// for protocols that agree on one size or one pace.
    fn takes_shapes(&self) -> bool {
        false
    }
    /// Farewell, for protocols that have one.
    fn close(&mut self, engine: &mut dyn Engine) {
        let _ = engine;
    }
}

/// The pace that a far end was found to answer at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundPace {
    /// Time between the probes that it was tried with, ns. That there is no limit holds for no faster ones.
    pub tried_ns: Ns,
    /// The least time between two probes that it answers, ns; `None` where it kept none back.
    pub limit_ns: Option<Ns>,
}

/// What a peer is made from.
#[derive(Debug, Clone, Default)]
pub struct PeerOptions {
    /// Key shared with the far end.
    pub key: Option<Key>,
    /// Length of the probes, bytes; protocols with a handshake agree on it.
    pub message_len: usize,
    /// How long the run will take at most, ns, where a handshake asks; 0 for the far end's own limit.
    pub duration_ns: u64,
    /// Time between probes, ns, where a handshake asks; 0 for as fast as they go.
    pub interval_ns: u64,
    /// Ask the far end for its kernel's receive stamp, where the protocol has room for it.
    pub stamps: bool,
    /// What an earlier session with the same far end found ([`Peer::found`]), so that this one need not.
    pub found: Option<FoundPace>,
}

/// One protocol of far ends.
#[derive(Debug, Clone, Copy)]
pub struct PeerEntry {
    /// Name in `--peer` and in results.
    pub name: &'static str,
    /// Protocols it runs on.
    pub protos: &'static [Proto],
    /// Port its far ends use; 0 where it has none.
    pub default_port: u16,
    /// What to do where nothing listens at its port.
    pub where_refused: &'static str,
    /// Makes one.
    pub make: fn(&PeerOptions) -> Box<dyn Peer>,
}

/// The protocols, one file each.
pub const PEERS: &[PeerEntry] = &[
    // What runs at the far end.
    lowlat::ENTRY,
    sockperf::ENTRY,
    stamp::ENTRY,
    irtt::ENTRY,
    // The far host's kernel, or a server of any make, which answers whoever asks.
    icmp::ENTRY,
    tcp_connect::ENTRY,
    tls::ENTRY,
    udp_closed::ENTRY,
    arp::ENTRY,
    nd::ENTRY,
];

/// A protocol by name.
pub fn find(name: &str) -> Option<&'static PeerEntry> {
    PEERS.iter().find(|e| e.name == name)
}

/// A number nobody can guess, so that answers to other runs and forged ones do not fit: std's hasher keys are seeded
/// from the kernel's random source.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// The sequence number, not above `newest`, whose lower half is `low`; `None` if none can have been sent.
pub(crate) fn widen(newest: u64, low: u32) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation)] // the lower half
    let behind = (newest as u32).wrapping_sub(low);
    newest.checked_sub(u64::from(behind))
}

/// `N` bytes at an offset; `None` where the message is too short.
pub(crate) fn bytes_at<const N: usize>(message: &[u8], at: usize) -> Option<[u8; N]> {
    message.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_are_widened_to_what_was_sent() {
        assert_eq!(widen(5, 3), Some(3));
        assert_eq!(widen(5, 6), None, "not sent yet");
        assert_eq!(widen((1 << 32) + 1, u32::MAX), Some((1 << 32) - 1), "across the wrap");
    }

    #[test]
    fn every_peer_file_is_in_the_list() {
        let names: Vec<_> = PEERS.iter().map(|p| p.name).collect();
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().replace('_', "-");
            if path.is_file() && !["lib", "key", "reflector", "echoed"].contains(&name.as_str()) {
                assert!(names.contains(&name.as_str()), "{name} is not in PEERS");
            }
        }
        for entry in PEERS {
            let peer = (entry.make)(&PeerOptions { message_len: 64, ..PeerOptions::default() });
            assert_eq!(
                (peer.name(), peer.default_port(), peer.protos()),
                (entry.name, entry.default_port, entry.protos)
            );
            assert_eq!(find(entry.name).map(|e| e.name), Some(entry.name));
            let one_size = ["irtt", "tcp-connect"].contains(&entry.name);
            assert!(!(peer.takes_shapes() && one_size), "{}", entry.name);
            let port = entry.default_port.to_string();
            assert!(port == "0" || entry.where_refused.contains(&port), "{}", entry.where_refused);
        }
        assert!(find("nobody").is_none());
    }
}

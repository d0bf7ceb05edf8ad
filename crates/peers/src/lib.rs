//! What the bytes of a probe are: one file per far-end protocol, one line per file in [`PEERS`], and the far end
//! itself (`lowlat serve`).

use lowlat_transport::{Engine, EngineError, Ns, Proto};

/// Two clock readings of the far end, on its own clock: only their difference means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FarStamps {
    /// The probe reached the far end's program, ns.
    pub received_ns: u64,
    /// The answer left it, ns.
    pub sent_ns: u64,
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
    /// `lowlat`, `sockperf`, `stamp`, `irtt`, `icmp`.
    fn name(&self) -> &'static str;
    /// Protocols it runs on.
    fn protos(&self) -> &'static [Proto];
    /// Port its far ends use; 0 where it has none.
    fn default_port(&self) -> u16;
    /// Smallest and largest message, bytes.
    fn message_sizes(&self) -> (usize, usize);
    /// Handshake, for protocols that have one, until `until` (`CLOCK_MONOTONIC`).
    fn open(&mut self, engine: &mut dyn Engine, until: Ns) -> Result<(), EngineError> {
        let _ = (engine, until);
        Ok(())
    }
    /// Writes probe `seq`, planned for `planned`, over the whole of `message`.
    fn encode(&mut self, seq: u64, planned: Ns, message: &mut [u8]);
    /// Reads a message. Never panics, whatever the bytes.
    fn decode(&mut self, message: &[u8]) -> Decoded;
    /// For streams: the length of the message at the start of `bytes`, when enough of it is there to tell.
    fn framing(&self) -> fn(&[u8]) -> Option<usize>;
    /// Farewell, for protocols that have one.
    fn close(&mut self, engine: &mut dyn Engine) {
        let _ = engine;
    }
}

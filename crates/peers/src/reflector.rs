//! The far side of a protocol: what it makes of a message.

use lowlat_transport::Ns;

/// When and how a message came.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// It reached this program, `CLOCK_MONOTONIC`.
    pub at: Ns,
    /// Its time to live, where the protocol asks for it.
    pub ttl: Option<u8>,
    /// It reached this host's kernel, `CLOCK_MONOTONIC`, where the sender asks for that.
    pub kernel: Option<Ns>,
}

/// Why a message gets no answer. None of these is an error of the far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// Not a message of this protocol, or an answer.
    Malformed,
    /// No tag of the shared key.
    Unauthenticated,
    /// With the right tag, but it came before.
    Replayed,
    /// The sender asked for no answer.
    NoneWanted,
}

/// What a reflector made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reflection {
    /// The first so many bytes of the message, which is now the answer. Never more than came.
    Reply(usize),
    /// Nothing is sent.
    Ignore(Ignored),
    /// What follows on this connection is to be read and thrown away.
    Sink,
}

/// The far side of one protocol.
pub trait Reflector: Send {
    /// The protocol.
    fn name(&self) -> &'static str;
    /// Longest message, bytes.
    fn longest(&self) -> usize;
    /// Whether answers need the arrival's time to live.
    fn wants_ttl(&self) -> bool {
        false
    }
    /// Whether a message asks for the kernel's receive stamp.
    fn wants_stamp(&self, message: &[u8]) -> bool {
        let _ = message;
        false
    }
    /// Turns a message into its answer, in place. Never panics, whatever the bytes, and allocates nothing.
    fn reflect(&mut self, message: &mut [u8], arrival: &Arrival) -> Reflection;
    /// For streams, as [`crate::Peer::framing`].
    fn framing(&self) -> fn(&[u8]) -> Option<usize>;
}

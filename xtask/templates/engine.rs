//! `new-unit`: FILL IN: how it waits for an answer, and what that takes out of the receive path.
//!
//! ## What it gives up
//! Bypass: none.

use crate::clock::now;
use crate::socket::Socket;
use crate::{Caps, Endpoint, Engine, EngineError, Flow, Got, Ns, Stamper, TxStamp};

/// Name in `--engine` and in results.
pub const NAME: &str = "new-unit";
/// What it costs its user.
pub const COSTS: &str = "FILL IN: processor, privileges, what else";

/// FILL IN: what it does.
#[derive(Debug)]
pub struct NewUnitEngine {
    socket: Socket,
    caps: Caps,
}

/// Opens it.
pub fn open(endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    let socket = Socket::connect(NAME, endpoint)?;
    let caps = socket.caps(true, "FILL IN: how it waits", COSTS);
    Ok(Box::new(NewUnitEngine { socket, caps }))
}

impl Engine for NewUnitEngine {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        self.socket.send(message)
    }

    // FILL IN: its own way to wait; this one spins.
    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
        loop {
            let got = self.socket.receive(buf, libc::MSG_DONTWAIT)?;
            if got.is_some() || now() >= until {
                return Ok(got);
            }
        }
    }

    fn tx_stamps(&mut self, out: &mut Vec<TxStamp>) {
        self.socket.tx_stamps(out);
    }

    fn stamper(&mut self) -> Option<&mut dyn Stamper> {
        self.socket.stamper()
    }

    fn set_framing(&mut self, message_len: fn(&[u8]) -> Option<usize>) {
        self.socket.set_framing(message_len);
    }

    fn discarded(&self) -> u64 {
        self.socket.discarded()
    }

    fn flow(&self) -> Flow {
        self.socket.flow()
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::Proto;

    #[test]
    fn an_answer_comes_and_silence_ends_at_its_time() {
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut engine = open(&Endpoint::new(Proto::Udp, far.local_addr().unwrap(), 64)).unwrap();
        engine.send(&[7; 64]).unwrap();
        let mut buf = [0; 64];
        let (len, from) = far.recv_from(&mut buf).unwrap();
        far.send_to(&buf[..len], from).unwrap();
        assert!(engine.recv(&mut buf, now() + 5_000_000_000).unwrap().is_some());
        assert!(engine.recv(&mut buf, now() + 1_000_000).unwrap().is_none());
        // FILL IN: how it waits, in its words and its costs.
        let words = format!("{} {}", engine.caps().words, engine.caps().costs);
        assert!(!words.contains("FILL IN"), "FILL IN: it waits as spin does, and says nothing of itself yet: {words}");
    }
}

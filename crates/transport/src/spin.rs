//! `spin`: reads the socket in a loop (`MSG_DONTWAIT`), so that no wake-up comes between the answer and the program.
//!
//! This takes the scheduler and the exit from an idle state out of the receive path; the interrupt and the stack stay
//! in it.

use crate::clock::now;
use crate::gaps::Gaps;
use crate::socket::Socket;
use crate::{Caps, Endpoint, Engine, EngineError, Flow, Got, Ns, Stamper, TxStamp};

/// Name in `--engine` and in results.
pub const NAME: &str = "spin";
/// What it costs its user.
pub const COSTS: &str = "one core, fully, while it waits";

/// Spins in `recv`.
#[derive(Debug)]
pub struct SpinEngine {
    socket: Socket,
    caps: Caps,
    gaps: Gaps,
}

/// Opens it.
pub fn open(endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    let socket = Socket::connect(NAME, endpoint)?;
    let caps = socket.caps(true, "spinning on MSG_DONTWAIT", COSTS);
    Ok(Box::new(SpinEngine { socket, caps, gaps: Gaps::new() }))
}

impl Engine for SpinEngine {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        self.socket.send(message)
    }

    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
        let mut last = Ns::MAX;
        loop {
            let got = self.socket.receive(buf, libc::MSG_DONTWAIT)?;
            // The clock is read once a turn in any case, so interruptions show for nothing.
            let at = got.map_or_else(now, |got| got.at);
            self.gaps.look(last, at);
            if got.is_some() || at >= until {
                return Ok(got);
            }
            last = at;
        }
    }

    fn tx_stamps(&mut self, out: &mut Vec<TxStamp>) {
        self.socket.tx_stamps(out);
    }

    fn stamper(&mut self) -> Option<&mut dyn Stamper> {
        self.socket.stamper()
    }

    fn gaps(&mut self) -> Option<&mut Gaps> {
        Some(&mut self.gaps)
    }

    fn set_framing(&mut self, message_len: fn(&[u8]) -> Option<usize>) {
        self.socket.set_framing(message_len);
    }

    fn discarded(&self) -> u64 {
        self.socket.discarded()
    }

    fn system_calls(&self) -> Option<u64> {
        Some(self.socket.calls())
    }

    fn flow(&self) -> Flow {
        self.socket.flow()
    }
}

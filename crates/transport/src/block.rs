//! `block`: the thread sleeps in the kernel until the answer is there.
//!
//! What an ordinary program does, and the line the other engines are held against. One `send` and one `recv` per round
//! trip: the timeout is the socket's own (`SO_RCVTIMEO`), set anew only when it no longer fits the deadline, and the
//! time left is counted from the send's own clock reading. (A readiness call per round trip, as this engine once made,
//! cost 15 %.) The measuring thread has given up its restartable sequences meanwhile (`thread`), whose upkeep at each
//! switch cost another 1 %.

use crate::clock::now;
use crate::socket::Socket;
use crate::{Caps, Endpoint, Engine, EngineError, Got, Ns, Stamper, TxStamp, os};

/// Name in `--engine` and in results.
pub const NAME: &str = "block";
/// What it costs its user.
pub const COSTS: &str = "a sleep and a wake-up in each round trip; no CPU while waiting";

/// `SO_RCVTIMEO` counts in ticks of 1–10 ms (`CONFIG_HZ`), and a wait may take two of them more than asked: so it is at
/// most half of what is left, and deadlines nearer than four of the longest ticks are kept with `ppoll`, whose timer is
/// exact.
const NEAR_NS: u64 = 40_000_000;

/// Sleeps in `recv`.
#[derive(Debug)]
pub struct BlockEngine {
    socket: Socket,
    caps: Caps,
    /// The receive timeout the socket has, ns; 0 for none.
    armed: u64,
    /// When the last send was, if nothing was asked since.
    sent: Option<Ns>,
}

/// Opens it.
pub fn open(endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    let socket = Socket::connect(NAME, endpoint)?;
    let caps = socket.caps(false, "sleeping in recv", COSTS);
    Ok(Box::new(BlockEngine { socket, caps, armed: 0, sent: None }))
}

impl BlockEngine {
    /// Has a receive give up before the deadline but not uselessly early. Giving up early costs one more turn of the
    /// loop; giving up late would break the caller's plan.
    #[inline]
    fn arm(&mut self, left: u64) -> Result<(), EngineError> {
        if self.armed <= left / 2 && self.armed > left / 8 {
            return Ok(());
        }
        let ns = left / 8 * 3;
        os::set_receive_timeout(self.socket.fd(), ns)
            .map_err(|e| EngineError::Os { what: "SO_RCVTIMEO".to_owned(), source: e })?;
        self.armed = ns;
        Ok(())
    }
}

impl Engine for BlockEngine {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        let at = self.socket.send(message)?;
        self.sent = Some(at);
        Ok(at)
    }

    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
        // Right after a send its own clock reading will do for the first try, which gives up after half of the time
        // left: a reading less in each round trip.
        let mut recent = self.sent.take();
        loop {
            let left = until.saturating_sub(recent.take().unwrap_or_else(now));
            let got = if left > NEAR_NS {
                self.arm(left)?;
                self.socket.receive(buf, 0)?
            } else {
                let got = self.socket.receive(buf, libc::MSG_DONTWAIT)?;
                if got.is_none() {
                    if left == 0 {
                        return Ok(None);
                    }
                    self.socket.wait_readable(left)?;
                }
                got
            };
            if got.is_some() {
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
}

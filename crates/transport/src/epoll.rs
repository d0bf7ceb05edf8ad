//! `epoll`: sleeps in `epoll_wait`, then reads, as event-loop programs do: two system calls per answer.
//!
//! ## What it gives up
//! Bypass: none.

use std::os::fd::{AsFd, OwnedFd};

use crate::clock::now;
use crate::socket::Socket;
use crate::{Caps, Endpoint, Engine, EngineError, Flow, Got, Ns, Stamper, TxStamp, os};

/// Name in `--engine` and in results.
pub const NAME: &str = "epoll";
/// What it costs its user.
pub const COSTS: &str = "a sleep, a wake-up and one more system call in each round trip; no CPU while waiting";

/// Sleeps in `epoll_wait`.
#[derive(Debug)]
pub struct EpollEngine {
    socket: Socket,
    epoll: OwnedFd,
    caps: Caps,
}

/// Opens it.
pub fn open(endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    let socket = Socket::connect(NAME, endpoint)?;
    let epoll = os::epoll().and_then(|e| {
        os::epoll_add(e.as_fd(), socket.fd(), libc::EPOLLIN, 0)?;
        Ok(e)
    });
    let epoll = epoll.map_err(|e| EngineError::Os { what: "epoll of the socket".to_owned(), source: e })?;
    let caps = socket.caps(false, "sleeping in epoll_wait", COSTS);
    Ok(Box::new(EpollEngine { socket, epoll, caps }))
}

impl Engine for EpollEngine {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn counts_calls(&self) -> bool {
        true
    }

    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        self.socket.send(message)
    }

    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
        loop {
            let left = until.saturating_sub(now());
            let mut events = [os::Event { events: 0, u64: 0 }; 1];
            // A stream may hold a whole message that no event will report.
            if self.socket.has_message() {
                return self.socket.receive(buf, libc::MSG_DONTWAIT);
            }
            match os::epoll_wait(self.epoll.as_fd(), &mut events, left) {
                Ok(0) if left == 0 => return Ok(None),
                Ok(0) => continue,
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(EngineError::Os { what: "epoll_wait".to_owned(), source: e }),
            }
            if events[0].events & libc::EPOLLERR.cast_unsigned() != 0 {
                self.socket.quiet(libc::POLLERR);
            }
            let got = self.socket.receive(buf, libc::MSG_DONTWAIT)?;
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

    fn flow(&self) -> Flow {
        self.socket.flow()
    }
}

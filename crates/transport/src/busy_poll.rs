//! `busy-poll`: spins like `spin`, and each call polls the NIC's queue itself (`SO_BUSY_POLL`) instead of waiting for
//! the interrupt to do it; the interrupts stay off meanwhile (`SO_PREFER_BUSY_POLL`, Linux 5.11).
//!
//! Source: Documentation/networking/napi.rst, "Busy polling". This acts only on sockets whose packets came through a
//! NAPI instance that has an id (`SO_INCOMING_NAPI_ID`): loopback has none, and a veth pair has one only with an XDP
//! program or with `gro` on (veth_open, drivers/net/veth.c), which is off by default. `caps` says so after the first
//! answer.
//!
//! ## What it gives up
//! Bypass: none.

use std::fmt::Write as _;

use libc::c_int;
use lowlat_model::Capability;

use crate::clock::now;
use crate::socket::Socket;
use crate::{Caps, Endpoint, Engine, EngineError, Flow, Got, Ns, Stamper, TxStamp, os};

/// Name in `--engine` and in results.
pub const NAME: &str = "busy-poll";
/// What it costs its user.
pub const COSTS: &str = "one core while it waits, up to the busy-poll time; needs CAP_NET_ADMIN";

/// When none is asked: 50 µs, the value of Documentation/admin-guide/sysctl/net.rst for several sockets.
const DEFAULT_US: u32 = 50;
/// Packets the kernel takes per poll, `SO_BUSY_POLL_BUDGET`; 8 is its own default (`BUSY_POLL_BUDGET`,
/// net/busy_poll.h).
const BUDGET: c_int = 8;

/// Polls the device from `recv`.
#[derive(Debug)]
pub struct BusyPollEngine {
    socket: Socket,
    caps: Caps,
    /// Whether the kernel has been asked which NAPI instance the answers come through.
    seen: bool,
}

/// Opens it.
pub fn open(endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    let socket = Socket::connect(NAME, endpoint)?;
    let us = endpoint.busy_poll_us.unwrap_or(DEFAULT_US);
    let value = c_int::try_from(us).unwrap_or(c_int::MAX);
    os::set_int(socket.fd(), libc::SOL_SOCKET, libc::SO_BUSY_POLL, value).map_err(|e| EngineError::Unavailable {
        engine: NAME,
        what: format!("SO_BUSY_POLL of {us} µs"),
        why: e.to_string(),
        next: format!("use --engine spin; {}", crate::next_where_denied(&[Capability::NetAdmin])),
    })?;
    let mut how = format!("busy polling {us} µs, each receive polls the queue");
    if os::set_int(socket.fd(), libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, 1).is_err() {
        how.push_str(", without SO_PREFER_BUSY_POLL (kernel before 5.11)");
    } else if let Err(e) = os::set_int(socket.fd(), libc::SOL_SOCKET, os::SO_BUSY_POLL_BUDGET, BUDGET) {
        let _ = write!(how, ", without SO_BUSY_POLL_BUDGET ({e})");
    }
    let caps = socket.caps(true, &how, COSTS);
    Ok(Box::new(BusyPollEngine { socket, caps, seen: false }))
}

impl BusyPollEngine {
    /// Once, at the first answer: is there a queue to poll at all?
    #[cold]
    fn look_at_queue(&mut self) {
        self.seen = true;
        // Below MIN_NAPI_ID (NR_CPUS + 1) the number is a CPU, not a queue; 0 is neither (include/net/busy_poll.h).
        let words = &mut self.caps.words;
        let _ = match os::get_int(self.socket.fd(), libc::SOL_SOCKET, libc::SO_INCOMING_NAPI_ID) {
            Ok(0) => write!(words, "; no effect here: the answers came through no NAPI queue that can be polled"),
            Ok(id) => write!(words, "; NAPI queue {id}"),
            Err(e) => write!(words, "; whether there is a queue to poll is not known ({e})"),
        };
    }
}

impl Engine for BusyPollEngine {
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
            // A non-blocking receive polls the queue once (sk_busy_loop in net/ipv4/udp.c, tcp.c), so the loop is exact
            // about its deadline, which the tick-grained receive timeout would not be.
            let got = self.socket.receive(buf, libc::MSG_DONTWAIT)?;
            if got.is_some() {
                if !self.seen {
                    self.look_at_queue();
                }
                return Ok(got);
            }
            if now() >= until {
                return Ok(None);
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

//! `busy-poll`: spins like `spin`, and each call polls the NIC's queue itself (`SO_BUSY_POLL`) instead of waiting for
//! the interrupt to do it; the interrupts stay off meanwhile (`SO_PREFER_BUSY_POLL`, Linux 5.11).
//!
//! Source: Documentation/networking/napi.rst, "Busy polling". This acts only on sockets whose packets came through a
//! NAPI instance that has an id (`SO_INCOMING_NAPI_ID`): loopback has none, and a veth pair has one only with an XDP
//! program or with `gro` on (veth_open, drivers/net/veth.c), which is off by default. `caps` says so after the first
//! answer.

use std::fmt::Write as _;
use std::os::fd::BorrowedFd;

use libc::c_int;
use lowlat_model::Capability;

use crate::clock::now;
use crate::socket::Socket;
use crate::{Caps, Endpoint, Engine, EngineError, EngineOption, Flow, Got, Ns, Stamper, TxStamp, os};

/// Name in `--engine` and in results.
pub const NAME: &str = "busy-poll";
/// What it costs its user.
pub const COSTS: &str = "one core while it waits, up to the busy-poll time; needs CAP_NET_ADMIN";

/// When none is asked: 50 µs, the value of Documentation/admin-guide/sysctl/net.rst for several sockets.
pub const DEFAULT_US: u32 = 50;
const PREFER: &str = "SO_PREFER_BUSY_POLL";
/// Packets the kernel takes per poll, `SO_BUSY_POLL_BUDGET`; 8 is its own default (`BUSY_POLL_BUDGET`,
/// net/busy_poll.h).
const BUDGET: c_int = 8;

/// Polls the device from `recv`.
#[derive(Debug)]
pub struct BusyPollEngine {
    socket: Socket,
    caps: Caps,
    options: Vec<EngineOption>,
    /// Whether the kernel has been asked which NAPI instance the answers come through.
    seen: bool,
}

/// Opens it.
pub fn open(endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    let socket = Socket::connect(NAME, endpoint)?;
    let us = endpoint.busy_poll_us.unwrap_or(DEFAULT_US);
    let options = ask(socket.fd(), us)?;
    let mut how = format!("busy polling {us} µs, each receive polls the queue");
    for lacking in options.iter().filter(|o| o.got.is_none()) {
        let _ = write!(how, ", without {} ({})", lacking.option, lacking.why_not.as_deref().unwrap_or("not known"));
    }
    let caps = socket.caps(true, &how, COSTS);
    Ok(Box::new(BusyPollEngine { socket, caps, options, seen: false }))
}

/// Asks for busy polling of so many µs and what goes with it, and reads them back.
pub fn ask(fd: BorrowedFd<'_>, us: u32) -> Result<Vec<EngineOption>, EngineError> {
    let value = c_int::try_from(us).unwrap_or(c_int::MAX);
    os::set_int(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL, value).map_err(|e| EngineError::Unavailable {
        engine: NAME,
        what: format!("SO_BUSY_POLL of {us} µs"),
        why: e.to_string(),
        next: format!("use --engine spin; {}", crate::next_where_denied(&[Capability::NetAdmin])),
    })?;
    let stands = |name| os::get_int(fd, libc::SOL_SOCKET, name).ok();
    let set = |name, value| os::set_int(fd, libc::SOL_SOCKET, name, value);
    let busy_poll = match stands(libc::SO_BUSY_POLL) {
        Some(us) => EngineOption::got("SO_BUSY_POLL", format!("{us} µs")),
        None => EngineOption::got("SO_BUSY_POLL", format!("{us} µs, which the kernel does not give back")),
    };
    let prefer = match set(os::SO_PREFER_BUSY_POLL, 1).map(|()| stands(os::SO_PREFER_BUSY_POLL)) {
        Ok(Some(0)) => EngineOption::lacking(PREFER, "taken without an error, and still off"),
        Ok(_) => EngineOption::got(PREFER, "on"),
        Err(e) => EngineOption::lacking(PREFER, why(&e)),
    };
    let budget = match set(os::SO_BUSY_POLL_BUDGET, BUDGET) {
        // net/core/sock.c, sk_getsockopt: it cannot be read back.
        Ok(()) => EngineOption::got("SO_BUSY_POLL_BUDGET", format!("{BUDGET} packets")),
        Err(e) => EngineOption::lacking("SO_BUSY_POLL_BUDGET", why(&e)),
    };
    Ok(vec![busy_poll, prefer, budget])
}

/// Why the kernel did not take one of the options of 5.11.
fn why(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOPROTOOPT) => "needs Linux 5.11".to_owned(),
        Some(libc::EPERM) => crate::next_where_denied(&[Capability::NetAdmin]),
        _ => error.to_string(),
    }
}

/// The queue that answers came through, after the first.
pub(crate) fn napi_queue(socket: &Socket) -> EngineOption {
    const QUEUE: &str = "NAPI queue";
    match os::get_int(socket.fd(), libc::SOL_SOCKET, libc::SO_INCOMING_NAPI_ID) {
        Ok(0) => EngineOption::lacking(QUEUE, "the answers came through no NAPI queue that can be polled"),
        Ok(id) => EngineOption::got(QUEUE, id.to_string()),
        Err(e) => EngineOption::lacking(QUEUE, format!("whether there is a queue to poll is not known ({e})")),
    }
}

impl BusyPollEngine {
    /// Once, at the first answer: is there a queue to poll at all?
    #[cold]
    fn look_at_queue(&mut self) {
        self.seen = true;
        // Below MIN_NAPI_ID (NR_CPUS + 1) the number is a CPU, not a queue; 0 is neither (include/net/busy_poll.h).
        let queue = napi_queue(&self.socket);
        let _ = match &queue {
            EngineOption { got: Some(id), .. } => write!(self.caps.words, "; NAPI queue {id}"),
            EngineOption { why_not, .. } => {
                write!(self.caps.words, "; no effect here: {}", why_not.as_deref().unwrap_or_default())
            }
        };
        self.options.push(queue);
    }
}

impl Engine for BusyPollEngine {
    fn caps(&self) -> &Caps {
        &self.caps
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

    fn options(&self) -> Vec<EngineOption> {
        self.options.clone()
    }

    fn system_calls(&self) -> Option<u64> {
        Some(self.socket.calls())
    }

    fn flow(&self) -> Flow {
        self.socket.flow()
    }
}

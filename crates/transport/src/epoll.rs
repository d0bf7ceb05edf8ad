//! `epoll`: waits in `epoll_wait`, then reads, as event-loop programs do: two system calls per answer. Before it sleeps,
//! the wait polls the NIC's queue for the busy-poll time (`EPIOCSPARAMS`, Linux 6.9), or for as long as it may wait where that is
//! less: the kernel itself polls past the timeout of the wait (`ep_poll`, `ep_busy_loop`, fs/eventpoll.c).
//!
//! Polling acts only where the answers come through a NAPI queue with an id, as for `busy-poll`, and that it prefers
//! polling to interrupts (`prefer_busy_poll`) only where interrupts are deferred (`nic.napi-defer-hard-irqs` with
//! `nic.gro-flush-timeout`). What the kernel lacks is reported, and the engine then sleeps at once.
//!
//! Source: Documentation/networking/napi.rst, "epoll-based busy polling"; fs/eventpoll.c, `ep_eventpoll_bp_ioctl`.
//!
//! ## What it gives up
//! Bypass: none.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::clock::now;
use crate::socket::Socket;
use crate::{Caps, Endpoint, Engine, EngineError, EngineOption, Flow, Got, Ns, Stamper, TxStamp, busy_poll, os};

/// Name in `--engine` and in results.
pub const NAME: &str = "epoll";
/// What it costs its user.
pub const COSTS: &str = "a sleep, a wake-up and one more system call in each round trip; where the NIC's queue can be \
                         polled, CPU time up to the busy-poll time in each wait";

/// When none is asked: as `busy-poll`.
pub const DEFAULT_US: u32 = 50;
/// Packets of one poll; the kernel's own default (`BUSY_POLL_BUDGET`, net/busy_poll.h).
const BUDGET: u16 = 8;
const PARAMS: &str = "EPIOCSPARAMS";
/// The shortest wait that polls the queue once, ns. One of no time polls nothing (`ep_poll`, fs/eventpoll.c), and while the
/// interrupt is suspended nobody else does.
const SHORTEST_NS: Ns = 1000;

/// Sleeps in `epoll_wait`.
#[derive(Debug)]
pub struct EpollEngine {
    socket: Socket,
    epoll: OwnedFd,
    caps: Caps,
    options: Vec<EngineOption>,
    /// Whether the kernel has been asked which queue the answers come through.
    seen: bool,
    /// Calls of `epoll_wait`, and those that changed its busy-poll time.
    waits: u64,
    /// For how long a wait polls, µs; 0 where it does not.
    poll_us: u32,
    /// What the context has of it now.
    set_us: u32,
}

/// Opens it.
pub fn open(endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    open_as(NAME, COSTS, endpoint)
}

/// Opens it under the name of an engine that is made of it.
pub(crate) fn open_as(name: &'static str, costs: &str, endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    let socket = Socket::connect(name, endpoint)?;
    let epoll = os::epoll().and_then(|e| {
        os::epoll_add(e.as_fd(), socket.fd(), libc::EPOLLIN, 0)?;
        Ok(e)
    });
    let epoll = epoll.map_err(|e| EngineError::Os { what: "epoll of the socket".to_owned(), source: e })?;
    let us = endpoint.busy_poll_us.unwrap_or(DEFAULT_US);
    let polling = polling(epoll.as_fd(), us);
    let how = match &polling {
        EngineOption { got: Some(got), .. } => format!("epoll_wait, {got}"),
        EngineOption { why_not: Some(why), .. } => format!("sleeping in epoll_wait, without {PARAMS} ({why})"),
        EngineOption { .. } => "sleeping in epoll_wait".to_owned(),
    };
    let caps = socket.caps(false, &how, costs);
    let poll_us = if polling.got.is_some() { us } else { 0 };
    let options = if us > 0 { vec![polling] } else { Vec::new() };
    Ok(Box::new(EpollEngine { socket, epoll, caps, options, seen: us == 0, waits: 0, poll_us, set_us: poll_us }))
}

fn wanted(busy_poll_us: u32) -> os::EpollPolling {
    os::EpollPolling { busy_poll_us, budget: BUDGET, prefer: true }
}

/// For how long a wait polls that may last so many ns: as asked, and not past its end.
fn within(poll_us: u32, left: Ns) -> u32 {
    u32::try_from(left / 1000).unwrap_or(u32::MAX).min(poll_us).max(1)
}

/// Has the context poll for so many µs before it sleeps, and reads the values back.
pub fn polling(epoll: BorrowedFd<'_>, us: u32) -> EngineOption {
    if us == 0 {
        return EngineOption { option: PARAMS.to_owned(), ..EngineOption::default() };
    }
    match os::set_epoll_polling(epoll, wanted(us)).and_then(|()| os::epoll_polling(epoll)) {
        Ok(os::EpollPolling { busy_poll_us, budget, prefer }) => EngineOption::got(
            PARAMS,
            format!(
                "busy polling {busy_poll_us} µs before it sleeps, {budget} packets a poll{}",
                if prefer { ", preferred to interrupts" } else { "" }
            ),
        ),
        Err(e) => EngineOption::lacking(
            PARAMS,
            match e.raw_os_error() {
                // No ioctl of epoll before it: vfs_ioctl, fs/ioctl.c.
                Some(libc::ENOTTY) => "needs Linux 6.9".to_owned(),
                Some(libc::EOPNOTSUPP) => "this kernel is without CONFIG_NET_RX_BUSY_POLL".to_owned(),
                _ => e.to_string(),
            },
        ),
    }
}

impl EpollEngine {
    /// Has the next wait, which may last so many ns, end in time.
    #[inline]
    fn fit(&mut self, left: Ns) {
        if self.poll_us == 0 {
            return;
        }
        let us = within(self.poll_us, left);
        if us != self.set_us {
            self.waits += 1;
            // It was taken once with other numbers; where it is not, the wait ends late as before.
            if os::set_epoll_polling(self.epoll.as_fd(), wanted(us)).is_ok() {
                self.set_us = us;
            }
        }
    }

    /// Once, at the first answer: is there a queue to poll at all?
    #[cold]
    fn look_at_queue(&mut self) {
        self.seen = true;
        self.options.push(busy_poll::napi_queue(&self.socket));
    }
}

impl Engine for EpollEngine {
    fn caps(&self) -> &Caps {
        &self.caps
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
            let wait = if self.poll_us > 0 { left.max(SHORTEST_NS) } else { left };
            self.fit(wait);
            self.waits += 1;
            match os::epoll_wait(self.epoll.as_fd(), &mut events, wait) {
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
                if !self.seen {
                    self.look_at_queue();
                }
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

    fn options(&self) -> Vec<EngineOption> {
        self.options.clone()
    }

    fn system_calls(&self) -> Option<u64> {
        Some(self.socket.calls() + self.waits)
    }

    fn flow(&self) -> Flow {
        self.socket.flow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_polls_as_long_as_asked_and_not_past_its_end() {
        for (left_ns, us) in [(u64::MAX, 2000), (2_000_999, 2000), (1_999_999, 1999), (111_000, 111), (900, 1)] {
            assert_eq!(within(2000, left_ns), us, "{left_ns} ns left");
        }
    }
}

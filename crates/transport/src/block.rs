//! `block`: the thread sleeps in the kernel until the answer arrives.
//!
//! This is what an ordinary program does, and what the other engines are compared with. Each round trip is one `send`
//! and one `recv`. The receive has an alarm instead of a timeout; the alarm is set again only when it no longer fits
//! the deadline, and the time left is counted from the send's own clock reading. (An earlier version made one readiness
//! call per round trip, which cost 15 %; the socket's own receive timeout cost 2 %.) The measuring thread does without
//! restartable sequences meanwhile (`thread`), because their upkeep at each context switch cost another 1 %.

use crate::clock::now;
use crate::socket::Socket;
use crate::thread::Alarm;
use crate::{Caps, Endpoint, Engine, EngineError, Flow, Got, Ns, Stamper, TxStamp};

/// Name in `--engine` and in results.
pub const NAME: &str = "block";
/// What it costs its user.
pub const COSTS: &str = "a sleep and a wake-up in each round trip; no CPU while waiting";

/// Deadlines nearer than this are kept with `ppoll`, whose timer ends that very call.
const NEAR_NS: u64 = 20_000_000;
/// An alarm that rings sooner than this is put off. The time from the look at it to the receive is far less, so that it
/// does not ring in between.
const SOON_NS: u64 = 5_000_000;

/// Sleeps in `recv`.
#[derive(Debug)]
pub struct BlockEngine {
    socket: Socket,
    caps: Caps,
    /// `None` where the kernel gives none: every deadline is then kept as a near one.
    alarm: Option<Alarm>,
    /// When it rings.
    rings: Ns,
    /// When the last send was, if nothing was asked since.
    sent: Option<Ns>,
    /// Times that the alarm was set.
    alarms: u64,
}

/// Opens it.
pub fn open(endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    let socket = Socket::connect(NAME, endpoint)?;
    let caps = socket.caps(false, "sleeping in recv", COSTS);
    Ok(Box::new(BlockEngine { socket, caps, alarm: Alarm::new().ok(), rings: 0, sent: None, alarms: 0 }))
}

impl BlockEngine {
    /// Whether a receive from `now` on ends before the deadline, by the alarm; it is set anew if need be. That it rings
    /// early costs one more turn of the loop.
    #[inline]
    fn alarmed(&mut self, now: Ns, until: Ns) -> bool {
        let left = until.saturating_sub(now);
        if left <= NEAR_NS {
            return false;
        }
        if self.rings >= now.saturating_add(SOON_NS) && self.rings <= until - SOON_NS {
            return true;
        }
        self.set(now, left / 2)
    }

    #[cold]
    fn set(&mut self, now: Ns, ns: u64) -> bool {
        self.alarms += 1;
        let rings = self.alarm.as_mut().is_some_and(|alarm| alarm.set(ns).is_ok());
        self.rings = if rings { now.saturating_add(ns) } else { 0 };
        rings
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
        // Right after a send its own clock reading will do for the first try: a reading less in each round trip.
        let mut recent = self.sent.take();
        loop {
            let now = recent.take().unwrap_or_else(now);
            let got = if self.alarmed(now, until) {
                self.socket.receive(buf, 0)?
            } else {
                let got = self.socket.receive(buf, libc::MSG_DONTWAIT)?;
                if got.is_none() {
                    if now >= until {
                        return Ok(None);
                    }
                    self.socket.wait_readable(until - now)?;
                }
                got
            };
            if got.is_some() {
                return Ok(got);
            }
        }
    }

    fn rest(&mut self) {
        // What this thread does next may be a call that a signal would end, even one that sets the host.
        if self.rings > 0
            && let Some(alarm) = &mut self.alarm
        {
            self.rings = 0;
            alarm.stop();
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

    fn system_calls(&self) -> Option<u64> {
        Some(self.socket.calls() + self.alarms)
    }

    fn flow(&self) -> Flow {
        self.socket.flow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Proto;
    use std::io::{Read, Write};
    use std::time::Duration;

    /// More than the buffers of both ends hold.
    const LEN: usize = (1 << 20) - 1;
    const MORE: usize = 24;

    /// Sends the first message back, and takes [`MORE`] only after a while.
    fn slow_peer() -> (std::net::SocketAddr, std::thread::JoinHandle<()>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut room = vec![0; LEN];
            stream.read_exact(&mut room).unwrap();
            stream.write_all(&room).unwrap();
            std::thread::sleep(Duration::from_millis(300));
            for _ in 0..MORE {
                stream.read_exact(&mut room).unwrap();
            }
        });
        (at, peer)
    }

    #[test]
    fn an_alarm_ends_no_send_that_waits_for_room() {
        let (at, peer) = slow_peer();
        let mut engine = open(&Endpoint::new(Proto::Tcp, at, LEN)).unwrap();
        engine.set_framing(|bytes| (!bytes.is_empty()).then_some(LEN));
        let (message, mut buf) = (vec![1; LEN], vec![0; LEN]);
        engine.send(&message).unwrap();
        // The alarm is set for half of this, and rings in the next send.
        let got = engine.recv(&mut buf, now() + 200_000_000).unwrap();
        assert_eq!(got.map(|got| got.len), Some(LEN));
        for _ in 0..MORE {
            engine.send(&message).unwrap();
        }
        drop(engine);
        peer.join().unwrap();
    }

    #[test]
    fn each_round_trip_is_two_calls_and_an_alarm_now_and_then() {
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut engine = open(&Endpoint::new(Proto::Udp, far.local_addr().unwrap(), 64)).unwrap();
        assert_eq!(engine.system_calls(), Some(0));
        for _ in 0..100 {
            engine.send(&[0; 64]).unwrap();
            let (_, from) = far.recv_from(&mut [0; 64]).unwrap();
            far.send_to(&[0; 64], from).unwrap();
            assert!(engine.recv(&mut [0; 64], now() + 10_000_000_000).unwrap().is_some());
        }
        let calls = engine.system_calls().unwrap();
        // 200, and each setting of the alarm; a signal may end a receive, which is then made again.
        assert!((201..=220).contains(&calls), "{calls}");
    }

    #[test]
    fn a_rested_engine_sends_its_thread_no_signal() {
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let near = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut engine = open(&Endpoint::new(Proto::Udp, far.local_addr().unwrap(), 64)).unwrap();
        for rested in [false, true] {
            engine.send(&[0; 64]).unwrap();
            let (_, from) = far.recv_from(&mut [0; 64]).unwrap();
            far.send_to(&[0; 64], from).unwrap();
            assert!(engine.recv(&mut [0; 64], now() + 100_000_000).unwrap().is_some());
            if rested {
                engine.rest();
            }
            near.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
            let ended = crate::os::recv(std::os::fd::AsFd::as_fd(&near), &mut [0; 8], 0).unwrap_err();
            assert_eq!(ended.raw_os_error(), Some(if rested { libc::EAGAIN } else { libc::EINTR }));
        }
    }
}

//! One TCP handshake a probe: SYN out, SYN-ACK back (RFC 9293 §3.5). Any listening TCP port answers, from its kernel, before
//! its program knows; so this measures a path whose far end can run nothing of ours.
//!
//! The message never leaves: it waits here, and is handed back as the answer when its connection stands. Each connection is
//! ended by a reset (`SO_LINGER` 0), which leaves no `TIME_WAIT` on this side and nothing to serve on the other. The socket
//! of the next probe is made before its send, outside the timed part. The time is this program's: the kernel stamps no SYN
//! (`tcp_tx_timestamp` is called for data alone, net/ipv4/tcp.c).

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use crate::clock::now;
use crate::socket::{bind, local, make, path_error, prepare};
use crate::{Caps, Endpoint, Engine, EngineError, Flow, Got, Ns, Proto, block, os, spin};

/// Handshakes under way at most; a far end that answers none must not take all descriptors. The oldest goes first.
const MOST: usize = 512;
/// A payload of one segment on Ethernet; it stays on this host.
const MESSAGE_MAX: usize = 1_460;

/// A handshake under way.
#[derive(Debug)]
struct Pending {
    fd: OwnedFd,
    message: Vec<u8>,
}

/// A handshake a probe.
#[derive(Debug)]
struct ConnectEngine {
    engine: &'static str,
    endpoint: Endpoint,
    caps: Caps,
    spins: bool,
    epoll: OwnedFd,
    next: OwnedFd,
    pending: VecDeque<Pending>,
    port: Option<u16>,
}

/// Opens it as the engine `name`, and makes one handshake to see that something listens.
pub(crate) fn open(name: &str, endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    let (engine, spins, how) = match name {
        block::NAME => (block::NAME, false, "sleeping in epoll_wait"),
        spin::NAME => (spin::NAME, true, "spinning on epoll_wait"),
        _ => {
            return Err(EngineError::Unavailable {
                engine: "tcp-connect",
                what: format!("connect to {} with the engine {name:?}", endpoint.remote),
                why: "a handshake is made by a socket that sleeps or spins".to_owned(),
                next: format!("use --engine {} or {}", block::NAME, spin::NAME),
            });
        }
    };
    // A reset at the end; see `prepare`.
    let endpoint = Endpoint { port_is_reused: true, ..endpoint.clone() };
    let caps = Caps {
        max_message: MESSAGE_MAX,
        spins,
        words: format!("TCP handshakes, {how}"),
        costs: "a socket and a handshake each round trip; the far end's accept queue fills and empties".to_owned(),
    };
    let epoll = os::epoll()
        .map_err(|e| EngineError::Os { what: format!("an epoll instance for {}", endpoint.remote), source: e })?;
    let next = socket(engine, &endpoint)?;
    let mut this = ConnectEngine { engine, endpoint, caps, spins, epoll, next, pending: VecDeque::new(), port: None };
    let sent = this.send(&[])?;
    if this.recv(&mut [], sent.saturating_add(crate::socket::CONNECT_NS))?.is_none() {
        let timeout = std::io::Error::from_raw_os_error(libc::ETIMEDOUT);
        return Err(this.failed(timeout));
    }
    Ok(Box::new(this))
}

/// A socket that is ready to connect.
fn socket(engine: &'static str, endpoint: &Endpoint) -> Result<OwnedFd, EngineError> {
    let (fd, _) = make(engine, endpoint)?;
    prepare(fd.as_fd(), endpoint)?;
    if let Some(local) = local(endpoint, false) {
        bind(fd.as_fd(), engine, local)?;
    }
    Ok(fd)
}

impl ConnectEngine {
    fn failed(&self, error: std::io::Error) -> EngineError {
        path_error("connect to", self.endpoint.remote, (Proto::Tcp, self.endpoint.where_refused), error)
    }

    /// The handshake whose socket the kernel named, with what became of it.
    fn finish(&mut self, fd: u64) -> Option<(Pending, std::io::Result<()>)> {
        let at = self.pending.iter().position(|p| u64::try_from(p.fd.as_raw_fd()) == Ok(fd))?;
        let done = self.pending.remove(at)?;
        let error = os::get_int(done.fd.as_fd(), libc::SOL_SOCKET, libc::SO_ERROR);
        let outcome = error.and_then(|e| if e == 0 { Ok(()) } else { Err(std::io::Error::from_raw_os_error(e)) });
        Some((done, outcome))
    }
}

impl Engine for ConnectEngine {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        let spare = socket(self.engine, &self.endpoint)?;
        let fd = std::mem::replace(&mut self.next, spare);
        let token = u64::try_from(fd.as_raw_fd()).unwrap_or_default();
        let message = message.to_vec();
        let at = now();
        match os::connect(fd.as_fd(), self.endpoint.remote) {
            Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => return Err(self.failed(e)),
            _ => {}
        }
        os::epoll_add(self.epoll.as_fd(), fd.as_fd(), libc::EPOLLOUT, token)
            .map_err(|e| EngineError::Os { what: format!("wait for {}", self.endpoint.remote), source: e })?;
        if self.pending.len() == MOST {
            self.pending.pop_front();
        }
        self.pending.push_back(Pending { fd, message });
        Ok(at)
    }

    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
        let mut events = [os::Event { events: 0, u64: 0 }];
        loop {
            let before = now();
            let wait = if self.spins { 0 } else { until.saturating_sub(before) };
            let ready = match os::epoll_wait(self.epoll.as_fd(), &mut events, wait) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => 0,
                Err(e) => {
                    return Err(EngineError::Os { what: format!("wait for {}", self.endpoint.remote), source: e });
                }
                Ok(n) => n,
            };
            let at = now();
            if ready > 0 {
                let token = events[0].u64;
                if let Some((done, outcome)) = self.finish(token) {
                    outcome.map_err(|e| self.failed(e))?;
                    self.port = os::local_address(done.fd.as_fd()).ok().flatten().map(|a| a.port());
                    let len = done.message.len();
                    if let Some(to) = buf.get_mut(..len) {
                        to.copy_from_slice(&done.message);
                        return Ok(Some(Got { len, at, kernel_rx: None, hardware_rx: None }));
                    }
                }
            } else if at >= until {
                return Ok(None);
            }
        }
    }

    fn flow(&self) -> Flow {
        Flow { source_port: self.port, ..Flow::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    const SECOND: Ns = 1_000_000_000;

    #[test]
    fn each_probe_is_a_connection_that_ends_by_a_reset() {
        for name in [block::NAME, spin::NAME] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let endpoint = Endpoint::new(Proto::TcpConnect, listener.local_addr().unwrap(), 64);
            let mut engine = open(name, &endpoint).unwrap();
            for n in 0..3u8 {
                let sent = engine.send(&[n; 16]).unwrap();
                let mut buf = [0; 64];
                let got = engine.recv(&mut buf, sent + SECOND).unwrap().unwrap();
                assert_eq!(buf[..got.len], [n; 16]);
                assert!(got.at > sent);
            }
            // The one of the start, and three.
            for _ in 0..4 {
                let (mut stream, _) = listener.accept().unwrap();
                let end = stream.read(&mut [0; 16]);
                assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset, "{name}");
            }
            listener.set_nonblocking(true).unwrap();
            assert!(listener.accept().is_err(), "{name}: one connection more than probes");
        }
    }

    #[test]
    fn a_closed_port_and_an_engine_that_cannot_are_named() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let endpoint = Endpoint::new(Proto::TcpConnect, closed, 64);
        let refused = open(block::NAME, &endpoint).err().unwrap().to_string();
        assert!(refused.contains("nothing listens there"), "{refused}");
        let other = open("epoll", &endpoint).err().unwrap().to_string();
        assert!(other.contains("use --engine block or spin"), "{other}");
    }

    #[test]
    fn a_listener_whose_queue_is_full_loses_probes_and_blocks_nothing() {
        let fd = os::socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
        os::bind(fd.as_fd(), "127.0.0.1:0".parse().unwrap()).unwrap();
        os::listen(fd.as_fd(), 0).unwrap();
        let at = os::local_address(fd.as_fd()).unwrap().unwrap();
        // These keep the queue full: it holds one more than its length (`sk_acceptq_is_full`, include/net/sock.h).
        let held = std::net::TcpStream::connect(at).unwrap();
        let endpoint = Endpoint::new(Proto::TcpConnect, at, 64);
        let mut engine = ConnectEngine {
            engine: block::NAME,
            caps: Caps { max_message: 64, spins: false, words: String::new(), costs: String::new() },
            spins: false,
            epoll: os::epoll().unwrap(),
            next: socket(block::NAME, &endpoint).unwrap(),
            endpoint,
            pending: VecDeque::new(),
            port: None,
        };
        let sent = engine.send(&[1; 16]).unwrap();
        let mut buf = [0; 64];
        assert_eq!(engine.recv(&mut buf, sent + 50_000_000).unwrap(), None);
        drop(held);
    }
}

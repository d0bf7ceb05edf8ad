//! One TLS greeting a probe: ClientHello out, the server's first record back.
//!
//! The message never leaves: it waits here, and is handed back as the answer when its record came. The connection of the next
//! probe is made while this one waits, so that a probe's time is that of the greeting alone; one that the server has closed again,
//! since it was idle for too long, is made anew. Each connection is ended by a reset (`SO_LINGER` 0) after the first record,
//! as in `connect.rs`.

mod hello;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use crate::clock::now;
use crate::socket::{bind, local, make, path_error, prepare};
use crate::{Caps, Endpoint, Engine, EngineError, Flow, Got, Ns, Proto, block, os, spin};
use hello::{Answer, TELLING};

/// Greetings under way at most; a server that answers none must not take all descriptors. The oldest goes first.
const MOST: usize = 512;
/// A payload of one segment on Ethernet; it stays on this host.
const MESSAGE_MAX: usize = 1_460;

/// A greeting under way.
#[derive(Debug)]
struct Pending {
    fd: OwnedFd,
    message: Vec<u8>,
    /// The answer's first bytes.
    have: [u8; TELLING],
    len: usize,
}

/// A greeting a probe.
#[derive(Debug)]
struct TlsEngine {
    engine: &'static str,
    endpoint: Endpoint,
    caps: Caps,
    spins: bool,
    epoll: OwnedFd,
    /// Connected, or about to be.
    next: OwnedFd,
    pending: VecDeque<Pending>,
    port: Option<u16>,
}

/// Opens it as the engine `name`, and makes one greeting to see that a server answers it.
pub(crate) fn open(name: &str, endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    let (engine, spins, how) = match name {
        block::NAME => (block::NAME, false, "sleeping in epoll_wait"),
        spin::NAME => (spin::NAME, true, "spinning on epoll_wait"),
        _ => {
            return Err(EngineError::Unavailable {
                engine: "tls",
                what: format!("greet {} with the engine {name:?}", endpoint.remote),
                why: "a greeting is sent by a socket that sleeps or spins".to_owned(),
                next: format!("use --engine {} or {}", block::NAME, spin::NAME),
            });
        }
    };
    // A reset at the end; see `prepare`.
    let endpoint = Endpoint { port_is_reused: true, ..endpoint.clone() };
    let caps = Caps {
        max_message: MESSAGE_MAX,
        spins,
        words: format!("TLS greetings, {how}"),
        costs: "a connection each round trip, and a key exchange of the server".to_owned(),
    };
    let epoll = os::epoll()
        .map_err(|e| EngineError::Os { what: format!("an epoll instance for {}", endpoint.remote), source: e })?;
    let next = connecting(engine, &endpoint)?;
    let mut this = TlsEngine { engine, endpoint, caps, spins, epoll, next, pending: VecDeque::new(), port: None };
    let sent = this.send(&[])?;
    if this.recv(&mut [], sent.saturating_add(crate::socket::CONNECT_NS))?.is_none() {
        return Err(this.refused("it answers no ClientHello", "name a port on which a TLS server listens"));
    }
    Ok(Box::new(this))
}

/// A socket whose connection is under way.
fn connecting(engine: &'static str, endpoint: &Endpoint) -> Result<OwnedFd, EngineError> {
    let (fd, _) = make(engine, endpoint)?;
    prepare(fd.as_fd(), endpoint)?;
    if let Some(local) = local(endpoint, false) {
        bind(fd.as_fd(), engine, local)?;
    }
    match os::connect(fd.as_fd(), endpoint.remote) {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(cannot_connect(endpoint, e)),
        _ => Ok(fd),
    }
}

/// Numbers for one greeting. No session is made with them, so they need not be secret: they only have to differ from all others,
/// for which the hashers of the standard library are seeded by the kernel.
fn random() -> [u8; 96] {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let mut all = [0; 96];
    for part in all.chunks_exact_mut(8) {
        part.copy_from_slice(&RandomState::new().build_hasher().finish().to_ne_bytes());
    }
    all
}

fn cannot_connect(endpoint: &Endpoint, error: io::Error) -> EngineError {
    path_error("connect to", endpoint.remote, (Proto::Tcp, endpoint.where_refused), error)
}

impl TlsEngine {
    fn os(&self, what: &str, source: io::Error) -> EngineError {
        EngineError::Os { what: format!("{what} {}", self.endpoint.remote), source }
    }

    fn refused(&self, why: &str, next: &str) -> EngineError {
        let what = format!("greet {} by TLS", self.endpoint.remote);
        EngineError::Unreachable { what, why: why.to_owned(), next: next.to_owned() }
    }

    /// Waits until the next probe's connection stands. One that the server closed meanwhile is made anew, once.
    fn stand(&mut self) -> Result<(), EngineError> {
        for last in [false, true] {
            let until = now().saturating_add(crate::socket::CONNECT_NS);
            let ready = loop {
                match os::poll(self.next.as_fd(), libc::POLLOUT | libc::POLLIN, until.saturating_sub(now())) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    other => break other.map_err(|e| self.os("wait for the connection to", e))?,
                }
            };
            if ready == 0 {
                return Err(cannot_connect(&self.endpoint, io::Error::from_raw_os_error(libc::ETIMEDOUT)));
            }
            let error = os::get_int(self.next.as_fd(), libc::SOL_SOCKET, libc::SO_ERROR)
                .map_err(|e| self.os("look at the connection to", e))?;
            // One that speaks first has bytes here, and is found to be no TLS by them.
            let ended = ready & libc::POLLIN != 0
                && os::recv(self.next.as_fd(), &mut [0], libc::MSG_PEEK | libc::MSG_DONTWAIT).is_ok_and(|n| n == 0);
            let closed = ended || ready & (libc::POLLHUP | libc::POLLERR) != 0;
            match error {
                0 if !closed => return Ok(()),
                0 if last => return Err(self.refused("it closes connections at once", "look at the server's own log")),
                libc::ECONNRESET | 0 if !last => self.next = connecting(self.engine, &self.endpoint)?,
                error => return Err(cannot_connect(&self.endpoint, io::Error::from_raw_os_error(error))),
            }
        }
        Ok(())
    }

    /// What came on the greeting whose socket the kernel named; its message, once the answer is one.
    fn take(&mut self, fd: u64) -> Result<Option<Pending>, EngineError> {
        let Some(at) = self.pending.iter().position(|p| u64::try_from(p.fd.as_raw_fd()) == Ok(fd)) else {
            return Ok(None);
        };
        let pending = &mut self.pending[at];
        let gone = match os::recv(pending.fd.as_fd(), &mut pending.have[pending.len..], libc::MSG_DONTWAIT) {
            Ok(n) => {
                pending.len += n;
                n == 0
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return Ok(None),
            Err(e) if e.raw_os_error() == Some(libc::ECONNRESET) => true,
            Err(e) => return Err(self.os("read the answer of", e)),
        };
        let (have, len) = (pending.have, pending.len);
        match hello::answer(&have[..len]) {
            Answer::ServerHello => Ok(self.pending.remove(at)),
            Answer::Part if !gone => Ok(None),
            Answer::Part => Err(self.refused(
                "the server closed the connection without an answer",
                "check that TLS is spoken on that port, and look at the server's own log",
            )),
            Answer::Alert(what) => {
                let why = format!("the server refuses the handshake: alert {what}, {}", hello::alert_name(what));
                let next = match self.endpoint.server_name {
                    None => "name the server in the target, as it may want its name (SNI)",
                    Some(_) => "look at the server's own log",
                };
                Err(self.refused(&why, next))
            }
            Answer::Other => Err(self.refused(
                &format!("its answer is not TLS (its first byte is 0x{:02x})", have[0]),
                "name a port on which TLS is spoken, or choose --proto tcp-connect",
            )),
        }
    }
}

impl Engine for TlsEngine {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        let hello = hello::client_hello(&random(), self.endpoint.server_name.as_deref());
        self.stand()?;
        let at = now();
        let sent = os::send(self.next.as_fd(), &hello, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
        match sent {
            Ok(n) if n == hello.len() => {}
            Ok(_) => return Err(self.refused("it takes no whole ClientHello", "look at the path's MTU")),
            Err(e) => return Err(cannot_connect(&self.endpoint, e)),
        }
        let fresh = connecting(self.engine, &self.endpoint)?;
        let fd = std::mem::replace(&mut self.next, fresh);
        let token = u64::try_from(fd.as_raw_fd()).unwrap_or_default();
        os::epoll_add(self.epoll.as_fd(), fd.as_fd(), libc::EPOLLIN, token).map_err(|e| self.os("wait for", e))?;
        if self.pending.len() == MOST {
            self.pending.pop_front();
        }
        self.pending.push_back(Pending { fd, message: message.to_vec(), have: [0; TELLING], len: 0 });
        Ok(at)
    }

    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
        let mut events = [os::Event { events: 0, u64: 0 }];
        loop {
            let before = now();
            let wait = if self.spins { 0 } else { until.saturating_sub(before) };
            let ready = match os::epoll_wait(self.epoll.as_fd(), &mut events, wait) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
                Err(e) => return Err(self.os("wait for", e)),
                Ok(n) => n,
            };
            let at = now();
            if ready > 0 {
                let token = events[0].u64;
                if let Some(done) = self.take(token)? {
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
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};
    use std::time::Duration;

    use super::*;

    const SECOND: Ns = 1_000_000_000;
    const SERVER_HELLO: &[u8] = &[22, 3, 3, 0, 2, 2, 0];

    /// A server that reads a greeting of each connection, waits for so long, and writes this.
    fn server(answer: &'static [u8], delay: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut greeting = [0; 1024];
                    if stream.read(&mut greeting).is_ok_and(|n| n > 0) {
                        std::thread::sleep(delay);
                        let _ = stream.write_all(answer);
                        // Until the other side ends it.
                        let _ = stream.read(&mut greeting);
                    }
                });
            }
        });
        at
    }

    fn endpoint(at: SocketAddr) -> Endpoint {
        Endpoint { server_name: Some("far.example".to_owned()), ..Endpoint::new(Proto::Tls, at, 64) }
    }

    #[test]
    fn each_probe_is_a_greeting_of_its_own_and_its_time_is_the_server_s() {
        for name in [block::NAME, spin::NAME] {
            let delay = Duration::from_millis(20);
            let mut engine = open(name, &endpoint(server(SERVER_HELLO, delay))).unwrap();
            for n in 0..3u8 {
                let sent = engine.send(&[n; 16]).unwrap();
                let mut buf = [0; 64];
                let got = engine.recv(&mut buf, sent + SECOND).unwrap().unwrap();
                assert_eq!(buf[..got.len], [n; 16]);
                assert!(got.at - sent >= 20_000_000, "{name}: {}", got.at - sent);
            }
        }
    }

    #[test]
    fn what_is_no_server_of_tls_is_named() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let refused = |at: SocketAddr| open(block::NAME, &endpoint(at)).err().unwrap().to_string();
        assert!(refused(closed).contains("nothing listens there"), "{}", refused(closed));
        for (answer, named) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "not TLS (its first byte is 0x48)"),
            (&[21, 3, 3, 0, 2, 2, 112], "alert 112, unrecognized_name"),
            (&[22, 3, 3, 0, 9, 14, 0, 0], "not TLS"),
        ] {
            let why = refused(server(answer, Duration::ZERO));
            assert!(why.contains(named) && why.lines().count() == 1, "{why}");
        }
        let other = open("epoll", &endpoint(closed)).err().unwrap().to_string();
        assert!(other.contains("use --engine block or spin"), "{other}");
    }

    #[test]
    fn a_server_that_closes_is_not_taken_for_a_slow_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                // Reads the greeting, so that the end is no reset.
                let _ = stream.read(&mut [0; 1024]);
            }
        });
        let why = open(block::NAME, &endpoint(at)).err().unwrap().to_string();
        assert!(why.contains("closed the connection without an answer"), "{why}");
        let mut slow = open(block::NAME, &endpoint(server(SERVER_HELLO, Duration::from_millis(200)))).unwrap();
        let sent = slow.send(&[1; 16]).unwrap();
        assert_eq!(slow.recv(&mut [0; 64], sent + 20_000_000).unwrap(), None);
        assert!(slow.recv(&mut [0; 64], sent + SECOND).unwrap().is_some());
    }
}

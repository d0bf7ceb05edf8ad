//! The traffic of the lab's other programs: what runs along with the probe on a real host. Bounded by its thread's
//! process.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size;

/// No traffic of the lab runs longer than this, whatever becomes of its stop flag.
const LONGEST: Duration = Duration::from_secs(600);

/// What a far node is asked to run, as one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// `sink PORT`: accept TCP connections and discard what comes.
    Sink {
        /// Port.
        port: u16,
    },
    /// `bursts PORT COUNT EVERY_MS`: send bursts of small datagrams to the near node.
    Bursts {
        /// Near port.
        port: u16,
        /// Datagrams in a burst.
        count: u32,
        /// Time from burst to burst, ms.
        every_ms: u64,
    },
}

impl Traffic {
    /// Reads a line; `None` if it is another command.
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["sink", port] => Some(Self::Sink { port: port.parse().ok()? }),
            ["bursts", port, count, every] => Some(Self::Bursts {
                port: port.parse().ok()?,
                count: count.parse().ok()?,
                every_ms: every.parse().ok()?,
            }),
            _ => None,
        }
    }

    /// The line.
    pub fn line(self) -> String {
        match self {
            Self::Sink { port } => format!("sink {port}"),
            Self::Bursts { port, count, every_ms } => format!("bursts {port} {count} {every_ms}"),
        }
    }

    /// Starts it on a thread of this process.
    pub(crate) fn start(self) -> Result<String, String> {
        match self {
            Self::Sink { port } => {
                let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
                    .map_err(|e| format!("listen on port {port}: {e}"))?;
                std::thread::spawn(move || {
                    for stream in listener.incoming().flatten() {
                        std::thread::spawn(move || discard(stream));
                    }
                });
            }
            Self::Bursts { port, count, every_ms } => {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(|e| format!("bind a socket: {e}"))?;
                let to = SocketAddrV4::new(crate::netns::NEAR_ADDRESS, port);
                let end = Instant::now() + LONGEST;
                std::thread::spawn(move || {
                    while Instant::now() < end {
                        for _ in 0..count {
                            // Nobody listens between two sessions of the reader; that is part of the picture.
                            let _ = socket.send_to(&[0x5a; 64], to);
                        }
                        std::thread::sleep(Duration::from_millis(every_ms));
                    }
                });
            }
        }
        Ok(String::new())
    }
}

fn discard(mut stream: TcpStream) {
    let mut buf = vec![0; 1 << 16];
    while stream.read(&mut buf).is_ok_and(|n| n > 0) {}
}

/// A thread of the near node that runs until it is dropped.
#[derive(Debug)]
pub struct RunningTraffic {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RunningTraffic {
    fn start(body: impl FnOnce(&AtomicBool) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        Self { stop, thread: Some(std::thread::spawn(move || body(&flag))) }
    }

    /// One TCP stream that writes as fast as it may.
    pub fn bulk(to: SocketAddrV4) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(to)?;
        stream.set_write_timeout(Some(Duration::from_millis(200)))?;
        Ok(Self::start(move |stop| {
            let chunk = vec![0; 1 << 16];
            let end = Instant::now() + LONGEST;
            while !stop.load(Ordering::Relaxed) && Instant::now() < end {
                match stream.write(&chunk) {
                    Ok(_) => {}
                    Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                    Err(_) => break,
                }
            }
        }))
    }

    /// A reader of datagrams that looks only every few milliseconds, with whatever receive buffer the host gives a new
    /// socket or the one it asks for, and that opens a new socket for each session of a fifth of a second, as feed
    /// handlers do.
    pub fn sleepy_reader(port: u16, buffer: Option<i32>) -> std::io::Result<Self> {
        drop(bind_reader(port, buffer)?);
        Ok(Self::start(move |stop| {
            let end = Instant::now() + LONGEST;
            let mut buf = [0; 2048];
            while !stop.load(Ordering::Relaxed) && Instant::now() < end {
                let Ok(socket) = bind_reader(port, buffer) else { break };
                for _ in 0..20 {
                    std::thread::sleep(Duration::from_millis(10));
                    while socket.recv(&mut buf).is_ok() {}
                }
            }
        }))
    }
}

fn bind_reader(port: u16, buffer: Option<i32>) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    if let Some(bytes) = buffer {
        // `SO_RCVBUF`: the kernel doubles it for its own bookkeeping (socket(7)).
        set_socket_recv_buffer_size(&socket, usize::try_from(bytes).unwrap_or(0))?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Drop for RunningTraffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panicking traffic thread has ended, which is all that is wanted.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_as_they_are_written() {
        for t in [Traffic::Sink { port: 9 }, Traffic::Bursts { port: 7, count: 200, every_ms: 20 }] {
            assert_eq!(Traffic::parse(&t.line()), Some(t));
        }
        assert_eq!(Traffic::parse("serve 9"), None);
        assert_eq!(Traffic::parse("sink many"), None);
    }
}

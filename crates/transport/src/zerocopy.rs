//! Sends on a stream, with a copy and without one: plain `send`, and `MSG_ZEROCOPY` (Linux 4.14 for TCP).
//!
//! A zero-copy send pins the pages of its buffer, and a notification on the socket's error queue says when they are free
//! again, and whether the kernel copied them anyway (Documentation/networking/msg_zerocopy.rst). Each sender takes its
//! buffers in turn and waits for one that is still in use, as a program would have to.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd as _;

use libc::c_int;

use crate::cmsg;
use crate::os;

/// Buffers that a sender takes in turn.
pub const BUFFERS: usize = 8;
/// A wait looks so often whether it should end, ns.
pub const LOOK_NS: u64 = 100_000_000;

/// Sends that completed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Completions {
    /// How many.
    pub completed: u64,
    /// Of these, those that the kernel copied anyway; `None` where it does not say.
    pub copied: Option<u64>,
}

/// One way to send on a stream.
pub trait BulkSender {
    /// `plain`, `msg-zerocopy`, `send-zc`.
    fn how(&self) -> &'static str;

    /// Sends one whole message of `len` bytes. `false` when it could not within [`LOOK_NS`]: look whether to go on, and call
    /// again.
    fn send(&mut self, len: usize) -> io::Result<bool>;

    /// Waits until no buffer is in use, for [`LOOK_NS`] at most; whether that is so.
    fn finish(&mut self) -> io::Result<bool>;

    /// Sends that completed so far.
    fn completions(&self) -> Completions;

    /// The connection.
    fn stream(&self) -> &TcpStream;
}

/// `send`.
#[derive(Debug)]
pub struct PlainSender {
    stream: TcpStream,
    buffers: Vec<Vec<u8>>,
    next: usize,
    /// Bytes of the message that were sent before the wait ended.
    done: usize,
}

impl PlainSender {
    /// On a connected stream, for messages of `most` bytes at most.
    pub fn new(stream: TcpStream, most: usize) -> io::Result<Self> {
        os::set_send_timeout(stream.as_fd(), LOOK_NS)?;
        Ok(Self { stream, buffers: buffers(most), next: 0, done: 0 })
    }
}

fn buffers(most: usize) -> Vec<Vec<u8>> {
    (0..BUFFERS).map(|_| vec![0xa5; most]).collect()
}

/// A send that only waited too long.
fn waited(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

impl BulkSender for PlainSender {
    fn how(&self) -> &'static str {
        "plain"
    }

    fn send(&mut self, len: usize) -> io::Result<bool> {
        let buffer = &self.buffers[self.next][..len];
        while self.done < len {
            match os::send(self.stream.as_fd(), &buffer[self.done..], libc::MSG_NOSIGNAL) {
                Ok(sent) => self.done += sent,
                Err(e) if waited(&e) => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        self.done = 0;
        self.next = (self.next + 1) % BUFFERS;
        Ok(true)
    }

    fn finish(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn completions(&self) -> Completions {
        Completions::default()
    }

    fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

/// `send` with `MSG_ZEROCOPY`.
#[derive(Debug)]
pub struct ZeroCopySender {
    plain: PlainSender,
    /// The buffer of each call that the kernel has not completed, oldest first, and whether it has since.
    open: VecDeque<(usize, bool)>,
    /// Number of the oldest: the kernel counts the calls of a socket from 0.
    oldest: u32,
    counts: Completions,
}

impl ZeroCopySender {
    /// As [`PlainSender::new`]; refused by kernels that have none for the protocol (`SO_ZEROCOPY`).
    pub fn new(stream: TcpStream, most: usize) -> io::Result<Self> {
        os::set_int(stream.as_fd(), libc::SOL_SOCKET, libc::SO_ZEROCOPY, 1)?;
        let counts = Completions { completed: 0, copied: Some(0) };
        Ok(Self { plain: PlainSender::new(stream, most)?, open: VecDeque::new(), oldest: 0, counts })
    }

    /// Reads every notification that is there.
    fn reap(&mut self) -> io::Result<()> {
        let mut control = [0; 256];
        loop {
            let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
            let got = match os::recv_message(self.plain.stream.as_fd(), &mut [], &mut control, None, flags) {
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            };
            if let Some(range) = cmsg::zerocopy_range(&control[..got.control_len.min(control.len())]) {
                self.complete(range);
            }
        }
    }

    fn complete(&mut self, range: cmsg::ZeroCopyRange) {
        let calls = range.last.wrapping_sub(range.first).saturating_add(1);
        for n in 0..calls.min(u32::try_from(self.open.len()).unwrap_or(u32::MAX)) {
            let at = range.first.wrapping_add(n).wrapping_sub(self.oldest);
            let Some(call) = usize::try_from(at).ok().and_then(|at| self.open.get_mut(at)) else { continue };
            if !std::mem::replace(&mut call.1, true) {
                self.counts.completed += 1;
                self.counts.copied = self.counts.copied.map(|c| c + u64::from(range.copied));
            }
        }
        while self.open.front().is_some_and(|call| call.1) {
            self.open.pop_front();
            self.oldest = self.oldest.wrapping_add(1);
        }
    }

    /// Waits for a notification, for [`LOOK_NS`] at most.
    fn wait(&mut self) -> io::Result<()> {
        // The error queue shows as POLLERR, which nobody has to ask for.
        os::poll(self.plain.stream.as_fd(), 0, LOOK_NS)?;
        self.reap()
    }

    fn in_use(&self, buffer: usize) -> bool {
        self.open.iter().any(|call| call.0 == buffer && !call.1)
    }
}

impl BulkSender for ZeroCopySender {
    fn how(&self) -> &'static str {
        "msg-zerocopy"
    }

    fn send(&mut self, len: usize) -> io::Result<bool> {
        let next = self.plain.next;
        if self.plain.done == 0 && self.in_use(next) {
            self.reap()?;
            if self.in_use(next) {
                self.wait()?;
            }
            if self.in_use(next) {
                return Ok(false);
            }
        }
        while self.plain.done < len {
            let rest = &self.plain.buffers[next][self.plain.done..len];
            match os::send(self.plain.stream.as_fd(), rest, libc::MSG_NOSIGNAL | libc::MSG_ZEROCOPY) {
                Ok(sent) => {
                    self.plain.done += sent;
                    self.open.push_back((next, false));
                }
                Err(e) if waited(&e) => return Ok(false),
                // Too many notifications, or pinned pages, are outstanding (`net.core.optmem_max`, RLIMIT_MEMLOCK): read
                // them, and try again. With none outstanding it will not become better.
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) && !self.open.is_empty() => {
                    self.wait()?;
                    return Ok(false);
                }
                Err(e) => return Err(e),
            }
        }
        self.plain.done = 0;
        self.plain.next = (next + 1) % BUFFERS;
        Ok(true)
    }

    fn finish(&mut self) -> io::Result<bool> {
        self.reap()?;
        if !self.open.is_empty() {
            self.wait()?;
        }
        Ok(self.open.is_empty())
    }

    fn completions(&self) -> Completions {
        self.counts
    }

    fn stream(&self) -> &TcpStream {
        &self.plain.stream
    }
}

/// Segments of a stream that the far end has not acknowledged yet; 0 where the kernel does not say. `tcpi_unacked` of
/// `struct tcp_info` (include/uapi/linux/tcp.h): eight bytes of flags, then its fifth `u32`.
pub fn unacknowledged(stream: &TcpStream) -> u32 {
    const AT: usize = 24;
    let mut info = [0; AT + size_of::<c_int>()];
    let read = os::get_bytes(stream.as_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, &mut info);
    let word = info[AT..].try_into().map(u32::from_ne_bytes);
    read.ok().filter(|n| *n == info.len()).and(word.ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    /// A connection to a sink that counts what it drops.
    fn sink() -> (TcpStream, std::thread::JoinHandle<u64>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let counts = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut buf, mut all) = (vec![0; 1 << 16], 0);
            while let Ok(n @ 1..) = stream.read(&mut buf) {
                assert!(buf[..n].iter().all(|b| *b == 0xa5));
                all += n as u64;
            }
            all
        });
        (TcpStream::connect(to).unwrap(), counts)
    }

    fn sends(mut sender: impl BulkSender, counts: std::thread::JoinHandle<u64>, sizes: &[usize]) -> Completions {
        for len in sizes {
            while !sender.send(*len).unwrap() {}
        }
        while !sender.finish().unwrap() {}
        let seen = sender.completions();
        drop(sender);
        assert_eq!(counts.join().unwrap(), sizes.iter().map(|s| *s as u64).sum::<u64>());
        seen
    }

    #[test]
    fn every_byte_arrives_and_every_zero_copy_send_completes() {
        let sizes: Vec<usize> = (0..60).map(|n| 1 + n * 4_003).collect();
        let (stream, counts) = sink();
        assert_eq!(sends(PlainSender::new(stream, 300_000).unwrap(), counts, &sizes), Completions::default());
        let (stream, counts) = sink();
        let seen = sends(ZeroCopySender::new(stream, 300_000).unwrap(), counts, &sizes);
        // A blocking send may be split, and each call completes; over loopback all are copied in the end
        // (msg_zerocopy.rst, Loopback).
        assert!(seen.completed >= 60, "{seen:?}");
        assert_eq!(seen.copied, Some(seen.completed));
    }

    #[test]
    fn completions_out_of_order_and_over_the_end_of_the_count_free_their_buffers() {
        let (stream, counts) = sink();
        let mut sender = ZeroCopySender::new(stream, 10).unwrap();
        sender.oldest = u32::MAX - 1;
        sender.open = (0..4).map(|n| (n, false)).collect();
        let range = |first, last, copied| cmsg::ZeroCopyRange { first, last, copied };
        sender.complete(range(u32::MAX, 0, true));
        assert!(sender.in_use(0) && !sender.in_use(1) && !sender.in_use(2) && sender.in_use(3));
        assert_eq!((sender.open.len(), sender.counts.copied), (4, Some(2)));
        sender.complete(range(u32::MAX - 1, u32::MAX - 1, false));
        assert_eq!((sender.open.len(), sender.oldest), (1, 1));
        // What is not outstanding is ignored.
        sender.complete(range(500, 900, true));
        assert_eq!(sender.counts, Completions { completed: 3, copied: Some(2) });
        drop(sender);
        counts.join().unwrap();
    }
}

//! One netlink socket: a request, its replies, its acknowledgement.
#![allow(unsafe_code)] // socket, bind, setsockopt, send and recv on AF_NETLINK: std has no netlink sockets

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::Error;
use crate::message::{ACK, DUMP, Message, split, status};

/// Netlink protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes, traffic control.
    Route,
    /// Socket diagnosis.
    SockDiag,
    /// nf_tables.
    Netfilter,
    /// ethtool, netdev.
    Generic,
}

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `nlmsg_type`.
    pub kind: u16,
    /// After the netlink header.
    pub payload: Vec<u8>,
}

/// A netlink socket of the calling thread's network namespace.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    seq: u32,
}

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const F_MULTI: u16 = 0x2;
const F_DUMP_INTR: u16 = 0x10;
/// A dump that the kernel marks as torn by a change is taken again; a namespace that changes faster than it can be read
/// this many times in a row is reported, not guessed at.
const DUMP_TRIES: usize = 8;

impl Socket {
    /// Opens a socket. Fails with `EPROTONOSUPPORT` where the kernel lacks the protocol.
    pub fn open(protocol: Protocol) -> Result<Self, Error> {
        let number = match protocol {
            Protocol::Route => libc::NETLINK_ROUTE,
            Protocol::SockDiag => libc::NETLINK_SOCK_DIAG,
            Protocol::Netfilter => libc::NETLINK_NETFILTER,
            Protocol::Generic => libc::NETLINK_GENERIC,
        };
        let what = "open a netlink socket";
        // SAFETY: no pointers; the result is checked before it is owned.
        let raw = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, number) };
        if raw < 0 {
            return Err(Error::os(what));
        }
        // SAFETY: `raw` is a fresh descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        // Words with the errno, and the request not echoed in full. Kernels from 4.20 on have all three; an older one
        // only gives fewer words.
        for (option, value) in
            [(libc::NETLINK_EXT_ACK, 1), (libc::NETLINK_CAP_ACK, 1), (libc::NETLINK_GET_STRICT_CHK, 1)]
        {
            let value: libc::c_int = value;
            // SAFETY: pointer and length describe `value`, which outlives the call.
            unsafe {
                libc::setsockopt(
                    fd.as_raw_fd(),
                    libc::SOL_NETLINK,
                    option,
                    (&raw const value).cast(),
                    socklen::<libc::c_int>(),
                );
            }
        }
        // The kernel answers at once; a reply that never comes must not hang a tool that has to roll back.
        let limit = libc::timeval { tv_sec: 10, tv_usec: 0 };
        // SAFETY: pointer and length describe `limit`, which outlives the call.
        let r = unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVTIMEO,
                (&raw const limit).cast(),
                socklen::<libc::timeval>(),
            )
        };
        if r < 0 {
            return Err(Error::os(what));
        }
        Ok(Self { fd, seq: 0 })
    }

    /// Sends one request and gives its replies. Returns when the kernel has acknowledged it.
    pub fn ask(&mut self, what: &str, message: Message) -> Result<Vec<Reply>, Error> {
        let seq = self.send(what, message, ACK)?;
        self.collect(what, seq).map(|(replies, _)| replies)
    }

    /// Sends a dump request and gives all its replies. A dump torn by a change is taken again.
    pub fn dump(&mut self, what: &str, message: &Message) -> Result<Vec<Reply>, Error> {
        for _ in 0..DUMP_TRIES {
            let seq = self.send(what, message.clone(), DUMP)?;
            let (replies, torn) = self.collect(what, seq)?;
            if !torn {
                return Ok(replies);
            }
        }
        Err(Error::Refused { what: what.to_owned(), errno: libc::EINTR, extack: "changed while it was read".into() })
    }

    /// Sends several messages in one datagram, each acknowledged; the first refusal is the answer. For nf_tables
    /// batches, whose first and last messages (`begin`, `end`) are not acknowledged on every kernel.
    pub fn batch(&mut self, what: &str, begin: Message, messages: Vec<Message>, end: Message) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let first = self.seq + 2;
        let messages_len = messages.len();
        let count = u32::try_from(messages_len).map_err(|_| Error::request(what, "too many messages"))?;
        for (message, flags) in
            std::iter::once((begin, 0)).chain(messages.into_iter().map(|m| (m, ACK))).chain(std::iter::once((end, 0)))
        {
            bytes.extend(self.number(what, message, flags)?);
        }
        // One datagram has to fit the send buffer, and an acknowledgement of each message the receive buffer, at some
        // hundred bytes each with the kernel's overhead. Never below the usual default (net.core.wmem_default).
        let room = bytes.len().saturating_mul(2).max(messages_len.saturating_mul(2048)).max(212_992);
        let size = libc::c_int::try_from(room).unwrap_or(libc::c_int::MAX);
        // SAFETY: pointer and length describe `size`, which outlives the call.
        unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_SNDBUFFORCE,
                (&raw const size).cast(),
                socklen::<libc::c_int>(),
            );
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                (&raw const size).cast(),
                socklen::<libc::c_int>(),
            );
        }
        self.transmit(what, &bytes)?;
        let mut missing = count;
        while missing > 0 {
            let datagram = self.receive(what)?;
            for m in split(&datagram).map_err(|e| Error::malformed(what, e))? {
                if m.kind != NLMSG_ERROR {
                    continue;
                }
                let s = status(&m, false).map_err(|e| Error::malformed(what, e))?;
                if s.errno != 0 {
                    return Err(Error::Refused { what: what.to_owned(), errno: s.errno, extack: s.extack });
                }
                if m.seq >= first && m.seq < first + count {
                    missing -= 1;
                }
            }
        }
        Ok(())
    }

    fn number(&mut self, what: &str, message: Message, flags: u16) -> Result<Vec<u8>, Error> {
        self.seq += 1;
        message
            .finish(self.seq, flags)
            .ok_or_else(|| Error::request(what, "an option is longer than netlink can carry"))
    }

    fn send(&mut self, what: &str, message: Message, flags: u16) -> Result<u32, Error> {
        let bytes = self.number(what, message, flags)?;
        self.transmit(what, &bytes)?;
        Ok(self.seq)
    }

    fn transmit(&self, what: &str, bytes: &[u8]) -> Result<(), Error> {
        // SAFETY: an all-zero sockaddr_nl is a valid value: it addresses the kernel.
        let mut kernel: libc::sockaddr_nl = unsafe { mem::zeroed() };
        kernel.nl_family = libc::sa_family_t::try_from(libc::AF_NETLINK).unwrap_or_default();
        // SAFETY: both pointers and lengths describe live values of this frame.
        let n = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                0,
                (&raw const kernel).cast(),
                socklen::<libc::sockaddr_nl>(),
            )
        };
        if n < 0 { Err(Error::os(what)) } else { Ok(()) }
    }

    /// One datagram from the kernel, whole: its length is asked first.
    fn receive(&self, what: &str) -> Result<Vec<u8>, Error> {
        loop {
            let len = self.recv_once(&mut [], libc::MSG_PEEK | libc::MSG_TRUNC).map_err(|source| os(what, source))?.0;
            let mut buf = vec![0; len];
            let (n, from_kernel) = self.recv_once(&mut buf, 0).map_err(|source| os(what, source))?;
            // Any process may send to our port; only the kernel's word counts.
            if from_kernel {
                buf.truncate(n);
                return Ok(buf);
            }
        }
    }

    fn recv_once(&self, buf: &mut [u8], flags: libc::c_int) -> io::Result<(usize, bool)> {
        loop {
            // SAFETY: an all-zero sockaddr_nl is a valid value.
            let mut from: libc::sockaddr_nl = unsafe { mem::zeroed() };
            let mut from_len = socklen::<libc::sockaddr_nl>();
            // SAFETY: pointers and lengths describe `buf` and `from`, which outlive the call.
            let n = unsafe {
                libc::recvfrom(
                    self.fd.as_raw_fd(),
                    buf.as_mut_ptr().cast(),
                    buf.len(),
                    flags,
                    (&raw mut from).cast(),
                    &raw mut from_len,
                )
            };
            if let Ok(n) = usize::try_from(n) {
                return Ok((n, from.nl_pid == 0));
            }
            let e = io::Error::last_os_error();
            match e.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
                _ => return Err(e),
            }
        }
    }

    /// The replies to `seq`, until its acknowledgement or the end of its dump. `true` if the dump was torn.
    fn collect(&self, what: &str, seq: u32) -> Result<(Vec<Reply>, bool), Error> {
        let mut replies = Vec::new();
        let mut torn = false;
        loop {
            let datagram = self.receive(what)?;
            for m in split(&datagram).map_err(|e| Error::malformed(what, e))? {
                if m.seq != seq {
                    continue;
                }
                torn |= m.flags & F_MULTI != 0 && m.flags & F_DUMP_INTR != 0;
                match m.kind {
                    NLMSG_ERROR | NLMSG_DONE => {
                        let s = status(&m, m.kind == NLMSG_DONE).map_err(|e| Error::malformed(what, e))?;
                        if s.errno != 0 {
                            return Err(Error::Refused { what: what.to_owned(), errno: s.errno, extack: s.extack });
                        }
                        return Ok((replies, torn));
                    }
                    kind => replies.push(Reply { kind, payload: m.payload.to_vec() }),
                }
            }
        }
    }
}

fn os(what: &str, source: io::Error) -> Error {
    Error::Os { what: what.to_owned(), source }
}

#[allow(clippy::cast_possible_truncation)] // sizes of small C structures
const fn socklen<T>() -> libc::socklen_t {
    mem::size_of::<T>() as libc::socklen_t
}

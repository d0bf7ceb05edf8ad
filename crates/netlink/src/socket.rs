//! One netlink socket: a request, its replies, its acknowledgement.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use lowlat_os::socket::set_int;
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{
    Timeout, set_socket_recv_buffer_size_force, set_socket_send_buffer_size_force, set_socket_timeout,
};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recvfrom, sendto, socket_with};

use crate::message::{ACK, DUMP, Message, split, status};
use crate::{Error, Malformed};

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
pub struct NetlinkSocket {
    fd: OwnedFd,
    seq: u32,
}

/// What is done with one reply: its `nlmsg_type`, and what is after its header.
type Each<'a> = dyn FnMut(u16, &[u8]) -> Result<(), Malformed> + 'a;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const F_MULTI: u16 = 0x2;
const F_DUMP_INTR: u16 = 0x10;
/// A dump that the kernel marks as torn by a change is taken again; a namespace that changes faster than it can be read
/// this many times in a row is reported, not guessed at.
const DUMP_TRIES: usize = 8;

impl NetlinkSocket {
    /// Opens a socket. Fails with `EPROTONOSUPPORT` where the kernel lacks the protocol.
    pub fn open(protocol: Protocol) -> Result<Self, Error> {
        let number = match protocol {
            Protocol::Route => None, // NETLINK_ROUTE is 0
            Protocol::SockDiag => Some(netlink::SOCK_DIAG),
            Protocol::Netfilter => Some(netlink::NETFILTER),
            Protocol::Generic => Some(netlink::GENERIC),
        };
        let what = "open a netlink socket";
        let failed = |e: Errno| os(what, e.into());
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, number).map_err(failed)?;
        // Words with the errno, and the request not echoed in full. Kernels from 4.20 on have all three; an older one
        // only gives fewer words.
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK, libc::NETLINK_GET_STRICT_CHK] {
            let _ = set_int(fd.as_fd(), libc::SOL_NETLINK, option, 1);
        }
        // The kernel answers at once; a reply that never comes must not hang a tool that has to roll back.
        set_socket_timeout(&fd, Timeout::Recv, Some(Duration::from_secs(10))).map_err(failed)?;
        Ok(Self { fd, seq: 0 })
    }

    /// Sends one request and gives its replies. Returns when the kernel has acknowledged it.
    pub fn ask(&mut self, what: &str, message: Message) -> Result<Vec<Reply>, Error> {
        let seq = self.send(what, message, ACK)?;
        let mut replies = Vec::new();
        self.collect(what, seq, &mut |kind, payload| {
            replies.push(Reply { kind, payload: payload.to_vec() });
            Ok(())
        })?;
        Ok(replies)
    }

    /// Sends a dump request and gives all its replies. A dump torn by a change is taken again.
    pub fn dump(&mut self, what: &str, message: &Message) -> Result<Vec<Reply>, Error> {
        self.dump_map(what, message, |kind, payload| Ok(Some(Reply { kind, payload: payload.to_vec() })))
    }

    /// As [`dump`](Self::dump), with `parse` on each reply as it comes: a dump of many replies is never held whole. `parse`
    /// gives `None` for what is not wanted.
    pub fn dump_map<T>(
        &mut self,
        what: &str,
        message: &Message,
        parse: impl FnMut(u16, &[u8]) -> Result<Option<T>, Malformed>,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        self.dump_into(what, message, &mut all, parse)?;
        Ok(all)
    }

    /// As [`Self::dump_map`], to the end of a list that holds others already: two lists of a hundred thousand need not be in
    /// memory at once.
    pub fn dump_into<T>(
        &mut self,
        what: &str,
        message: &Message,
        all: &mut Vec<T>,
        mut parse: impl FnMut(u16, &[u8]) -> Result<Option<T>, Malformed>,
    ) -> Result<(), Error> {
        let first = all.len();
        for _ in 0..DUMP_TRIES {
            let seq = self.send(what, message.clone(), DUMP)?;
            all.truncate(first);
            let torn = self.collect(what, seq, &mut |kind, payload| {
                all.extend(parse(kind, payload)?);
                Ok(())
            })?;
            if !torn {
                return Ok(());
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
        let room = room.min(i32::MAX.unsigned_abs() as usize);
        let _ = set_socket_send_buffer_size_force(&self.fd, room);
        let _ = set_socket_recv_buffer_size_force(&self.fd, room);
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
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(&self.fd, bytes, SendFlags::empty(), &kernel).map(drop).map_err(|e| os(what, e.into()))
    }

    /// One datagram from the kernel, whole: its length is asked first.
    fn receive(&self, what: &str) -> Result<Vec<u8>, Error> {
        loop {
            let len = self.recv_once(&mut [], RecvFlags::PEEK | RecvFlags::TRUNC).map_err(|source| os(what, source))?.0;
            let mut buf = vec![0; len];
            let (n, from_kernel) = self.recv_once(&mut buf, RecvFlags::empty()).map_err(|source| os(what, source))?;
            // Any process may send to our port; only the kernel's word counts.
            if from_kernel {
                buf.truncate(n);
                return Ok(buf);
            }
        }
    }

    fn recv_once(&self, buf: &mut [u8], flags: RecvFlags) -> io::Result<(usize, bool)> {
        loop {
            match recvfrom(&self.fd, &mut *buf, flags) {
                Ok((_, len, from)) => {
                    let from = from.and_then(|a| SocketAddrNetlink::try_from(a).ok());
                    return Ok((len, from.is_some_and(|a| a.pid() == 0)));
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return Err(Errno::TIMEDOUT.into()),
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Gives each reply to `seq` to `each`, until its acknowledgement or the end of its dump. `true` if the dump was torn.
    fn collect(&self, what: &str, seq: u32, each: &mut Each<'_>) -> Result<bool, Error> {
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
                        return Ok(torn);
                    }
                    kind => each(kind, m.payload).map_err(|e| Error::malformed(what, e))?,
                }
            }
        }
    }
}

fn os(what: &str, source: io::Error) -> Error {
    Error::Os { what: what.to_owned(), source }
}

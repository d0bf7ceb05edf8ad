//! Sockets: calls without a form in std and rustix, together with the related calls that have one, so that an engine finds
//! all of them in one place. One call each, no policy. What is on the hot path neither allocates nor loops.
#![allow(unsafe_code)] // options by number, control messages as bytes, and epoll with nanoseconds on every kernel

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use libc::{c_int, c_void, socklen_t};
use rustix::event::{PollFd, PollFlags, Timespec, epoll as epolls};
use rustix::net::sockopt::{Timeout, set_socket_timeout, set_tcp_congestion};
use rustix::net::{
    AddressFamily, Protocol, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg,
};

use crate::{check, check_int};

/// `SO_PREFER_BUSY_POLL`, include/uapi/asm-generic/socket.h, Linux 5.11; not in the libc crate.
pub const SO_PREFER_BUSY_POLL: c_int = 69;
/// `SO_BUSY_POLL_BUDGET`, likewise.
pub const SO_BUSY_POLL_BUDGET: c_int = 70;

#[allow(clippy::cast_possible_truncation)] // every length passed here is a small structure's or fits by its check
const fn len_of(n: usize) -> socklen_t {
    n as socklen_t
}

/// A new close-on-exec socket.
pub fn socket(domain: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    let invalid = || io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
    let family = AddressFamily::from_raw(u16::try_from(domain).map_err(|_| invalid())?);
    let protocol = std::num::NonZeroU32::new(protocol.cast_unsigned()).map(Protocol::from_raw);
    let kind = SocketType::from_raw(kind.cast_unsigned());
    Ok(rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?)
}

/// Sets an option that is an `int`.
pub fn set_int(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    set_bytes(fd, level, name, &value.to_ne_bytes())
}

/// Sets an option from raw bytes.
pub fn set_bytes(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: &[u8]) -> io::Result<()> {
    let len = socklen_t::try_from(value.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: pointer and length are of one live slice, which the kernel only reads.
    check_int(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), len) }).map(drop)
}

/// Gives a socket a classic packet filter in place of the one it has (`SO_ATTACH_FILTER`, packet(7)).
pub fn attach_filter(fd: BorrowedFd<'_>, program: &mut [libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    let (value, size) = ((&raw const program).cast::<c_void>(), len_of(size_of::<libc::sock_fprog>()));
    // SAFETY: the structure and the instructions it points at are live for the call, which copies both.
    check_int(unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, value, size) })
        .map(drop)
}

/// Reads an option into raw bytes; answers how many the kernel wrote.
pub fn get_bytes(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: &mut [u8]) -> io::Result<usize> {
    let mut len = socklen_t::try_from(value.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: the kernel writes at most `len` bytes into the slice, which outlives the call.
    check_int(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, value.as_mut_ptr().cast(), &raw mut len) })?;
    Ok(usize::try_from(len).unwrap_or(0).min(value.len()))
}

/// Gives a TCP socket the congestion control `reno`, which is in every kernel and allowed to everybody
/// (`tcp_allowed_congestion_control`, Documentation/networking/ip-sysctl.rst); whether it took it.
///
/// A round trip of one message is never limited by it, but cubic reads the clock for each acknowledgement: both ends
/// together 270 ns of a blocking round trip of 13.2 µs, 260 ns of a spinning one of 7.7 µs (Linux 6.18, loopback).
pub fn plain_congestion_control(fd: BorrowedFd<'_>) -> bool {
    set_tcp_congestion(fd, "reno").is_ok()
}

/// Reads an option that is an `int`.
pub fn get_int(fd: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value = [0; size_of::<c_int>()];
    get_bytes(fd, level, name, &mut value)?;
    Ok(c_int::from_ne_bytes(value))
}

/// Datagrams that the kernel dropped at this socket, modulo 2³²: its receive buffer was full, or its filter said no.
/// `SO_MEMINFO`, cell `SK_MEMINFO_DROPS` (include/uapi/linux/sock_diag.h; Linux 4.12).
pub fn receive_drops(fd: BorrowedFd<'_>) -> io::Result<u32> {
    const SK_MEMINFO_DROPS: usize = 8;
    let mut cells = [0; 9 * size_of::<u32>()];
    get_bytes(fd, libc::SOL_SOCKET, libc::SO_MEMINFO, &mut cells)?;
    let (cells, _) = cells.as_chunks();
    Ok(u32::from_ne_bytes(cells[SK_MEMINFO_DROPS]))
}

/// `SO_RCVTIMEO`; 0 is none. The kernel rounds it up to its tick (socket(7), `sock_set_timeout` in net/core/sock.c).
pub fn set_receive_timeout(fd: BorrowedFd<'_>, ns: u64) -> io::Result<()> {
    set_timeout(fd, Timeout::Recv, ns)
}

/// `SO_SNDTIMEO`, which also bounds `connect`; 0 is none.
pub fn set_send_timeout(fd: BorrowedFd<'_>, ns: u64) -> io::Result<()> {
    set_timeout(fd, Timeout::Send, ns)
}

fn set_timeout(fd: BorrowedFd<'_>, which: Timeout, ns: u64) -> io::Result<()> {
    Ok(set_socket_timeout(fd, which, (ns > 0).then(|| Duration::from_nanos(ns)))?)
}

#[allow(clippy::cast_possible_wrap)] // u64::MAX / 10⁹ fits, and a remainder is below 10⁹
fn timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
}

/// `struct sockaddr_storage`.
const STORAGE: usize = size_of::<libc::sockaddr_storage>();
/// Where the fields of `sockaddr_in` and `sockaddr_in6` are: family, port (both), IPv4 address; flow information, IPv6
/// address, scope (<linux/in.h>, <linux/in6.h>).
const PORT: usize = 2;
const V4: usize = 4;
const FLOW: usize = 4;
const V6: usize = 8;
const SCOPE: usize = 24;

/// A socket address as the kernel writes it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub struct RawAddress {
    storage: [u8; STORAGE],
    len: socklen_t,
}

impl RawAddress {
    /// Room for the kernel to write an address of any family into.
    pub fn empty() -> Self {
        Self { storage: [0; STORAGE], len: len_of(STORAGE) }
    }

    /// Nothing was written into it: what came had no sender (a receive that was ended has none).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The `N` bytes at a field of `storage`.
    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        self.storage[at..].first_chunk().copied().unwrap_or([0; N])
    }

    fn put(&mut self, at: usize, field: &[u8]) {
        self.storage[at..at + field.len()].copy_from_slice(field);
    }

    /// The address, if it is of IPv4 or IPv6.
    pub fn get(&self) -> Option<SocketAddr> {
        let port = u16::from_be_bytes(self.field(PORT));
        match c_int::from(u16::from_ne_bytes(self.field(0))) {
            libc::AF_INET => Some(SocketAddrV4::new(Ipv4Addr::from(self.field::<4>(V4)), port).into()),
            libc::AF_INET6 => {
                let [flow, scope] = [FLOW, SCOPE].map(|at| u32::from_ne_bytes(self.field(at)));
                Some(SocketAddrV6::new(Ipv6Addr::from(self.field::<16>(V6)), port, flow, scope).into())
            }
            _ => None,
        }
    }
}

impl PartialEq for RawAddress {
    /// Byte by byte, as far as the kernel wrote: the same client gives the same bytes each time.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.bytes() == other.bytes()
    }
}

impl RawAddress {
    /// From the bytes that the kernel wrote elsewhere; what does not fit is cut off.
    #[inline]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let len = bytes.len().min(STORAGE);
        let mut to = Self { storage: [0; STORAGE], len: len_of(len) };
        to.put(0, &bytes[..len]);
        to
    }

    /// As the kernel writes and reads it.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.storage[..usize::try_from(self.len).unwrap_or(0).min(STORAGE)]
    }
}

impl std::fmt::Debug for RawAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

impl From<SocketAddr> for RawAddress {
    fn from(from: SocketAddr) -> Self {
        let mut to = Self::empty();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 2 and 10
        let family = |f: c_int| (f as libc::sa_family_t).to_ne_bytes();
        to.put(PORT, &from.port().to_be_bytes());
        match from {
            SocketAddr::V4(a) => {
                to.put(0, &family(libc::AF_INET));
                to.put(V4, &a.ip().octets());
                to.len = len_of(size_of::<libc::sockaddr_in>());
            }
            SocketAddr::V6(a) => {
                to.put(0, &family(libc::AF_INET6));
                to.put(FLOW, &a.flowinfo().to_ne_bytes());
                to.put(V6, &a.ip().octets());
                to.put(SCOPE, &a.scope_id().to_ne_bytes());
                to.len = len_of(size_of::<libc::sockaddr_in6>());
            }
        }
        to
    }
}

/// `bind`.
pub fn bind(fd: BorrowedFd<'_>, to: SocketAddr) -> io::Result<()> {
    Ok(rustix::net::bind(fd, &to)?)
}

/// Binds a packet socket to an interface for one Ethernet protocol; gives the first six bytes of the interface's own
/// address, and its hardware type (`ARPHRD_…`).
pub fn bind_link(fd: BorrowedFd<'_>, index: u32, protocol: u16) -> io::Result<([u8; 6], u16)> {
    let mut at = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or_default(),
        sll_protocol: protocol.to_be(),
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let mut len = len_of(size_of::<libc::sockaddr_ll>());
    // SAFETY: `at` is a `sockaddr_ll` of `len` bytes, which the kernel reads during the call.
    if unsafe { libc::bind(fd.as_raw_fd(), (&raw const at).cast(), len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel writes at most `len` bytes, which `at` has, and any bytes are a `sockaddr_ll`.
    if unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut at).cast(), &raw mut len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut own = [0; 6];
    own.copy_from_slice(&at.sll_addr[..6]);
    Ok((own, at.sll_hatype))
}

/// `connect`.
pub fn connect(fd: BorrowedFd<'_>, to: SocketAddr) -> io::Result<()> {
    Ok(rustix::net::connect(fd, &to)?)
}

/// `listen`.
pub fn listen(fd: BorrowedFd<'_>, backlog: c_int) -> io::Result<()> {
    Ok(rustix::net::listen(fd, backlog)?)
}

/// `accept4`, close-on-exec; and from where.
pub fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let (new, from) = rustix::net::acceptfrom_with(fd, SocketFlags::CLOEXEC)?;
    Ok((new, from.and_then(|a| a.try_into().ok())))
}

/// `shutdown` for receiving: whoever sleeps in a receive of it wakes up, now and from now on (also on an unconnected
/// datagram socket, where it answers `ENOTCONN` and acts anyway: `inet_shutdown`, net/ipv4/af_inet.c).
pub fn end_receiving(fd: BorrowedFd<'_>) {
    let _ = rustix::net::shutdown(fd, Shutdown::Read);
}

/// The address a socket is bound to, if it is of IPv4 or IPv6.
pub fn local_address(fd: BorrowedFd<'_>) -> io::Result<Option<SocketAddr>> {
    Ok(rustix::net::getsockname(fd)?.try_into().ok())
}

/// `send` on a connected socket. By the kernel's own call: the C library's, where it is a place to cancel the thread at
/// (pthreads(7)), takes two atomic operations more.
#[inline]
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8], flags: c_int) -> io::Result<usize> {
    Ok(rustix::net::send(fd, bytes, SendFlags::from_bits_retain(flags.cast_unsigned()))?)
}

/// `recv`. With `MSG_TRUNC` the answer may exceed the buffer's length.
#[inline]
pub fn recv(fd: BorrowedFd<'_>, buf: &mut [u8], flags: c_int) -> io::Result<usize> {
    let (_, len) = rustix::net::recv(fd, buf, RecvFlags::from_bits_retain(flags.cast_unsigned()))?;
    Ok(len)
}

/// `recvfrom`. With `MSG_TRUNC` the answer may exceed the buffer's length.
#[inline]
pub fn recv_from(fd: BorrowedFd<'_>, buf: &mut [u8], flags: c_int, from: &mut RawAddress) -> io::Result<usize> {
    from.len = len_of(STORAGE);
    // SAFETY: the kernel writes at most the given lengths into slice and storage.
    check(unsafe {
        libc::recvfrom(
            fd.as_raw_fd(),
            buf.as_mut_ptr().cast(),
            buf.len(),
            flags,
            (&raw mut from.storage).cast(),
            &raw mut from.len,
        )
    })
}

/// `sendto`.
#[inline]
pub fn send_to(fd: BorrowedFd<'_>, bytes: &[u8], flags: c_int, to: &RawAddress) -> io::Result<usize> {
    // SAFETY: pointers and lengths describe live values, which the kernel only reads.
    check(unsafe {
        libc::sendto(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags, (&raw const to.storage).cast(), to.len)
    })
}

/// Control-message room, aligned as the kernel's headers are.
#[repr(C, align(8))]
#[derive(Debug, Clone, Copy)]
pub struct Control<const N: usize>(pub [u8; N]);

/// What `recvmsg` returned besides the bytes.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedDatagram {
    /// Length of the message; exceeds the buffer's if `MSG_TRUNC` was asked and it was longer.
    pub len: usize,
    /// Bytes of control messages.
    pub control_len: usize,
    /// `MSG_…`.
    pub flags: c_int,
}

#[inline]
fn no_message() -> libc::msghdr {
    // SAFETY: msghdr is plain data for which all zeroes is a value.
    unsafe { zeroed() }
}

/// `recvmsg` with one buffer.
#[inline]
pub fn recv_message(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    control: &mut [u8],
    from: Option<&mut RawAddress>,
    flags: c_int,
) -> io::Result<ReceivedDatagram> {
    let mut iov = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    let mut message = no_message();
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control.len() as _;
    let from = from.map(|a| {
        message.msg_name = (&raw mut a.storage).cast();
        message.msg_namelen = len_of(STORAGE);
        &mut a.len
    });
    // SAFETY: every pointer in `message` is to a live value of the length given next to it.
    let len = check(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) })?;
    if let Some(from_len) = from {
        *from_len = message.msg_namelen;
    }
    #[allow(clippy::unnecessary_cast)] // the field's type differs between C libraries
    let control_len = message.msg_controllen as usize;
    Ok(ReceivedDatagram { len, control_len, flags: message.msg_flags })
}

/// `sendmsg` with one buffer, to `to`, from the local address `source`, by `IP_PKTINFO` or `IPV6_PKTINFO`.
#[inline]
pub fn send_from(fd: BorrowedFd<'_>, bytes: &[u8], flags: c_int, to: &RawAddress, source: Source) -> io::Result<usize> {
    let mut iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let (mut control, control_len) = source.control();
    let mut message = no_message();
    message.msg_name = (&raw const to.storage).cast_mut().cast();
    message.msg_namelen = to.len;
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control_len as _;
    // SAFETY: every pointer in `message` is to a live value of the length given next to it; the kernel only reads them.
    check(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, flags) })
}

/// The local address an answer leaves from, and for IPv6 link-local ones its interface (else 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source(pub IpAddr, pub u32);

impl Source {
    /// The control message of a send that leaves from it (`IP_PKTINFO`, `IPV6_PKTINFO`), and its length.
    #[inline]
    pub fn control(self) -> (Control<64>, usize) {
        let mut control = Control([0u8; 64]);
        let header = size_of::<libc::cmsghdr>();
        // `ipi_ifindex` stays 0: the route picks the interface, the address is what the client waits for.
        let (level, kind, data) = match self.0 {
            IpAddr::V4(ip) => {
                control.0[header + 4..header + 8].copy_from_slice(&ip.octets());
                (libc::IPPROTO_IP, libc::IP_PKTINFO, size_of::<libc::in_pktinfo>())
            }
            IpAddr::V6(ip) => {
                control.0[header..header + 16].copy_from_slice(&ip.octets());
                // A link-local source needs its interface (RFC 3542 §6.2).
                control.0[header + 16..header + 20].copy_from_slice(&self.1.to_ne_bytes());
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, size_of::<libc::in6_pktinfo>())
            }
        };
        let word = size_of::<usize>();
        control.0[..word].copy_from_slice(&(header + data).to_ne_bytes());
        control.0[word..word + 4].copy_from_slice(&level.to_ne_bytes());
        control.0[word + 4..word + 8].copy_from_slice(&kind.to_ne_bytes());
        (control, (header + data).next_multiple_of(word))
    }
}

/// Two ends of a way for descriptors within this process, and for nothing else: Unix datagram sockets.
pub fn descriptor_way() -> io::Result<(OwnedFd, OwnedFd)> {
    let (from, to) = std::os::unix::net::UnixDatagram::pair()?;
    Ok((from.into(), to.into()))
}

/// Hands a descriptor on, to a thread that may have another table of them (`SCM_RIGHTS`, unix(7)); fails where the way
/// is full. The sender's own stays open.
pub fn send_descriptor(way: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(way, &[io::IoSlice::new(&[0])], &mut control, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes the next descriptor from the way, close-on-exec; `None` where there is none. `EMFILE` where one came and this
/// thread's table has no room, which drops it.
pub fn receive_descriptor(way: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    match recvmsg(way, &mut [io::IoSliceMut::new(&mut [0])], &mut control, flags) {
        Ok(_) => {}
        Err(rustix::io::Errno::AGAIN) => return Ok(None),
        Err(e) => return Err(e.into()),
    }
    let mut rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    match rights.next().and_then(|mut fds| fds.next()) {
        Some(fd) => Ok(Some(fd)),
        None => Err(io::Error::from_raw_os_error(libc::EMFILE)),
    }
}

/// `ppoll` on one descriptor; answers the events, 0 after the time.
pub fn poll(fd: BorrowedFd<'_>, events: i16, timeout_ns: u64) -> io::Result<i16> {
    let mut entry = [PollFd::from_borrowed_fd(fd, PollFlags::from_bits_retain(events.cast_unsigned()))];
    let n = rustix::event::poll(&mut entry, Some(&timespec(timeout_ns)))?;
    Ok(if n == 0 { 0 } else { entry[0].revents().bits().cast_signed() })
}

/// A descriptor that [`wait_readable`] looks at; stands in a slice, so that a wait allocates nothing.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Waiting(libc::pollfd);

impl Waiting {
    /// For what `fd` is now. It holds the number alone: of one that was closed since, a wait says at once that
    /// something is wrong.
    pub fn on(fd: &impl AsRawFd) -> Self {
        Self(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
    }
}

/// `ppoll` until one of `fds` has something to read, for `timeout_ns` at most; whether one has.
#[inline]
pub fn wait_readable(fds: &mut [Waiting], timeout_ns: u64) -> io::Result<bool> {
    let limit = timespec(timeout_ns);
    let limit = libc::timespec { tv_sec: limit.tv_sec, tv_nsec: limit.tv_nsec };
    let count = libc::nfds_t::try_from(fds.len()).unwrap_or(libc::nfds_t::MAX);
    // SAFETY: `Waiting` is a pollfd; the slice is live for its length and the timespec for the call; no signal mask.
    let ready = unsafe { libc::ppoll(fds.as_mut_ptr().cast(), count, &raw const limit, std::ptr::null()) };
    check_int(ready).map(|n| n > 0)
}

/// `epoll_create1`, close-on-exec.
pub fn epoll() -> io::Result<OwnedFd> {
    Ok(epolls::create(epolls::CreateFlags::CLOEXEC)?)
}

/// `EPOLL_CTL_ADD`, level-triggered.
pub fn epoll_add(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>, events: c_int, token: u64) -> io::Result<()> {
    Ok(epolls::add(epoll, fd, epolls::EventData::new_u64(token), flags_of(events))?)
}

/// `EPOLL_CTL_MOD`.
pub fn epoll_modify(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>, events: c_int, token: u64) -> io::Result<()> {
    Ok(epolls::modify(epoll, fd, epolls::EventData::new_u64(token), flags_of(events))?)
}

/// `EPOLL_CTL_DEL`.
pub fn epoll_remove(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(epolls::delete(epoll, fd)?)
}

fn flags_of(events: c_int) -> epolls::EventFlags {
    epolls::EventFlags::from_bits_retain(events.cast_unsigned())
}

/// How an epoll context polls the devices of its sockets before it sleeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EpollPolling {
    /// Polls so long in each wait, µs; 0 for as long as the system's own setting.
    pub busy_poll_us: u32,
    /// Packets of one poll; above 64 it needs CAP_NET_ADMIN.
    pub budget: u16,
    /// Its polls take the place of interrupts where those are deferred or suspended.
    pub prefer: bool,
}

/// `EPIOCSPARAMS` (Linux 6.9; before that `ENOTTY`, and `EOPNOTSUPP` without CONFIG_NET_RX_BUSY_POLL).
pub fn set_epoll_polling(epoll: BorrowedFd<'_>, polling: EpollPolling) -> io::Result<()> {
    let EpollPolling { busy_poll_us, budget, prefer } = polling;
    // struct epoll_params of <linux/eventpoll.h>: u32, u16, u8, and a byte that must be 0.
    let mut bytes = [0u8; 8];
    bytes[..4].copy_from_slice(&busy_poll_us.to_ne_bytes());
    bytes[4..6].copy_from_slice(&budget.to_ne_bytes());
    bytes[6] = u8::from(prefer);
    // SAFETY: the kernel reads the eight bytes of the structure, which live through the call.
    check_int(unsafe { libc::ioctl(epoll.as_raw_fd(), libc::EPIOCSPARAMS as _, bytes.as_ptr()) }).map(drop)
}

/// `EPIOCGPARAMS`: what is set.
pub fn epoll_polling(epoll: BorrowedFd<'_>) -> io::Result<EpollPolling> {
    let mut bytes = [0u8; 8];
    // SAFETY: the kernel writes the eight bytes of the structure, which live through the call.
    check_int(unsafe { libc::ioctl(epoll.as_raw_fd(), libc::EPIOCGPARAMS as _, bytes.as_mut_ptr()) })?;
    let (us, rest) = bytes.split_at(4);
    Ok(EpollPolling {
        busy_poll_us: us.try_into().map_or(0, u32::from_ne_bytes),
        budget: u16::from_ne_bytes([rest[0], rest[1]]),
        prefer: rest[2] != 0,
    })
}

/// A ready descriptor's events and token.
pub type Event = libc::epoll_event;

/// `epoll_pwait2` (Linux 5.11) with a timeout in ns; on 5.10 `epoll_wait`, whose milliseconds are rounded down so that
/// it never sleeps past the time. (rustix rounds them up, or needs 5.11.)
#[inline]
pub fn epoll_wait(epoll: BorrowedFd<'_>, events: &mut [Event], timeout_ns: u64) -> io::Result<usize> {
    let room = c_int::try_from(events.len()).unwrap_or(c_int::MAX);
    if timeout_ns > 0 {
        let time = timespec(timeout_ns);
        // SAFETY: the kernel writes at most `room` events into the slice; no signal mask. The raw call, since the C
        // library may be older than it (glibc 2.35).
        let n = check(unsafe {
            #[allow(clippy::cast_possible_truncation)] // isize is long on Linux
            {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    epoll.as_raw_fd(),
                    events.as_mut_ptr(),
                    room,
                    &raw const time,
                    std::ptr::null::<c_void>(),
                    0usize,
                ) as isize
            }
        });
        match n {
            Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => {}
            other => return other,
        }
    }
    let ms = c_int::try_from(timeout_ns / 1_000_000).unwrap_or(c_int::MAX);
    // SAFETY: as above.
    check_int(unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), room, ms) })
        .map(|n| usize::try_from(n).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_descriptor_comes_through_the_way() {
        let (from, to) = descriptor_way().unwrap();
        assert!(receive_descriptor(to.as_fd()).unwrap().is_none());
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        send_descriptor(from.as_fd(), socket.as_fd()).unwrap();
        let got = receive_descriptor(to.as_fd()).unwrap().unwrap();
        assert_eq!(local_address(got.as_fd()).unwrap(), Some(socket.local_addr().unwrap()));
        assert_ne!(got.as_raw_fd(), socket.as_raw_fd());
        rustix::net::send(&from, &[0], SendFlags::DONTWAIT).unwrap();
        let without = receive_descriptor(to.as_fd()).unwrap_err();
        assert_eq!(without.raw_os_error(), Some(libc::EMFILE), "one that came without");
        let full = (0..10_000).find(|_| send_descriptor(from.as_fd(), socket.as_fd()).is_err());
        assert!(full.is_some(), "it holds a bounded number");
    }

    #[test]
    fn addresses_survive_the_way_through_the_kernel_form() {
        for text in ["127.0.0.1:80", "255.1.2.3:65535", "[::1]:0", "[fe80::1%3]:862"] {
            let a: SocketAddr = text.parse().unwrap();
            assert_eq!(RawAddress::from(a).get(), Some(a));
        }
        assert_eq!(RawAddress::empty().get(), None);
    }
}

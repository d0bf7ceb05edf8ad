//! The room where this crate calls the kernel: thin safe wrappers, one per system call, no policy.
//!
//! Shared with the far end (`peers::serve`), so that neither needs `unsafe` of its own for sockets. Wrappers on the hot
//! path neither allocate nor loop.
#![allow(unsafe_code)] // system calls that std has no wrapper for, or only one without flags

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, c_void, socklen_t};
use lowlat_model::Capability;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// `SO_BUSY_POLL_BUDGET`, asm-generic/socket.h; not in the libc crate.
pub const SO_BUSY_POLL_BUDGET: c_int = 70;

/// What to do where the kernel says that this process may not do what needs these.
pub fn next_where_denied(needed: &[Capability]) -> String {
    let effective = rustix::thread::capabilities(None).map_or(0, |sets| sets.effective.bits());
    lowlat_model::capability::next_where_denied(needed, effective)
}

/// Turns −1 into the errno, and a count into `usize`.
#[inline]
fn check(n: isize) -> io::Result<usize> {
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

#[inline]
fn check_int(n: c_int) -> io::Result<c_int> {
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n) }
}

#[allow(clippy::cast_possible_truncation)] // every length passed here is a small structure's or fits by its check
fn len_of(n: usize) -> socklen_t {
    n as socklen_t
}

/// A new close-on-exec socket.
pub fn socket(domain: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; a non-negative answer is a descriptor that nobody else owns.
    unsafe {
        let fd = check_int(libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Sets an option that is an `int`.
pub fn set_int(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    set_bytes(fd, level, name, &value.to_ne_bytes())
}

/// Sets an option from raw bytes.
pub fn set_bytes(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length are of one live slice, which the kernel only reads.
    unsafe {
        check_int(libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), len_of(value.len()))).map(|_| ())
    }
}

/// Gives a TCP socket the congestion control `reno`, which is in every kernel and allowed to everybody
/// (`tcp_allowed_congestion_control`, Documentation/networking/ip-sysctl.rst); whether it took it.
///
/// A round trip of one message is never limited by it, but cubic reads the clock for each acknowledgement: both ends
/// together 270 ns of a blocking round trip of 13.2 µs, 260 ns of a spinning one of 7.7 µs (Linux 6.18, loopback).
pub fn plain_congestion_control(fd: BorrowedFd<'_>) -> bool {
    set_bytes(fd, libc::IPPROTO_TCP, libc::TCP_CONGESTION, b"reno").is_ok()
}

/// Reads an option that is an `int`.
pub fn get_int(fd: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = len_of(size_of::<c_int>());
    // SAFETY: the kernel writes at most `len` bytes into `value`, which outlives the call.
    unsafe { check_int(libc::getsockopt(fd.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len))? };
    Ok(value)
}

/// Datagrams that the kernel dropped at this socket, modulo 2³²: its receive buffer was full, or its filter said no.
/// `SO_MEMINFO`, cell `SK_MEMINFO_DROPS` (include/uapi/linux/sock_diag.h; Linux 4.12).
pub fn receive_drops(fd: BorrowedFd<'_>) -> io::Result<u32> {
    const SK_MEMINFO_DROPS: usize = 8;
    let mut cells = [0u32; 9];
    let mut len = len_of(size_of_val(&cells));
    // SAFETY: the kernel writes at most `len` bytes into `cells`, which outlive the call.
    unsafe {
        check_int(libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            cells.as_mut_ptr().cast(),
            &raw mut len,
        ))?;
    }
    Ok(cells[SK_MEMINFO_DROPS])
}

/// `SO_RCVTIMEO`; the kernel rounds it up to its tick (socket(7), `sock_set_timeout` in net/core/sock.c).
pub fn set_receive_timeout(fd: BorrowedFd<'_>, ns: u64) -> io::Result<()> {
    set_timeout(fd, libc::SO_RCVTIMEO, ns)
}

/// `SO_SNDTIMEO`, which also bounds `connect`; 0 is none.
pub fn set_send_timeout(fd: BorrowedFd<'_>, ns: u64) -> io::Result<()> {
    set_timeout(fd, libc::SO_SNDTIMEO, ns)
}

fn set_timeout(fd: BorrowedFd<'_>, name: c_int, ns: u64) -> io::Result<()> {
    let tv = libc::timeval { tv_sec: seconds(ns), tv_usec: subsecond(ns) / 1000 };
    // SAFETY: `tv` is a plain structure that outlives the call; the kernel only reads it.
    unsafe {
        check_int(libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw const tv).cast(),
            len_of(size_of::<libc::timeval>()),
        ))
        .map(|_| ())
    }
}

#[allow(clippy::cast_possible_wrap)] // u64::MAX / 10⁹ fits
fn seconds(ns: u64) -> i64 {
    (ns / 1_000_000_000) as i64
}

#[allow(clippy::cast_possible_wrap)] // below 10⁹
fn subsecond(ns: u64) -> i64 {
    (ns % 1_000_000_000) as i64
}

pub(crate) fn timespec(ns: u64) -> libc::timespec {
    libc::timespec { tv_sec: seconds(ns), tv_nsec: subsecond(ns) }
}

/// A socket address as the kernel writes it.
#[derive(Clone, Copy)]
pub struct Address {
    storage: libc::sockaddr_storage,
    len: socklen_t,
}

impl Address {
    /// Room for the kernel to write an address of any family into.
    pub fn empty() -> Self {
        // SAFETY: sockaddr_storage is plain data for which all zeroes is a value (AF_UNSPEC).
        Self { storage: unsafe { zeroed() }, len: len_of(size_of::<libc::sockaddr_storage>()) }
    }

    /// Nothing was written into it: what came had no sender (a receive that was ended has none).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address, if it is of IPv4 or IPv6.
    pub fn get(&self) -> Option<SocketAddr> {
        match c_int::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says that the storage holds a sockaddr_in, and it is large and aligned enough.
                let a = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr));
                Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(a.sin_port))))
            }
            libc::AF_INET6 => {
                // SAFETY: as above, for sockaddr_in6.
                let a = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(a.sin6_addr.s6_addr);
                Some(SocketAddr::V6(SocketAddrV6::new(ip, u16::from_be(a.sin6_port), a.sin6_flowinfo, a.sin6_scope_id)))
            }
            _ => None,
        }
    }
}

impl PartialEq for Address {
    /// Byte by byte, as far as the kernel wrote: the same client gives the same bytes each time.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.bytes() == other.bytes()
    }
}

impl Address {
    #[inline]
    fn bytes(&self) -> &[u8] {
        let len = usize::try_from(self.len).unwrap_or(0).min(size_of::<libc::sockaddr_storage>());
        // SAFETY: the storage is plain data, all of which was initialised (to zero, then by whoever wrote an address),
        // and `len` does not exceed it.
        unsafe { std::slice::from_raw_parts((&raw const self.storage).cast(), len) }
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

impl From<SocketAddr> for Address {
    fn from(from: SocketAddr) -> Self {
        let mut to = Self::empty();
        #[allow(clippy::cast_possible_truncation)] // AF_INET and AF_INET6 are 2 and 10
        match from {
            SocketAddr::V4(a) => {
                // SAFETY: the storage is large and aligned enough for every family's address.
                let raw = unsafe { &mut *(&raw mut to.storage).cast::<libc::sockaddr_in>() };
                raw.sin_family = libc::AF_INET as libc::sa_family_t;
                raw.sin_port = a.port().to_be();
                raw.sin_addr.s_addr = u32::from(*a.ip()).to_be();
                to.len = len_of(size_of::<libc::sockaddr_in>());
            }
            SocketAddr::V6(a) => {
                // SAFETY: as above.
                let raw = unsafe { &mut *(&raw mut to.storage).cast::<libc::sockaddr_in6>() };
                raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                raw.sin6_port = a.port().to_be();
                raw.sin6_addr.s6_addr = a.ip().octets();
                raw.sin6_flowinfo = a.flowinfo();
                raw.sin6_scope_id = a.scope_id();
                to.len = len_of(size_of::<libc::sockaddr_in6>());
            }
        }
        to
    }
}

/// `bind`.
pub fn bind(fd: BorrowedFd<'_>, to: SocketAddr) -> io::Result<()> {
    let to = Address::from(to);
    // SAFETY: pointer and length describe `to`, which outlives the call.
    unsafe { check_int(libc::bind(fd.as_raw_fd(), (&raw const to.storage).cast(), to.len)).map(|_| ()) }
}

/// `connect`.
pub fn connect(fd: BorrowedFd<'_>, to: SocketAddr) -> io::Result<()> {
    let to = Address::from(to);
    // SAFETY: as in `bind`.
    unsafe { check_int(libc::connect(fd.as_raw_fd(), (&raw const to.storage).cast(), to.len)).map(|_| ()) }
}

/// `listen`.
pub fn listen(fd: BorrowedFd<'_>, backlog: c_int) -> io::Result<()> {
    // SAFETY: no pointers.
    unsafe { check_int(libc::listen(fd.as_raw_fd(), backlog)).map(|_| ()) }
}

/// `accept4`, close-on-exec.
pub fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, Address)> {
    let mut from = Address::empty();
    // SAFETY: the kernel writes at most `len` bytes into the storage; the answer is a descriptor nobody else owns.
    unsafe {
        let new = check_int(libc::accept4(
            fd.as_raw_fd(),
            (&raw mut from.storage).cast(),
            &raw mut from.len,
            libc::SOCK_CLOEXEC,
        ))?;
        Ok((OwnedFd::from_raw_fd(new), from))
    }
}

/// `shutdown` for receiving: whoever sleeps in a receive of it wakes up, now and from now on (also on an unconnected
/// datagram socket, where it answers `ENOTCONN` and acts all the same: `inet_shutdown`, net/ipv4/af_inet.c).
pub fn end_receiving(fd: BorrowedFd<'_>) {
    // SAFETY: no pointers.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_RD) };
}

/// The address a socket is bound to.
pub fn local_address(fd: BorrowedFd<'_>) -> io::Result<Option<SocketAddr>> {
    let mut at = Address::empty();
    // SAFETY: the kernel writes at most `len` bytes into the storage.
    unsafe { check_int(libc::getsockname(fd.as_raw_fd(), (&raw mut at.storage).cast(), &raw mut at.len))? };
    Ok(at.get())
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
pub fn recv_from(fd: BorrowedFd<'_>, buf: &mut [u8], flags: c_int, from: &mut Address) -> io::Result<usize> {
    from.len = len_of(size_of::<libc::sockaddr_storage>());
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
pub fn send_to(fd: BorrowedFd<'_>, bytes: &[u8], flags: c_int, to: &Address) -> io::Result<usize> {
    // SAFETY: pointers and lengths describe live values, which the kernel only reads.
    check(unsafe {
        libc::sendto(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags, (&raw const to.storage).cast(), to.len)
    })
}

/// Control-message room, aligned as the kernel's headers are.
#[repr(C, align(8))]
#[derive(Debug, Clone, Copy)]
pub struct Control<const N: usize>(pub [u8; N]);

/// What `recvmsg` said beside the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    /// Length of the message; exceeds the buffer's if `MSG_TRUNC` was asked and it was longer.
    pub len: usize,
    /// Bytes of control messages.
    pub control_len: usize,
    /// `MSG_…`.
    pub flags: c_int,
}

/// `recvmsg` with one buffer.
#[inline]
pub fn recv_message(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    control: &mut [u8],
    from: Option<&mut Address>,
    flags: c_int,
) -> io::Result<Received> {
    let mut iov = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    // SAFETY: msghdr is plain data for which all zeroes is a value.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control.len() as _;
    let from = from.map(|a| {
        message.msg_name = (&raw mut a.storage).cast();
        message.msg_namelen = len_of(size_of::<libc::sockaddr_storage>());
        &mut a.len
    });
    // SAFETY: every pointer in `message` is to a live value of the length given beside it.
    let len = check(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) })?;
    if let Some(from_len) = from {
        *from_len = message.msg_namelen;
    }
    #[allow(clippy::unnecessary_cast)] // the field's type differs between C libraries
    let control_len = message.msg_controllen as usize;
    Ok(Received { len, control_len, flags: message.msg_flags })
}

/// `sendmsg` with one buffer, to `to`, from the local address `source`, by `IP_PKTINFO` or `IPV6_PKTINFO`.
#[inline]
pub fn send_from(fd: BorrowedFd<'_>, bytes: &[u8], flags: c_int, to: &Address, source: Source) -> io::Result<usize> {
    let mut iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control([0u8; 64]);
    let header = size_of::<libc::cmsghdr>();
    // `ipi_ifindex` stays 0: the route picks the interface, the address is what the client waits for.
    let (level, kind, data) = match source.0 {
        IpAddr::V4(ip) => {
            control.0[header + 4..header + 8].copy_from_slice(&ip.octets());
            (libc::IPPROTO_IP, libc::IP_PKTINFO, size_of::<libc::in_pktinfo>())
        }
        IpAddr::V6(ip) => {
            control.0[header..header + 16].copy_from_slice(&ip.octets());
            // A link-local source needs its interface (RFC 3542 §6.2).
            control.0[header + 16..header + 20].copy_from_slice(&source.1.to_ne_bytes());
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, size_of::<libc::in6_pktinfo>())
        }
    };
    let word = size_of::<usize>();
    control.0[..word].copy_from_slice(&(header + data).to_ne_bytes());
    control.0[word..word + 4].copy_from_slice(&level.to_ne_bytes());
    control.0[word + 4..word + 8].copy_from_slice(&kind.to_ne_bytes());
    // SAFETY: msghdr is plain data for which all zeroes is a value.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_name = (&raw const to.storage).cast_mut().cast();
    message.msg_namelen = to.len;
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = (header + data).next_multiple_of(word) as _;
    // SAFETY: every pointer in `message` is to a live value of the length given beside it; the kernel only reads them.
    check(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, flags) })
}

/// The local address an answer leaves from, and for IPv6 link-local ones its interface (else 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source(pub IpAddr, pub u32);

/// Two ends of a way for descriptors within this process, and for nothing else: Unix datagram sockets.
pub fn descriptor_way() -> io::Result<(OwnedFd, OwnedFd)> {
    let (from, to) = std::os::unix::net::UnixDatagram::pair()?;
    Ok((from.into(), to.into()))
}

/// Hands a descriptor on, to a thread that may have another table of them (`SCM_RIGHTS`, unix(7)); fails where the way is
/// full. The sender's own stays open.
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
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    let time = timespec(timeout_ns);
    // SAFETY: one live pollfd and a live timespec; no signal mask.
    let n = check_int(unsafe { libc::ppoll(&raw mut entry, 1, &raw const time, std::ptr::null()) })?;
    Ok(if n == 0 { 0 } else { entry.revents })
}

/// `epoll_create1`, close-on-exec.
pub fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the answer is a descriptor nobody else owns.
    unsafe { Ok(OwnedFd::from_raw_fd(check_int(libc::epoll_create1(libc::EPOLL_CLOEXEC))?)) }
}

/// `EPOLL_CTL_ADD`, level-triggered.
pub fn epoll_add(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>, events: c_int, token: u64) -> io::Result<()> {
    epoll_control(epoll, libc::EPOLL_CTL_ADD, fd, events, token)
}

/// `EPOLL_CTL_MOD`.
pub fn epoll_modify(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>, events: c_int, token: u64) -> io::Result<()> {
    epoll_control(epoll, libc::EPOLL_CTL_MOD, fd, events, token)
}

/// `EPOLL_CTL_DEL`.
pub fn epoll_remove(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    epoll_control(epoll, libc::EPOLL_CTL_DEL, fd, 0, 0)
}

#[allow(clippy::cast_sign_loss)] // event masks are bit sets
fn epoll_control(epoll: BorrowedFd<'_>, what: c_int, fd: BorrowedFd<'_>, events: c_int, token: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events: events as u32, u64: token };
    // SAFETY: `event` is live; the kernel only reads it.
    unsafe { check_int(libc::epoll_ctl(epoll.as_raw_fd(), what, fd.as_raw_fd(), &raw mut event)).map(|_| ()) }
}

/// A ready descriptor's events and token.
pub type Event = libc::epoll_event;

/// `epoll_pwait2` (Linux 5.11) with a timeout in ns; on 5.10 `epoll_wait`, whose milliseconds are rounded down so that
/// it never sleeps past the time.
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
            assert_eq!(Address::from(a).get(), Some(a));
        }
        assert_eq!(Address::empty().get(), None);
    }
}

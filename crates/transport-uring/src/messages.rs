//! Datagrams of several sockets through one ring, as the far end takes and answers them: one receive request for each socket
//! brings all its messages with their senders (multishot `recvmsg` with provided buffers, Linux 6.0), and each answer is a
//! `sendmsg` request.
//!
//! A system call filter does not see what a ring is asked. So the ring is restricted (`IORING_REGISTER_RESTRICTIONS`, 5.10) to
//! these requests and their cancel, on the sockets that it was given: whoever takes over the thread gains nothing by it.
//!
//! Sources: io_uring_register(2); io_uring_prep_recvmsg_multishot(3) of liburing.
#![allow(unsafe_code)] // submissions name memory that must outlive them

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use io_uring::types::{CancelBuilder, Fixed};
use io_uring::{cqueue, opcode, squeue};
use lowlat_transport::clock::now;
use lowlat_transport::{EngineError, EngineOption, Ns, os};

use crate::buffer::{Buffer, Provided};
use crate::ring::{GROUP, Ring, unavailable};

/// Sends that may be in flight; a datagram's send completes at once unless the socket's buffer is full.
const SLOTS: usize = 32;
/// Room for a sender's address, and for the control messages next to a message.
const NAME: usize = size_of::<libc::sockaddr_storage>();
const CONTROL: usize = 192;
/// Looks at the ring between two looks at the clock, which costs 25 ns.
const SPINS_PER_CLOCK: u32 = 16;
/// How long the end waits for the receives to be cancelled.
const CANCEL_NS: Ns = 1_000_000_000;

/// `user_data` of a socket's receive is this and its place; sends have their slot's number.
const RECEIVE: u64 = 1 << 32;
/// `user_data` of the cancel.
const CANCEL: u64 = u64::MAX;

/// A message that came: which socket it came by, and where it lies. No copy of it is made: [`MessageRing::give`] takes it, so
/// that nothing reads a buffer which the kernel has again.
#[derive(Debug)]
pub struct Arrived {
    /// Place of its socket in the list given to [`MessageRing::open`].
    pub socket: usize,
    number: u16,
    len: usize,
}

/// What a message is.
#[derive(Debug, Clone, Copy)]
pub struct MessageParts<'a> {
    /// Its sender's address, as the kernel writes it.
    pub from: &'a [u8],
    /// Control messages.
    pub control: &'a [u8],
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// One answer on its way. The kernel reads `header` and what it names.
struct Slot {
    header: libc::msghdr,
    part: libc::iovec,
    to: os::RawAddress,
    control: os::Control<64>,
    data: Buffer,
    busy: bool,
}

/// The ring and the sockets on it.
pub struct MessageRing {
    ring: Ring,
    provided: Provided,
    /// Of all receives: how much room the sender and the control messages have.
    header: Box<libc::msghdr>,
    /// Never moved: their headers point into them.
    slots: Box<[Slot]>,
    /// Of each socket, whether its receive is with the kernel.
    armed: Vec<bool>,
    spin: bool,
    /// Answers that the kernel did not take since [`MessageRing::failed`] was asked.
    failed: u64,
}

// SAFETY: the ring is bound to no thread until `enable` (`IORING_SETUP_R_DISABLED`), which the thread calls that uses it
// from then on; until then nothing is in flight. The pointers in the headers are to memory that this value owns.
unsafe impl Send for MessageRing {}

impl std::fmt::Debug for MessageRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageRing")
            .field("ring", &self.ring)
            .field("sockets", &self.armed.len())
            .finish_non_exhaustive()
    }
}

fn no_header() -> libc::msghdr {
    // SAFETY: msghdr is plain data for which all zeroes is a value.
    unsafe { std::mem::zeroed() }
}

impl MessageRing {
    /// A ring for these sockets, restricted to them; it takes no request before [`MessageRing::enable`]. `spin`: looks at the
    /// completion ring all the time instead of sleeping. `longest`: bytes of the longest answer.
    ///
    /// # Errors
    /// This kernel or host gives no such ring.
    pub fn open(sockets: &[BorrowedFd<'_>], longest: usize, spin: bool) -> Result<Self, EngineError> {
        const WHAT: &str = "open a ring for datagrams";
        let older = |what: &str, since: &str, e: &io::Error| {
            unavailable(WHAT, format!("{what} ({e}); it needs Linux {since}"), "use --engine epoll")
        };
        let ring = Ring::held_back()?;
        // Multishot `recvmsg` is no opcode of its own that could be probed; it came with `IORING_OP_SEND_ZC`, which is.
        if !ring.send_zc {
            let why = "this kernel's io_uring has no multishot recvmsg, which needs Linux 6.0".to_owned();
            return Err(unavailable(WHAT, why, "use --engine epoll"));
        }
        let fds: Vec<RawFd> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
        ring.register_all(&fds).map_err(|e| older("the sockets cannot be registered", "5.1", &e))?;
        let provided = Provided::new();
        // SAFETY: they stay in `provided` until the end, which takes them back or leaks them.
        unsafe { ring.register_buffers(&provided) }.map_err(|e| older("buffers cannot be registered", "5.19", &e))?;
        ring.restrict(&[opcode::RecvMsg::CODE, opcode::SendMsg::CODE, opcode::AsyncCancel::CODE])
            .map_err(|e| older("the ring cannot be restricted", "5.10", &e))?;
        let mut header = Box::new(no_header());
        (header.msg_namelen, header.msg_controllen) = (libc::socklen_t::try_from(NAME).unwrap_or(0), CONTROL as _);
        let slot = || Slot {
            header: no_header(),
            part: libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 },
            to: os::RawAddress::empty(),
            control: os::Control([0; 64]),
            data: Buffer::new(longest.max(1)),
            busy: false,
        };
        let slots = (0..SLOTS).map(|_| slot()).collect();
        Ok(Self { ring, provided, header, slots, armed: vec![false; fds.len()], spin, failed: 0 })
    }

    /// What was granted.
    pub fn options(&self) -> Vec<EngineOption> {
        let multishot = format!("recvmsg with {} provided buffers", Provided::COUNT);
        let mut all = self.ring.options.clone();
        all.push(EngineOption::got("multishot receive", multishot));
        all.push(EngineOption::got("restricted", "to messages on its sockets"));
        all
    }

    /// Its descriptor, which the thread that uses it must keep.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.ring.descriptor()
    }

    /// The ring is the calling thread's from now on; its receives go to the kernel. A kernel that knows no multishot `recvmsg`
    /// says so here.
    ///
    /// # Errors
    /// As [`MessageRing::next`].
    pub fn enable(&mut self) -> io::Result<()> {
        self.ring.enable()?;
        self.arm()?;
        self.ring.submit()
    }

    /// The next message, waited for up to `wait_ns`.
    ///
    /// # Errors
    /// What the kernel answered to a receive, other than that there was no buffer; the receive is made anew by the next call.
    pub fn next(&mut self, wait_ns: Ns) -> io::Result<Option<Arrived>> {
        let until = now().saturating_add(wait_ns);
        let mut spins = 0u32;
        loop {
            while let Some(done) = self.ring.next() {
                if let Some(arrived) = self.complete(&done)? {
                    return Ok(Some(arrived));
                }
            }
            self.arm()?;
            if self.spin {
                if self.ring.wants_call() {
                    self.ring.submit()?;
                }
                spins = spins.wrapping_add(1);
                std::hint::spin_loop();
                if !spins.is_multiple_of(SPINS_PER_CLOCK) {
                    continue;
                }
            }
            let at = now();
            if at >= until {
                return Ok(None);
            }
            if !self.spin {
                self.ring.wait(until - at)?;
            }
        }
    }

    /// Takes in one completion.
    #[inline]
    fn complete(&mut self, done: &cqueue::Entry) -> io::Result<Option<Arrived>> {
        let (at, result) = (done.user_data(), done.result());
        if at == CANCEL {
            return Ok(None);
        }
        if at < RECEIVE {
            if let Some(slot) = usize::try_from(at).ok().and_then(|n| self.slots.get_mut(n)) {
                slot.busy = false;
            }
            self.failed += u64::from(result < 0);
            return Ok(None);
        }
        let socket = usize::try_from(at - RECEIVE).unwrap_or(usize::MAX);
        if let Some(armed) = self.armed.get_mut(socket) {
            *armed = cqueue::more(done.flags());
        }
        match (usize::try_from(result), cqueue::buffer_select(done.flags())) {
            (Ok(len), Some(number)) => Ok(Some(Arrived { socket, number, len })),
            (Ok(_), None) => Ok(None),
            // No buffer was left, or the receive was cancelled: the messages stay in the socket until it is armed again.
            (Err(_), _) if matches!(-result, libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN) => Ok(None),
            (Err(_), _) => Err(io::Error::from_raw_os_error(-result)),
        }
    }

    /// Queues the receive of each socket that has none.
    #[inline]
    fn arm(&mut self) -> io::Result<()> {
        for socket in 0..self.armed.len() {
            if self.armed[socket] {
                continue;
            }
            let place = Fixed(u32::try_from(socket).unwrap_or(u32::MAX));
            let header: *const libc::msghdr = &raw const *self.header;
            let entry = opcode::RecvMsgMulti::new(place, header, GROUP).build().user_data(RECEIVE + socket as u64);
            // SAFETY: the header and the buffers live as long as the ring; the end cancels the receives, or leaks both.
            unsafe { self.ring.push(&entry)? };
            self.armed[socket] = true;
        }
        Ok(())
    }

    /// A message's parts; `None` where the kernel wrote less than its own header. In the buffer stand `struct
    /// io_uring_recvmsg_out` (four numbers of 32 bits: lengths of the sender, the control messages and the message, and flags),
    /// the room for the sender, that for the control messages, and the message (io_uring_prep_recvmsg_multishot(3)).
    #[inline]
    pub fn parts(&self, arrived: &Arrived) -> Option<MessageParts<'_>> {
        const HEAD: usize = 16;
        let all = self.provided.front(arrived.number, arrived.len);
        let length = |at: usize| Some(u32::from_ne_bytes(*all.get(at..)?.first_chunk()?) as usize);
        let (from, control) = (length(0)?.min(NAME), length(4)?.min(CONTROL));
        Some(MessageParts {
            from: all.get(HEAD..HEAD + from)?,
            control: all.get(HEAD + NAME..HEAD + NAME + control)?,
            bytes: all.get(HEAD + NAME + CONTROL..)?,
        })
    }

    /// Its memory is the kernel's again.
    #[inline]
    #[allow(clippy::needless_pass_by_value)] // taken, so that nobody reads it afterwards
    pub fn give(&mut self, arrived: Arrived) {
        self.provided.give(arrived.number);
    }

    /// Queues a datagram, which leaves with this call, from `source` where that is given. It never waits: with
    /// all slots on their way, or a message that is longer than announced, it is refused.
    ///
    /// # Errors
    /// It was refused, here or by the kernel; an answer that the kernel refuses later is counted ([`MessageRing::failed`]).
    #[inline]
    pub fn send(
        &mut self,
        socket: usize,
        to: &os::RawAddress,
        source: Option<os::Source>,
        bytes: &[u8],
    ) -> io::Result<usize> {
        let Some(number) = self.slots.iter().position(|s| !s.busy) else {
            return Err(io::Error::from_raw_os_error(libc::EAGAIN));
        };
        let slot = &mut self.slots[number];
        if !slot.data.fill(bytes) {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        slot.to = *to;
        slot.part = libc::iovec { iov_base: slot.data.pointer().cast(), iov_len: bytes.len() };
        slot.header = no_header();
        slot.header.msg_name = slot.to.bytes().as_ptr().cast_mut().cast();
        slot.header.msg_namelen = libc::socklen_t::try_from(slot.to.bytes().len()).unwrap_or(0);
        slot.header.msg_iov = &raw mut slot.part;
        slot.header.msg_iovlen = 1;
        if let Some(source) = source {
            let (control, len) = source.control();
            slot.control = control;
            slot.header.msg_control = slot.control.0.as_mut_ptr().cast();
            slot.header.msg_controllen = len as _;
        }
        slot.busy = true;
        let place = Fixed(u32::try_from(socket).unwrap_or(u32::MAX));
        let flags = libc::MSG_DONTWAIT.unsigned_abs();
        let entry = opcode::SendMsg::new(place, &raw const slot.header).flags(flags).build().user_data(number as u64);
        // SAFETY: the slot stays where it is until its completion (`busy`): it is not written before, and the end waits for it or
        // leaks it.
        let queued = unsafe { self.ring.push(&entry) };
        // Where one of the two fails it is not known whether the kernel has the request: the slot stays taken.
        queued.and_then(|()| self.ring.submit())?;
        Ok(bytes.len())
    }

    /// Answers that the kernel did not take since this was asked last.
    pub fn failed(&mut self) -> u64 {
        std::mem::take(&mut self.failed)
    }

    /// Cancels the receives and waits for what is in flight, on the thread that uses the ring; what cannot be cancelled in time
    /// keeps its memory for ever.
    pub fn end(&mut self) {
        let limit = now() + CANCEL_NS;
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        let cancel = cancel.user_data(CANCEL).flags(squeue::Flags::FIXED_FILE);
        // SAFETY: a cancel names no memory.
        let _ = unsafe { self.ring.push(&cancel) };
        while self.in_flight() {
            let at = now();
            if at >= limit || self.ring.wait(limit - at).is_err() {
                break;
            }
            while let Some(done) = self.ring.next() {
                if let Ok(Some(arrived)) = self.complete(&done) {
                    self.give(arrived);
                }
            }
        }
        // At once: the end of a ring is asynchronous, and would hold the ports.
        self.ring.unregister();
    }

    fn in_flight(&self) -> bool {
        self.armed.contains(&true) || self.slots.iter().any(|s| s.busy)
    }
}

impl Drop for MessageRing {
    fn drop(&mut self) {
        if self.armed.contains(&true) {
            self.provided.leak();
            Box::leak(std::mem::replace(&mut self.header, Box::new(no_header())));
        }
        if self.slots.iter().any(|s| s.busy) {
            Box::leak(std::mem::take(&mut self.slots));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::os::fd::AsFd;

    use super::*;

    /// The kernel may forbid rings here; where the privileged suites must run, it may not.
    fn open(sockets: &[BorrowedFd<'_>], spin: bool) -> Option<MessageRing> {
        match MessageRing::open(sockets, 2000, spin) {
            Ok(ring) => Some(ring),
            Err(e) if std::env::var_os("LOWLAT_REQUIRE_ROOT").is_some_and(|v| v == "1") => panic!("{e}"),
            Err(_) => None,
        }
    }

    #[test]
    fn messages_of_two_sockets_come_with_their_senders_and_are_answered() {
        for spin in [false, true] {
            let far = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
            let Some(mut ring) = open(&[far[0].as_fd(), far[1].as_fd()], spin) else { return };
            ring.enable().unwrap();
            let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            near.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
            // More than there are buffers, so that each goes round.
            for n in 0..50u8 {
                let which = usize::from(n % 2);
                let bytes = vec![n; 1 + usize::from(n) * 30];
                near.send_to(&bytes, far[which].local_addr().unwrap()).unwrap();
                let arrived = ring.next(2_000_000_000).unwrap().unwrap();
                let parts = ring.parts(&arrived).unwrap();
                let from = os::RawAddress::from_bytes(parts.from);
                assert_eq!((arrived.socket, from.get()), (which, Some(near.local_addr().unwrap())));
                assert_eq!(parts.bytes, bytes);
                ring.give(arrived);
                ring.send(which, &from, None, &bytes[..1]).unwrap();
                let mut answer = [0; 10];
                let (len, by) = near.recv_from(&mut answer).unwrap();
                assert_eq!((len, answer[0], by), (1, n, far[which].local_addr().unwrap()));
            }
            assert!(ring.next(1_000_000).unwrap().is_none());
            assert_eq!(ring.failed(), 0);
            ring.end();
            assert!(!ring.in_flight(), "something was not cancelled");
        }
    }

    #[test]
    fn a_burst_of_more_messages_than_buffers_is_not_lost() {
        let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let Some(mut ring) = open(&[far.as_fd()], false) else { return };
        ring.enable().unwrap();
        let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for n in 0..100u8 {
            near.send_to(&[n], far.local_addr().unwrap()).unwrap();
        }
        for n in 0..100u8 {
            let arrived = ring.next(2_000_000_000).unwrap().unwrap();
            assert_eq!(ring.parts(&arrived).unwrap().bytes, [n]);
            ring.give(arrived);
        }
        ring.end();
    }

    #[test]
    fn what_is_no_answering_is_refused_by_the_ring_itself() {
        let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let Some(mut ring) = open(&[far.as_fd()], false) else { return };
        ring.enable().unwrap();
        let refused = |ring: &mut MessageRing, entry: &squeue::Entry| {
            // SAFETY: neither names memory that ends before the call returns.
            unsafe { ring.ring.push(entry) }.unwrap();
            ring.ring.submit().unwrap();
            ring.ring.next().map(|done| done.result())
        };
        let path = c"/etc/passwd";
        let open = opcode::OpenAt::new(io_uring::types::Fd(libc::AT_FDCWD), path.as_ptr()).build().user_data(CANCEL);
        assert_eq!(refused(&mut ring, &open), Some(-libc::EACCES));
        // A socket that was not given to it.
        let other = opcode::SendMsg::new(io_uring::types::Fd(far.as_raw_fd()), &raw const *ring.header).build();
        assert_eq!(refused(&mut ring, &other.user_data(CANCEL)), Some(-libc::EACCES));
        ring.end();
    }
}

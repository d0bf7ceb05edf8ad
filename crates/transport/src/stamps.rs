//! Kernel and hardware timestamps of a socket (`SO_TIMESTAMPING`; Documentation/networking/timestamping.rst).
//!
//! Asked for: transmit stamps before the queue discipline and at the driver, receive stamps of the kernel, and those of
//! the NIC where one is set up for it. That the option is taken proves nothing (drivers accept modes whose stamps never
//! come), so a prober counts what arrives.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;

use libc::{c_int, c_uint};

use crate::{Proto, StampAt, StampSet, TxStamp, cmsg, os};

/// Stamps kept between two calls of `tx_stamps`; four come per probe, and a prober collects them at least each second.
const PENDING: usize = 1 << 14;
/// TCP sends whose end is remembered, to turn the kernel's byte offsets back into sends.
const SENDS: usize = 1 << 12;

/// How stamps are reported: both clocks, counted sends, no copy of the packet, and with both kinds of transmit stamp
/// rather than the hardware one instead of the software one (OPT_TX_SWHW, Linux 4.13).
const REPORTED: c_uint = libc::SOF_TIMESTAMPING_SOFTWARE
    | libc::SOF_TIMESTAMPING_RAW_HARDWARE
    | libc::SOF_TIMESTAMPING_OPT_ID
    | libc::SOF_TIMESTAMPING_OPT_TSONLY
    | libc::SOF_TIMESTAMPING_OPT_TX_SWHW;

fn generated(at: StampAt) -> c_uint {
    match at {
        StampAt::TxSched => libc::SOF_TIMESTAMPING_TX_SCHED,
        StampAt::TxSoftware => libc::SOF_TIMESTAMPING_TX_SOFTWARE,
        StampAt::TxHardware => libc::SOF_TIMESTAMPING_TX_HARDWARE,
        StampAt::TxAck => libc::SOF_TIMESTAMPING_TX_ACK,
        StampAt::RxSoftware => libc::SOF_TIMESTAMPING_RX_SOFTWARE,
        StampAt::RxHardware => libc::SOF_TIMESTAMPING_RX_HARDWARE,
    }
}

/// What a stamped socket needs besides its descriptor.
#[derive(Debug)]
pub(crate) struct Stamps {
    /// Room for the control messages of one receive.
    pub(crate) control: os::Control<256>,
    asks: StampSet,
    /// `SOF_TIMESTAMPING_OPT_ID_TCP` was taken.
    id_tcp: c_uint,
    sends: u32,
    pending: Vec<TxStamp>,
    stream: Option<Sends>,
}

impl Stamps {
    /// Asks the kernel for every kind of stamp on a connected socket that has sent nothing.
    pub(crate) fn enable(fd: BorrowedFd<'_>, proto: Proto) -> io::Result<Self> {
        let tcp = proto == Proto::Tcp;
        let asks = StampAt::ALL.into_iter().filter(|at| tcp || *at != StampAt::TxAck).collect();
        let mut stamps = Self {
            control: os::Control([0; 256]),
            asks,
            id_tcp: if tcp { libc::SOF_TIMESTAMPING_OPT_ID_TCP } else { 0 },
            sends: 0,
            pending: Vec::with_capacity(PENDING),
            stream: tcp.then(Sends::new),
        };
        // OPT_ID_TCP (Linux 6.2) counts from the bytes written so far; without it from those acknowledged, which is the
        // same on a connection that has carried nothing.
        if let Err(e) = stamps.keep(fd, asks) {
            if !tcp {
                return Err(e);
            }
            stamps.id_tcp = 0;
            stamps.keep(fd, asks)?;
        }
        Ok(stamps)
    }

    /// Asks for these kinds alone. The count of sends goes on: it starts anew only when OPT_ID itself is switched on
    /// (`sock_set_timestamping` in net/core/sock.c).
    pub(crate) fn keep(&mut self, fd: BorrowedFd<'_>, kinds: StampSet) -> io::Result<()> {
        let generated =
            StampAt::ALL.into_iter().filter(|at| kinds.has(*at)).map(generated).fold(0, |all, one| all | one);
        set(fd, REPORTED | self.id_tcp | generated)?;
        self.asks = kinds;
        Ok(())
    }

    pub(crate) fn asks(&self) -> StampSet {
        self.asks
    }

    pub(crate) fn sends(&self) -> u32 {
        self.sends
    }

    /// Notes a send of `len` bytes.
    #[inline]
    pub(crate) fn sent(&mut self, len: usize) {
        self.sends = self.sends.wrapping_add(1);
        if let Some(sends) = &mut self.stream {
            sends.push(len);
        }
    }

    /// Empties the socket's error queue. A full store drops the newest, which shows as missing coverage.
    pub(crate) fn drain(&mut self, fd: BorrowedFd<'_>) {
        let mut control = os::Control([0u8; 256]);
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        // Bounded: other errors than "empty" (a queued ICMP error has none of its own) end it as well.
        while let Ok(got) = os::recv_message(fd, &mut [], &mut control.0, None, flags) {
            let Some(mut stamp) = cmsg::transmit_stamp(&control.0[..got.control_len.min(256)]) else { continue };
            if let Some(sends) = &self.stream {
                let Some(index) = sends.find(stamp.id) else { continue };
                stamp.id = index;
            }
            if self.pending.len() < PENDING {
                self.pending.push(stamp);
            }
        }
    }

    /// Keeps one that its owner read from the error queue.
    pub(crate) fn put(&mut self, stamp: TxStamp) {
        if self.pending.len() < PENDING {
            self.pending.push(stamp);
        }
    }

    /// Hands over what has come.
    pub(crate) fn take(&mut self, out: &mut Vec<TxStamp>) {
        out.append(&mut self.pending);
    }
}

fn set(fd: BorrowedFd<'_>, flags: c_uint) -> io::Result<()> {
    let value = c_int::try_from(flags).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    os::set_int(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, value)
}

/// On a stream the kernel's id is the offset of the send's last byte (timestamping.rst, §1.3.4), modulo 2³².
#[derive(Debug)]
struct Sends {
    /// Offset of each remembered send's last byte.
    last_bytes: VecDeque<u32>,
    /// Index of the oldest remembered send.
    first: u32,
    /// Offset of the next byte.
    next: u32,
}

impl Sends {
    fn new() -> Self {
        Self { last_bytes: VecDeque::with_capacity(SENDS), first: 0, next: 0 }
    }

    #[allow(clippy::cast_possible_truncation)] // modulo 2³², as the kernel counts
    fn push(&mut self, len: usize) {
        if self.last_bytes.len() == SENDS {
            self.last_bytes.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        self.next = self.next.wrapping_add(len as u32);
        self.last_bytes.push_back(self.next.wrapping_sub(1));
    }

    fn find(&self, last_byte: u32) -> Option<u32> {
        // Sorted by distance behind `next`, which also holds across the wrap.
        let behind = |b: &u32| std::cmp::Reverse(self.next.wrapping_sub(*b));
        let at = self.last_bytes.binary_search_by_key(&behind(&last_byte), behind).ok()?;
        Some(self.first.wrapping_add(u32::try_from(at).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_offsets_become_sends_also_across_the_wrap_and_when_old_ones_are_forgotten() {
        let mut s = Sends::new();
        s.next = u32::MAX - 100;
        for _ in 0..SENDS + 10 {
            s.push(64);
        }
        let last_of = |n: u32| (u32::MAX - 100).wrapping_add((n + 1) * 64).wrapping_sub(1);
        assert_eq!(s.find(last_of(9)), None, "forgotten");
        for n in [10, 11, 500, u32::try_from(SENDS).unwrap() + 9] {
            assert_eq!(s.find(last_of(n)), Some(n));
        }
        assert_eq!(s.find(last_of(12) + 1), None, "inside a send");
    }
}

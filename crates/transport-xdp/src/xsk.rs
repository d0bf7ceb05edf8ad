//! One AF_XDP socket: its UMEM, its four rings, and the system calls that move them.
//!
//! The rings are shared with the kernel (Documentation/networking/af_xdp.rst; layout net/xdp/xsk_queue.h). Each has one
//! producer and one consumer: the producer writes the entry, then its index with release order; the consumer reads the
//! index with acquire order, then the entry. We produce on *fill* and *tx*, the kernel on *rx* and *completion*.
//! Whatever the kernel's indices say, every access is masked to the ring and every frame checked against the UMEM.
#![allow(unsafe_code)] // rings in memory shared with the kernel

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lowlat_os::socket::{SO_BUSY_POLL_BUDGET, SO_PREFER_BUSY_POLL, get_int, set_int};
use rustix::io::Errno;
use rustix::mm::ProtFlags;
use rustix::net::sockopt::{
    set_xdp_rx_ring_size, set_xdp_tx_ring_size, set_xdp_umem_completion_ring_size, set_xdp_umem_fill_ring_size,
    set_xdp_umem_reg, xdp_mmap_offsets, xdp_options, xdp_statistics,
};
use rustix::net::xdp::{
    SocketAddrXdp, SocketAddrXdpFlags, XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING, XDP_UMEM_PGOFF_COMPLETION_RING,
    XDP_UMEM_PGOFF_FILL_RING, XdpDesc, XdpDescOptions, XdpOptionsFlags, XdpRingOffset, XdpUmemReg, XdpUmemRegFlags,
};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

use crate::mapping::Mapping;

/// Frames that wait for packets, a power of two: 512 cover a 10 µs stall at 10 GbE line rate of small packets, and are
/// the default ring size of the common drivers (ixgbe, i40e: 512).
const RX_FRAMES: u32 = 512;
/// Frames for sending, a power of two. One flow has few in the air.
const TX_FRAMES: u32 = 64;
/// What the kernel keeps free in front of a received packet (`XDP_PACKET_HEADROOM`, include/uapi/linux/bpf.h).
pub(crate) const HEADROOM: usize = 256;
/// How long a queue may still be held by a socket that was just closed: its teardown is asynchronous
/// (`xp_put_pool` defers to a work item, net/xdp/xsk_buff_pool.c).
const BUSY_TRIES: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Memory that the sockets of so many queues pin, bytes; the kernel counts it against `RLIMIT_MEMLOCK`, unless the user
/// has CAP_IPC_LOCK (`xdp_umem_account_pages`, net/xdp/xdp_umem.c).
pub(crate) fn pinned(queues: u32, chunk: usize) -> u64 {
    u64::from(queues) * u64::from(RX_FRAMES + TX_FRAMES) * chunk as u64
}

/// Bytes of the largest frame that a chunk holds. A zero-copy driver may tell its device the room in whole KiB, rounded
/// down: igb does (`E1000_SRRCTL_BSIZEPKT_SHIFT`), and seen on Linux 7.3, chunks of 2048 bytes then lose every frame above
/// 1024.
pub(crate) fn room(chunk: usize, copying: Copying) -> usize {
    let room = chunk - HEADROOM;
    match copying {
        Copying::Zero => room - room % 1024,
        Copying::Copy => room,
    }
}

/// The smallest chunk that holds a frame of so many bytes.
pub(crate) fn chunk_of(frame: usize, copying: Copying) -> Option<usize> {
    CHUNKS.into_iter().find(|chunk| room(*chunk, copying) >= frame)
}

/// The two chunk sizes that every driver takes in aligned mode: a page must hold whole chunks.
pub(crate) const CHUNKS: [usize; 2] = [2048, 4096];

/// One ring of `size` entries of type `T`. The side that is ours is also kept in `ours`, so that it is never re-read
/// from shared memory.
#[derive(Debug)]
struct Ring<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    mask: u32,
    ours: u32,
    _map: Mapping,
}

impl<T: Copy> Ring<T> {
    fn map(fd: BorrowedFd<'_>, offset: u64, size: u32, at: &XdpRingOffset) -> io::Result<Self> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "ring offsets outside the mapping");
        let entries = size as usize;
        let len = at.desc.checked_add((entries * size_of::<T>()) as u64).and_then(|len| usize::try_from(len).ok());
        let map = Mapping::of(fd, offset, len.ok_or_else(bad)?, ProtFlags::READ | ProtFlags::WRITE)?;
        let word = |at| map.place(at, 1).ok_or_else(bad);
        Ok(Self {
            producer: word(at.producer)?,
            consumer: word(at.consumer)?,
            // Every kernel that has XDP links (5.9) has the flags (5.4).
            flags: word(at.flags.ok_or_else(bad)?)?,
            entries: map.place(at.desc, entries).ok_or_else(bad)?,
            mask: size - 1,
            ours: 0,
            _map: map,
        })
    }

    /// One of the ring's three words.
    #[inline]
    fn word(&self, which: impl Fn(&Self) -> NonNull<AtomicU32>) -> &AtomicU32 {
        // SAFETY: one of the words that `map` found inside the mapping, which lives as long as the ring; the kernel
        // accesses it only atomically.
        unsafe { which(self).as_ref() }
    }

    /// The kernel sleeps and wants a system call (`XDP_RING_NEED_WAKEUP`).
    #[inline]
    fn needs_wakeup(&self) -> bool {
        self.word(|r| r.flags).load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    /// Produces one entry; false when the ring is full.
    #[inline]
    fn push(&mut self, entry: T) -> bool {
        if self.ours.wrapping_sub(self.word(|r| r.consumer).load(Ordering::Acquire)) > self.mask {
            return false;
        }
        // SAFETY: masked to the ring's entries; the slot is ours until the producer index passes it.
        unsafe { self.entries.add((self.ours & self.mask) as usize).write(entry) };
        self.ours = self.ours.wrapping_add(1);
        self.word(|r| r.producer).store(self.ours, Ordering::Release);
        true
    }

    /// Consumes one entry.
    #[inline]
    fn pop(&mut self) -> Option<T> {
        if self.word(|r| r.producer).load(Ordering::Acquire) == self.ours {
            return None;
        }
        // SAFETY: masked to the ring's entries; acquire order makes the kernel's write of the slot visible, and it does
        // not touch the slot again until the consumer index passes it.
        let entry = unsafe { self.entries.add((self.ours & self.mask) as usize).read() };
        self.ours = self.ours.wrapping_add(1);
        self.word(|r| r.consumer).store(self.ours, Ordering::Release);
        Some(entry)
    }
}

/// How a socket was bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copying {
    /// The driver moves packets straight into the UMEM, or the bind fails.
    Zero,
    /// The kernel copies.
    Copy,
}

/// What busy polling of a socket asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BusyPoll {
    /// `SO_BUSY_POLL`, µs.
    pub(crate) us: u32,
    /// Packets per poll (`SO_BUSY_POLL_BUDGET`).
    pub(crate) budget: u32,
}

/// What a bound socket got, as the kernel says, not as was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Got {
    /// `XDP_OPTIONS_ZEROCOPY`.
    pub(crate) zero_copy: bool,
    /// The kernel marks the rings when it wants a system call. A TX ring that was bound with `XDP_USE_NEED_WAKEUP` is
    /// marked from the start (`xp_assign_dev`, net/xdp/xsk_buff_pool.c: "Tx needs to be explicitly woken up the first
    /// time").
    pub(crate) need_wakeup: bool,
    /// `SO_BUSY_POLL`, µs, where `SO_PREFER_BUSY_POLL` is on.
    pub(crate) prefer_busy_poll_us: Option<u32>,
}

/// A bound AF_XDP socket with its own UMEM.
#[derive(Debug)]
pub(crate) struct Xsk {
    rx: Ring<XdpDesc>,
    tx: Ring<XdpDesc>,
    fill: Ring<u64>,
    completion: Ring<u64>,
    /// Addresses of frames free for sending.
    free: Vec<u64>,
    chunk: usize,
    got: Got,
    /// System calls that moved packets or had the driver move them.
    calls: u64,
    // Last: the rings go before the socket, the socket before the memory it writes to.
    fd: OwnedFd,
    umem: Mapping,
}

impl Xsk {
    /// A socket on `queue` of interface `ifindex`, with frames of `chunk` bytes. Waits for a queue that is just being
    /// given up (`EBUSY`) for 2 s at most.
    pub(crate) fn bind(
        ifindex: u32,
        queue: u32,
        copying: Copying,
        chunk: usize,
        busy: Option<BusyPoll>,
    ) -> io::Result<Self> {
        let fd = new_socket()?;
        let frames = RX_FRAMES + TX_FRAMES;
        let umem = Mapping::anonymous(frames as usize * chunk)?;
        let memory = XdpUmemReg {
            addr: umem.start().as_ptr() as u64,
            len: umem.len() as u64,
            chunk_size: u32::try_from(chunk).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?,
            headroom: 0,
            flags: XdpUmemRegFlags::empty(),
            tx_metadata_len: 0,
        };
        set_xdp_umem_reg(&fd, memory)?;
        set_xdp_umem_fill_ring_size(&fd, RX_FRAMES)?;
        set_xdp_umem_completion_ring_size(&fd, TX_FRAMES)?;
        set_xdp_rx_ring_size(&fd, RX_FRAMES)?;
        set_xdp_tx_ring_size(&fd, TX_FRAMES)?;

        let offsets = xdp_mmap_offsets(&fd)?;
        let rx = Ring::map(fd.as_fd(), XDP_PGOFF_RX_RING, RX_FRAMES, &offsets.rx)?;
        let tx = Ring::map(fd.as_fd(), XDP_PGOFF_TX_RING, TX_FRAMES, &offsets.tx)?;
        let mut fill = Ring::map(fd.as_fd(), XDP_UMEM_PGOFF_FILL_RING, RX_FRAMES, &offsets.fr)?;
        let completion = Ring::map(fd.as_fd(), XDP_UMEM_PGOFF_COMPLETION_RING, TX_FRAMES, &offsets.cr)?;

        // Before bind: igb's zero-copy receives nothing when the fill ring is empty at bind (seen on 7.3).
        for frame in 0..RX_FRAMES {
            fill.push(u64::from(frame) * chunk as u64);
        }
        let free = (RX_FRAMES..frames).map(|f| u64::from(f) * chunk as u64).collect();

        if let Some(busy) = busy {
            set_busy_poll(fd.as_fd(), busy)?; // before bind: drivers look at it there
        }
        bind(&fd, ifindex, queue, copying)?;
        let got = Got {
            zero_copy: xdp_options(&fd)?.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY),
            need_wakeup: tx.needs_wakeup(),
            prefer_busy_poll_us: prefer_busy_poll(fd.as_fd()),
        };
        Ok(Self { rx, tx, fill, completion, free, chunk, got, calls: 0, fd, umem })
    }

    /// What it got.
    pub(crate) fn got(&self) -> Got {
        self.got
    }

    /// System calls on it so far, without those that set it up and read its counters.
    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    /// Packets that the kernel dropped here so far: no free frame, or a full ring (`XDP_STATISTICS`; `__xsk_rcv` and
    /// `__xsk_rcv_zc`, net/xdp/xsk.c). 0 where the kernel does not say.
    pub(crate) fn dropped(&self) -> u64 {
        xdp_statistics(&self.fd).map_or(0, |s| s.rx_dropped + s.rx_ring_full.unwrap_or(0))
    }

    /// NAPI instance of the last packet; `None` where the device has none for this queue (`SO_INCOMING_NAPI_ID`).
    pub(crate) fn napi_id(&self) -> Option<u32> {
        get_int(self.fd(), libc::SOL_SOCKET, libc::SO_INCOMING_NAPI_ID).ok()?.try_into().ok().filter(|id| *id > 0)
    }

    /// For poll(2) and the XSKMAP.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Takes back the frames that were sent, once half of them are out. The completion ring was last written by the CPU
    /// that freed the packet, over veth the far end's, so a look at it is a cache miss: it is made while an answer is waited
    /// for, and not between an answer and the next send.
    #[inline]
    pub(crate) fn reclaim_in_time(&mut self) {
        if self.free.len() < TX_FRAMES as usize / 2 {
            self.reclaim();
        }
    }

    /// Takes back the frames that were sent.
    #[cold]
    fn reclaim(&mut self) {
        while let Some(addr) = self.completion.pop() {
            // The kernel returns what it was given; a foreign address is dropped rather than trusted.
            if self.frame_in_bounds(addr, 0) && self.free.len() < TX_FRAMES as usize {
                self.free.push(addr - addr % self.chunk as u64);
            }
        }
    }

    /// Has `write` fill a free frame and puts it on the TX ring; `false` when no frame or no ring slot is free.
    /// `write` returns the frame's length.
    #[inline]
    pub(crate) fn queue_tx(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
        if self.free.is_empty() {
            self.reclaim();
        }
        let Some(addr) = self.free.pop() else { return false };
        // SAFETY: `addr` is a chunk of the UMEM that is on no ring (it was in `free`), so the kernel does not touch it;
        // `&mut self` excludes a second slice.
        let frame = unsafe { std::slice::from_raw_parts_mut(self.umem.start().add(at(addr)).as_ptr(), self.chunk) };
        let sent = write(frame)
            .and_then(|len| u32::try_from(len).ok())
            .is_some_and(|len| self.tx.push(XdpDesc { addr, len, options: XdpDescOptions::empty() }));
        if !sent {
            self.free.push(addr);
        }
        sent
    }

    /// Asks the kernel to send what is on the TX ring. In copy mode this call *is* the send; a zero-copy driver that
    /// is awake needs none.
    #[inline]
    pub(crate) fn kick_tx(&mut self) -> io::Result<()> {
        if self.got.zero_copy && self.got.need_wakeup && !self.tx.needs_wakeup() {
            return Ok(());
        }
        self.calls += 1;
        send(&self.fd, &[], SendFlags::DONTWAIT)?;
        Ok(())
    }

    /// Takes one received packet, shows it to `look` and gives its frame back to the kernel.
    #[inline]
    pub(crate) fn receive<R>(&mut self, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let desc = self.rx.pop()?;
        if !self.frame_in_bounds(desc.addr, desc.len) {
            return None; // not a frame of ours: neither read nor given back
        }
        // SAFETY: [addr, addr + len) was checked to lie in one chunk of the UMEM; the frame is ours from the RX ring
        // until it is pushed on the fill ring below, after the slice's last use.
        let packet =
            unsafe { std::slice::from_raw_parts(self.umem.start().add(at(desc.addr)).as_ptr(), desc.len as usize) };
        let result = look(packet);
        // Never full: it has a slot for each RX frame, and this one is not on it.
        self.fill.push(desc.addr - desc.addr % self.chunk as u64);
        Some(result)
    }

    /// Wakes a driver that ran out of fill entries and sleeps.
    #[inline]
    pub(crate) fn wake_rx(&mut self) {
        if self.fill.needs_wakeup() {
            self.poll_driver();
        }
    }

    /// Runs the driver's receive path in this thread: with busy polling set, this is where the packets come from.
    #[inline]
    pub(crate) fn poll_driver(&mut self) {
        self.calls += 1;
        // Errors (EAGAIN above all) mean "nothing yet".
        let _ = recv(&self.fd, &mut [0u8; 0], RecvFlags::DONTWAIT);
    }

    #[inline]
    fn frame_in_bounds(&self, addr: u64, len: u32) -> bool {
        let chunk = self.chunk as u64;
        addr < self.umem.len() as u64 && addr % chunk + u64::from(len) <= chunk
    }
}

/// An address checked to lie in the UMEM.
#[allow(clippy::cast_possible_truncation)] // the UMEM is far below 4 GiB
fn at(addr: u64) -> usize {
    addr as usize
}

fn new_socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::XDP, SocketType::RAW, SocketFlags::CLOEXEC, None)?)
}

/// Whether this kernel and user can have an AF_XDP socket at all.
pub(crate) fn socket_possible() -> io::Result<()> {
    new_socket().map(drop)
}

/// Whether this kernel (5.11) and user may ask a socket to busy poll.
pub(crate) fn busy_poll_possible(busy: BusyPoll) -> io::Result<()> {
    set_busy_poll(new_socket()?.as_fd(), busy)
}

fn set_busy_poll(fd: BorrowedFd<'_>, busy: BusyPoll) -> io::Result<()> {
    set_int(fd, libc::SOL_SOCKET, SO_PREFER_BUSY_POLL, 1)?;
    set_int(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL, busy.us.cast_signed())?;
    set_int(fd, libc::SOL_SOCKET, SO_BUSY_POLL_BUDGET, busy.budget.cast_signed())
}

/// What the socket has of it now.
fn prefer_busy_poll(fd: BorrowedFd<'_>) -> Option<u32> {
    let on = get_int(fd, libc::SOL_SOCKET, SO_PREFER_BUSY_POLL).is_ok_and(|on| on != 0);
    let us = get_int(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL).ok()?;
    u32::try_from(us).ok().filter(|us| on && *us > 0)
}

fn bind(fd: &OwnedFd, ifindex: u32, queue: u32, copying: Copying) -> io::Result<()> {
    let mode = match copying {
        Copying::Zero => SocketAddrXdpFlags::XDP_ZEROCOPY,
        Copying::Copy => SocketAddrXdpFlags::XDP_COPY,
    };
    let address = SocketAddrXdp::new(mode | SocketAddrXdpFlags::XDP_USE_NEED_WAKEUP, ifindex, queue);
    for _ in 1..BUSY_TRIES {
        match rustix::net::bind(fd, &address) {
            Err(Errno::BUSY) => std::thread::sleep(BUSY_PAUSE),
            other => return Ok(other?),
        }
    }
    Ok(rustix::net::bind(fd, &address)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_copy_chunk_holds_its_frame_in_whole_kib() {
        let of = |frame| [Copying::Copy, Copying::Zero].map(|copying| chunk_of(frame, copying));
        assert_eq!(of(1024), [Some(2048), Some(2048)]);
        assert_eq!(of(1514), [Some(2048), Some(4096)]);
        assert_eq!(of(1792), [Some(2048), Some(4096)]);
        assert_eq!(of(3072), [Some(4096), Some(4096)]);
        assert_eq!(of(3073), [Some(4096), None]);
    }
}

//! One AF_XDP socket: its UMEM, its four rings, and the system calls that move them.
//!
//! The rings are shared with the kernel (Documentation/networking/af_xdp.rst; layout net/xdp/xsk_queue.h). Each has one
//! producer and one consumer: the producer writes the entry, then its index with release order; the consumer reads the
//! index with acquire order, then the entry. We produce on *fill* and *tx*, the kernel on *rx* and *completion*.
//! Whatever the kernel's indices say, every access is masked to the ring and every frame checked against the UMEM.
#![allow(unsafe_code)] // shared memory rings and raw socket options

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::sockopt::set_int;

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

/// The two chunk sizes that every driver takes in aligned mode: a page must hold whole chunks.
pub(crate) const CHUNKS: [usize; 2] = [2048, 4096];

/// A memory mapping, unmapped when dropped.
#[derive(Debug)]
struct Mapping {
    at: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(len: usize, flags: libc::c_int, fd: RawFd, offset: libc::off_t) -> io::Result<Self> {
        // SAFETY: asks the kernel for a new mapping at an address of its choice; nothing of ours is replaced.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                flags | libc::MAP_POPULATE,
                fd,
                offset,
            )
        };
        match NonNull::new(at.cast::<u8>()) {
            Some(at) if at.as_ptr().cast::<libc::c_void>() != libc::MAP_FAILED => Ok(Self { at, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `at` and `len` are exactly what mmap gave, and every pointer into it lives in the owner of this value.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
    }
}

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
    fn map(fd: RawFd, offset: libc::off_t, size: u32, at: libc::xdp_ring_offset) -> io::Result<Self> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "ring offsets outside the mapping");
        let place = |o: u64| usize::try_from(o).map_err(|_| bad());
        let (producer, consumer, flags, desc) =
            (place(at.producer)?, place(at.consumer)?, place(at.flags)?, place(at.desc)?);
        let len = desc.checked_add(size as usize * size_of::<T>()).ok_or_else(bad)?;
        let word = size_of::<u32>();
        let aligned = [producer, consumer, flags].iter().all(|o| o % word == 0 && o + word <= len);
        if !aligned || desc % align_of::<T>() != 0 {
            return Err(bad());
        }
        let map = Mapping::new(len, libc::MAP_SHARED, fd, offset)?;
        // SAFETY: the four offsets were checked to lie aligned inside the mapping, which lives as long as the ring.
        unsafe {
            Ok(Self {
                producer: map.at.add(producer).cast(),
                consumer: map.at.add(consumer).cast(),
                flags: map.at.add(flags).cast(),
                entries: map.at.add(desc).cast(),
                mask: size - 1,
                ours: 0,
                _map: map,
            })
        }
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: points into the live mapping (see `map`); the kernel accesses it only atomically.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as `producer`.
        unsafe { self.consumer.as_ref() }
    }

    /// The kernel sleeps and wants a system call (`XDP_RING_NEED_WAKEUP`).
    #[inline]
    fn needs_wakeup(&self) -> bool {
        // SAFETY: as `producer`.
        unsafe { self.flags.as_ref() }.load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    /// Produces one entry; false when the ring is full.
    #[inline]
    fn push(&mut self, entry: T) -> bool {
        if self.ours.wrapping_sub(self.consumer().load(Ordering::Acquire)) > self.mask {
            return false;
        }
        // SAFETY: masked to the ring's entries; the slot is ours until the producer index passes it.
        unsafe { self.entries.add((self.ours & self.mask) as usize).write(entry) };
        self.ours = self.ours.wrapping_add(1);
        self.producer().store(self.ours, Ordering::Release);
        true
    }

    /// Consumes one entry.
    #[inline]
    fn pop(&mut self) -> Option<T> {
        if self.producer().load(Ordering::Acquire) == self.ours {
            return None;
        }
        // SAFETY: masked to the ring's entries; acquire order makes the kernel's write of the slot visible, and it does
        // not touch the slot again until the consumer index passes it.
        let entry = unsafe { self.entries.add((self.ours & self.mask) as usize).read() };
        self.ours = self.ours.wrapping_add(1);
        self.consumer().store(self.ours, Ordering::Release);
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

/// A bound AF_XDP socket with its own UMEM.
#[derive(Debug)]
pub(crate) struct Xsk {
    rx: Ring<libc::xdp_desc>,
    tx: Ring<libc::xdp_desc>,
    fill: Ring<u64>,
    completion: Ring<u64>,
    /// Addresses of frames free for sending.
    free: Vec<u64>,
    chunk: usize,
    /// Zero-copy, as the kernel says, not as was asked.
    zero_copy: bool,
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
        // SAFETY: plain socket(2); the descriptor is checked before it is owned.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made, owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let raw = fd.as_raw_fd();

        let frames = RX_FRAMES + TX_FRAMES;
        let umem = Mapping::new(frames as usize * chunk, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)?;
        let reg = libc::xdp_umem_reg {
            addr: umem.at.as_ptr() as u64,
            len: umem.len as u64,
            chunk_size: u32::try_from(chunk).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?,
            headroom: 0,
            flags: 0,
            tx_metadata_len: 0,
        };
        set(raw, libc::XDP_UMEM_REG, &reg)?;
        set(raw, libc::XDP_UMEM_FILL_RING, &RX_FRAMES)?;
        set(raw, libc::XDP_UMEM_COMPLETION_RING, &TX_FRAMES)?;
        set(raw, libc::XDP_RX_RING, &RX_FRAMES)?;
        set(raw, libc::XDP_TX_RING, &TX_FRAMES)?;

        let offsets: libc::xdp_mmap_offsets = get(raw, libc::XDP_MMAP_OFFSETS)?;
        #[allow(clippy::cast_possible_wrap)] // constants of the ABI, below 2^33
        let (fill_at, completion_at) =
            (libc::XDP_UMEM_PGOFF_FILL_RING as libc::off_t, libc::XDP_UMEM_PGOFF_COMPLETION_RING as libc::off_t);
        let rx = Ring::map(raw, libc::XDP_PGOFF_RX_RING, RX_FRAMES, offsets.rx)?;
        let tx = Ring::map(raw, libc::XDP_PGOFF_TX_RING, TX_FRAMES, offsets.tx)?;
        let mut fill = Ring::map(raw, fill_at, RX_FRAMES, offsets.fr)?;
        let completion = Ring::map(raw, completion_at, TX_FRAMES, offsets.cr)?;

        // Before bind: igb's zero-copy receives nothing when the fill ring is empty at bind (seen on 7.3).
        for frame in 0..RX_FRAMES {
            fill.push(u64::from(frame) * chunk as u64);
        }
        let free = (RX_FRAMES..frames).map(|f| u64::from(f) * chunk as u64).collect();

        if let Some(busy) = busy {
            set_busy_poll(raw, busy)?; // before bind: drivers look at it there
        }
        bind(raw, ifindex, queue, copying)?;
        let options: libc::xdp_options = get(raw, libc::XDP_OPTIONS)?;
        let zero_copy = options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0;
        Ok(Self { rx, tx, fill, completion, free, chunk, zero_copy, fd, umem })
    }

    /// Zero-copy, read back from the kernel (`XDP_OPTIONS`).
    pub(crate) fn zero_copy(&self) -> bool {
        self.zero_copy
    }

    /// For poll(2) and the XSKMAP.
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Takes back the frames that were sent.
    #[inline]
    pub(crate) fn reclaim(&mut self) {
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
        let Some(addr) = self.free.pop() else { return false };
        // SAFETY: `addr` is a chunk of the UMEM that is on no ring (it was in `free`), so the kernel does not touch it;
        // `&mut self` excludes a second slice.
        let frame = unsafe { std::slice::from_raw_parts_mut(self.umem.at.add(at(addr)).as_ptr(), self.chunk) };
        let sent = write(frame)
            .and_then(|len| u32::try_from(len).ok())
            .is_some_and(|len| self.tx.push(libc::xdp_desc { addr, len, options: 0 }));
        if !sent {
            self.free.push(addr);
        }
        sent
    }

    /// Tells the kernel to send what is on the TX ring. In copy mode this call *is* the send; a zero-copy driver that is
    /// awake needs none.
    #[inline]
    pub(crate) fn kick_tx(&self) -> io::Result<()> {
        if self.zero_copy && !self.tx.needs_wakeup() {
            return Ok(());
        }
        // SAFETY: no buffer and no address are passed.
        let got = unsafe { libc::sendto(self.raw_fd(), std::ptr::null(), 0, libc::MSG_DONTWAIT, std::ptr::null(), 0) };
        if got < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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
        let packet = unsafe { std::slice::from_raw_parts(self.umem.at.add(at(desc.addr)).as_ptr(), desc.len as usize) };
        let result = look(packet);
        // Never full: it has a slot for each RX frame, and this one is not on it.
        self.fill.push(desc.addr - desc.addr % self.chunk as u64);
        Some(result)
    }

    /// Wakes a driver that ran out of fill entries and sleeps.
    #[inline]
    pub(crate) fn wake_rx(&self) {
        if self.fill.needs_wakeup() {
            self.poll_driver();
        }
    }

    /// Runs the driver's receive path in this thread: with busy polling set, this is where the packets come from.
    #[inline]
    pub(crate) fn poll_driver(&self) {
        // SAFETY: no buffer and no address are passed; errors (EAGAIN above all) mean "nothing yet".
        unsafe {
            libc::recvfrom(
                self.raw_fd(),
                std::ptr::null_mut(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
    }

    #[inline]
    fn frame_in_bounds(&self, addr: u64, len: u32) -> bool {
        let chunk = self.chunk as u64;
        addr < self.umem.len as u64 && addr % chunk + u64::from(len) <= chunk
    }
}

/// An address checked to lie in the UMEM, which is far below 4 GiB.
#[allow(clippy::cast_possible_truncation)]
fn at(addr: u64) -> usize {
    addr as usize
}

/// include/uapi/asm-generic/socket.h, Linux 5.11; libc has no names for them.
const SO_PREFER_BUSY_POLL: libc::c_int = 69;
const SO_BUSY_POLL_BUDGET: libc::c_int = 70;

/// Whether this kernel and user can have an AF_XDP socket at all.
pub(crate) fn socket_possible() -> io::Result<()> {
    // SAFETY: plain socket(2); the descriptor is closed by its owner at once.
    let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, owned by nobody else.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

/// Whether this kernel (5.11) and user may ask a socket to busy poll.
pub(crate) fn busy_poll_possible(busy: BusyPoll) -> io::Result<()> {
    // SAFETY: plain socket(2); the descriptor is checked before it is owned.
    let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    set_busy_poll(fd.as_raw_fd(), busy)
}

fn set_busy_poll(fd: RawFd, busy: BusyPoll) -> io::Result<()> {
    set_int(fd, libc::SOL_SOCKET, SO_PREFER_BUSY_POLL, 1)?;
    set_int(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL, busy.us.cast_signed())?;
    set_int(fd, libc::SOL_SOCKET, SO_BUSY_POLL_BUDGET, busy.budget.cast_signed())
}

fn bind(fd: RawFd, ifindex: u32, queue: u32, copying: Copying) -> io::Result<()> {
    let mode = match copying {
        Copying::Zero => libc::XDP_ZEROCOPY,
        Copying::Copy => libc::XDP_COPY,
    };
    let address = libc::sockaddr_xdp {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 44
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: mode | libc::XDP_USE_NEED_WAKEUP,
        sxdp_ifindex: ifindex,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: 0,
    };
    let mut tries = 0;
    loop {
        // SAFETY: `address` is a valid sockaddr_xdp and the length is its own.
        let got = unsafe { libc::bind(fd, (&raw const address).cast(), len_of::<libc::sockaddr_xdp>()) };
        if got == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        tries += 1;
        if error.raw_os_error() != Some(libc::EBUSY) || tries == BUSY_TRIES {
            return Err(error);
        }
        std::thread::sleep(BUSY_PAUSE);
    }
}

/// Sizes of the kernel's structures, all below 200 bytes.
#[allow(clippy::cast_possible_truncation)]
const fn len_of<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

fn set<T>(fd: RawFd, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: `value` is a live object and the length is its own.
    let got = unsafe { libc::setsockopt(fd, libc::SOL_XDP, option, std::ptr::from_ref(value).cast(), len_of::<T>()) };
    if got == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Only for the kernel's plain structures of integers, which all-zero bytes are valid for.
fn get<T: Copy>(fd: RawFd, option: libc::c_int) -> io::Result<T> {
    // SAFETY: callers pass libc's xdp_* structures of integers; zero is a valid value of each.
    let mut value: T = unsafe { std::mem::zeroed() };
    let mut len = len_of::<T>();
    // SAFETY: `value` is writable for `len` bytes, which is its own size.
    let got = unsafe { libc::getsockopt(fd, libc::SOL_XDP, option, (&raw mut value).cast(), &raw mut len) };
    if got == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

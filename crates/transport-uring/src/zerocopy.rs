//! Zero-copy sends on a stream by `IORING_OP_SEND_ZC` (Linux 6.0): a completion for the send, and a second one when the
//! kernel needs the buffer no more, which says since 6.2 whether it copied anyway.
#![allow(unsafe_code)] // a submission promises that its memory stays

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;

use io_uring::{cqueue, opcode, types};
use lowlat_transport::EngineError;
use lowlat_transport::zerocopy::{BUFFERS, BulkSender, Completions, LOOK_NS};

use crate::buffer::Buffer;
use crate::ring::{Ring, RingOptions, unavailable};

/// `IORING_SEND_ZC_REPORT_USAGE` and `IORING_NOTIF_USAGE_ZC_COPIED` (include/uapi/linux/io_uring.h).
const REPORT_USAGE: u16 = 1 << 3;
const COPIED: u32 = 1 << 31;
/// An end waits so often for what is in flight before it gives the memory up.
const LAST_WAITS: u32 = 20;

/// What is known of one buffer.
#[derive(Debug, Default, Clone, Copy)]
struct Slot {
    /// The kernel may read it.
    busy: bool,
    /// Bytes of the message that are sent.
    done: usize,
    /// Bytes of the message; 0 where there is none.
    len: usize,
}

/// The sender.
#[derive(Debug)]
pub struct SendZcSender {
    ring: Ring,
    stream: TcpStream,
    buffers: Vec<Buffer>,
    slots: [Slot; BUFFERS],
    next: usize,
    /// Whether this kernel says if it copied; asked with the first send.
    reports: bool,
    counts: Completions,
    failed: Option<io::Error>,
}

impl SendZcSender {
    /// On a connected stream, for messages of `most` bytes at most.
    ///
    /// # Errors
    /// The kernel or the host gives no ring, or its ring has no zero-copy send.
    pub fn new(stream: TcpStream, most: usize) -> Result<Self, EngineError> {
        let ring = Ring::new(&RingOptions::default())?;
        if !ring.send_zc {
            let why = "this kernel's io_uring has no SEND_ZC (it needs Linux 6.0)".to_owned();
            return Err(unavailable("send without a copy", why, "use MSG_ZEROCOPY"));
        }
        let counts = Completions { completed: 0, copied: Some(0) };
        let buffers = (0..BUFFERS).map(|_| Buffer::new(most)).collect();
        Ok(Self { ring, stream, buffers, slots: Default::default(), next: 0, reports: true, counts, failed: None })
    }

    fn submit(&mut self, slot: usize) -> io::Result<()> {
        let Slot { done, len, .. } = self.slots[slot];
        let rest = self.buffers[slot].front(len)[done..].as_ptr();
        let left = u32::try_from(len - done).map_err(|_| io::Error::from_raw_os_error(libc::EMSGSIZE))?;
        let entry = opcode::SendZc::new(types::Fd(self.stream.as_raw_fd()), rest, left)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .zc_flags(if self.reports { REPORT_USAGE } else { 0 })
            .build()
            .user_data(slot as u64);
        self.slots[slot].busy = true;
        // SAFETY: the buffer is this sender's own, is not written while its slot is busy, and is given up instead of freed
        // where the end comes before the notification.
        unsafe { self.ring.push(&entry) }
    }

    /// Takes in every completion that is there.
    fn reap(&mut self) -> io::Result<()> {
        while let Some(done) = self.ring.next() {
            self.complete(&done)?;
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    fn complete(&mut self, done: &cqueue::Entry) -> io::Result<()> {
        let at = usize::try_from(done.user_data()).unwrap_or(usize::MAX);
        let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
        slot.busy = cqueue::more(done.flags());
        if cqueue::notif(done.flags()) {
            self.counts.completed += 1;
            let copied = done.result().cast_unsigned() & COPIED != 0;
            self.counts.copied = self.counts.copied.map(|c| c + u64::from(copied)).filter(|_| self.reports);
            return self.go_on(at);
        }
        match usize::try_from(done.result()) {
            Ok(sent) => slot.done += sent,
            // A kernel before 6.2 does not know the flag.
            Err(_) if -done.result() == libc::EINVAL && self.reports => {
                (self.reports, self.counts.copied) = (false, None);
            }
            Err(_) if matches!(-done.result(), libc::EAGAIN | libc::EINTR) => {}
            Err(_) => {
                slot.len = 0;
                self.failed = Some(io::Error::from_raw_os_error(-done.result()));
            }
        }
        if self.slots[at].busy { Ok(()) } else { self.go_on(at) }
    }

    /// Sends the rest of a message, or lets its buffer go.
    fn go_on(&mut self, at: usize) -> io::Result<()> {
        let slot = &mut self.slots[at];
        if slot.done >= slot.len {
            slot.len = 0;
            return Ok(());
        }
        self.submit(at)
    }

    fn in_use(&self, slot: usize) -> bool {
        self.slots[slot].busy || self.slots[slot].len > 0
    }
}

impl BulkSender for SendZcSender {
    fn how(&self) -> &'static str {
        "send-zc"
    }

    fn send(&mut self, len: usize) -> io::Result<bool> {
        self.reap()?;
        if self.in_use(self.next) {
            self.ring.wait(LOOK_NS)?;
            self.reap()?;
            if self.in_use(self.next) {
                return Ok(false);
            }
        }
        self.slots[self.next] = Slot { busy: false, done: 0, len };
        self.submit(self.next)?;
        self.ring.submit()?;
        self.next = (self.next + 1) % BUFFERS;
        Ok(true)
    }

    fn finish(&mut self) -> io::Result<bool> {
        self.reap()?;
        let open = |sender: &Self| (0..BUFFERS).any(|slot| sender.in_use(slot));
        if open(self) {
            self.ring.wait(LOOK_NS)?;
            self.reap()?;
        }
        Ok(!open(self))
    }

    fn completions(&self) -> Completions {
        self.counts
    }

    fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl Drop for SendZcSender {
    fn drop(&mut self) {
        // Nothing more is sent, and what waits for room in the socket ends.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        for slot in &mut self.slots {
            slot.done = slot.len;
        }
        for _ in 0..LAST_WAITS {
            if matches!(self.finish(), Ok(true)) {
                return;
            }
        }
        for (slot, buffer) in self.slots.iter().zip(&mut self.buffers) {
            if slot.busy {
                buffer.leak();
            }
        }
    }
}

//! Memory that the kernel reads and writes while we do other things.
#![allow(unsafe_code)] // memory shared with the kernel cannot be a Rust reference

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

/// A fixed block of bytes at a stable address. Reached by raw pointer only, so that no reference to it is alive while
/// the kernel uses it.
#[derive(Debug)]
pub(crate) struct Buffer {
    at: NonNull<u8>,
    len: usize,
}

impl Buffer {
    /// `len` zero bytes.
    pub(crate) fn new(len: usize) -> Self {
        let boxed = Box::leak(vec![0u8; len].into_boxed_slice());
        Self { len: boxed.len(), at: NonNull::from(boxed).cast() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// For a submission.
    pub(crate) fn pointer(&self) -> *mut u8 {
        self.at.as_ptr()
    }

    /// Writes `bytes` to the front; the caller has made sure that no request on it is in flight. False if too long.
    #[must_use]
    pub(crate) fn fill(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.len {
            return false;
        }
        // SAFETY: `at` is valid for `len` ≥ bytes.len() bytes, and a Rust slice cannot overlap it: none is ever handed
        // out beyond a borrow of self.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at.as_ptr(), bytes.len()) };
        true
    }

    /// The first `len` bytes, once the kernel has completed the request on them.
    pub(crate) fn front(&self, len: usize) -> &[u8] {
        self.part(0, len)
    }

    /// `len` bytes from there on, once the kernel has completed the request on them; less where the memory ends.
    fn part(&self, from: usize, len: usize) -> &[u8] {
        let from = from.min(self.len);
        // SAFETY: valid and initialised for self.len bytes; the request that wrote these is complete, and the next one on
        // them is only made through `&mut` of the engine that owns this buffer.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr().add(from), len.min(self.len - from)) }
    }

    /// Gives the memory up for ever: for requests that could not be cancelled.
    pub(crate) fn leak(&mut self) {
        self.len = 0;
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: pointer and length are those of the leaked box in `new`.
            drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.at.as_ptr(), self.len)) });
        }
    }
}

/// Buffers that the kernel takes one of for each message (`IORING_REGISTER_PBUF_RING`, Linux 5.19), and gives back by its
/// number in a completion.
#[derive(Debug)]
pub(crate) struct Provided {
    ring: Buffer,
    data: Buffer,
    /// Buffers handed to the kernel so far, modulo 2^16.
    tail: u16,
}

impl Provided {
    /// Buffers; a power of two, as the kernel's ring wants it.
    pub(crate) const COUNT: u16 = 16;
    /// No datagram is longer, so none is cut short.
    const EACH: usize = 65_536;
    const LEN: u32 = 65_536;
    /// The kernel wants the ring at the start of a page.
    const PAGE: usize = 4096;

    /// All buffers are the kernel's.
    pub(crate) fn new() -> Self {
        let data = Buffer::new(usize::from(Self::COUNT) * Self::EACH);
        let mut all = Self { ring: Buffer::new(2 * Self::PAGE), data, tail: 0 };
        (0..Self::COUNT).for_each(|number| all.give(number));
        all
    }

    fn base(&self) -> *mut BufRingEntry {
        let at = self.ring.pointer();
        at.wrapping_add(at.align_offset(Self::PAGE)).cast()
    }

    /// For the registration.
    pub(crate) fn address(&self) -> u64 {
        self.base() as u64
    }

    /// Gives a buffer to the kernel; the caller has read it.
    pub(crate) fn give(&mut self, number: u16) {
        let base = self.base();
        let at = self.data.pointer().wrapping_add(usize::from(number) * Self::EACH);
        // SAFETY: the ring has COUNT entries of 16 bytes from `base` on, within its two pages, zeroed and aligned. The kernel
        // reads an entry only below the tail, which is stored after it.
        unsafe {
            let entry = &mut *base.add(usize::from(self.tail % Self::COUNT));
            entry.set_addr(at as u64);
            entry.set_len(Self::LEN);
            entry.set_bid(number);
            self.tail = self.tail.wrapping_add(1);
            AtomicU16::from_ptr(BufRingEntry::tail(base).cast_mut()).store(self.tail, Ordering::Release);
        }
    }

    /// The first `len` bytes of a buffer that a completion named and that was not given back since.
    pub(crate) fn front(&self, number: u16, len: usize) -> &[u8] {
        self.data.part(usize::from(number) * Self::EACH, len.min(Self::EACH))
    }

    /// Gives the memory up for ever: for a receive that could not be cancelled.
    pub(crate) fn leak(&mut self) {
        self.ring.leak();
        self.data.leak();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_a_place_of_its_own_and_goes_round() {
        let mut all = Provided::new();
        assert_eq!(all.address() % 4096, 0);
        assert_eq!(all.tail, Provided::COUNT);
        for number in [3, 0, 15] {
            all.give(number);
        }
        assert_eq!(all.tail, Provided::COUNT + 3);
        assert_eq!(all.front(15, 70_000).len(), Provided::EACH);
        assert_eq!(all.front(1, 5).as_ptr() as usize - all.front(0, 5).as_ptr() as usize, Provided::EACH);
    }
}

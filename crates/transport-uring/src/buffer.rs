//! Memory that the kernel reads and writes while we do other things.
#![allow(unsafe_code)] // memory shared with the kernel cannot be a Rust reference

use std::ptr::NonNull;

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
        // SAFETY: valid and initialised for self.len bytes; the request that wrote it is complete, and the next one is
        // only submitted through `&mut` of the engine that owns this buffer.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), len.min(self.len)) }
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

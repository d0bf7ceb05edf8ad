//! Memory shared with the kernel.
#![allow(unsafe_code)] // mmap

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{NonNull, null_mut};

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// A memory mapping, unmapped when dropped. Reached by raw pointers only, since the kernel changes it at any time.
#[derive(Debug)]
pub(crate) struct Mapping {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread; who reads or writes through a pointer into it answers
// for that access.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `len` zero bytes, all of them there from the start.
    pub(crate) fn anonymous(len: usize) -> io::Result<Self> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::POPULATE);
        // SAFETY: asks for a new mapping at an address of the kernel's choice; nothing of ours is replaced.
        Self::owned(unsafe { mmap_anonymous(null_mut(), len, access, flags) }?, len)
    }

    /// The first `len` bytes from `offset` of what `fd` shares.
    pub(crate) fn of(fd: BorrowedFd<'_>, offset: u64, len: usize, access: ProtFlags) -> io::Result<Self> {
        // SAFETY: as above.
        Self::owned(unsafe { mmap(null_mut(), len, access, MapFlags::SHARED | MapFlags::POPULATE, fd, offset) }?, len)
    }

    fn owned(at: *mut std::ffi::c_void, len: usize) -> io::Result<Self> {
        NonNull::new(at.cast()).map(|at| Self { at, len }).ok_or_else(|| io::Error::from_raw_os_error(libc::EFAULT))
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where it begins.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.at
    }

    /// `room` values of type `T` at byte `offset`; `None` where they would not lie aligned inside.
    pub(crate) fn place<T>(&self, offset: u64, room: usize) -> Option<NonNull<T>> {
        let offset = usize::try_from(offset).ok()?;
        let end = room.checked_mul(size_of::<T>())?.checked_add(offset)?;
        // A mapping begins on a page, so an aligned offset is an aligned address.
        let inside = end <= self.len && offset.is_multiple_of(align_of::<T>());
        // SAFETY: the offset was just checked to lie inside the mapping.
        inside.then(|| unsafe { self.at.add(offset) }.cast())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what mmap gave, and every pointer into it lives in the owner of this value.
        let _ = unsafe { munmap(self.at.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_aligned_inside_has_a_place() {
        let map = Mapping::anonymous(4096).unwrap();
        assert!(map.place::<u64>(0, 512).is_some() && map.place::<u64>(4088, 1).is_some());
        for (offset, room) in [(0, 513), (4, 1), (4092, 1), (4096, 1), (u64::MAX, 1), (8, usize::MAX)] {
            assert!(map.place::<u64>(offset, room).is_none(), "{offset}, {room}");
        }
    }
}

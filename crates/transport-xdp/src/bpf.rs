//! bpf(2), as far as one XDP program and its XSKMAP need it.
//!
//! Attributes are the head of `union bpf_attr` (include/uapi/linux/bpf.h): the kernel takes a shorter one and reads the
//! rest as zero, so the oldest layout that carries what is needed works on every kernel.
#![allow(unsafe_code)] // bpf(2) has no safe wrapper

use std::io;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::ProtFlags;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::asm::Slot;
use crate::mapping::Mapping;

const BPF_MAP_CREATE: libc::c_int = 0;
const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
const BPF_PROG_LOAD: libc::c_int = 5;
#[cfg(test)]
const BPF_PROG_TEST_RUN: libc::c_int = 10;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_LINK_DETACH: libc::c_int = 34;

const BPF_MAP_TYPE_ARRAY: u32 = 2;
const BPF_MAP_TYPE_XSKMAP: u32 = 17;
/// `BPF_F_MMAPABLE` (Linux 5.5).
const MMAPABLE: u32 = 1 << 10;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;

/// `XDP_FLAGS_SKB_MODE`: the generic hook behind the driver.
pub(crate) const ATTACH_GENERIC: u32 = 1 << 1;
/// `XDP_FLAGS_DRV_MODE`: inside the driver.
pub(crate) const ATTACH_NATIVE: u32 = 1 << 2;

/// The verifier's log is read only when it refuses; its last lines say why.
const LOG_BYTES: u32 = 64 * 1024;

#[derive(Clone, Copy)]
#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
}

#[repr(C)]
struct Element {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
struct LinkDetach {
    link_fd: u32,
}

#[repr(C)]
struct GetInfo {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// A program the kernel did not take.
#[derive(Debug)]
pub(crate) struct LoadError {
    /// errno.
    pub(crate) source: io::Error,
    /// The verifier's last lines, if it had any.
    pub(crate) log: String,
}

fn bpf<T>(command: libc::c_int, attr: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: `attr` is a live, writable #[repr(C)] head of union bpf_attr and the size passed is its own; the kernel
    // reads (and for some commands writes) that many bytes and follows the pointers in it, which every caller below
    // keeps alive over the call.
    let got = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    // A bpf(2) answer is a descriptor, 0 or -1.
    #[allow(clippy::cast_possible_truncation)]
    if got < 0 { Err(io::Error::last_os_error()) } else { Ok(got as libc::c_int) }
}

fn owned(fd: libc::c_int) -> OwnedFd {
    // SAFETY: called only with a descriptor that bpf(2) has just returned and nobody else holds.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn raw(fd: &OwnedFd) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// An XSKMAP with room for `queues` sockets.
///
/// Kernels before 5.11 charge maps to `RLIMIT_MEMLOCK`, also for root (commit 97306be45fbe "bpf: Switch to memcg-based
/// memory accounting"), and answer `EPERM`: this process's limit is then raised and the call made once more.
pub(crate) fn xskmap(queues: u32) -> io::Result<OwnedFd> {
    map(MapCreate { map_type: BPF_MAP_TYPE_XSKMAP, key_size: 4, value_size: 4, max_entries: queues, map_flags: 0 })
}

fn map(attr: MapCreate) -> io::Result<OwnedFd> {
    let create = || {
        let mut attr = attr;
        bpf(BPF_MAP_CREATE, &mut attr).map(owned)
    };
    match create() {
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => {
            setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None }).map_err(|_| e)?;
            create()
        }
        other => other,
    }
}

/// One number that a program counts up and this process reads without a system call: a map of one value, mapped into
/// memory.
#[derive(Debug)]
pub(crate) struct Counter {
    map: OwnedFd,
    at: NonNull<AtomicU64>,
    _memory: Mapping,
}

// SAFETY: the pointer is into the mapping that this value owns; it is only ever read, as an atomic.
unsafe impl Send for Counter {}
// SAFETY: as above.
unsafe impl Sync for Counter {}

/// The mapping's length: the kernel rounds it up to a page anyway.
const COUNTER_BYTES: usize = 8;

impl Counter {
    pub(crate) fn new() -> io::Result<Self> {
        let map = map(MapCreate {
            map_type: BPF_MAP_TYPE_ARRAY,
            key_size: 4,
            value_size: 8,
            max_entries: 1,
            map_flags: MMAPABLE,
        })?;
        let memory = Mapping::of(map.as_fd(), 0, COUNTER_BYTES, ProtFlags::READ)?;
        let at = memory.place(0, 1).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        Ok(Self { map, at, _memory: memory })
    }

    /// For the program.
    pub(crate) fn fd(&self) -> RawFd {
        self.map.as_raw_fd()
    }

    pub(crate) fn read(&self) -> u64 {
        // SAFETY: points to the live mapping of one u64 (page-aligned); the program changes it only atomically.
        unsafe { self.at.as_ref() }.load(Ordering::Relaxed)
    }
}

/// Puts socket `socket` at `queue`.
pub(crate) fn xskmap_set(map: &OwnedFd, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
    let socket = socket.as_raw_fd();
    let mut attr = Element {
        map_fd: raw(map),
        pad: 0,
        key: &raw const queue as u64,
        value: &raw const socket as u64,
        flags: 0, // BPF_ANY
    };
    bpf(BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
}

/// Loads an XDP program; loads it a second time with the verifier's log when it is refused.
pub(crate) fn load(program: &[Slot], name: &str) -> Result<OwnedFd, LoadError> {
    let mut prog_name = [0u8; 16];
    for (to, from) in prog_name[..15].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    let mut attr = ProgLoad {
        prog_type: BPF_PROG_TYPE_XDP,
        insn_cnt: u32::try_from(program.len()).unwrap_or(u32::MAX),
        insns: program.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
        prog_name,
    };
    let source = match bpf(BPF_PROG_LOAD, &mut attr) {
        Ok(fd) => return Ok(owned(fd)),
        Err(e) => e,
    };
    let mut log = vec![0u8; LOG_BYTES as usize];
    attr.log_level = 1;
    attr.log_size = LOG_BYTES;
    attr.log_buf = log.as_mut_ptr() as u64;
    if let Ok(fd) = bpf(BPF_PROG_LOAD, &mut attr) {
        return Ok(owned(fd)); // it was a passing refusal (EAGAIN under memory pressure)
    }
    let end = log.iter().position(|&b| b == 0).unwrap_or(log.len());
    let text = String::from_utf8_lossy(&log[..end]);
    let mut last: Vec<&str> = text.lines().rev().filter(|l| !l.starts_with("processed ")).take(3).collect();
    last.reverse();
    Err(LoadError { source, log: last.join(" / ") })
}

/// Attaches `program` to interface `ifindex` by a BPF link (Linux 5.9): the kernel detaches it when the returned
/// descriptor is closed, so also when the process is killed.
pub(crate) fn attach(program: &OwnedFd, ifindex: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut attr = LinkCreate { prog_fd: raw(program), target_ifindex: ifindex, attach_type: BPF_XDP, flags };
    bpf(BPF_LINK_CREATE, &mut attr).map(owned)
}

/// Takes the program of a link off now (Linux 5.9). Closing the descriptor does so only with its last copy, and a
/// process that another thread has just forked has one until it executes its program.
pub(crate) fn detach(link: &OwnedFd) -> io::Result<()> {
    let mut attr = LinkDetach { link_fd: raw(link) };
    bpf(BPF_LINK_DETACH, &mut attr).map(|_| ())
}

/// The kernel's number of a program, as `bpftool prog` shows it.
pub(crate) fn program_id(program: &OwnedFd) -> io::Result<u32> {
    // struct bpf_prog_info starts with { u32 type; u32 id; … }; the kernel copies as much as it is given room for.
    let mut info = [0u32; 2];
    let mut attr = GetInfo { bpf_fd: raw(program), info_len: 8, info: info.as_mut_ptr() as u64 };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(info[1])
}

/// Runs `program` once over `packet` and gives its verdict and the packet as it left it.
#[cfg(test)]
pub(crate) fn test_run(program: &OwnedFd, packet: &[u8]) -> io::Result<(u32, Vec<u8>)> {
    #[repr(C)]
    struct TestRun {
        prog_fd: u32,
        retval: u32,
        data_size_in: u32,
        data_size_out: u32,
        data_in: u64,
        data_out: u64,
        repeat: u32,
        duration: u32,
    }
    let mut out = vec![0u8; 4096];
    let mut attr = TestRun {
        prog_fd: raw(program),
        retval: 0,
        data_size_in: u32::try_from(packet.len()).unwrap(),
        data_size_out: 4096,
        data_in: packet.as_ptr() as u64,
        data_out: out.as_mut_ptr() as u64,
        repeat: 1,
        duration: 0,
    };
    bpf(BPF_PROG_TEST_RUN, &mut attr)?;
    out.truncate(attr.data_size_out as usize);
    Ok((attr.retval, out))
}

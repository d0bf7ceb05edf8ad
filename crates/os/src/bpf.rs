//! Programs of BPF at an interface, counted: the one question to bpf(2) that no netlink message answers. And a program that
//! does nothing, for whoever plants one.
#![allow(unsafe_code)] // bpf(2), with the structures of three of its commands

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use crate::check_long;

/// `BPF_PROG_QUERY` (include/uapi/linux/bpf.h, enum bpf_cmd).
const PROG_QUERY: libc::c_int = 16;
const PROG_LOAD: libc::c_int = 5;
const LINK_CREATE: libc::c_int = 28;
/// enum bpf_prog_type.
const PROG_TYPE_SCHED_CLS: u32 = 3;

/// A hook of tcx (enum bpf_attach_type).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tcx {
    /// What comes in.
    Ingress = 46,
    /// What goes out.
    Egress = 47,
}

/// The part of `union bpf_attr` for `BPF_PROG_QUERY`, as of Linux 6.6.
#[repr(C)]
#[derive(Default)]
struct Query {
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    count: u32,
    padding: u32,
    prog_attach_flags: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
}

/// How many programs are at a hook of an interface of the calling thread's network namespace. `EINVAL` before Linux 6.6,
/// `EPERM` without CAP_NET_ADMIN (or CAP_BPF, by version).
pub fn tcx_programs(ifindex: u32, hook: Tcx) -> io::Result<u32> {
    let mut query = Query { target_ifindex: ifindex, attach_type: hook as u32, ..Query::default() };
    // SAFETY: `query` is a live, writable #[repr(C)] structure and the size passed is its own; the kernel writes the count and
    // the revision in it and follows no pointer, since all are null.
    let done = unsafe { libc::syscall(libc::SYS_bpf, PROG_QUERY, &raw mut query, size_of::<Query>()) };
    match check_long(done) {
        Ok(_) => Ok(query.count),
        // No program was ever there (kernel/bpf/tcx.c, tcx_prog_query).
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(0),
        Err(e) => Err(e),
    }
}

/// `r0 = TCX_NEXT; exit`: struct bpf_insn, whose constant is in the upper half of the first number. `TCX_NEXT` (-1) leaves the
/// packet to whatever comes next.
const NEXT: [u64; 2] = [0xffff_ffff_0000_00b7, 0x95];

/// The head of `union bpf_attr` for `BPF_PROG_LOAD`: what is not given is zero.
#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
}

/// The head for `BPF_LINK_CREATE`.
#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

/// Attaches a program that does nothing to a hook of an interface of the calling thread's network namespace, as a planted
/// fault. It goes with the returned descriptor. `EINVAL` before Linux 6.6.
pub fn plant_tcx(ifindex: u32, hook: Tcx) -> io::Result<OwnedFd> {
    let mut load = ProgLoad {
        prog_type: PROG_TYPE_SCHED_CLS,
        insn_cnt: 2,
        insns: NEXT.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
    };
    let program = made(PROG_LOAD, &mut load)?;
    let program_fd = program.as_raw_fd().cast_unsigned();
    let mut create = LinkCreate { prog_fd: program_fd, target_ifindex: ifindex, attach_type: hook as u32, flags: 0 };
    made(LINK_CREATE, &mut create)
}

/// A command that answers with a descriptor.
fn made<T>(command: libc::c_int, attr: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: `attr` is a live, writable #[repr(C)] head of union bpf_attr and the size passed is its own; what it points to is
    // static.
    let fd = check_long(unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) })?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: bpf(2) has just returned it, and nobody else holds it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_without_programs_has_none_and_one_that_is_not_there_is_an_error() {
        for hook in [Tcx::Ingress, Tcx::Egress] {
            // Without the capability, or on an older kernel, both are refused.
            match tcx_programs(1, hook) {
                Ok(n) => {
                    assert_eq!(n, 0, "lo has none in a test");
                    let gone = tcx_programs(u32::MAX, hook).unwrap_err();
                    assert!(matches!(gone.raw_os_error(), Some(libc::ENODEV | libc::EINVAL)), "{gone}");
                }
                Err(e) => assert!(matches!(e.raw_os_error(), Some(libc::EPERM | libc::EINVAL | libc::ENOSYS)), "{e}"),
            }
        }
    }
}

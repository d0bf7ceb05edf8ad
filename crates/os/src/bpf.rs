//! Programs of BPF at an interface, counted: the one question to bpf(2) that no netlink message answers.
#![allow(unsafe_code)] // bpf(2), with the structure of BPF_PROG_QUERY

use std::io;

use crate::check_long;

/// `BPF_PROG_QUERY` (include/uapi/linux/bpf.h, enum bpf_cmd).
const PROG_QUERY: libc::c_int = 16;

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

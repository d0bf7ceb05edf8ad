//! Programs of BPF at an interface, with their names: what only bpf(2) answers. And a program that does nothing, for whoever
//! plants one.
#![allow(unsafe_code)] // bpf(2), with the structures of five of its commands

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use crate::check_long;

/// `BPF_PROG_QUERY` (include/uapi/linux/bpf.h, enum bpf_cmd).
const PROG_QUERY: libc::c_int = 16;
const PROG_LOAD: libc::c_int = 5;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const LINK_CREATE: libc::c_int = 28;
/// `BPF_MPROG_MAX` (include/linux/bpf_mprog.h): a hook holds no more programs.
const MOST: usize = 64;
/// `BPF_OBJ_NAME_LEN`.
const NAME: usize = 16;
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

/// A program at a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The kernel's number of the program.
    pub id: u32,
    /// The number of the link that holds it there; `None` where it was attached without one.
    pub link: Option<u32>,
    /// The name that it was loaded with, at most 15 bytes; `None` where it has none, or where the kernel does not give it to
    /// this process (`CAP_SYS_ADMIN`).
    pub name: Option<String>,
}

/// The programs at a hook of an interface of the calling thread's network namespace, in the order in which they run. `EINVAL`
/// before Linux 6.6, `EPERM` without CAP_NET_ADMIN (or CAP_BPF, by version).
pub fn tcx_programs(ifindex: u32, hook: Tcx) -> io::Result<Vec<Attached>> {
    let (mut programs, mut links) = ([0_u32; MOST], [0_u32; MOST]);
    let mut query = Query {
        target_ifindex: ifindex,
        attach_type: hook as u32,
        prog_ids: programs.as_mut_ptr() as u64,
        count: u32::try_from(MOST).unwrap_or(0),
        link_ids: links.as_mut_ptr() as u64,
        ..Query::default()
    };
    // SAFETY: `query` is a live, writable #[repr(C)] structure and the size passed is its own; the two arrays that it points to
    // are live and writable, and `count` is the number of their entries, which the kernel keeps to (kernel/bpf/mprog.c,
    // bpf_mprog_query). The other pointers are null, and the kernel follows none of them.
    let done = unsafe { libc::syscall(libc::SYS_bpf, PROG_QUERY, &raw mut query, size_of::<Query>()) };
    match check_long(done) {
        Ok(_) => {
            let some = |n: u32| Some(n).filter(|n| *n != 0);
            let found = programs.into_iter().zip(links).take(usize::try_from(query.count).unwrap_or(0));
            Ok(found.map(|(id, link)| Attached { id, link: some(link), name: name_of(id).unwrap_or(None) }).collect())
        }
        // No program was ever there (kernel/bpf/tcx.c, tcx_prog_query).
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// The head of `union bpf_attr` for `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
struct ById {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// The head for `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
struct InfoByFd {
    fd: u32,
    length: u32,
    info: u64,
}

/// The head of `struct bpf_prog_info`, up to the name: lengths of zero ask for nothing that a pointer leads to.
#[repr(C)]
#[derive(Default)]
struct ProgInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_prog_len: u32,
    xlated_prog_len: u32,
    jited_prog_insns: u64,
    xlated_prog_insns: u64,
    load_time: u64,
    created_by_uid: u32,
    nr_map_ids: u32,
    map_ids: u64,
    name: [u8; NAME],
}

/// The name of a program; `None` where it was loaded without one.
fn name_of(id: u32) -> io::Result<Option<String>> {
    let program = made(PROG_GET_FD_BY_ID, &mut ById { id, next_id: 0, open_flags: 0 })?;
    let mut info = ProgInfo::default();
    let mut ask = InfoByFd {
        fd: program.as_raw_fd().cast_unsigned(),
        length: u32::try_from(size_of::<ProgInfo>()).map_err(io::Error::other)?,
        info: (&raw mut info) as u64,
    };
    // SAFETY: `ask` is a live, writable #[repr(C)] head of union bpf_attr and the size passed is its own; it points to `info`,
    // live and writable, with its length, beyond which the kernel writes nothing (kernel/bpf/syscall.c,
    // bpf_prog_get_info_by_fd); all lengths and pointers in it are zero.
    check_long(unsafe { libc::syscall(libc::SYS_bpf, OBJ_GET_INFO_BY_FD, &raw mut ask, size_of::<InfoByFd>()) })?;
    let end = info.name.iter().position(|b| *b == 0).unwrap_or(NAME);
    let name = String::from_utf8_lossy(&info.name[..end]).into_owned();
    Ok(Some(name).filter(|n| !n.is_empty()))
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
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; NAME],
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
/// fault, under a name of letters, digits and `_` (15 bytes of it are taken). It goes with the returned descriptor. `EINVAL` before Linux 6.6.
pub fn plant_tcx(ifindex: u32, hook: Tcx, name: &str) -> io::Result<OwnedFd> {
    let mut prog_name = [0; NAME];
    for (to, from) in prog_name[..NAME - 1].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    let mut load = ProgLoad {
        prog_type: PROG_TYPE_SCHED_CLS,
        insn_cnt: 2,
        insns: NEXT.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
        prog_name,
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
                Ok(found) => {
                    assert_eq!(found, [], "lo has none in a test");
                    let gone = tcx_programs(u32::MAX, hook).unwrap_err();
                    assert!(matches!(gone.raw_os_error(), Some(libc::ENODEV | libc::EINVAL)), "{gone}");
                }
                Err(e) => assert!(matches!(e.raw_os_error(), Some(libc::EPERM | libc::EINVAL | libc::ENOSYS)), "{e}"),
            }
        }
    }
}

//! What the far end shuts itself off from once its ports are bound: privileges, files, new connections, and every
//! system call that answering does not need. Whoever takes over a thread by a fault of ours finds little to do with it.
//!
//! A kernel may lack a part (Landlock is of Linux 5.13 and can be left out of a build; its rules for TCP are of 6.7):
//! that is said, and the rest is done.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus, Scope};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use lowlat_transport_uring::UNREGISTER_FILES;

use super::lane::ConnectedSocket;
use super::{ServeError, privilege, tried};

/// One way of confinement, and how far it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// `privileges`, `landlock`, `seccomp`.
    pub by: &'static str,
    /// Whether it holds in full.
    pub whole: bool,
    /// What holds, or why it does not.
    pub words: String,
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.by, self.words)
    }
}

/// The system calls of answering, as a filter that each thread takes on.
pub(super) struct Calls(BpfProgram);

impl Calls {
    /// Takes the filter on, for the calling thread and for good.
    pub(super) fn enter(&self) -> std::io::Result<()> {
        seccompiler::apply_filter(&self.0).map_err(std::io::Error::other)
    }
}

/// Gives up what can be given up now, and makes the filter that each thread takes on later, since starting threads is
/// among what it forbids. Threads that sleep until they answer are put one step ahead before.
pub(super) fn process(
    conns: &[Arc<ConnectedSocket>],
    sleeping: bool,
    ring: Option<BorrowedFd<'_>>,
) -> Result<(Vec<Confinement>, Option<Calls>), ServeError> {
    let ahead = if sleeping && privilege::go_ahead() { "; nice -1" } else { "" };
    let words =
        privilege::drop_all().map_err(|source| ServeError::Os { what: "drop privileges".to_owned(), source })? + ahead;
    let mut done = vec![Confinement { by: "privileges", whole: true, words }, files()];
    let calls = match filter(conns, ring) {
        // A kernel without seccomp filters says so only when one is set: a thread tries it.
        Ok(program) => match tried(|| Calls(program.clone()).enter()) {
            Ok(()) => Ok(Calls(program)),
            Err(e) => Err(e.to_string()),
        },
        Err(why) => Err(why),
    };
    let (calls, words) = match calls {
        Ok(calls) => {
            let count = CALLS.len() + WITHOUT_CODE.len() + OF_ITSELF.len() + ring.map_or(0, |_| 2);
            (Some(calls), format!("{count} system calls are left"))
        }
        Err(why) => (None, format!("not here ({why}): every system call is left")),
    };
    done.push(Confinement { by: "seccomp", whole: calls.is_some(), words });
    Ok((done, calls))
}

/// Landlock: no file, no TCP port to bind or to connect to, no signal to other processes.
fn files() -> Confinement {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))
        .and_then(|r| r.handle_access(AccessNet::from_all(ABI::V5)))
        .and_then(|r| r.scope(Scope::from_all(ABI::V6)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    let (whole, words) = match ruleset.map(|r| r.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => (true, "no file, no new TCP port, no signal to others".to_owned()),
        Ok(RulesetStatus::PartiallyEnforced) => {
            (false, "no file; this kernel knows only a part of the rest (all of it from Linux 6.12 on)".to_owned())
        }
        Ok(RulesetStatus::NotEnforced) => {
            (false, "not here (this kernel has none or it is off): files are held by nobody's rights alone".to_owned())
        }
        Err(e) => (false, format!("not here ({e}): files are held by nobody's rights alone")),
    };
    Confinement { by: "landlock", whole, words }
}

/// What answering needs, and what the C library and Rust need around it. None opens a file, starts a program or a
/// thread, or makes a socket.
const CALLS: &[libc::c_long] = &[
    // Messages.
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_accept4,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_shutdown,
    libc::SYS_close,
    // Waiting.
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_epoll_ctl,
    libc::SYS_ppoll,
    libc::SYS_futex,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    // The clock, where the vDSO cannot read it.
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    // Memory.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Words to those who started it, the end of a thread and of the process, and a panic's way out.
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// Memory may be had, but none that is run as code.
const WITHOUT_CODE: &[libc::c_long] = &[libc::SYS_mmap, libc::SYS_mprotect];

/// A thread may choose the CPUs it runs on itself, for a prober that asks for a placement, and no other's.
const OF_ITSELF: &[libc::c_long] = &[libc::SYS_sched_setaffinity];

/// A connected socket is bound when it is first taken and connected to its client. No other socket may be.
const OF_CONNECTED_SOCKETS: &[libc::c_long] = &[libc::SYS_bind, libc::SYS_connect];

fn filter(conns: &[Arc<ConnectedSocket>], ring: Option<BorrowedFd<'_>>) -> Result<BpfProgram, String> {
    const DESCRIPTOR: u8 = 0;
    const THREAD: u8 = 0;
    const PROT: u8 = 2;
    let words = |e: seccompiler::BackendError| e.to_string();
    let exec = u64::from(libc::PROT_EXEC.unsigned_abs());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    for call in WITHOUT_CODE {
        let plain =
            SeccompCondition::new(PROT, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(exec), 0).map_err(words)?;
        rules.insert(*call, vec![SeccompRule::new(vec![plain]).map_err(words)?]);
    }
    for call in OF_ITSELF {
        // 0 is the calling thread (sched_setaffinity(2)).
        let own = SeccompCondition::new(THREAD, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, 0).map_err(words)?;
        rules.insert(*call, vec![SeccompRule::new(vec![own]).map_err(words)?]);
    }
    for call in OF_CONNECTED_SOCKETS.iter().filter(|_| !conns.is_empty()) {
        let of_conn = |conn: &Arc<ConnectedSocket>| {
            let fd = u64::from(conn.fd.as_raw_fd().unsigned_abs());
            let is = SeccompCondition::new(DESCRIPTOR, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, fd).map_err(words)?;
            SeccompRule::new(vec![is]).map_err(words)
        };
        rules.insert(*call, conns.iter().map(of_conn).collect::<Result<_, _>>()?);
    }
    // Calls on that ring alone, which takes nothing but messages on its sockets (`MessageRing`), and lets go of them at the end.
    if let Some(ring) = ring {
        const REGISTRATION: u8 = 1;
        let fd = u64::from(ring.as_raw_fd().unsigned_abs());
        let is = |argument, value| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
        let of_ring = is(DESCRIPTOR, fd).map_err(words)?;
        let unregister = is(REGISTRATION, u64::from(UNREGISTER_FILES)).map_err(words)?;
        rules.insert(libc::SYS_io_uring_enter, vec![SeccompRule::new(vec![of_ring.clone()]).map_err(words)?]);
        rules.insert(libc::SYS_io_uring_register, vec![SeccompRule::new(vec![of_ring, unregister]).map_err(words)?]);
    }
    let arch = match () {
        () if cfg!(target_arch = "x86_64") => TargetArch::x86_64,
        () if cfg!(target_arch = "aarch64") => TargetArch::aarch64,
        () => return Err("no filter for this processor".to_owned()),
    };
    // Refused rather than killed: a call that this list forgot costs that call, not all clients their far end.
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch).map_err(words)?;
    filter.try_into().map_err(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_a_program_and_no_call_stands_twice() {
        assert!(filter(&[], None).is_ok_and(|p| p.len() > CALLS.len()));
        let mut all: Vec<_> = CALLS.iter().chain(WITHOUT_CODE).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), CALLS.len() + WITHOUT_CODE.len());
        for never in [libc::SYS_execve, libc::SYS_openat, libc::SYS_socket, libc::SYS_connect, libc::SYS_clone] {
            assert!(!all.contains(&&never));
        }
    }
}

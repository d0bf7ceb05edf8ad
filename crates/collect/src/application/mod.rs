//! One running application: its threads and its sockets.

mod calls;
mod proc;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lowlat_model::application::{Application, FlowArrival, OpenSocket, Owner, Process};
use lowlat_model::{NotSeen, Reading};
use lowlat_sys::query::{InetSocket, typed};
use lowlat_sys::{NetQuery, Sys, query};

use proc::Look;

crate::collector! {
    /// What one running application does to itself (`lowlat check --pid`, `--port`): of each thread its scheduling class,
    /// CPU, timer slack and the system call it sleeps in, and how often it slept, was preempted, was moved and faulted in
    /// the window; of each socket its queues, buffers, drops and options, the device's queue by which its packets come, and
    /// the processes that have it open.
    ///
    /// Options such as TCP_NODELAY are not part of the kernel's socket diagnosis. They are read from a copy of the
    /// process's descriptor (pidfd_getfd, Linux 5.6), which the kernel gives to a process that it would let trace the
    /// other one: the same user with `ptrace_scope` 0, or CAP_SYS_PTRACE. Nothing is sent, received or set through it.
    /// A thread's system call is shown on the same terms, its timer slack to CAP_SYS_NICE. System calls are named for
    /// 64-bit programs.
    ///
    /// A socket is found in the network namespace of the process; a port in that of lowlat.
    pub APPLICATION = "application";
    reads [
        "/proc/PID/task/TID/{stat,status,sched,schedstat,syscall}", "/proc/TID/timerslack_ns", "/proc/PID/fd", "/proc/PID/net/igmp",
        "net:inet-sockets", "net:socket-options",
    ];
    sources [
        "man 5 proc (/proc/pid/stat, /proc/pid/status, /proc/pid/syscall, /proc/pid/timerslack_ns, /proc/pid/fd)",
        "man 2 pidfd_getfd, man 2 ptrace (ptrace_scope), man 7 sock_diag, man 7 tcp, man 7 ip (IP_MULTICAST_ALL)",
        "include/uapi/linux/sock_diag.h in linux 6.12: SK_MEMINFO_DROPS, SK_MEMINFO_RCVBUF",
        "include/uapi/linux/inet_diag.h in linux 6.12: struct inet_diag_sockopt",
        "net/ipv4/inet_diag.c in linux 6.12: inet_diag_msg_attrs_fill",
        "kernel/sched/debug.c in linux 6.12: proc_sched_show_task (se.nr_migrations)",
        "Documentation/scheduler/sched-stats.rst in linux 6.12: /proc/<pid>/schedstat",
    ];
}

/// Which application is looked at: a process, or whoever has a socket with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The process of this number.
    Pid(u32),
    /// Those with a TCP or UDP socket of this local or remote port.
    Port(u16),
    /// The process, and only its sockets with this local or remote port.
    Both(u32, u16),
}

/// Why an application cannot be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplicationProblem {
    /// There is no such process, or it has ended and was not waited for.
    NoProcess(u32),
    /// The number is that of a thread of another process.
    Thread(u32, u32),
    /// It is a thread of the kernel.
    Kernel(u32),
    /// It ended between the readings, or its number went to another one.
    Ended(u32),
    /// No socket has the port.
    NoPort(u16, Option<u32>),
    /// Sockets cannot be listed.
    NotListed(String),
}

impl fmt::Display for ApplicationProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProcess(pid) => {
                write!(f, "look at process {pid}: there is none, or it has ended; find it with pgrep NAME")
            }
            Self::Thread(tid, pid) => {
                write!(f, "look at process {tid}: it is a thread of process {pid}; give --pid {pid}")
            }
            Self::Kernel(pid) => {
                write!(
                    f,
                    "look at process {pid}: it is a thread of the kernel, not an application; give that of a program"
                )
            }
            Self::Ended(pid) => {
                write!(f, "look at process {pid} again: it ended within the window; start again while it runs")
            }
            Self::NoPort(port, None) => write!(
                f,
                "look at port {port}: no TCP or UDP socket of this network namespace has it; name the process with --pid, \
                 or find the port with ss -tuan"
            ),
            Self::NoPort(port, Some(pid)) => {
                write!(f, "look at port {port}: process {pid} has no TCP or UDP socket with it; leave out --port")
            }
            Self::NotListed(why) => write!(f, "list sockets: {why}; name the process with --pid"),
        }
    }
}

impl std::error::Error for ApplicationProblem {}

impl Whose {
    fn pid(self) -> Option<u32> {
        match self {
            Self::Pid(pid) | Self::Both(pid, _) => Some(pid),
            Self::Port(_) => None,
        }
    }

    fn port(self) -> Option<u16> {
        match self {
            Self::Port(port) | Self::Both(_, port) => Some(port),
            Self::Pid(_) => None,
        }
    }
}

/// An application as it was at the first reading.
pub(crate) struct First {
    whose: Whose,
    at_ns: u64,
    processes: Vec<Look>,
    sockets: Vec<InetSocket>,
    not_seen: Vec<NotSeen>,
}

/// The first reading: sockets, then threads, which change faster.
pub(crate) fn first(sys: &dyn Sys, whose: Whose) -> Result<First, ApplicationProblem> {
    if let Some(pid) = whose.pid() {
        proc::is_a_program(sys, pid)?;
    }
    let mut not_seen = Vec::new();
    let (mut sockets, pids) = sockets(sys, whose, &mut not_seen)?;
    for found in sockets.iter_mut().filter(|s| has_a_peer(&s.socket)).take(MOST_FLOWS) {
        let now = arrival(&options(sys, found));
        found.socket.arrivals.extend(now);
    }
    let machine = query::uname(sys).into_value().map(|u| u.machine).unwrap_or_default();
    let processes: Result<Vec<Look>, _> = pids.iter().map(|pid| proc::look(sys, *pid, &machine)).collect();
    Ok(First { whose, at_ns: sys.now_ns(), processes: processes?, sockets, not_seen })
}

impl First {
    /// The application with what grew since, or as it was first where no time passed.
    pub(crate) fn finish(mut self, sys: &dyn Sys, waited: bool) -> Result<Application, ApplicationProblem> {
        let mut window_ns = None;
        if waited {
            window_ns = Some(sys.now_ns().saturating_sub(self.at_ns));
            for process in &mut self.processes {
                process.again(sys)?;
            }
            // Sockets that came since are left out: nothing of theirs grew in the window.
            let again = sockets(sys, self.whose, &mut Vec::new()).map(|(all, _)| all).unwrap_or_default();
            for s in &mut self.sockets {
                if let Some(now) = again.iter().find(|now| same(now, s)) {
                    later(&mut s.socket, &now.socket);
                }
            }
        }
        let processes: Vec<Process> = self.processes.into_iter().map(Look::done).collect();
        let sockets = self.sockets.into_iter().map(|s| with_options(sys, s, waited)).collect();
        Ok(Application {
            asked_pid: self.whose.pid(),
            asked_port: self.whose.port(),
            window_ns,
            processes,
            sockets,
            not_seen: self.not_seen,
        })
    }
}

fn same(a: &InetSocket, b: &InetSocket) -> bool {
    a.inode == b.inode && a.socket.local == b.socket.local && a.socket.remote == b.socket.remote
}

/// What the second reading adds to the first.
fn later(first: &mut OpenSocket, now: &OpenSocket) {
    first.queues.extend(now.queues.iter().copied());
    first.drops_grown = match (&first.drops, &now.drops) {
        // A counter of 32 bits in the kernel, which starts again at zero.
        (Reading::Value(was), Reading::Value(is)) => Some(is.wrapping_sub(*was) & u64::from(u32::MAX)),
        _ => None,
    };
    first.drops = now.drops.clone();
    first.receive_buffer = now.receive_buffer.clone();
    first.send_buffer = now.send_buffer.clone();
    first.state.clone_from(&now.state);
    first.tcp.clone_from(&now.tcp);
}

/// Flows whose queue is looked at twice: an application may have ten thousand connections.
const MOST_FLOWS: usize = 256;

/// Only a socket with a remote end has one flow (include/net/busy_poll.h in linux 6.12: sk_mark_napi_id,
/// sk_mark_napi_id_once).
fn has_a_peer(socket: &OpenSocket) -> bool {
    socket.state == "established"
}

/// The options that the process set; a reason where no process that has it open is visible.
fn options(sys: &dyn Sys, found: &InetSocket) -> Reading<BTreeMap<String, i64>> {
    match found.socket.owners.first() {
        Some(owner) => typed(sys, &NetQuery::SocketOptions { pid: owner.pid, fd: owner.fd, inode: found.inode }),
        None => found.socket.options.clone(),
    }
}

/// By which queue its last packet had come.
fn arrival(options: &Reading<BTreeMap<String, i64>>) -> Option<FlowArrival> {
    let options = options.value()?;
    let number = |name: &str| options.get(name).and_then(|n| u32::try_from(*n).ok());
    Some(FlowArrival { napi: number("SO_INCOMING_NAPI_ID")?, cpu: number("SO_INCOMING_CPU") })
}

fn with_options(sys: &dyn Sys, mut found: InetSocket, waited: bool) -> OpenSocket {
    found.socket.options = options(sys, &found);
    // One that was looked at first is looked at again.
    if waited && !found.socket.arrivals.is_empty() {
        found.socket.arrivals.extend(arrival(&found.socket.options));
    }
    found.socket
}

/// The sockets that are looked at with their owners, and the processes.
fn sockets(
    sys: &dyn Sys,
    whose: Whose,
    not_seen: &mut Vec<NotSeen>,
) -> Result<(Vec<InetSocket>, Vec<u32>), ApplicationProblem> {
    let mut missing = |fact: String, why: &dyn fmt::Display| not_seen.push(NotSeen { fact, why: why.to_string() });
    let mut owners: BTreeMap<u32, Vec<Owner>> = BTreeMap::new();
    if let Some(pid) = whose.pid() {
        match proc::descriptors(sys, pid) {
            Reading::Value(all) => {
                for (inode, owner) in all {
                    owners.entry(inode).or_default().push(owner);
                }
            }
            other => {
                let (kind, why) = other.why_not().unwrap_or_default();
                missing(format!("sockets of process {pid}"), &format!("{kind}: {why}"));
            }
        }
    }
    let mut found: Vec<InetSocket> = Vec::new();
    for udp in [false, true] {
        let inodes: Vec<u32> = owners.keys().copied().collect();
        if whose.pid().is_some() && inodes.is_empty() {
            break;
        }
        let port = if whose.pid().is_some() { None } else { whose.port() };
        match typed::<Vec<InetSocket>>(sys, &NetQuery::InetSockets { udp, of: whose.pid(), port, inodes }) {
            Reading::Value(all) => found.extend(all),
            other => {
                let (kind, why) = other.why_not().unwrap_or_default();
                missing(format!("{} sockets", if udp { "UDP" } else { "TCP" }), &format!("{kind}: {why}"));
            }
        }
    }
    if let Some(port) = whose.port() {
        let end = format!(":{port}");
        found.retain(|s| s.socket.local.ends_with(&end) || s.socket.remote.ends_with(&end));
        if found.is_empty() {
            return Err(match not_seen.first() {
                Some(n) => ApplicationProblem::NotListed(format!("{}: {}", n.fact, n.why)),
                None => ApplicationProblem::NoPort(port, whose.pid()),
            });
        }
    }
    if let Whose::Port(_) = whose {
        owners = owners_of(sys, &found, not_seen);
    }
    for s in &mut found {
        s.socket.owners = owners.get(&s.inode).cloned().unwrap_or_default();
    }
    let mut pids: Vec<u32> = whose.pid().into_iter().collect();
    pids.extend(found.iter().flat_map(|s| &s.socket.owners).map(|o| o.pid));
    pids.sort_unstable();
    pids.dedup();
    Ok((found, pids))
}

/// Every process that has one of these sockets open.
fn owners_of(sys: &dyn Sys, found: &[InetSocket], not_seen: &mut Vec<NotSeen>) -> BTreeMap<u32, Vec<Owner>> {
    let inodes: BTreeSet<u32> = found.iter().map(|s| s.inode).collect();
    let (owners, why) = socket_owners(sys, &inodes);
    not_seen.extend(why);
    owners
}

/// Every process that has one of these sockets open, by inode; and what is to be said of sockets without any.
pub fn socket_owners(sys: &dyn Sys, inodes: &BTreeSet<u32>) -> (BTreeMap<u32, Vec<Owner>>, Option<NotSeen>) {
    let mut owners: BTreeMap<u32, Vec<Owner>> = BTreeMap::new();
    let mut denied = 0u32;
    for pid in proc::all(sys) {
        match proc::descriptors(sys, pid) {
            Reading::Value(all) => {
                for (inode, owner) in all.into_iter().filter(|(inode, _)| inodes.contains(inode)) {
                    owners.entry(inode).or_default().push(owner);
                }
            }
            Reading::Denied(_) => denied += 1,
            _ => {}
        }
    }
    let unowned = inodes.iter().filter(|inode| **inode != 0 && !owners.contains_key(inode)).count();
    let why = if denied > 0 {
        format!("denied: the descriptors of {denied} processes belong to other users; run as root")
    } else {
        "absent: no process here has them open; they may be of another process namespace".to_owned()
    };
    (owners, (unowned > 0).then(|| NotSeen { fact: format!("owners of {unowned} sockets"), why }))
}

/// Refuses what is no running program: no process, a thread, a thread of the kernel.
pub fn is_a_program(sys: &dyn Sys, pid: u32) -> Result<(), ApplicationProblem> {
    proc::is_a_program(sys, pid)
}

/// The sockets that a process has open, by inode.
pub fn open_sockets(sys: &dyn Sys, pid: u32) -> Reading<Vec<(u32, Owner)>> {
    proc::descriptors(sys, pid)
}

/// What a process does, by its first thread: `running`, `sleeping`, `stopped`, …; `None` where it has ended.
pub fn process_state(sys: &dyn Sys, pid: u32) -> Option<&'static str> {
    proc::state(sys, pid)
}

#[cfg(test)]
mod tests;

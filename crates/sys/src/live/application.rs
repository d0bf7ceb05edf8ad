//! The sockets of one running application: what the kernel shows of them, and the options that its process set.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use lowlat_model::Reading;
use lowlat_model::application::{Connection, OpenSocket, Queues};
use lowlat_netlink::diag::{self, ConnectionMessage, InetSocketMessage, Transport};
use lowlat_os::socket;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::{net, os};
use crate::query::InetSocket;
use crate::reading_of_errno;

/// Sockets with this port, or with these inodes, in the namespace of a process.
pub(super) fn sockets(udp: bool, of: Option<u32>, port: Option<u16>, inodes: &[u32]) -> Reading<Vec<InetSocket>> {
    let inodes = inodes.to_vec();
    let list = move || {
        let transport = if udp { Transport::Udp } else { Transport::Tcp };
        diag::inet_sockets(transport, |s| match port {
            Some(port) => s.local.port() == port || s.remote.port() == port,
            None => inodes.contains(&s.inode),
        })
    };
    let found = match of.filter(|pid| elsewhere(*pid)) {
        None => net::reading(list()),
        Some(pid) => match os::in_netns(&format!("/proc/{pid}/ns/net"), move || Ok(list())) {
            Ok(found) => net::reading(found),
            Err(e) => reading_of_errno(e.raw_os_error(), format!("enter the network namespace of process {pid}: {e}")),
        },
    };
    found.map(|all| all.into_iter().map(|s| InetSocket { inode: s.inode, socket: shown(udp, s) }).collect())
}

/// The process has another network namespace. One whose namespace may not be seen is taken for one of this namespace: its
/// sockets are then found, or they are not.
pub(super) fn elsewhere(pid: u32) -> bool {
    let inode = |path: &str| fs::metadata(path).map(|m| m.ino()).ok();
    match (inode(&format!("/proc/{pid}/ns/net")), inode("/proc/thread-self/ns/net")) {
        (Some(its), Some(ours)) => its != ours,
        _ => false,
    }
}

fn shown(udp: bool, s: InetSocketMessage) -> OpenSocket {
    let memory = |what: &str, value: Option<u32>| match value {
        Some(v) => Reading::Value(u64::from(v)),
        None => Reading::Unsupported(format!("this kernel does not show the {what} of a socket")),
    };
    OpenSocket {
        protocol: if udp { "udp" } else { "tcp" }.to_owned(),
        local: s.local.to_string(),
        remote: s.remote.to_string(),
        state: s.state.to_owned(),
        owners: Vec::new(),
        queues: vec![Queues { receive: u64::from(s.receive_queue), send: u64::from(s.send_queue) }],
        receive_buffer: memory("receive buffer", s.memory.map(|m| m.receive_buffer)),
        send_buffer: memory("send buffer", s.memory.map(|m| m.send_buffer)),
        drops: memory("drops", s.memory.and_then(|m| m.drops)),
        drops_grown: None,
        arrivals: Vec::new(),
        multicast_all: s.multicast_all.map_or_else(
            || Reading::Unsupported("the kernel shows IP_MULTICAST_ALL from 5.10 on".to_owned()),
            Reading::Value,
        ),
        v6_only: s.v6_only,
        tcp: s.tcp.map(connection),
        options: Reading::Absent("no process that has the socket open is visible".to_owned()),
    }
}

fn connection(c: ConnectionMessage) -> Connection {
    Connection {
        segment_bytes: u64::from(c.segment_bytes),
        sent_bytes: c.sent_bytes,
        sent_segments: u64::from(c.sent_segments),
        resent_segments: u64::from(c.resent_segments),
        unsent_bytes: u64::from(c.unsent_bytes),
        algorithm: c.algorithm,
        bbr_rate: c.bbr_rate,
    }
}

/// Options that latency depends on, by their names in C. One that the protocol does not have is left out.
const OPTIONS: &[(&str, libc::c_int, libc::c_int)] = &[
    ("TCP_NODELAY", libc::IPPROTO_TCP, libc::TCP_NODELAY),
    ("TCP_CORK", libc::IPPROTO_TCP, libc::TCP_CORK),
    ("TCP_QUICKACK", libc::IPPROTO_TCP, libc::TCP_QUICKACK),
    ("TCP_NOTSENT_LOWAT", libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT),
    ("SO_BUSY_POLL", libc::SOL_SOCKET, libc::SO_BUSY_POLL),
    ("SO_INCOMING_CPU", libc::SOL_SOCKET, libc::SO_INCOMING_CPU),
    ("SO_INCOMING_NAPI_ID", libc::SOL_SOCKET, libc::SO_INCOMING_NAPI_ID),
    ("SO_PRIORITY", libc::SOL_SOCKET, libc::SO_PRIORITY),
];

/// The options of one descriptor of a process. The kernel gives this process a copy of the descriptor for a moment, if
/// it would let it trace the other one (pidfd_getfd(2)); nothing is sent, received or set.
pub(super) fn options(pid: u32, fd: u32, inode: u32) -> io::Result<BTreeMap<String, i64>> {
    let no_such = || io::Error::from_raw_os_error(libc::ESRCH);
    let (pid, fd) = (i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(no_such)?, i32::try_from(fd));
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let copy = pidfd_getfd(&process, fd.map_err(|_| no_such())?, PidfdGetfdFlags::empty())?;
    // The number may have been given to something else since it was listed.
    if rustix::fs::fstat(&copy)?.st_ino != u64::from(inode) {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    let mut all: BTreeMap<String, i64> = OPTIONS
        .iter()
        .filter_map(|(name, level, option)| {
            let value = socket::get_int(copy.as_fd(), *level, *option).ok()?;
            // No limit is all ones, and unsigned.
            let value = if *name == "TCP_NOTSENT_LOWAT" { i64::from(value.cast_unsigned()) } else { i64::from(value) };
            Some(((*name).to_owned(), value))
        })
        .collect();
    let flags = rustix::fs::fcntl_getfl(&copy)?;
    all.insert("O_NONBLOCK".to_owned(), i64::from(flags.contains(rustix::fs::OFlags::NONBLOCK)));
    Ok(all)
}

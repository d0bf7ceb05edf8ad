//! Live TCP and UDP sockets, read again and again without a probe (`lowlat watch`).

use std::net::{IpAddr, SocketAddr};

use lowlat_model::Reading;
use lowlat_model::watch::{SocketSample, TcpSample};
use lowlat_netlink::Error;
use lowlat_netlink::diag::Transport;
use lowlat_netlink::traffic::{TcpInfo, TrafficDiag, TrafficFilter, TrafficMessage};

use super::{application, net, os};
use crate::reading_of_errno;

/// One socket at one reading.
#[derive(Debug, Clone, Copy)]
pub struct LiveSocket {
    /// The kernel's number of the socket, which no other gets.
    pub cookie: u64,
    /// As `/proc/PID/fd` shows it; 0 for one that no descriptor leads to.
    pub inode: u32,
    /// UDP, else TCP.
    pub udp: bool,
    /// Local address.
    pub local: SocketAddr,
    /// Remote address; unspecified where there is none.
    pub remote: SocketAddr,
    /// `established`, `listen`, `close`, …
    pub state: &'static str,
    /// What the kernel counts.
    pub sample: SocketSample,
}

/// A view of the sockets of one network namespace. It holds one netlink socket and nothing else.
#[derive(Debug)]
pub struct TrafficDoor {
    diag: TrafficDiag,
    filter: TrafficFilter,
    /// How many the last reading gave, with some to spare: a list that grows while it is filled is copied again and again.
    room: usize,
}

impl TrafficDoor {
    /// Opens it, in the network namespace of a process where one is given, for sockets with this local or remote port and
    /// this remote address.
    pub fn open(of: Option<u32>, port: Option<u16>, peer: Option<IpAddr>) -> Reading<Self> {
        in_namespace_of(of, TrafficDiag::open).and_then(net::reading).map(|diag| Self {
            diag,
            filter: TrafficFilter { port, peer },
            room: 0,
        })
    }

    /// All sockets that fit and that `keep` wants of those by inode. `at_ns` is the time that the samples carry.
    pub fn sockets(&mut self, at_ns: u64, keep: &mut dyn FnMut(u32) -> bool) -> Reading<Vec<LiveSocket>> {
        let mut all = Vec::with_capacity(self.room);
        for transport in [Transport::Tcp, Transport::Udp] {
            let udp = transport == Transport::Udp;
            let from = |m: TrafficMessage| keep(m.inode).then(|| shown(udp, at_ns, &m));
            match net::reading(self.diag.ask(transport, self.filter, &mut all, from)) {
                Reading::Value(()) => {}
                other => return other.map(|()| Vec::new()),
            }
        }
        self.room = all.len() + all.len() / 8;
        Reading::Value(all)
    }
}

/// What `open` gives in the network namespace of a process, or here.
fn in_namespace_of<T: Send + 'static>(
    of: Option<u32>,
    open: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Reading<Result<T, Error>> {
    match of.filter(|pid| application::elsewhere(*pid)) {
        None => Reading::Value(open()),
        Some(pid) => match os::in_netns(&format!("/proc/{pid}/ns/net"), move || Ok(open())) {
            Ok(opened) => Reading::Value(opened),
            Err(e) => reading_of_errno(e.raw_os_error(), format!("enter the network namespace of process {pid}: {e}")),
        },
    }
}

fn shown(udp: bool, at_ns: u64, m: &TrafficMessage) -> LiveSocket {
    let memory = m.memory;
    let sample = SocketSample {
        at_ns,
        unread: u64::from(m.receive_queue),
        unacknowledged: u64::from(m.send_queue),
        receive_buffer: memory.map(|m| u64::from(m.receive_buffer)),
        receive_used: memory.map(|m| u64::from(m.receive_used)),
        backlog: memory.and_then(|m| m.backlog).map(u64::from),
        drops: memory.and_then(|m| m.drops).map(u64::from),
        tcp: m.tcp.as_ref().map(tcp),
    };
    LiveSocket { cookie: m.cookie, inode: m.inode, udp, local: m.local, remote: m.remote, state: m.state, sample }
}

fn tcp(i: &TcpInfo) -> TcpSample {
    let ns = |us: u64| us.saturating_mul(1_000);
    // 0 before the first sample (net/ipv4/tcp.c, tcp_get_info).
    let measured = |us: u32| Some(u64::from(us)).filter(|us| *us > 0).map(ns);
    TcpSample {
        rtt_ns: measured(i.rtt_us),
        rtt_variance_ns: measured(i.rttvar_us).filter(|_| i.rtt_us > 0),
        min_rtt_ns: i.min_rtt_us.map(u64::from).map(ns),
        sent_segments: u64::from(i.data_segs_out),
        received_segments: u64::from(i.data_segs_in),
        retransmits: u64::from(i.total_retrans),
        timeouts: i.total_rto.map(u64::from),
        acknowledged_bytes: i.bytes_acked,
        received_bytes: i.bytes_received,
        delivery_rate_bytes: i.delivery_rate.filter(|rate| *rate > 0),
        application_limited: i.delivery_rate.map(|_| i.delivery_rate_app_limited),
        busy_ns: i.busy_time_us.map(ns),
        window_limited_ns: i.rwnd_limited_us.map(ns),
        buffer_limited_ns: i.sndbuf_limited_us.map(ns),
        unsent: u64::from(i.notsent_bytes),
        peer_window: i.snd_wnd.map(u64::from),
        own_window: i.rcv_wnd.map(u64::from),
        congestion_window: u64::from(i.snd_cwnd),
        window_probes: u64::from(i.probes),
    }
}

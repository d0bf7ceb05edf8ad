//! What one running application does to itself: its threads, its sockets and how both are set.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{NotSeen, Reading};

/// What was asked for, and what was read of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Application {
    /// The process that was named.
    pub asked_pid: Option<u32>,
    /// The local or remote port that was named.
    pub asked_port: Option<u16>,
    /// Time between the two readings, ns; `null` where there was one alone.
    pub window_ns: Option<u64>,
    /// The processes: the one named, or those that have a socket of the port.
    pub processes: Vec<Process>,
    /// TCP and UDP sockets of the processes, or of the port.
    pub sockets: Vec<OpenSocket>,
    /// What could not be seen, and why.
    pub not_seen: Vec<NotSeen>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Command name, cut to 15 bytes by the kernel.
    pub command: String,
    /// Locked memory, kB (`VmLck`).
    pub locked_kb: Reading<u64>,
    /// Memory in use, kB (`VmRSS`).
    pub resident_kb: Reading<u64>,
    /// Memory swapped out, kB (`VmSwap`).
    pub swapped_kb: Reading<u64>,
    /// Multicast groups joined in its network namespace: interface → groups, without those that every host joins. The
    /// kernel does not show which socket joined one.
    pub groups: Reading<BTreeMap<String, Vec<String>>>,
    /// Its threads, by number.
    pub threads: Vec<Thread>,
}

/// One thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Thread {
    /// Its number.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// `other`, `fifo`, `rr`, `batch`, `idle`, `deadline`, `ext`.
    pub policy: String,
    /// Real-time priority; 0 for the other policies.
    pub priority: u32,
    /// Nice value.
    pub nice: i32,
    /// The CPU it ran on last.
    pub last_cpu: u32,
    /// The CPUs it may run on.
    pub allowed: Reading<Vec<u32>>,
    /// How much later than asked its timers may fire, ns.
    pub timer_slack_ns: Reading<u64>,
    /// What it was doing, once for each reading.
    pub doing: Vec<Reading<Doing>>,
    /// What grew between the readings; `null` where there was one alone, or the thread was not there at both.
    pub grown: Option<Grown>,
}

/// What a thread was doing when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Doing {
    /// `running`, the system call it sleeps in (`epoll_wait`, `recvfrom`, `call 500` for one without a name here), or
    /// `blocked` for a fault.
    pub call: String,
    /// The call has a timeout, so a timer may end it.
    pub timed: bool,
}

/// What a thread did between two readings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Grown {
    /// Processor time, ns; the kernel gives it in ticks of 10 ms.
    pub cpu_ns: u64,
    /// Times it went to sleep (voluntary context switches).
    pub sleeps: Reading<u64>,
    /// Times another task took its CPU (involuntary context switches).
    pub preemptions: Reading<u64>,
    /// Times it was moved to another CPU.
    pub migrations: Reading<u64>,
    /// Time it was ready and had no CPU, ns.
    pub waited_ns: Reading<u64>,
    /// Page faults served from memory.
    pub minor_faults: u64,
    /// Page faults that read from a disk.
    pub major_faults: u64,
}

/// One TCP or UDP socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenSocket {
    /// `tcp`, `udp`.
    pub protocol: String,
    /// Local address and port.
    pub local: String,
    /// Remote address and port.
    pub remote: String,
    /// `established`, `listen`, `close` (an unconnected UDP socket), …
    pub state: String,
    /// Processes that have it open; empty where none is visible.
    pub owners: Vec<Owner>,
    /// Bytes that wait in it, once for each reading.
    pub queues: Vec<Queues>,
    /// Room for received data, bytes of memory (`SO_RCVBUF`, or what TCP chose).
    pub receive_buffer: Reading<u64>,
    /// Room for data to send, bytes of memory.
    pub send_buffer: Reading<u64>,
    /// Packets that the socket dropped since it was made.
    pub drops: Reading<u64>,
    /// Those of the window.
    pub drops_grown: Option<u64>,
    /// It also receives datagrams of groups that other sockets joined (`IP_MULTICAST_ALL`).
    pub multicast_all: Reading<bool>,
    /// It takes IPv6 alone (`IPV6_V6ONLY`); `null` for a socket of IPv4, and for one with a connection.
    #[serde(default)]
    pub v6_only: Option<bool>,
    /// By which of the device's queues its last packet had come, once for each reading; empty where the process's options
    /// could not be read, and for a socket without a remote end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrivals: Vec<FlowArrival>,
    /// A connection's own view; `null` for UDP.
    pub tcp: Option<Connection>,
    /// Options by their names in C, as the process set them: `TCP_NODELAY`, `TCP_QUICKACK`, `SO_BUSY_POLL`, …
    pub options: Reading<BTreeMap<String, i64>>,
}

/// Where a socket's last packet had come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowArrival {
    /// NAPI instance of the queue (`SO_INCOMING_NAPI_ID`); 0 where the kernel knows none, as on a loopback interface.
    pub napi: u32,
    /// CPU that handled it (`SO_INCOMING_CPU`).
    pub cpu: Option<u32>,
}

/// A process that has a socket open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    /// Process number.
    pub pid: u32,
    /// Descriptor.
    pub fd: u32,
    /// Command name.
    pub command: String,
}

/// Bytes that wait in a socket. Of a listening one: connections that wait, and the most that may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Queues {
    /// Received and not read.
    pub receive: u64,
    /// Written and not acknowledged, or not sent.
    pub send: u64,
}

/// What TCP knows of one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connection {
    /// Largest segment that is sent, bytes.
    pub segment_bytes: u64,
    /// Bytes sent, without retransmissions; `null` before Linux 4.19.
    pub sent_bytes: Option<u64>,
    /// Segments with data sent, retransmissions included.
    pub sent_segments: u64,
    /// Retransmissions.
    pub resent_segments: u64,
    /// Bytes written and not sent.
    pub unsent_bytes: u64,
    /// Congestion control.
    pub algorithm: String,
    /// Rate at which BBR sends, bytes a second; `null` for the others.
    pub bbr_rate: Option<u64>,
}

impl Application {
    /// A process by its number.
    pub fn process(&self, pid: u32) -> Option<&Process> {
        self.processes.iter().find(|p| p.pid == pid)
    }
}

//! Live traffic, watched without probes: the document of `lowlat watch`.
//!
//! What was read is the part that is stored ([`WatchedSocket::first`], [`WatchedSocket::last`], the spreads, the arrivals,
//! the drops); what follows from it ([`WatchedSocket::change`], [`WatchDocument::findings`]) is computed again when a stored
//! document is read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::application::Owner;
use crate::trace::TraceDirection;
use crate::{NotSeen, Quantiles, Schema, Severity};

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WatchDocument {
    /// `lowlat.watch`.
    pub schema: Schema,
    /// Kernel release.
    pub kernel: String,
    /// What was asked for.
    pub asked: WatchAsked,
    /// From the first reading to the last, ns.
    pub duration_ns: u64,
    /// Time between two readings, ns.
    pub interval_ns: u64,
    /// Readings of the sockets.
    pub readings: u32,
    /// The sockets, those with most traffic first.
    pub sockets: Vec<WatchedSocket>,
    /// Sockets that were there and found no room in this document.
    pub sockets_left_out: u64,
    /// How datagrams came, by local port.
    pub arrivals: Vec<ArrivalShape>,
    /// Where the time of the messages of the watched processes went on this host, stage by stage.
    #[serde(default)]
    pub stages: WatchedStages,
    /// Packets that the kernel dropped meanwhile, on the whole host, those of the watched ports first.
    pub dropped: Vec<DroppedPackets>,
    /// What watching cost.
    pub cost: WatchCost,
    /// What is wrong, most serious first.
    pub findings: Vec<WatchFinding>,
    /// What could not be seen, and why.
    pub not_seen: Vec<NotSeen>,
    /// Why it ended before its time: the process ended, the namespace is gone. `null` where it did not.
    pub ended: Option<String>,
    /// A signal ended it.
    pub interrupted: bool,
    /// The trigger, and what it caught; `null` where none was set.
    #[serde(default)]
    pub trigger: Option<TriggerReport>,
}

/// What was asked for; all of it has to fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchAsked {
    /// Local or remote port.
    pub port: Option<u16>,
    /// Process.
    pub pid: Option<u32>,
    /// Remote address.
    pub peer: Option<String>,
}

/// One socket over the watch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WatchedSocket {
    /// `tcp`, `udp`.
    pub protocol: String,
    /// Local address and port.
    pub local: String,
    /// Remote address and port.
    pub remote: String,
    /// As it was last: `established`, `listen`, `close` (an unconnected UDP socket), …
    pub state: String,
    /// It was gone before the last reading.
    pub closed: bool,
    /// Processes that have it open; empty where none is visible.
    pub owners: Vec<Owner>,
    /// What the first of these processes did at the last reading: `running`, `sleeping`, `stopped`, …; `null` where it is not
    /// visible.
    pub owner_state: Option<String>,
    /// The first reading.
    pub first: SocketSample,
    /// The last one.
    pub last: SocketSample,
    /// Readings of this socket.
    pub readings: u32,
    /// Readings at which something waited to be read.
    pub readings_unread: u32,
    /// Of these, the most in one row up to the last reading.
    pub unread_to_the_end: u32,
    /// Bytes that waited to be read, over all readings.
    pub unread: SampleSpread,
    /// Bytes that were written and not sent, over all readings.
    pub unsent: SampleSpread,
    /// The smoothed round trip, ns, over the readings before which something was sent.
    pub rtt: SampleSpread,
    /// Readings at which the far end took no data (its window was 0).
    pub readings_peer_window_zero: u32,
    /// Readings at which this end took no data.
    pub readings_own_window_zero: u32,
    /// What grew from the first reading to the last.
    pub change: SocketChange,
}

/// One socket at one reading. Counters are since the socket was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SocketSample {
    /// When, ns from the first reading of the watch.
    pub at_ns: u64,
    /// Bytes that wait to be read; of UDP with the kernel's own memory for them; of a listening socket the connections that
    /// wait.
    pub unread: u64,
    /// Bytes written and not acknowledged; of a listening socket the most connections that may wait.
    pub unacknowledged: u64,
    /// Room for received data, bytes of memory; `null` where the kernel does not show it.
    pub receive_buffer: Option<u64>,
    /// Memory of received data, bytes.
    pub receive_used: Option<u64>,
    /// Packets that wait for a socket that its program has locked, bytes of memory.
    pub backlog: Option<u64>,
    /// Packets that the socket dropped.
    pub drops: Option<u64>,
    /// A connection's own view; `null` for UDP and listening sockets.
    pub tcp: Option<TcpSample>,
}

/// What TCP knows of a connection. `null`: this kernel does not show it, or has no sample yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpSample {
    /// Smoothed round trip, ns.
    pub rtt_ns: Option<u64>,
    /// Its mean deviation, ns.
    pub rtt_variance_ns: Option<u64>,
    /// The smallest round trip of the last minutes, ns (`net.ipv4.tcp_min_rtt_wlen`).
    pub min_rtt_ns: Option<u64>,
    /// Segments with data that were sent, retransmissions included.
    pub sent_segments: u64,
    /// Segments with data that came.
    pub received_segments: u64,
    /// Retransmissions.
    pub retransmits: u64,
    /// Retransmission timers that ran out.
    pub timeouts: Option<u64>,
    /// Bytes that the far end has acknowledged.
    pub acknowledged_bytes: u64,
    /// Bytes that came.
    pub received_bytes: u64,
    /// The newest delivery rate, bytes a second.
    pub delivery_rate_bytes: Option<u64>,
    /// The rate is what the program wrote, not what the path carries.
    pub application_limited: Option<bool>,
    /// Time with something to send, ns.
    pub busy_ns: Option<u64>,
    /// Of that: the far end's window was the limit.
    pub window_limited_ns: Option<u64>,
    /// Of that: the send buffer was the limit.
    pub buffer_limited_ns: Option<u64>,
    /// Bytes written and not sent.
    pub unsent: u64,
    /// What the far end still takes, bytes.
    pub peer_window: Option<u64>,
    /// What this end still takes, bytes.
    pub own_window: Option<u64>,
    /// Congestion window, segments.
    pub congestion_window: u64,
    /// Probes of a closed window that were not answered yet.
    pub window_probes: u64,
}

/// What grew between two readings of a socket. `null`: one of them did not show it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SocketChange {
    /// Time between them, ns.
    pub over_ns: u64,
    /// Packets dropped by the socket.
    pub drops: Option<u64>,
    /// Segments with data sent, retransmissions included.
    pub sent_segments: Option<u64>,
    /// Segments with data received.
    pub received_segments: Option<u64>,
    /// Retransmissions.
    pub retransmits: Option<u64>,
    /// Retransmissions as a share of the segments sent; `null` where none was sent.
    pub retransmit_ratio: Option<f64>,
    /// Retransmission timers that ran out.
    pub timeouts: Option<u64>,
    /// Bytes acknowledged.
    pub acknowledged_bytes: Option<u64>,
    /// Bytes received.
    pub received_bytes: Option<u64>,
    /// Share of the time with something to send.
    pub busy_ratio: Option<f64>,
    /// Share of the time in which the far end's window was the limit.
    pub window_limited_ratio: Option<f64>,
    /// Share of the time in which the send buffer was the limit.
    pub buffer_limited_ratio: Option<f64>,
}

/// Smallest, mean and largest of a value over readings. All `null` where no reading had one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SampleSpread {
    /// Readings that had the value.
    pub samples: u64,
    /// Smallest.
    pub min: Option<u64>,
    /// Mean.
    pub mean: Option<u64>,
    /// Largest.
    pub max: Option<u64>,
}

/// How the datagrams of one local port came, by the kernel's stamps, before the socket.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArrivalShape {
    /// Local port.
    pub port: u16,
    /// Datagrams that came.
    pub datagrams: u64,
    /// Their bytes, headers of UDP and IP left out.
    pub bytes: u64,
    /// The smallest, bytes.
    pub smallest_bytes: Option<u64>,
    /// The largest, bytes.
    pub largest_bytes: Option<u64>,
    /// Time from one to the next.
    pub gaps: Quantiles,
    /// When the longest of these times began, ns from the first reading.
    pub longest_gap_at_ns: Option<u64>,
    /// Datagrams less than this after the one before are of one burst, ns.
    pub burst_gap_ns: u64,
    /// Bursts of two and more.
    pub bursts: u64,
    /// Datagrams of the longest burst.
    pub longest_burst: u64,
    /// Datagrams that are part of a burst, as a share.
    pub in_bursts_ratio: Option<f64>,
}

/// The stages of live messages, from short windows in which the kernel's trace points recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WatchedStages {
    /// Windows.
    pub windows: u32,
    /// All of them together, ns.
    pub traced_ns: u64,
    /// Processes whose messages these are: of all of their sockets, since no event names a port.
    pub pids: Vec<u32>,
    /// Received messages that were followed: datagrams, and packets of connections.
    pub received: u64,
    /// Sent ones.
    pub sent: u64,
    /// Messages that were read and could not be matched to what came, and those that were queued and not seen to leave.
    pub unmatched: u64,
    /// Events that found no room in the kernel's buffer.
    pub overruns: u64,
    /// Every stage that a message passed, received ones first, in the order of the way.
    pub stages: Vec<WatchedStage>,
}

/// One stage of live messages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WatchedStage {
    /// `system call`, `queue discipline`, `driver`, `interrupt`, `softirq`, …, as of `lowlat trace`.
    pub name: String,
    /// `out` for what is sent, `back` for what is received.
    pub direction: TraceDirection,
    /// From where to where, as text.
    pub what: String,
    /// Messages that passed it.
    pub passed: u64,
    /// Its length over all messages of that direction, 0 in one that did not need it.
    pub time: Quantiles,
}

/// Packets that the kernel dropped at one place for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DroppedPackets {
    /// The kernel's word for why: `SOCKET_RCVBUFF`; its number where the kernel names none, `unknown` before Linux 5.17.
    pub reason: String,
    /// The function that dropped them, `__udp_queue_rcv_skb+0x6b`; `null` where symbols are hidden.
    pub place: Option<String>,
    /// How many.
    pub packets: u64,
    /// The local UDP port they were for, where the kernel says so.
    pub port: Option<u16>,
    /// The processes of the watched socket of that port; empty for drops of others.
    pub owners: Vec<Owner>,
}

/// What watching cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WatchCost {
    /// CPU time of this process over the watch, ns.
    pub cpu_ns: u64,
    /// The same as a share of one CPU.
    pub cpu_ratio: f64,
    /// Packets of which the kernel made a second copy for this process (the stamps of arrivals); their cost at the
    /// receiving CPU is not in `cpu_ns`.
    pub tapped_packets: u64,
    /// Packets of these that found no room and are in no figure.
    pub tap_overruns: u64,
    /// Trace events of drops that were read.
    pub trace_events: u64,
    /// Trace events that found no room.
    pub trace_overruns: u64,
}

/// Something that is wrong with live traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WatchFinding {
    /// Which: `reader-behind`, `socket-drops`, `retransmits`, `peer-window`, `send-buffer`.
    pub finding: String,
    /// Weight.
    pub severity: Severity,
    /// One line, lower case, no full stop.
    pub title: String,
    /// What was read that shows it.
    pub evidence: Vec<String>,
    /// Cause and next step.
    pub advice: String,
    /// The process that it is about, `name[pid]`; `null` where none is visible.
    pub process: Option<String>,
}

/// What a trigger waited for, and what it caught.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriggerReport {
    /// What was waited for: `rtt=2000us,gap=2000us`, `drop`.
    pub asked: String,
    /// Stalls that crossed it.
    pub crossings: u64,
    /// Those that were kept, in the order of time.
    pub stalls: Vec<CaughtStall>,
    /// The least time that the ring reached back at a crossing, ns; `null` where nothing crossed, or there is no ring.
    pub ring_ns: Option<u64>,
    /// Older events that the ring gave up for newer ones before a crossing.
    pub ring_overruns: u64,
}

/// One stall that crossed a trigger, with what the CPUs did meanwhile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaughtStall {
    /// `round trip`, `gap`, `drop`.
    pub kind: String,
    /// When it began, ns from the first reading.
    pub at_ns: u64,
    /// How long, ns; 0 for a drop.
    pub length_ns: u64,
    /// Local port.
    pub port: Option<u16>,
    /// What is most likely behind it: `thread hog (812) on CPU 1 for 4980 µs, instead of thread feed (99)`.
    pub blame: String,
    /// What had CPUs meanwhile, most time first.
    pub meanwhile: Vec<crate::trace::Meanwhile>,
    /// Counters that grew around it: `SMI (firmware): 1`, `steal of CPU 1: 20 ms`.
    pub counters: Vec<String>,
    /// The events around it, one a line: time from its beginning, CPU, what. In the stall's own file alone.
    pub events: Vec<String>,
}

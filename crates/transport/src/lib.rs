//! How one probe leaves and its answer comes back: the [`Engine`] trait and the socket engines.
//!
//! Two things vary on a path, and each has its own list. An **engine** (this crate and `transport-*`) moves bytes:
//! blocking sockets, spinning, busy polling, epoll, io_uring, AF_XDP. A **peer** (the `peers` crate) says what the
//! bytes are: lowlat's own far end, sockperf, STAMP, IRTT. A new one of either is one file and one list entry, because
//! neither knows the other: the prober writes a peer's message into an engine.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod block;
pub mod busy_poll;
pub mod clock;
mod closed_port;
pub mod cmsg;
mod connect;
pub mod epoll;
pub mod gaps;
pub mod icmp;
mod neighbour;
pub mod socket;
pub mod spin;
mod stamps;
pub mod suspend;
mod tls;
pub mod zerocopy;

use std::net::SocketAddr;

pub use lowlat_model::engine::EngineOption;
pub use lowlat_model::verdict::Flow;
// The system calls of the engines, which far ends and probers share.
pub use lowlat_os::{socket as os, thread};

/// What to do where the kernel says that this process may not do what needs these.
pub fn next_where_denied(needed: &[lowlat_model::Capability]) -> String {
    lowlat_model::capability::next_where_denied(needed, lowlat_os::identity::effective_capabilities())
}

/// Nanoseconds on `CLOCK_MONOTONIC`.
pub type Ns = u64;

/// Protocol under the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proto {
    /// Echo request and reply. The message is the echo's payload: header, checksum, identifier and ICMP sequence number
    /// are the engine's, since the kernel rewrites the identifier on ping sockets.
    Icmp,
    /// Datagrams.
    Udp,
    /// A stream; `TCP_NODELAY` is set, and the engine frames by the peer's message length.
    Tcp,
    /// An ARP request a probe; the message does not leave this host (`neighbour.rs`).
    Arp,
    /// A neighbour solicitation a probe; likewise.
    Nd,
    /// A handshake a probe; the message does not leave this host (`connect.rs`).
    TcpConnect,
    /// A TLS ClientHello a probe; the message does not leave this host (`tls/mod.rs`).
    Tls,
    /// A datagram a probe to a port where nobody listens; the far kernel's error is the answer (`closed_port.rs`).
    UdpClosed,
}

/// A port of DPDK, as the user named it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DpdkPort {
    /// A virtual device or a PCI address; none for a packet socket on the path's interface.
    pub port: Option<String>,
    /// Its address and the length of its subnet, where the kernel has none for it.
    pub address: Option<(std::net::Ipv4Addr, u8)>,
}

/// Where to send, and how the socket is to be made.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Protocol.
    pub proto: Proto,
    /// Far end; the port is 0 for ICMP.
    pub remote: SocketAddr,
    /// Local address to bind to, if not the kernel's choice.
    pub local: Option<SocketAddr>,
    /// Source port; 0 for the kernel's choice. Overrides that of `local`. ICMP has no ports: there it is the echo's
    /// identifier, which is what reports one flow of echoes from another.
    pub source_port: u16,
    /// Another flow will take this one's source port when it ends: a TCP connection is then closed by a reset, which
    /// leaves no `TIME_WAIT` behind. The same four-tuple cannot be connected again while one is: off loopback the
    /// kernel reuses none by default (`tcp_twsk_unique`, net/ipv4/tcp_ipv4.c; `tcp_tw_reuse` 2).
    pub port_is_reused: bool,
    /// Interface the path uses (AF_XDP needs it).
    pub iface: Option<String>,
    /// DSCP, 0–63.
    pub dscp: Option<u8>,
    /// `SO_PRIORITY`: the queue discipline's class, and on a VLAN interface, by its egress map, the PCP bits.
    pub priority: Option<u8>,
    /// Largest message, bytes.
    pub max_message: usize,
    /// Ask the kernel for software (and where there are, hardware) stamps.
    pub stamps: bool,
    /// `SO_BUSY_POLL`, µs, for the engines that use it.
    pub busy_poll_us: Option<u32>,
    /// The port of the engine `dpdk`, if one was named.
    pub dpdk: Option<DpdkPort>,
    /// The name of the far end, where the target is one; a TLS server may want it.
    pub server_name: Option<String>,
    /// What to do where nothing listens at `remote`, for the error that says so: which far end to start depends on the
    /// protocol of the probes, which no engine knows.
    pub where_refused: &'static str,
}

impl Endpoint {
    /// An endpoint with the kernel's choice for everything but these.
    pub fn new(proto: Proto, remote: SocketAddr, max_message: usize) -> Self {
        Self {
            proto,
            remote,
            local: None,
            source_port: 0,
            port_is_reused: false,
            iface: None,
            dscp: None,
            priority: None,
            max_message,
            stamps: false,
            busy_poll_us: None,
            dpdk: None,
            server_name: None,
            where_refused: "start the far end there, or name the port of the one that runs there",
        }
    }
}

/// Who read the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StampBy {
    /// This program, on `CLOCK_MONOTONIC`.
    User,
    /// The kernel, on `CLOCK_REALTIME`.
    Kernel,
    /// The NIC, on its own clock.
    Hardware,
}

/// A stamp the kernel gave for a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StampAt {
    /// `SCM_TSTAMP_SCHED`: before the queue discipline.
    TxSched,
    /// `SCM_TSTAMP_SND`: handed to the driver.
    TxSoftware,
    /// Left the NIC.
    TxHardware,
    /// `SCM_TSTAMP_ACK`: the far kernel acknowledged the send's last byte (TCP).
    TxAck,
    /// `SOF_TIMESTAMPING_RX_SOFTWARE`.
    RxSoftware,
    /// Entered the NIC.
    RxHardware,
}

impl StampAt {
    /// All of them, in the order of the packet's way.
    pub const ALL: [Self; 6] =
        [Self::TxSched, Self::TxSoftware, Self::TxHardware, Self::TxAck, Self::RxHardware, Self::RxSoftware];

    /// Name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::TxSched => "sched-tx",
            Self::TxSoftware => "software-tx",
            Self::TxHardware => "hardware-tx",
            Self::TxAck => "ack-tx",
            Self::RxSoftware => "software-rx",
            Self::RxHardware => "hardware-rx",
        }
    }
}

/// Kinds of stamps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StampSet(u8);

impl StampSet {
    /// With one kind more.
    #[must_use]
    pub fn with(self, at: StampAt) -> Self {
        Self(self.0 | 1 << at as u8)
    }

    /// Whether it is in.
    pub fn has(self, at: StampAt) -> bool {
        self.0 & 1 << at as u8 != 0
    }
}

impl FromIterator<StampAt> for StampSet {
    fn from_iter<I: IntoIterator<Item = StampAt>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::default(), Self::with)
    }
}

/// The stamps of a flow that was opened with [`Endpoint::stamps`].
pub trait Stamper {
    /// The kinds it asks for. Whether they come is another question: a prober counts.
    fn asks(&self) -> StampSet;
    /// Asks for these kinds alone from the next message on.
    fn keep(&mut self, kinds: StampSet) -> std::io::Result<()>;
    /// Sends since stamps were first asked for; the next one's [`TxStamp::id`].
    fn sends(&self) -> u32;
}

/// A transmit stamp, which comes after its send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxStamp {
    /// `SOF_TIMESTAMPING_OPT_ID`: counts the sends of this socket from 0.
    pub id: u32,
    /// Which.
    pub at: StampAt,
    /// ns on the clock of [`StampAt`] (realtime, or the NIC's).
    pub ns: u64,
}

/// One received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Got {
    /// Its length in the buffer.
    pub len: usize,
    /// When this program had it, `CLOCK_MONOTONIC`.
    pub at: Ns,
    /// Kernel receive stamp, `CLOCK_REALTIME`, if one came.
    pub kernel_rx: Option<u64>,
    /// NIC receive stamp, NIC clock, if one came.
    pub hardware_rx: Option<u64>,
}

/// What an engine can do; a prober asks before it plans.
#[derive(Debug, Clone)]
pub struct Caps {
    /// Largest message this path carries in one packet.
    pub max_message: usize,
    /// Burns a whole core while it waits.
    pub spins: bool,
    /// What it is on this host, as text: `AF_XDP native copy on veth0 queue 0`.
    pub words: String,
    /// What it costs its user, as text.
    pub costs: String,
}

/// Why an engine could not do what was asked. Each names operation, target, cause and next step.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// This kernel, device or user cannot have the engine; the path itself may be fine.
    #[error("{engine}: {what}: {why}; {next}")]
    Unavailable {
        /// Engine.
        engine: &'static str,
        /// Operation and target.
        what: String,
        /// Cause.
        why: String,
        /// Next step.
        next: String,
    },
    /// The path answered with an error (refused, unreachable).
    #[error("{what}: {why}; {next}")]
    Unreachable {
        /// Operation and target.
        what: String,
        /// Cause.
        why: String,
        /// Next step.
        next: String,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    Os {
        /// Operation and target.
        what: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

/// What [`Engine::exchange`] did.
#[derive(Debug)]
pub struct Exchange {
    /// As [`Engine::send`] answers it.
    pub sent: Ns,
    /// As [`Engine::recv`] answers it.
    pub got: Result<Option<Got>, EngineError>,
}

/// Moves messages. One engine is one flow to one far end; it is connected and warm when its constructor returns.
pub trait Engine {
    /// What it is and costs here.
    fn caps(&self) -> &Caps;

    /// Sends one message. Returns when the engine had handed it on, `CLOCK_MONOTONIC`: the actual send time is read
    /// just *before* the hand-over, so that the send itself counts as latency.
    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError>;

    /// The next message, or `None` when `until` (`CLOCK_MONOTONIC`) has passed. Never returns a message cut short.
    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError>;

    /// Sends one message and waits up to `wait` ns for the next: the timed part of a closed loop, which is one call, so
    /// that no code of the caller stands between the two. `Err` if it was not sent.
    fn exchange(&mut self, message: &[u8], buf: &mut [u8], wait: u64) -> Result<Exchange, EngineError> {
        let sent = self.send(message)?;
        Ok(Exchange { sent, got: self.recv(buf, sent.saturating_add(wait)) })
    }

    /// Called when a round has ended, however it ended: nothing of the engine disturbs its thread until it is used
    /// again.
    fn rest(&mut self) {}

    /// Transmit stamps that have come since the last call; called outside the timed part.
    fn tx_stamps(&mut self, out: &mut Vec<TxStamp>) {
        let _ = out;
    }

    /// The flow's stamps; `None` where they were not asked for, or this engine has none: stamps come by `recvmsg` and
    /// the error queue, which io_uring's receives and AF_XDP's rings pass by.
    fn stamper(&mut self) -> Option<&mut dyn Stamper> {
        None
    }

    /// Interruptions this engine saw while it waited; `None` for engines that sleep, which cannot see any.
    fn gaps(&mut self) -> Option<&mut gaps::Gaps> {
        None
    }

    /// Messages that came to this flow and could not be handed on: longer than the caller's buffer. They are not
    /// answers of a peer that replies with as many bytes as it got, and are counted rather than lost from sight.
    fn discarded(&self) -> u64 {
        0
    }

    /// The flow as it is now: its source port, and where the kernel received its last packet. Asked outside the timed
    /// part. What the engine or the kernel does not report is `None`; `prober_cpu` is not the engine's to know.
    fn flow(&self) -> Flow {
        Flow::default()
    }

    /// Its options as the kernel answered to them, after what it has seen so far. What the kernel lacks is in it, with
    /// the reason.
    fn options(&self) -> Vec<EngineOption> {
        Vec::new()
    }

    /// Whether all its work is done by the thread that calls it. Where another process or a kernel thread does some (DPDK, SQPOLL), the
    /// caller's CPU time says too little.
    fn works_alone(&self) -> bool {
        true
    }

    /// System calls that it made since it was opened, without those that read a clock and those that set it up; `None`
    /// where it does not count them.
    fn system_calls(&self) -> Option<u64> {
        None
    }

    /// For streams: gives the length of the message that `buf` begins with, so that the engine can frame. Datagram engines never
    /// call it.
    fn set_framing(&mut self, message_len: fn(&[u8]) -> Option<usize>) {
        let _ = message_len;
    }
}

/// One socket engine of this crate.
#[derive(Debug, Clone, Copy)]
pub struct EngineEntry {
    /// Name in `--engine` and in results.
    pub name: &'static str,
    /// What it costs its user, as text.
    pub costs: &'static str,
    /// Makes, connects and warms it.
    pub open: fn(&Endpoint) -> Result<Box<dyn Engine>, EngineError>,
}

/// The socket engines, one file each. The heavy ones (io_uring, AF_XDP) live in crates of their own.
pub const ENGINES: &[EngineEntry] = &[
    EngineEntry { name: block::NAME, costs: block::COSTS, open: block::open },
    EngineEntry { name: spin::NAME, costs: spin::COSTS, open: spin::open },
    EngineEntry { name: busy_poll::NAME, costs: busy_poll::COSTS, open: busy_poll::open },
    EngineEntry { name: epoll::NAME, costs: epoll::COSTS, open: epoll::open },
    EngineEntry { name: suspend::NAME, costs: suspend::COSTS, open: suspend::open },
];

/// Opens a socket engine by name.
pub fn open(name: &str, endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    if endpoint.proto == Proto::TcpConnect {
        return connect::open(name, endpoint);
    }
    if matches!(endpoint.proto, Proto::Arp | Proto::Nd) {
        return neighbour::open(name, endpoint);
    }
    if endpoint.proto == Proto::Tls {
        return tls::open(name, endpoint);
    }
    if endpoint.proto == Proto::UdpClosed {
        return closed_port::open(name, endpoint);
    }
    match ENGINES.iter().find(|e| e.name == name) {
        Some(entry) => (entry.open)(endpoint),
        None => Err(EngineError::Unavailable {
            engine: "engine",
            what: format!("open {name:?}"),
            why: "there is no socket engine of that name".to_owned(),
            next: format!("use one of {}", ENGINES.iter().map(|e| e.name).collect::<Vec<_>>().join(", ")),
        }),
    }
}

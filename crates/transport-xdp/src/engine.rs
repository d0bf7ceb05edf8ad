//! The engine: packets written into shared memory, one system call to send, none to receive.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use lowlat_model::Capability;
use lowlat_netlink::route::link;
use lowlat_os::socket::{Waiting, set_int, wait_readable};
use lowlat_transport::clock::now;
use lowlat_transport::{Caps, Endpoint, Engine, EngineError, Got, Ns};

use crate::attach::{self, Refused, Sockets};
use crate::device;
use crate::frame::{ETH_LEN, Flow};
use crate::mode::{self, XdpMode};
use crate::path::{self, Path, unavailable};
use crate::program::{Action, redirect_flow};
use crate::xsk::{self, BusyPoll, CHUNKS, HEADROOM};

/// Looks at the rings between two looks at the clock, which costs 25 ns.
const SPINS_PER_CLOCK: u32 = 16;
/// Tries to hand a packet to a kernel that says "later" (`EAGAIN`, `EBUSY`, `ENOBUFS`).
const SEND_TRIES: u32 = 1000;
/// How long the link may be away after a native attach: several drivers reset it to set up their XDP rings.
const CARRIER_LIMIT: Duration = Duration::from_secs(10);

/// What may be chosen about the engine.
#[derive(Debug, Clone)]
pub struct XdpOptions {
    /// Only this mode; otherwise the best that the interface gives.
    pub mode: Option<XdpMode>,
    /// Sleep in poll(2) instead of spinning on the ring.
    pub blocking: bool,
    /// RX queues to cover at most. Each costs 1.1 MiB of memory and one look per spin.
    pub max_queues: u32,
    /// Packets per busy poll (`SO_BUSY_POLL_BUDGET`); used when the endpoint asks for busy polling.
    pub busy_poll_budget: u32,
}

impl Default for XdpOptions {
    fn default() -> Self {
        // 64 queues: what a 64-core host's NIC comes up with. Budget 64 is a NAPI poll's own (NAPI_POLL_WEIGHT).
        Self { mode: None, blocking: false, max_queues: 64, busy_poll_budget: 64 }
    }
}

/// The engine with the options of its choice.
pub fn open(endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    open_with(endpoint, &XdpOptions::default())
}

/// The engine with options.
pub fn open_with(endpoint: &Endpoint, options: &XdpOptions) -> Result<Box<dyn Engine>, EngineError> {
    let what = format!("open {}", endpoint.remote);
    possible(&what)?;
    let path = path::find(endpoint)?;
    free_of_programs(&what, &path)?;
    let dscp = endpoint.dscp.unwrap_or(0);
    let flow = Flow::new(path.local, endpoint.remote, path.mac, path.next_hop, dscp & 0x3f)
        .ok_or_else(|| unavailable(&what, "local and remote address are of two families", "give both of one family"))?;
    let (chunk, max_message) = sizes(endpoint, &path, &flow, &what)?;

    let driver = device::driver(&path.link.name);
    let features = device::xdp_features(&path.link.name)
        .map_err(|source| EngineError::Os { what: format!("ask {} for its XDP features", path.link.name), source })?;
    let mut order = mode::order(&path.link, &driver, features.as_deref());
    if let Some(only) = options.mode {
        order = mode::Order { modes: vec![only], remarks: Vec::new() };
    }
    let mut remarks = order.remarks;
    let all_queues = device::rx_queues(&path.link.name);
    let queues = all_queues.min(options.max_queues.max(1));
    if queues < all_queues {
        remarks.push(format!("only {queues} of {all_queues} RX queues covered: answers on the others are an error"));
    }
    let busy = busy_poll(endpoint, options, &mut remarks);

    let (mode, sockets) = first_that_works(&what, &path, &order.modes, &mut remarks, |mode| {
        let busy = busy.filter(|_| mode != XdpMode::Generic);
        attach::open(&path.link, mode, queues, chunk, busy, |map| {
            redirect_flow(endpoint.remote, path.local, map, Action::Pass)
        })
    })?;
    wait_for_carrier(&path)?;

    let zero_copy = sockets.queues.iter().all(xsk::Xsk::zero_copy);
    if let Some(priority) = endpoint.priority {
        for socket in &sockets.queues {
            set_int(socket.fd(), libc::SOL_SOCKET, libc::SO_PRIORITY, libc::c_int::from(priority))
                .map_err(|source| EngineError::Os { what: format!("{what} at priority {priority}"), source })?;
        }
        // Copied packets carry it (`xsk_build_skb`, net/xdp/xsk.c); those of zero copy have no place for it.
        let reported = if zero_copy { "zero copy carries none" } else { "it passes no queue discipline" };
        remarks.push(format!("priority {priority}: {reported}"));
    }
    if busy.is_some() && mode == XdpMode::Generic {
        remarks.push("busy polling not used: the generic hook has no NAPI to poll".to_owned());
    }
    let caps = Caps {
        max_message,
        spins: !options.blocking,
        words: words(&path, mode, zero_copy, queues, sockets.attachment.program_id, &remarks),
        costs: costs(&path, mode, options),
    };
    let waiting = sockets.queues.iter().map(|s| Waiting::on(&s.fd())).collect();
    drain(&path.reserved);
    Ok(Box::new(Xdp {
        sockets,
        waiting,
        flow,
        caps,
        target: endpoint.remote.to_string(),
        where_refused: endpoint.where_refused,
        iface: path.link.name,
        reserved: path.reserved,
        drive: busy.is_some() && mode != XdpMode::Generic,
        blocking: options.blocking,
        hot: 0,
        discarded: 0,
    }))
}

/// Kernel and user may have an AF_XDP socket.
fn possible(what: &str) -> Result<(), EngineError> {
    xsk::socket_possible().map_err(|e| match e.raw_os_error() {
        Some(libc::EAFNOSUPPORT) => {
            unavailable(what, "this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)", "use --engine spin")
        }
        Some(libc::EPERM) => unavailable(what, "AF_XDP needs CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF", lacks()),
        _ => unavailable(what, e.to_string(), "use --engine spin"),
    })
}

fn free_of_programs(what: &str, path: &Path) -> Result<(), EngineError> {
    attach::occupant(&path.link).map_or(Ok(()), |program| {
        let name = &path.link.name;
        let next = format!("see ip link show {name}; nothing was changed");
        Err(unavailable(what, format!("{program} is attached to {name}, and would lose its packets"), next))
    })
}

/// Chunk size and largest message of this path.
fn sizes(endpoint: &Endpoint, path: &Path, flow: &Flow, what: &str) -> Result<(usize, usize), EngineError> {
    let headers = flow.header_len();
    let frame = endpoint.max_message + headers;
    let mtu = usize::try_from(path.link.mtu).unwrap_or(usize::MAX - ETH_LEN);
    if frame > mtu + ETH_LEN {
        let why = format!("a message of {} bytes exceeds the MTU of {} ({mtu})", endpoint.max_message, path.link.name);
        return Err(unavailable(what, why, "use a smaller --size: this engine does not fragment"));
    }
    // The smallest chunk that holds a full frame of this MTU, else the smallest that holds what was asked for.
    let fits = |bytes: usize| CHUNKS.into_iter().find(|c| c - HEADROOM >= bytes);
    let Some(chunk) = fits(mtu + ETH_LEN).or_else(|| fits(frame)) else {
        let why = format!("a frame of {frame} bytes exceeds a chunk of {}", CHUNKS[1] - HEADROOM);
        return Err(unavailable(what, why, "use a smaller --size"));
    };
    Ok((chunk, (mtu + ETH_LEN).min(chunk - HEADROOM) - headers))
}

fn busy_poll(endpoint: &Endpoint, options: &XdpOptions, remarks: &mut Vec<String>) -> Option<BusyPoll> {
    let us = endpoint.busy_poll_us.filter(|us| *us > 0)?;
    let busy = BusyPoll { us, budget: options.busy_poll_budget };
    match xsk::busy_poll_possible(busy) {
        Ok(()) => {
            remarks.push(format!("preferred busy polling {us} µs, budget {}", busy.budget));
            Some(busy)
        }
        Err(e) => {
            remarks.push(format!("busy polling refused ({e}; it needs Linux 5.11)"));
            None
        }
    }
}

/// The first mode that works; what the others said becomes a remark.
fn first_that_works(
    what: &str,
    path: &Path,
    modes: &[XdpMode],
    remarks: &mut Vec<String>,
    attempt: impl Fn(XdpMode) -> Result<Sockets, Refused>,
) -> Result<(XdpMode, Sockets), EngineError> {
    let (mut refusals, mut denied) = (Vec::new(), false);
    for &mode in modes {
        match attempt(mode) {
            Ok(sockets) => {
                remarks.extend(refusals);
                return Ok((mode, sockets));
            }
            Err(Refused { what, source }) => {
                denied |= source.raw_os_error() == Some(libc::EPERM);
                refusals.push(format!("{} refused: {what}: {source}", mode.words()));
            }
        }
    }
    // Somebody may have attached since we looked.
    if let Ok(Some(link)) = link::named(&path.link.name)
        && let Some(program) = attach::occupant(&link)
    {
        refusals.push(format!("{program} is attached to {}", link.name));
    }
    let next = if denied { format!("use --engine spin; {}", lacks()) } else { "use --engine spin".to_owned() };
    Err(unavailable(what, refusals.join("; "), next))
}

/// What to do about a refusal by privilege.
fn lacks() -> String {
    lowlat_transport::next_where_denied(&[Capability::NetRaw, Capability::NetAdmin, Capability::Bpf])
}

fn wait_for_carrier(path: &Path) -> Result<(), EngineError> {
    let name = &path.link.name;
    let start = Instant::now();
    loop {
        let link = link::named(name)
            .map_err(|e| EngineError::Os { what: format!("read {name}"), source: device::plain(e) })?;
        if link.is_some_and(|l| l.carrier) {
            return Ok(());
        }
        if start.elapsed() > CARRIER_LIMIT {
            return Err(EngineError::Unreachable {
                what: format!("wait for the carrier of {name}"),
                why: "it did not come back after the XDP program was attached".to_owned(),
                next: "the program is off again; check the cable and the driver's log".to_owned(),
            });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn words(path: &Path, mode: XdpMode, zero_copy: bool, queues: u32, program: Option<u32>, remarks: &[String]) -> String {
    let got = if zero_copy == (mode == XdpMode::ZeroCopy) {
        mode.words().to_owned()
    } else {
        // A bind with XDP_ZEROCOPY either gives it or fails, so this would be a kernel's fault; it is said anyway.
        format!("{} (the kernel says zero-copy: {zero_copy})", mode.words())
    };
    let queues = if queues == 1 { "queue 0".to_owned() } else { format!("queues 0–{}", queues - 1) };
    let program = program.map_or_else(String::new, |id| format!(", XDP program {id}"));
    let remarks = if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join("; ")) };
    format!("AF_XDP {got} on {} {queues}{program}{remarks}", path.link.name)
}

fn costs(path: &Path, mode: XdpMode, options: &XdpOptions) -> String {
    let name = &path.link.name;
    let core = if options.blocking { "a system call and a wake-up per answer" } else { "a whole core while it waits" };
    let driver = match mode {
        XdpMode::Generic => "the kernel still builds a socket buffer for every packet",
        XdpMode::NativeCopy | XdpMode::ZeroCopy => "some drivers reset the link when the program goes on and off",
    };
    format!(
        "{core}; a partial bypass: an XDP program on {name} looks at every packet and takes this one flow past firewall, \
         routing and sockets; {driver}; needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF"
    )
}

/// Throws away what came to the reserved socket before the program was attached; a refusal from then is read away too.
fn drain(reserved: &UdpSocket) {
    /// More than any receive buffer holds, so that a flood cannot hold us here.
    const MOST: usize = 65_536;
    let mut byte = [0];
    for _ in 0..MOST {
        if reserved.recv(&mut byte).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock) {
            return;
        }
    }
}

/// The AF_XDP engine.
struct Xdp {
    // First: the program goes before anything else of the flow.
    sockets: Sockets,
    waiting: Vec<Waiting>,
    flow: Flow,
    caps: Caps,
    target: String,
    /// What to do where nothing listens there.
    where_refused: &'static str,
    iface: String,
    reserved: UdpSocket,
    /// Run the driver's receive path from here (preferred busy polling).
    drive: bool,
    blocking: bool,
    /// The queue the last answer came on.
    hot: usize,
    /// Answers longer than the caller's buffer.
    discarded: u64,
}

/// What a look at one packet gave.
enum Seen {
    Message(usize),
    TooLong,
    NotOurs,
}

impl Xdp {
    /// One packet from any ring, copied into `buf`.
    #[inline]
    fn look(&mut self, buf: &mut [u8]) -> Option<(Seen, Ns)> {
        let count = self.sockets.queues.len();
        for i in 0..count {
            let queue = if i == 0 {
                self.hot
            } else if i <= self.hot {
                i - 1
            } else {
                i
            };
            let flow = &self.flow;
            let seen = self.sockets.queues[queue].receive(|frame| {
                let at = now();
                let seen = match flow.payload(frame) {
                    Ok(message) => match buf.get_mut(..message.len()) {
                        Some(to) => {
                            to.copy_from_slice(message);
                            Seen::Message(message.len())
                        }
                        None => Seen::TooLong,
                    },
                    Err(_) => Seen::NotOurs,
                };
                (seen, at)
            });
            if seen.is_some() {
                self.hot = queue;
                return seen;
            }
        }
        None
    }

    /// A silent far end may have said no: its refusal comes to the reserved socket, and so do answers that the program
    /// let pass. Called when the wait is over.
    fn why_silent(&self) -> Result<(), EngineError> {
        let mut byte = [0];
        match self.reserved.recv(&mut byte) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(e) => Err(EngineError::Unreachable {
                what: format!("receive from {}", self.target),
                why: e.to_string(),
                next: self.where_refused.to_owned(),
            }),
            Ok(_) => Err(unavailable(
                &format!("receive from {}", self.target),
                format!(
                    "an answer went past the AF_XDP sockets of {}: fragmented, tagged, or on an RX queue without one",
                    self.iface
                ),
                "cover all RX queues, or use --engine spin",
            )),
        }
    }

    fn send_error(&self, source: io::Error) -> EngineError {
        let what = format!("send to {} through {}", self.target, self.iface);
        match source.raw_os_error() {
            Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => EngineError::Unreachable {
                what,
                why: source.to_string(),
                next: format!("see ip link show {}", self.iface),
            },
            _ => EngineError::Os { what, source },
        }
    }
}

fn transient(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS | libc::EINTR))
}

impl Engine for Xdp {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn counts_calls(&self) -> bool {
        true
    }

    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        if message.len() > self.caps.max_message {
            return Err(self.send_error(io::Error::from_raw_os_error(libc::EMSGSIZE)));
        }
        let at = now();
        // Always the first queue: one flow needs one, and the far end sees no difference.
        let mut queued = false;
        let mut last = None;
        for _ in 0..SEND_TRIES {
            let socket = &mut self.sockets.queues[0];
            socket.reclaim();
            queued = queued || socket.queue_tx(|frame| self.flow.write(message, frame));
            match socket.kick_tx() {
                Ok(()) if queued => return Ok(at),
                Ok(()) => last = Some(io::Error::from_raw_os_error(libc::ENOBUFS)),
                Err(e) if transient(&e) => last = Some(e),
                Err(e) => return Err(self.send_error(e)),
            }
            std::hint::spin_loop();
        }
        let error = last.unwrap_or_else(|| io::Error::from_raw_os_error(libc::EAGAIN));
        Err(self.send_error(error))
    }

    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
        let mut spins = 0u32;
        loop {
            match self.look(buf) {
                Some((Seen::Message(len), at)) => {
                    return Ok(Some(Got { len, at, kernel_rx: None, hardware_rx: None }));
                }
                Some((Seen::TooLong, _)) => self.discarded += 1,
                // A wrong checksum is a loss, as on a kernel socket; the prober counts what does not come.
                Some((Seen::NotOurs, _)) => {}
                None => {
                    spins = spins.wrapping_add(1);
                    if self.drive {
                        self.sockets.queues[self.hot].poll_driver();
                    }
                    if !self.blocking && !spins.is_multiple_of(SPINS_PER_CLOCK) {
                        std::hint::spin_loop();
                        continue;
                    }
                }
            }
            let at = now();
            if at >= until {
                self.why_silent()?;
                return Ok(None);
            }
            for socket in &self.sockets.queues {
                socket.wake_rx();
            }
            if self.blocking {
                match wait_readable(&mut self.waiting, until - at) {
                    Ok(_) => {}
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(source) => {
                        return Err(EngineError::Os { what: format!("wait for {}", self.target), source });
                    }
                }
            }
        }
    }

    fn discarded(&self) -> u64 {
        self.discarded
    }

    /// The receive queue instead of the NAPI id and its CPU: answers do not reach the reserved socket, which would
    /// know.
    fn flow(&self) -> lowlat_transport::Flow {
        lowlat_transport::Flow {
            source_port: self.reserved.local_addr().ok().map(|at| at.port()),
            rx_queue: u32::try_from(self.hot).ok(),
            ..lowlat_transport::Flow::default()
        }
    }
}

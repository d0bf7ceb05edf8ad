//! The engine: packets written into shared memory, one system call to send, none to receive.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use lowlat_model::{Bypass, Capability};
use lowlat_netlink::route::link::{self, Link};
use lowlat_os::socket::{Waiting, recv, set_int, wait_readable};
use lowlat_transport::clock::now;
use lowlat_transport::{Caps, Endpoint, Engine, EngineError, Got, Ns};

use crate::attach::{self, Refused, Sockets};
use crate::device;
use crate::frame::{ETH_LEN, Flow, TAG_LEN, Tag};
use crate::mode::{self, XdpMode};
use crate::path::{self, Path, unavailable};
use crate::program::{Action, redirect_flow};
use crate::xsk::{self, BusyPoll, CHUNKS, Copying};

/// Looks at the rings between two looks at the clock, which costs 25 ns.
const SPINS_PER_CLOCK: u32 = 16;
/// Tries to hand a packet to a kernel that says "later" (`EAGAIN`, `EBUSY`, `ENOBUFS`).
const SEND_TRIES: u32 = 1000;
/// After so long without a packet on the rings, ns, the kernel's way is looked at: far above the round trips that a
/// bypass is for, and a system call of 0.2 µs does not show there.
const SILENCE_NS: Ns = 1_000_000;
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
    let flow = match path.tag {
        Some(tag) => flow.in_vlan(tag),
        None => flow,
    };
    let (largest, max_message) = sizes(endpoint, &path, &flow, &what)?;

    let order = order(&path.device, options)?;
    let mut remarks: Vec<String> = path.remark.iter().cloned().chain(order.remarks).collect();
    let all_queues = device::rx_queues(&path.device.name);
    let queues = all_queues.min(options.max_queues.max(1));
    if queues < all_queues {
        remarks.push(format!(
            "only {queues} of {all_queues} RX queues covered: answers on the others take the kernel's way"
        ));
    }
    let busy = busy_poll(endpoint, options, &mut remarks);

    let sockets = first_that_works(&what, &path, &order.modes, &mut remarks, |mode| {
        let busy = busy.filter(|_| mode != XdpMode::Generic);
        // The largest frame fits, whatever the mode.
        let chunk = xsk::chunk_of(largest, mode.copying()).unwrap_or(CHUNKS[1]);
        attach::open(&path.device, mode, queues, chunk, busy, |map| {
            redirect_flow(endpoint.remote, path.local, path.tag.map(|t| t.id), map, Action::Pass)
        })
    })?;
    wait_for_carrier(&path)?;
    let got = got(&path, &sockets);
    let mode = XdpMode::got(&got.hook, got.zero_copy);
    if let Some(priority) = endpoint.priority {
        for socket in &sockets.queues {
            set_int(socket.fd(), libc::SOL_SOCKET, libc::SO_PRIORITY, libc::c_int::from(priority))
                .map_err(|source| EngineError::Os { what: format!("{what} at priority {priority}"), source })?;
        }
        remarks.push(priority_words(priority, &got, path.tag));
    }
    if busy.is_some() && mode == XdpMode::Generic {
        remarks.push("busy polling not used: the generic hook has no NAPI to poll".to_owned());
    }
    let caps = Caps {
        max_message,
        spins: !options.blocking,
        words: words(&path, mode, &got, &remarks),
        costs: costs(&path, mode, options),
    };
    let waiting = sockets.queues.iter().map(|s| Waiting::on(&s.fd())).chain([Waiting::on(&path.reserved)]).collect();
    drain(&path.reserved);
    Ok(Box::new(Xdp {
        sockets,
        waiting,
        flow,
        caps,
        target: endpoint.remote.to_string(),
        where_refused: endpoint.where_refused,
        iface: path.device.name,
        reserved: path.reserved,
        drive: got.prefer_busy_poll_us.is_some(),
        blocking: options.blocking,
        got,
        hot: 0,
        discarded: 0,
        calls: 0,
    }))
}

/// The modes to try on a device.
fn order(device: &Link, options: &XdpOptions) -> Result<mode::Order, EngineError> {
    if let Some(only) = options.mode {
        return Ok(mode::Order { modes: vec![only], remarks: Vec::new() });
    }
    let features = device::xdp_features(&device.name)
        .map_err(|source| EngineError::Os { what: format!("ask {} for its XDP features", device.name), source })?;
    Ok(mode::order(device, &device::driver(&device.name), features.as_deref()))
}

/// What the kernel gave, of the sockets what all of them have.
fn got(path: &Path, sockets: &Sockets) -> Bypass {
    let of = || sockets.queues.iter().map(xsk::Xsk::got);
    Bypass {
        iface: path.device.name.clone(),
        vlan: path.tag.map(|tag| tag.id),
        hook: sockets.attachment.hook.to_owned(),
        zero_copy: of().all(|got| got.zero_copy),
        need_wakeup: of().all(|got| got.need_wakeup),
        prefer_busy_poll_us: of().map(|got| got.prefer_busy_poll_us).min().flatten(),
        program: sockets.attachment.program_id,
        queues: u32::try_from(sockets.queues.len()).unwrap_or(u32::MAX),
        ..Bypass::default()
    }
}

/// What becomes of `SO_PRIORITY`. Copied packets carry it (`xsk_build_skb`, net/xdp/xsk.c); those of zero copy have no
/// place for it.
fn priority_words(priority: u8, got: &Bypass, tag: Option<Tag>) -> String {
    let carried = if got.zero_copy { "zero copy carries none" } else { "it passes no queue discipline" };
    let point = tag.map_or_else(String::new, |tag| format!("; code point {} in the tag", tag.code_point));
    format!("priority {priority}: {carried}{point}")
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
    attach::occupant(&path.device).map_or(Ok(()), |program| {
        let name = &path.device.name;
        let next = format!("see ip link show {name}; nothing was changed");
        Err(unavailable(what, format!("{program} is attached to {name}, and would lose its packets"), next))
    })
}

/// The largest frame that comes and the largest message of this path.
fn sizes(endpoint: &Endpoint, path: &Path, flow: &Flow, what: &str) -> Result<(usize, usize), EngineError> {
    let headers = flow.header_len();
    let frame = endpoint.max_message + headers;
    let mtu = usize::try_from(path.link.mtu).unwrap_or(usize::MAX - ETH_LEN - TAG_LEN);
    let largest = mtu + ETH_LEN + if path.tag.is_some() { TAG_LEN } else { 0 };
    if frame > largest {
        let why = format!("a message of {} bytes exceeds the MTU of {} ({mtu})", endpoint.max_message, path.link.name);
        return Err(unavailable(what, why, "use a smaller --size: this engine does not fragment"));
    }
    // A full frame of this MTU, else what was asked for; each in one chunk, with a copy or without.
    let most = xsk::room(CHUNKS[1], Copying::Zero);
    let Some(frame) = [largest, frame].into_iter().find(|frame| *frame <= most) else {
        let why = format!(
            "a frame of {frame} bytes exceeds a chunk of {most}, and this engine takes no frame of several buffers"
        );
        return Err(unavailable(what, why, "use a smaller --size"));
    };
    Ok((frame, frame - headers))
}

fn busy_poll(endpoint: &Endpoint, options: &XdpOptions, remarks: &mut Vec<String>) -> Option<BusyPoll> {
    let us = endpoint.busy_poll_us.filter(|us| *us > 0)?;
    let busy = BusyPoll { us, budget: options.busy_poll_budget };
    match xsk::busy_poll_possible(busy) {
        Ok(()) => Some(busy),
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
) -> Result<Sockets, EngineError> {
    let (mut refusals, mut denied) = (Vec::new(), false);
    for &mode in modes {
        match attempt(mode) {
            Ok(sockets) => {
                remarks.extend(refusals);
                return Ok(sockets);
            }
            Err(Refused { what, source }) => {
                denied |= source.raw_os_error() == Some(libc::EPERM);
                refusals.push(format!("{} refused: {what}: {source}", mode.words()));
            }
        }
    }
    // Somebody may have attached since we looked.
    if let Ok(Some(link)) = link::named(&path.device.name)
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
    let name = &path.device.name;
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

fn words(path: &Path, mode: XdpMode, got: &Bypass, remarks: &[String]) -> String {
    let queues = if got.queues == 1 { "queue 0".to_owned() } else { format!("queues 0–{}", got.queues - 1) };
    let program = got.program.map_or_else(String::new, |id| format!(", XDP program {id}"));
    let wakeup = if got.need_wakeup { ", need-wakeup" } else { "" };
    let busy = got.prefer_busy_poll_us.map_or_else(String::new, |us| format!(", preferred busy polling {us} µs"));
    let remarks = if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join("; ")) };
    format!("AF_XDP {} on {} {queues}{program}{wakeup}{busy}{remarks}", mode.words(), path.device.name)
}

fn costs(path: &Path, mode: XdpMode, options: &XdpOptions) -> String {
    let name = &path.device.name;
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
    /// What the kernel gave, and the packets so far.
    got: Bypass,
    /// The queue the last answer came on.
    hot: usize,
    /// Answers longer than the caller's buffer.
    discarded: u64,
    /// System calls besides those of the AF_XDP sockets.
    calls: u64,
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

    /// One packet that came to the reserved socket: an answer that the program let pass, or a refusal. It costs a system
    /// call, so it is looked for when the rings have been silent.
    fn look_past(&mut self, buf: &mut [u8]) -> Result<Option<Got>, EngineError> {
        self.calls += 1;
        let len = match recv(self.reserved.as_fd(), buf, libc::MSG_TRUNC) {
            Ok(len) => len,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return Ok(None),
            Err(e) => {
                return Err(EngineError::Unreachable {
                    what: format!("receive from {}", self.target),
                    why: e.to_string(),
                    next: self.where_refused.to_owned(),
                });
            }
        };
        self.got.by_kernel += 1;
        if len > buf.len() {
            self.discarded += 1;
            return Ok(None);
        }
        Ok(Some(Got { len, at: now(), kernel_rx: None, hardware_rx: None }))
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
        let mut silent_since = None;
        loop {
            match self.look(buf) {
                Some((Seen::Message(len), at)) => {
                    self.got.by_socket += 1;
                    return Ok(Some(Got { len, at, kernel_rx: None, hardware_rx: None }));
                }
                Some((Seen::TooLong, _)) => {
                    self.got.by_socket += 1;
                    self.discarded += 1;
                }
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
            let silent = at - *silent_since.get_or_insert(at) >= SILENCE_NS;
            // Where one came that way the next will too, and is not kept waiting.
            if silent || self.blocking || self.got.by_kernel > 0 || at >= until {
                silent_since = Some(at);
                if let Some(got) = self.look_past(buf)? {
                    return Ok(Some(got));
                }
            }
            if at >= until {
                return Ok(None);
            }
            for socket in &mut self.sockets.queues {
                socket.wake_rx();
                socket.reclaim_in_time();
            }
            if self.blocking {
                self.calls += 1;
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

    fn system_calls(&self) -> Option<u64> {
        Some(self.calls + self.sockets.queues.iter().map(xsk::Xsk::calls).sum::<u64>())
    }

    /// The receive queue instead of the CPU: answers do not reach the reserved socket, which would know.
    fn flow(&self) -> lowlat_transport::Flow {
        lowlat_transport::Flow {
            source_port: self.reserved.local_addr().ok().map(|at| at.port()),
            napi_id: self.sockets.queues.get(self.hot).and_then(xsk::Xsk::napi_id),
            rx_queue: u32::try_from(self.hot).ok(),
            bypass: Some(Bypass {
                dropped: self.sockets.queues.iter().map(xsk::Xsk::dropped).sum(),
                ..self.got.clone()
            }),
            ..lowlat_transport::Flow::default()
        }
    }
}

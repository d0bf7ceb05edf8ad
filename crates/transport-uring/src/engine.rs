//! The engine: one receive always armed, sends from a fixed set of slots.
#![allow(unsafe_code)] // submissions name memory that must outlive them

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;

use io_uring::{cqueue, opcode, squeue, types};
use lowlat_transport::clock::now;
use lowlat_transport::socket::Socket;
use lowlat_transport::{Caps, Endpoint, Engine, EngineError, EngineOption, Flow, Got, Ns, Proto};

use crate::buffer::{Buffer, Provided};
use crate::ring::{GROUP, NOT_ASKED, Ring, RingOptions, Tracking, unavailable};
use crate::stream::Stream;
use crate::{COSTS, NAME};

/// Sends that may be in flight; a send completes at once unless the socket's buffer is full.
const SLOTS: usize = 32;
/// No datagram is longer, so none is cut short.
const LARGEST_DATAGRAM: usize = 65_535;
/// Room for a stream's answers next to the largest message.
const STREAM_ROOM: usize = 256 << 10;
/// Looks at the ring between two looks at the clock, which costs 25 ns.
const SPINS_PER_CLOCK: u32 = 16;
/// Requests that the kernel's submission thread has not taken for so long, ns, show that it has no CPU: more than the exit from
/// an idle state takes (some 100 µs), less than a slice of the scheduler (0.7 ms times 1 + log2 of the CPUs,
/// `sysctl_sched_base_slice` in kernel/sched/fair.c), for which a thread that spins keeps its CPU from another.
const NOT_TAKEN_NS: Ns = 500_000;
/// A send that the kernel has not taken for so long is stuck.
const STUCK_NS: Ns = 5_000_000_000;
/// How long the end of the engine waits for its requests to be cancelled.
const CANCEL_NS: Ns = 1_000_000_000;

/// `user_data` of the receive; sends have their slot's number.
const RECEIVE: u64 = u64::MAX;
/// `user_data` of a cancel.
const CANCEL: u64 = u64::MAX - 1;

/// When NAPI busy polling is asked for without a time: as the engine `busy-poll`.
const DEFAULT_BUSY_POLL_US: u32 = 50;

/// The engine with the options of [`RingOptions::default`].
pub fn open(endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    open_with(endpoint, &RingOptions::default())
}

/// The engine with options; NAPI busy polling is asked for when the endpoint carries it.
pub fn open_with(endpoint: &Endpoint, options: &RingOptions) -> Result<Box<dyn Engine>, EngineError> {
    let what = format!("open {}", endpoint.remote);
    if !matches!(endpoint.proto, Proto::Udp | Proto::Tcp) {
        return Err(unavailable(&what, "this engine carries UDP and TCP".to_owned(), "use --engine spin"));
    }
    // Before the socket: a host without io_uring should not see a connection come and go.
    let mut ring = Ring::new(options)?;
    let mut plain = endpoint.clone();
    plain.stamps = false; // they come by recvmsg and the error queue, which this engine does not read
    let socket = Socket::connect(NAME, &plain)?;
    let fixed = ring.register(&socket.fd());
    // NAPI instances are polled while the ring waits (io_uring/napi.c, __io_napi_busy_loop), so with a busy-poll time it does.
    let waits = options.napi.is_none() && endpoint.busy_poll_us.is_some_and(|us| us > 0);
    let options = RingOptions { spin: options.spin && !waits, ..options.clone() };
    let us = endpoint.busy_poll_us.or(options.napi.map(|_| DEFAULT_BUSY_POLL_US)).filter(|us| *us > 0);
    match us {
        Some(us) => ring.busy_poll(us, options.napi.unwrap_or_default()),
        None => ring.options.push(EngineOption::lacking("REGISTER_NAPI", NOT_ASKED)),
    }
    let send_zc = options.send_zc && ring.send_zc;
    if options.send_zc {
        ring.words.push(if send_zc { "SEND_ZC" } else { "SEND_ZC refused (it needs Linux 6.0)" }.to_owned());
    }
    if endpoint.stamps {
        ring.words.push("no kernel stamps".to_owned());
    }
    let spins = options.spin || options.sqpoll;
    let how = format!("io_uring {}, {}", if options.spin { "spinning" } else { "sleeping" }, ring.words.join(", "));
    let costs = match (options.spin, options.sqpoll) {
        (false, false) => COSTS.to_owned(),
        (true, false) => format!("a whole core while it waits; {COSTS}"),
        (_, true) => format!("a core for the kernel's submission thread; {COSTS}"),
    };
    let mut caps = socket.caps(spins, &how, &costs);
    let stream = (endpoint.proto == Proto::Tcp).then(|| Stream::new(endpoint.max_message + STREAM_ROOM));
    // The slots bound a message: nothing is allocated later.
    caps.max_message = caps.max_message.min(endpoint.max_message);
    let mut engine = Uring {
        slots: (0..SLOTS)
            .map(|_| Slot { buffer: Buffer::new(endpoint.max_message.max(1)), len: 0, done: 0, busy: false })
            .collect(),
        received: Buffer::new(LARGEST_DATAGRAM),
        armed: false,
        ready: None,
        failed: None,
        ring,
        socket,
        stream,
        caps,
        fixed,
        options: RingOptions { send_zc, ..options },
        provided: None,
        came: VecDeque::with_capacity(usize::from(Provided::COUNT)),
        tracked: us.is_none() || options.napi != Some(Tracking::Static),
        untaken_since: None,
        target: endpoint.remote.to_string(),
        where_refused: endpoint.where_refused,
        discarded: 0,
    };
    engine.provide()?;
    engine.arm_ahead()?;
    engine.ring.submit().map_err(|e| engine.os("arm the receive of", e))?;
    Ok(Box::new(engine))
}

/// Whether the receive does not wait in the kernel for a message: each turn of the spinning tries it anew. One that waits is
/// woken by a callback of the socket and finished by task work, which this way neither has.
#[inline]
fn spins_by_trying(options: &RingOptions) -> bool {
    options.spin && !options.multishot && !options.sqpoll
}

/// One send.
#[derive(Debug)]
struct Slot {
    buffer: Buffer,
    len: usize,
    /// Of these, what the kernel has taken.
    done: usize,
    /// The kernel may still read it.
    busy: bool,
}

#[derive(Debug)]
struct Uring {
    ring: Ring,
    socket: Socket,
    slots: Vec<Slot>,
    received: Buffer,
    /// Buffers of a multishot receive, where it was granted.
    provided: Option<Provided>,
    /// Datagrams in them: number, length, and when they were seen.
    came: VecDeque<(u16, usize, Ns)>,
    /// Static tracking has its instance, or there is none.
    tracked: bool,
    /// A receive is queued or in flight.
    armed: bool,
    /// Since when the kernel's submission thread is seen not to take what is queued.
    untaken_since: Option<Ns>,
    /// A datagram of this length is in `received`, seen at this time.
    ready: Option<(usize, Ns)>,
    /// What a completion said went wrong, until the caller hears it.
    failed: Option<io::Error>,
    stream: Option<Stream>,
    caps: Caps,
    fixed: bool,
    /// As granted, not as asked.
    options: RingOptions,
    target: String,
    /// What to do where nothing listens there.
    where_refused: &'static str,
    discarded: u64,
}

impl Uring {
    fn os(&self, what: &str, source: io::Error) -> EngineError {
        let what = format!("{what} {}", self.target);
        match source.raw_os_error() {
            Some(libc::ECONNREFUSED) => EngineError::Unreachable {
                what,
                why: "nothing listens there".to_owned(),
                next: self.where_refused.to_owned(),
            },
            Some(
                libc::ECONNRESET
                | libc::EPIPE
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::ENETDOWN
                | libc::ETIMEDOUT,
            ) => EngineError::Unreachable {
                what,
                why: source.to_string(),
                next: "start the far end there, or check its address and port".to_owned(),
            },
            _ => EngineError::Os { what, source },
        }
    }

    fn request<R>(&self, fixed: impl FnOnce(types::Fixed) -> R, plain: impl FnOnce(types::Fd) -> R) -> R {
        if self.fixed { fixed(types::Fixed(0)) } else { plain(types::Fd(self.socket.fd().as_raw_fd())) }
    }

    /// Queues a receive, a slot's send, or a cancel.
    #[inline]
    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: a cancel names no memory. The others name `received` and a slot's buffer, which live as long as the
        // engine; on its end it cancels or leaks what is in flight. `received` is not read or armed again before its
        // completion (`armed`), and a slot not written again before its own (`busy`).
        unsafe { self.ring.push(entry) }
    }

    /// Makes the buffers of a multishot receive and tries it: a kernel that knows none of it says so at once.
    fn provide(&mut self) -> Result<(), EngineError> {
        const MULTISHOT: &str = "multishot receive";
        if !self.options.multishot {
            self.ring.options.push(EngineOption::lacking(MULTISHOT, NOT_ASKED));
            return Ok(());
        }
        let provided = Provided::new();
        // SAFETY: they stay in `provided` until the engine's end, which takes them back or leaks them.
        let registered = unsafe { self.ring.register_buffers(&provided) };
        self.provided = Some(provided);
        let mut why = registered.err().map(|e| format!("its buffers are refused ({e}); they need Linux 5.19"));
        if why.is_none() {
            self.arm()?;
            self.ring.submit().map_err(|e| self.os("arm the receive of", e))?;
            self.drain()?;
            if self.failed.as_ref().and_then(io::Error::raw_os_error) == Some(libc::EINVAL) {
                self.failed = None;
                self.ring.unregister_buffers();
                why = Some("needs Linux 6.0".to_owned());
            }
        }
        if let Some(why) = why {
            self.provided = None;
            self.caps.words.push_str(", multishot receive refused");
            self.ring.options.push(EngineOption::lacking(MULTISHOT, why));
        } else {
            let buffers = format!("with {} provided buffers", Provided::COUNT);
            self.caps.words.push_str(", multishot receive");
            self.ring.options.push(EngineOption::got(MULTISHOT, buffers));
        }
        Ok(())
    }

    /// Queues the receive; it goes to the kernel with the next call.
    fn arm(&mut self) -> Result<(), EngineError> {
        if self.armed {
            return Ok(());
        }
        if self.provided.is_some() {
            let entry = self
                .request(|f| opcode::RecvMulti::new(f, GROUP).build(), |f| opcode::RecvMulti::new(f, GROUP).build())
                .user_data(RECEIVE);
            self.push(&entry).map_err(|e| self.os("arm the receive of", e))?;
            self.armed = true;
            return Ok(());
        }
        let (at, len) = (self.received.pointer(), u32::try_from(self.received.len()).unwrap_or(u32::MAX));
        let flags = if spins_by_trying(&self.options) { libc::MSG_DONTWAIT } else { 0 };
        let entry = self
            .request(
                |f| opcode::Recv::new(f, at, len).flags(flags).build(),
                |f| opcode::Recv::new(f, at, len).flags(flags).build(),
            )
            .user_data(RECEIVE);
        self.push(&entry).map_err(|e| self.os("arm the receive of", e))?;
        self.armed = true;
        Ok(())
    }

    /// Queues the successor of a receive, which goes to the kernel with the next call. One that only tries would find nothing
    /// before the next message has left, and would keep that waiting: it is queued when there is time to wait.
    fn arm_ahead(&mut self) -> Result<(), EngineError> {
        if spins_by_trying(&self.options) { Ok(()) } else { self.arm() }
    }

    fn send_entry(&self, slot: usize) -> squeue::Entry {
        // The slot's bytes that are not sent yet: a stream's send may end short.
        let skip = self.slots[slot].done;
        let at = self.slots[slot].buffer.front(self.slots[slot].len)[skip..].as_ptr();
        let len = u32::try_from(self.slots[slot].len - skip).unwrap_or(u32::MAX);
        // A stream's message must leave whole; 5.19 and later go on by themselves, older ones end short.
        let flags = if self.stream.is_some() { libc::MSG_WAITALL | libc::MSG_NOSIGNAL } else { 0 };
        let entry = if self.options.send_zc {
            self.request(
                |f| opcode::SendZc::new(f, at, len).flags(flags).build(),
                |f| opcode::SendZc::new(f, at, len).flags(flags).build(),
            )
        } else {
            self.request(
                |f| opcode::Send::new(f, at, len).flags(flags).build(),
                |f| opcode::Send::new(f, at, len).flags(flags).build(),
            )
        };
        entry.user_data(slot as u64)
    }

    /// Takes in one completion.
    fn complete(&mut self, done: &cqueue::Entry) -> Result<(), EngineError> {
        let result = done.result();
        match done.user_data() {
            RECEIVE => {
                self.armed = self.provided.is_some() && cqueue::more(done.flags());
                // A receive that found nothing has no time.
                let at = if result < 0 { 0 } else { now() };
                match usize::try_from(result) {
                    Ok(len) if self.provided.is_some() && !(len == 0 && self.stream.is_some()) => {
                        self.came(cqueue::buffer_select(done.flags()), len, at)?;
                    }
                    Ok(0) if self.stream.is_some() => {
                        self.failed = Some(io::Error::from_raw_os_error(libc::ECONNRESET));
                    }
                    Ok(len) => {
                        if let Some(stream) = &mut self.stream {
                            if !stream.add(self.received.front(len)) {
                                let why = "the far end sends bytes that are not messages".to_owned();
                                return Err(unavailable(&format!("receive from {}", self.target), why, "check --peer"));
                            }
                            self.ready = Some((0, at));
                            self.arm_ahead()?;
                        } else {
                            self.ready = Some((len, at));
                        }
                    }
                    Err(_) => {
                        let error = io::Error::from_raw_os_error(-result);
                        if !matches!(
                            error.raw_os_error(),
                            Some(libc::EAGAIN | libc::EINTR | libc::ECANCELED | libc::ENOBUFS)
                        ) {
                            self.failed = Some(error);
                        }
                    }
                }
            }
            CANCEL => {}
            slot => {
                let slot = usize::try_from(slot).unwrap_or(usize::MAX);
                let Some(entry) = self.slots.get_mut(slot) else { return Ok(()) };
                // A zero-copy send completes twice; the buffer is ours again with the notification.
                entry.busy = cqueue::more(done.flags());
                if cqueue::notif(done.flags()) {
                    return Ok(());
                }
                match usize::try_from(result) {
                    Ok(sent) if entry.done + sent < entry.len && self.stream.is_some() => {
                        entry.done += sent;
                        let rest = self.send_entry(slot);
                        self.slots[slot].busy = true;
                        self.push(&rest).map_err(|e| self.os("send to", e))?;
                    }
                    Ok(_) => {}
                    Err(_) => self.failed = Some(io::Error::from_raw_os_error(-result)),
                }
            }
        }
        Ok(())
    }

    /// Takes in bytes that the kernel put into one of the provided buffers.
    fn came(&mut self, number: Option<u16>, len: usize, at: Ns) -> Result<(), EngineError> {
        let (Some(number), Some(provided)) = (number, &mut self.provided) else {
            return Ok(()); // an empty datagram takes no buffer
        };
        let Some(stream) = &mut self.stream else {
            self.came.push_back((number, len, at));
            return Ok(());
        };
        let whole = stream.add(provided.front(number, len));
        provided.give(number);
        if !whole {
            let why = "the far end sends bytes that are not messages".to_owned();
            return Err(unavailable(&format!("receive from {}", self.target), why, "check --peer"));
        }
        self.ready = Some((0, at));
        Ok(())
    }

    /// Once, at the first answer: a static tracking polls the instance that it came through.
    #[cold]
    fn track(&mut self) {
        self.tracked = true;
        match self.socket.flow().napi_id {
            Some(id) => self.ring.track(id),
            None => self.ring.options.push(EngineOption::lacking(
                "NAPI instance tracked",
                "the answers came through no NAPI queue that can be polled",
            )),
        }
    }

    /// Takes in all completions that are there.
    #[inline]
    fn drain(&mut self) -> Result<(), EngineError> {
        while let Some(done) = self.ring.next() {
            self.complete(&done)?;
        }
        Ok(())
    }

    /// Where the kernel's submission thread gets no CPU, because those that it may use are taken by threads that spin, this engine
    /// is one of them: from now on it sleeps, which gives the thread its CPU.
    fn attend_poller(&mut self, at: Ns) {
        if !self.options.spin || !self.ring.has_poller() || self.ring.is_taken() {
            self.untaken_since = None;
        } else if at - *self.untaken_since.get_or_insert(at) >= NOT_TAKEN_NS {
            self.options.spin = false;
            self.ring.options.push(EngineOption::lacking(
                "spin",
                format!(
                    "the kernel's submission thread took nothing for {} µs: it has no CPU to itself, so this end sleeps",
                    NOT_TAKEN_NS / 1000
                ),
            ));
        }
    }

    fn fail(&mut self, what: &str) -> Result<(), EngineError> {
        self.failed.take().map_or(Ok(()), |error| Err(self.os(what, error)))
    }

    /// A slot the kernel is done with. A stream's sends must not overtake each other, so it has one in flight.
    fn free_slot(&mut self) -> Result<usize, EngineError> {
        let usable = if self.stream.is_some() { 1 } else { SLOTS };
        let limit = now() + STUCK_NS;
        loop {
            if let Some(free) = self.slots[..usable].iter().position(|s| !s.busy) {
                return Ok(free);
            }
            self.drain()?;
            if self.slots[..usable].iter().all(|s| s.busy) {
                let at = now();
                if at >= limit {
                    return Err(self.os("send to", io::Error::from_raw_os_error(libc::ETIMEDOUT)));
                }
                self.ring.wait(limit - at).map_err(|e| self.os("send to", e))?;
            }
        }
    }

    /// A message that is there, copied to `buf`.
    #[inline]
    fn take(&mut self, buf: &mut [u8]) -> Result<Option<Got>, EngineError> {
        while let (Some((number, len, at)), Some(provided)) = (self.came.pop_front(), &mut self.provided) {
            let to = buf.get_mut(..len);
            let fits = to.map(|to| to.copy_from_slice(provided.front(number, len))).is_some();
            provided.give(number);
            if fits {
                return Ok(Some(Got { len, at, kernel_rx: None, hardware_rx: None }));
            }
            self.discarded += 1;
        }
        let Some((len, at)) = self.ready else { return Ok(None) };
        let mut got = None;
        if let Some(stream) = &mut self.stream {
            while let Some(message) = stream.take() {
                if let Some(to) = buf.get_mut(..message.len()) {
                    to.copy_from_slice(message);
                    got = Some(Got { len: message.len(), at, kernel_rx: None, hardware_rx: None });
                    break;
                }
                self.discarded += 1;
            }
            if got.is_none() {
                self.ready = None;
            }
        } else {
            self.ready = None;
            match buf.get_mut(..len) {
                Some(to) => {
                    to.copy_from_slice(self.received.front(len));
                    got = Some(Got { len, at, kernel_rx: None, hardware_rx: None });
                }
                None => self.discarded += 1,
            }
            self.arm_ahead()?;
        }
        Ok(got)
    }
}

impl Engine for Uring {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        let slot = self.free_slot()?;
        let at = now();
        if !self.slots[slot].buffer.fill(message) {
            return Err(self.os("send to", io::Error::from_raw_os_error(libc::EMSGSIZE)));
        }
        (self.slots[slot].len, self.slots[slot].done) = (message.len(), 0);
        let entry = self.send_entry(slot);
        self.slots[slot].busy = true;
        if let Err(e) = self.push(&entry) {
            self.slots[slot].busy = false;
            return Err(self.os("send to", e));
        }
        self.ring.submit().map_err(|e| self.os("send to", e))?;
        // A send that failed at once says so now, like send(2) would; one that is in flight says so at the next call.
        self.drain()?;
        self.fail("send to")?;
        Ok(at)
    }

    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
        let mut spins = 0u32;
        loop {
            self.drain()?;
            if let Some(got) = self.take(buf)? {
                if !self.tracked {
                    self.track();
                }
                return Ok(Some(got));
            }
            self.fail("receive from")?;
            self.arm()?;
            if self.options.spin {
                let trying = spins_by_trying(&self.options);
                if self.ring.wants_call() {
                    self.ring.submit().map_err(|e| self.os("receive from", e))?;
                    // A receive that only tries is queued anew in each turn, and what a submission thread is to take stays queued
                    // until it does: the clock has to be looked at too.
                    if !trying && !self.ring.has_poller() {
                        continue;
                    }
                }
                spins = spins.wrapping_add(1);
                // A try is a system call already: a pause would only put off the next one.
                if !trying {
                    std::hint::spin_loop();
                }
                if !spins.is_multiple_of(SPINS_PER_CLOCK) {
                    continue;
                }
            }
            let at = now();
            self.attend_poller(at);
            if at >= until {
                return Ok(None);
            }
            if !self.options.spin {
                self.ring.wait(until - at).map_err(|e| self.os("receive from", e))?;
            }
        }
    }

    fn discarded(&self) -> u64 {
        self.discarded
    }

    fn options(&self) -> Vec<EngineOption> {
        self.ring.options.clone()
    }

    fn works_alone(&self) -> bool {
        !self.ring.has_poller()
    }

    fn system_calls(&self) -> Option<u64> {
        Some(self.ring.calls)
    }

    fn flow(&self) -> Flow {
        self.socket.flow()
    }

    fn set_framing(&mut self, message_len: fn(&[u8]) -> Option<usize>) {
        if let Some(stream) = &mut self.stream {
            stream.framing = message_len;
        }
    }
}

impl Drop for Uring {
    /// The end of a ring is asynchronous, and until then the kernel may write to the receive buffer: the receive is
    /// cancelled and waited for first. What cannot be cancelled in time keeps its memory for ever.
    fn drop(&mut self) {
        let limit = now() + CANCEL_NS;
        if self.armed {
            let cancel = opcode::AsyncCancel::new(RECEIVE).build().user_data(CANCEL);
            let _ = self.push(&cancel);
        }
        while self.armed || self.slots.iter().any(|s| s.busy) {
            while let Some(done) = self.ring.next() {
                match done.user_data() {
                    RECEIVE => self.armed = self.provided.is_some() && cqueue::more(done.flags()),
                    CANCEL => {}
                    slot => {
                        if let Some(slot) = usize::try_from(slot).ok().and_then(|s| self.slots.get_mut(s)) {
                            slot.busy = cqueue::more(done.flags());
                        }
                    }
                }
            }
            let at = now();
            let idle = !self.armed && self.slots.iter().all(|s| !s.busy);
            if idle || at >= limit || self.ring.wait(limit - at).is_err() {
                break;
            }
        }
        if self.armed {
            self.received.leak();
            self.provided.iter_mut().for_each(Provided::leak);
        } else if self.provided.is_some() {
            self.ring.unregister_buffers();
        }
        for slot in self.slots.iter_mut().filter(|s| s.busy) {
            slot.buffer.leak();
        }
        if self.fixed {
            self.ring.unregister();
        }
    }
}

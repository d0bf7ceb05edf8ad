//! The ring, made with the best flags this kernel takes.
#![allow(unsafe_code)] // pushing a submission promises that its memory stays

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use io_uring::register::Restriction;
use io_uring::types::{Napi, NapiTracking, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, Probe, cqueue, opcode, squeue};
use lowlat_transport::{EngineError, EngineOption, os};

use crate::NAME;
use crate::buffer::Provided;

/// How NAPI instances come to be busy polled while the ring waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tracking {
    /// The kernel takes them from the sockets of the requests (6.9).
    #[default]
    Dynamic,
    /// This program names the one that the answers came through (6.13).
    Static,
}

/// What may be chosen; each is tried, and what the kernel answered is in the engine's options.
#[allow(clippy::struct_excessive_bools)] // each is a flag
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingOptions {
    /// Spin on the completion ring instead of sleeping.
    pub spin: bool,
    /// A kernel thread takes the submissions (SQPOLL): no system call to send, and a second core burnt.
    pub sqpoll: bool,
    /// Zero-copy send (`IORING_OP_SEND_ZC`, 6.0): no copy, but a second completion and page pinning; below about a page
    /// it costs more than it saves.
    pub send_zc: bool,
    /// One receive request for all messages, with buffers that the kernel takes from a ring (6.0).
    pub multishot: bool,
    /// NAPI busy polling by this tracking; `None` where only a busy-poll time asks for it.
    pub napi: Option<Tracking>,
}

impl Default for RingOptions {
    /// It spins, as the engine `spin` does, and asks for nothing else.
    fn default() -> Self {
        Self { spin: true, sqpoll: false, send_zc: false, multishot: false, napi: None }
    }
}

impl RingOptions {
    /// What [`RingOptions::parse`] reads.
    pub const WORDS: &str = "spin, sleep, multishot, sqpoll, send-zc, napi, napi-static";

    /// From words joined by `+`, as in `io-uring:sleep+multishot`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for word in text.split('+') {
            match word {
                "spin" => options.spin = true,
                "sleep" => options.spin = false,
                "multishot" => options.multishot = true,
                "sqpoll" => options.sqpoll = true,
                "send-zc" => options.send_zc = true,
                // It acts while the ring waits.
                "napi" => (options.napi, options.spin) = (Some(Tracking::Dynamic), false),
                "napi-static" => (options.napi, options.spin) = (Some(Tracking::Static), false),
                _ => return Err(format!("{word:?} is no option of io_uring; choose from {}", Self::WORDS)),
            }
        }
        Ok(options)
    }
}

/// `IORING_UNREGISTER_FILES` (include/uapi/linux/io_uring.h): the one registration that is left to a restricted ring.
pub const UNREGISTER_FILES: u8 = 3;

const SQPOLL: &str = "SQPOLL";
const SEND_ZC: &str = "SEND_ZC";
const NAPI: &str = "REGISTER_NAPI";
pub(crate) const NOT_ASKED: &str = "not asked for";
/// Number of the buffer group.
pub(crate) const GROUP: u16 = 1;

/// Room for the armed receive, the sends in flight, and a cancel.
pub(crate) const ENTRIES: u32 = 128;
/// How long the kernel's submission thread spins before it sleeps. Longer than any gap between probes.
const SQPOLL_IDLE_MS: u32 = 1000;

/// A ring and what was found out about it.
pub(crate) struct Ring {
    inner: IoUring,
    /// The kernel reports by a flag in shared memory that completions wait to be run by us.
    deferred: bool,
    /// What it is, as text.
    pub(crate) words: Vec<String>,
    /// Each option as the kernel answered.
    pub(crate) options: Vec<EngineOption>,
    /// `IORING_OP_SEND_ZC` is there (6.0).
    pub(crate) send_zc: bool,
    /// Calls of io_uring_enter(2) and poll(2).
    pub(crate) calls: u64,
    /// This thread's number of the ring, see [`register_ring`].
    number: Option<u32>,
    /// The number, and the single issuer, are this thread's alone.
    here: PhantomData<*const ()>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("words", &self.words).finish_non_exhaustive()
    }
}

type Build = fn(&mut io_uring::Builder) -> &mut io_uring::Builder;

/// Task-run flags, best first, with what they are called.
const TASKRUN: [(&str, Build); 3] = [
    ("DEFER_TASKRUN", |b| b.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag()),
    ("COOP_TASKRUN", |b| b.setup_coop_taskrun().setup_taskrun_flag()),
    ("default task running", |b| b),
];

impl Ring {
    /// The best ring that the kernel gives.
    pub(crate) fn new(options: &RingOptions) -> Result<Self, EngineError> {
        let (mut words, mut granted) = (Vec::new(), Vec::new());
        let (ring, deferred) = build(options, false, &mut words, &mut granted)?;
        let mut probe = Probe::new();
        ring.submitter()
            .register_probe(&mut probe)
            .map_err(|e| unavailable("probe the ring's opcodes", e.to_string(), "use a kernel of 5.10 or newer"))?;
        for (name, code) in
            [("SEND", opcode::Send::CODE), ("RECV", opcode::Recv::CODE), ("ASYNC_CANCEL", opcode::AsyncCancel::CODE)]
        {
            if !probe.is_supported(code) {
                let why = format!("this kernel's io_uring has no {name}");
                return Err(unavailable("open a ring", why, "use --engine spin"));
            }
        }
        let send_zc = probe.is_supported(opcode::SendZc::CODE);
        granted.push(match (options.send_zc, send_zc) {
            (true, true) => EngineOption::got(SEND_ZC, "each send"),
            (false, true) => EngineOption::lacking(SEND_ZC, NOT_ASKED),
            (_, false) => EngineOption::lacking(SEND_ZC, "needs Linux 6.0"),
        });
        granted.push(EngineOption::lacking(
            "RECV_ZC",
            if probe.is_supported(opcode::RecvZc::CODE) {
                "it takes TCP alone, from a receive queue with header split that is registered with the ring \
                 (Documentation/networking/iou-zcrx.rst), which this engine does not set up"
            } else {
                "needs Linux 6.15"
            },
        ));
        // With a submission thread hardly any call is made.
        let number = if ring.params().is_setup_sqpoll() { None } else { register_ring(&ring).ok() };
        Ok(Self { inner: ring, deferred, words, options: granted, send_zc, calls: 0, number, here: PhantomData })
    }

    /// A ring that takes no request yet, for [`Ring::restrict`] and [`Ring::enable`]: the thread that enables it is the one that
    /// it belongs to, whoever made it (io_uring_setup(2), `IORING_SETUP_R_DISABLED`, Linux 5.10).
    pub(crate) fn held_back() -> Result<Self, EngineError> {
        let (mut words, mut granted) = (Vec::new(), Vec::new());
        let (ring, deferred) = build(&RingOptions::default(), true, &mut words, &mut granted)?;
        let mut probe = Probe::new();
        let probed = ring.submitter().register_probe(&mut probe);
        Ok(Self {
            inner: ring,
            deferred,
            words,
            options: granted,
            send_zc: probed.is_ok() && probe.is_supported(opcode::SendZc::CODE),
            calls: 0,
            number: None,
            here: PhantomData,
        })
    }

    /// Once it is enabled, the ring takes these requests alone, on registered files, and of its registrations only the end of
    /// the files'. For good.
    pub(crate) fn restrict(&self, codes: &[u8]) -> io::Result<()> {
        let fixed = squeue::Flags::FIXED_FILE;
        let mut rules: Vec<Restriction> = codes.iter().map(|code| Restriction::sqe_op(*code)).collect();
        rules.push(Restriction::sqe_flags_allowed((fixed | squeue::Flags::BUFFER_SELECT).bits()));
        rules.push(Restriction::sqe_flags_required(fixed.bits()));
        rules.push(Restriction::register_op(UNREGISTER_FILES));
        self.inner.submitter().register_restrictions(&mut rules)
    }

    /// The calling thread's from now on.
    pub(crate) fn enable(&self) -> io::Result<()> {
        self.inner.submitter().register_enable_rings()
    }

    /// Registers files, which requests name by their place.
    pub(crate) fn register_all(&self, fds: &[RawFd]) -> io::Result<()> {
        self.inner.submitter().register_files(fds)
    }

    /// Its descriptor.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring owns it and lives at least as long as the borrow.
        unsafe { BorrowedFd::borrow_raw(self.inner.as_raw_fd()) }
    }

    /// Registers the socket as file 0, which spares each request the look-up. False if refused.
    pub(crate) fn register(&mut self, fd: &impl AsRawFd) -> bool {
        match self.inner.submitter().register_files(&[fd.as_raw_fd()]) {
            Ok(()) => {
                self.words.push("registered file".to_owned());
                self.options.push(EngineOption::got("registered file", ""));
                true
            }
            Err(e) => {
                self.words.push(format!("registered file refused ({e})"));
                self.options.push(EngineOption::lacking("registered file", e.to_string()));
                false
            }
        }
    }

    /// Lets the socket go at once: the end of a ring is asynchronous, and would hold its port.
    pub(crate) fn unregister(&self) {
        let _ = self.inner.submitter().unregister_files(); // an error says that none was registered
    }

    /// Asks for NAPI busy polling while waiting (6.9).
    pub(crate) fn busy_poll(&mut self, us: u32, tracking: Tracking) {
        let mut napi = Napi::new().set_busy_poll_timeout(us).set_prefer_busy_poll(true);
        let (how, since) = match tracking {
            Tracking::Dynamic => ("dynamic", "6.9"),
            Tracking::Static => ("static", "6.13"),
        };
        if tracking == Tracking::Static {
            napi = napi.set_tracking(NapiTracking::Static);
        }
        let registered = self.inner.submitter().register_napi(&mut napi);
        self.words.push(match &registered {
            Ok(()) => format!("NAPI busy polling {us} µs"),
            Err(e) => format!("NAPI busy polling refused ({e}; it needs Linux {since})"),
        });
        self.options.push(match registered {
            Ok(()) => EngineOption::got(NAPI, format!("{us} µs, preferred to interrupts, {how} tracking")),
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
                EngineOption::lacking(NAPI, format!("{how} tracking needs Linux {since}"))
            }
            Err(e) => EngineOption::lacking(NAPI, e.to_string()),
        });
    }

    /// Names the instance that a static tracking polls.
    pub(crate) fn track(&mut self, napi_id: u32) {
        const ID: &str = "NAPI instance tracked";
        self.options.push(match self.inner.submitter().register_napi_add_id(napi_id) {
            Ok(()) => EngineOption::got(ID, napi_id.to_string()),
            Err(e) => EngineOption::lacking(ID, format!("{napi_id}: {e}")),
        });
    }

    /// Registers buffers for a multishot receive.
    ///
    /// # Safety
    /// They must stay until [`Ring::unregister_buffers`].
    pub(crate) unsafe fn register_buffers(&self, provided: &Provided) -> io::Result<()> {
        let at = provided.address();
        // SAFETY: passed on to the caller; the ring begins a page and has COUNT entries.
        unsafe { self.inner.submitter().register_buf_ring_with_flags(at, Provided::COUNT, GROUP, 0) }
    }

    /// Takes them back.
    pub(crate) fn unregister_buffers(&self) {
        let _ = self.inner.submitter().unregister_buf_ring(GROUP); // an error says that none was registered
    }

    /// Queues a request.
    ///
    /// # Safety
    /// The memory the request names must stay until its completion (for a zero-copy send: its notification).
    pub(crate) unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        for _ in 0..2 {
            // SAFETY: passed on to the caller.
            if unsafe { self.inner.submission().push(entry) }.is_ok() {
                return Ok(());
            }
            self.inner.submit()?; // full: have the kernel take what is there
        }
        Err(io::Error::from_raw_os_error(libc::EBUSY))
    }

    /// Hands queued requests to the kernel and runs waiting completions.
    #[inline]
    pub(crate) fn submit(&mut self) -> io::Result<()> {
        loop {
            self.calls += u64::from(self.enters());
            let done = match self.number {
                Some(number) => self.enter(number),
                None => self.inner.submit().map(drop),
            };
            match done {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// `submit` of the crate, by the ring's number.
    #[inline]
    fn enter(&mut self, number: u32) -> io::Result<()> {
        let queue = self.inner.submission();
        let mut flags = EnterFlags::REGISTERED_RING;
        // Only such a call runs what was deferred, or makes room for completions that found none.
        flags.set(EnterFlags::GETEVENTS, queue.taskrun() || queue.cq_overflow());
        let queued = queue.len();
        drop(queue);
        // SAFETY: the call reads the ring's own memory, and no argument points anywhere.
        let taken = unsafe {
            libc::syscall(libc::SYS_io_uring_enter, number, queued, 0, flags.bits(), std::ptr::null::<()>(), 0)
        };
        if taken < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Whether a kernel thread takes the submissions.
    pub(crate) fn has_poller(&self) -> bool {
        self.inner.params().is_setup_sqpoll()
    }

    /// Whether everything that is queued was taken.
    #[inline]
    pub(crate) fn is_taken(&mut self) -> bool {
        self.inner.submission().is_empty()
    }

    /// Whether handing over what is queued is a system call: with a submission thread that is awake it is none
    /// (`IORING_SQ_NEED_WAKEUP`, io_uring_setup(2)).
    fn enters(&mut self) -> bool {
        !self.inner.params().is_setup_sqpoll() || self.inner.submission().need_wakeup()
    }

    /// The next completion.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<cqueue::Entry> {
        self.inner.completion().next()
    }

    /// Requests are queued that the kernel has not seen, or completions wait that only a call of ours runs.
    #[inline]
    pub(crate) fn wants_call(&mut self) -> bool {
        let queue = self.inner.submission();
        !queue.is_empty() || (self.deferred && queue.taskrun()) || queue.cq_overflow()
    }

    /// Hands queued requests over and sleeps until a completion is there, for `ns` at most.
    pub(crate) fn wait(&mut self, ns: u64) -> io::Result<()> {
        self.calls += 1;
        let got = if self.inner.params().is_feature_ext_arg() {
            #[allow(clippy::cast_possible_truncation)] // a remainder below 10^9
            let limit = Timespec::new().sec(ns / 1_000_000_000).nsec((ns % 1_000_000_000) as u32);
            self.inner.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&limit)).map(drop)
        } else {
            self.inner.submit().and_then(|_| poll(&self.inner, ns))
        };
        match got {
            Err(e) if !matches!(e.raw_os_error(), Some(libc::ETIME | libc::EINTR)) => Err(e),
            _ => Ok(()),
        }
    }
}

impl Drop for Ring {
    /// A number keeps the ring until its thread ends.
    fn drop(&mut self) {
        const UNREGISTER_RING_FDS: libc::c_uint = 21;
        if let Some(number) = self.number {
            let mut update = RingNumber { offset: number, resv: 0, data: 0 };
            // SAFETY: as in `register_ring`; the number is this thread's own, since a ring stays in its thread.
            unsafe {
                libc::syscall(
                    libc::SYS_io_uring_register,
                    self.inner.as_raw_fd(),
                    UNREGISTER_RING_FDS,
                    &raw mut update,
                    1,
                );
            }
        }
    }
}

/// `struct io_uring_rsrc_update` (include/uapi/linux/io_uring.h).
#[repr(C)]
struct RingNumber {
    offset: u32,
    resv: u32,
    data: u64,
}

/// Gives the ring a number in this thread (`IORING_REGISTER_RING_FDS`, 5.18; 20 in include/uapi/linux/io_uring.h). A call by it
/// takes no reference to the ring's file (io_uring_register(2)).
fn register_ring(ring: &IoUring) -> io::Result<u32> {
    const REGISTER_RING_FDS: libc::c_uint = 20;
    let fd = ring.as_raw_fd();
    // An offset of -1 has the kernel choose the number, which it writes there.
    let mut update = RingNumber { offset: u32::MAX, resv: 0, data: u64::from(fd.unsigned_abs()) };
    // SAFETY: `update` is one structure of the form that the kernel reads and writes, and outlives the call.
    let registered = unsafe { libc::syscall(libc::SYS_io_uring_register, fd, REGISTER_RING_FDS, &raw mut update, 1) };
    if registered == 1 { Ok(update.offset) } else { Err(io::Error::last_os_error()) }
}

fn build(
    options: &RingOptions,
    disabled: bool,
    words: &mut Vec<String>,
    granted: &mut Vec<EngineOption>,
) -> Result<(IoUring, bool), EngineError> {
    if options.sqpoll {
        // Task-run flags are about the submitting thread, which is the kernel's own here; io_uring_setup(2) has them
        // exclude each other.
        match base(disabled).setup_sqpoll(SQPOLL_IDLE_MS).build(ENTRIES) {
            Ok(ring) => {
                words.push(SQPOLL.to_owned());
                granted.push(EngineOption::got(SQPOLL, format!("sleeps after {SQPOLL_IDLE_MS} ms")));
                granted.push(EngineOption::lacking(TASKRUN[0].0, "excluded by SQPOLL (io_uring_setup(2))"));
                return Ok((ring, false));
            }
            Err(e) => {
                words.push(format!("SQPOLL refused ({e})"));
                granted.push(EngineOption::lacking(SQPOLL, e.to_string()));
            }
        }
    } else {
        granted.push(EngineOption::lacking(SQPOLL, NOT_ASKED));
    }
    let mut last = None;
    for (name, flags) in TASKRUN {
        let mut builder = base(disabled);
        match flags(&mut builder).build(ENTRIES) {
            Ok(ring) => {
                words.push(name.to_owned());
                granted.push(if name == TASKRUN[0].0 {
                    EngineOption::got(name, "with SINGLE_ISSUER")
                } else {
                    EngineOption::lacking(TASKRUN[0].0, format!("needs Linux 6.1; {name} instead"))
                });
                return Ok((ring, name != TASKRUN[2].0));
            }
            // An unknown flag; the next kernel down knows fewer.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => last = Some(e),
            Err(e) => return Err(refused(&e)),
        }
    }
    Err(refused(&last.unwrap_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))))
}

fn base(disabled: bool) -> io_uring::Builder {
    let mut builder = IoUring::builder();
    builder.dontfork();
    if disabled {
        builder.setup_r_disabled();
    }
    builder
}

/// A ring the kernel would not make, with the cause that its errno stands for (io_uring_setup(2)).
pub(crate) fn refused(error: &io::Error) -> EngineError {
    let (why, next) = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => (
            "this host forbids io_uring (sysctl kernel.io_uring_disabled, or a container's seccomp filter)".to_owned(),
            "set kernel.io_uring_disabled to 0, or use --engine spin",
        ),
        Some(libc::ENOSYS) => ("this kernel has no io_uring (CONFIG_IO_URING)".to_owned(), "use --engine spin"),
        Some(libc::ENOMEM) => (
            "locked memory is short (RLIMIT_MEMLOCK counts rings before Linux 5.12)".to_owned(),
            "raise ulimit -l, or use --engine spin",
        ),
        _ => (error.to_string(), "use --engine spin"),
    };
    unavailable("open a ring", why, next)
}

pub(crate) fn unavailable(what: &str, why: String, next: &str) -> EngineError {
    EngineError::Unavailable { engine: NAME, what: what.to_owned(), why, next: next.to_owned() }
}

/// Sleeps until the ring has a completion: the way to wait with a limit before 5.11.
fn poll(ring: &IoUring, ns: u64) -> io::Result<()> {
    os::wait_readable(&mut [os::Waiting::on(ring)], ns).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_ring_says_what_forbids_it_and_what_to_do() {
        let text = refused(&io::Error::from_raw_os_error(libc::EPERM)).to_string();
        assert!(text.contains("kernel.io_uring_disabled") && text.contains("--engine spin"), "{text}");
        let text = refused(&io::Error::from_raw_os_error(libc::ENOSYS)).to_string();
        assert!(text.contains("CONFIG_IO_URING"), "{text}");
    }

    #[test]
    fn options_are_words_and_an_unknown_one_is_named() {
        let all = RingOptions::parse("sleep+multishot+sqpoll+send-zc+napi-static").unwrap();
        let want =
            RingOptions { spin: false, sqpoll: true, send_zc: true, multishot: true, napi: Some(Tracking::Static) };
        assert_eq!(all, want);
        assert!(RingOptions::parse("spin+warp").is_err_and(|why| why.contains("\"warp\"") && why.contains("sqpoll")));
    }

    #[test]
    fn a_wait_ends_in_time_with_and_without_the_timeout_argument() {
        let mut ring = match Ring::new(&RingOptions::default()) {
            Ok(ring) => ring,
            Err(e) if std::env::var_os("LOWLAT_REQUIRE_ROOT").is_some_and(|v| v == "1") => panic!("{e}"),
            Err(_) => return, // forbidden here
        };
        ring.wait(1_000_000).unwrap();
        poll(&ring.inner, 1_000_000).unwrap();
        assert!(ring.next().is_none());
    }
}

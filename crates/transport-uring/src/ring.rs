//! The ring, made with the best flags this kernel takes.
#![allow(unsafe_code)] // pushing a submission promises that its memory stays

use std::io;
use std::os::fd::AsRawFd;

use io_uring::types::{Napi, SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, cqueue, opcode, squeue};
use lowlat_transport::{EngineError, calls, os};

use crate::NAME;

/// What may be chosen; each is tried, and a refusal is said in the engine's words.
#[derive(Debug, Clone, Default)]
pub struct RingOptions {
    /// Spin on the completion ring instead of sleeping.
    pub spin: bool,
    /// A kernel thread takes the submissions (SQPOLL): no system call to send, and a second core burnt.
    pub sqpoll: bool,
    /// Zero-copy send (`IORING_OP_SEND_ZC`, 6.0): no copy, but a second completion and page pinning; below about a page
    /// it costs more than it saves.
    pub send_zc: bool,
}

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
    /// `IORING_OP_SEND_ZC` is there (6.0).
    pub(crate) send_zc: bool,
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
        let mut words = Vec::new();
        let (ring, deferred) = build(options, &mut words)?;
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
        Ok(Self { inner: ring, deferred, words, send_zc })
    }

    /// Registers the socket as file 0, which spares each request the look-up. False if refused.
    pub(crate) fn register(&mut self, fd: &impl AsRawFd) -> bool {
        match self.inner.submitter().register_files(&[fd.as_raw_fd()]) {
            Ok(()) => {
                self.words.push("registered file".to_owned());
                true
            }
            Err(e) => {
                self.words.push(format!("registered file refused ({e})"));
                false
            }
        }
    }

    /// Lets the socket go at once: the end of a ring is asynchronous, and would hold its port.
    pub(crate) fn unregister(&self) {
        let _ = self.inner.submitter().unregister_files(); // an error says that none was registered
    }

    /// Asks for NAPI busy polling while waiting (6.9).
    pub(crate) fn busy_poll(&mut self, us: u32) {
        let mut napi = Napi::new().set_busy_poll_timeout(us).set_prefer_busy_poll(true);
        self.words.push(match self.inner.submitter().register_napi(&mut napi) {
            Ok(()) => format!("NAPI busy polling {us} µs"),
            Err(e) => format!("NAPI busy polling refused ({e}; it needs Linux 6.9)"),
        });
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
    pub(crate) fn submit(&self) -> io::Result<()> {
        loop {
            calls::count();
            match self.inner.submit() {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
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
        calls::count();
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

fn build(options: &RingOptions, words: &mut Vec<String>) -> Result<(IoUring, bool), EngineError> {
    if options.sqpoll {
        // Task-run flags are about the submitting thread, which is the kernel's own here; io_uring_setup(2) has them
        // exclude each other.
        match base().setup_sqpoll(SQPOLL_IDLE_MS).build(ENTRIES) {
            Ok(ring) => {
                words.push("SQPOLL".to_owned());
                return Ok((ring, false));
            }
            Err(e) => words.push(format!("SQPOLL refused ({e})")),
        }
    }
    let mut last = None;
    for (name, flags) in TASKRUN {
        let mut builder = base();
        match flags(&mut builder).build(ENTRIES) {
            Ok(ring) => {
                words.push(name.to_owned());
                return Ok((ring, name != TASKRUN[2].0));
            }
            // An unknown flag; the next kernel down knows fewer.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => last = Some(e),
            Err(e) => return Err(refused(&e)),
        }
    }
    Err(refused(&last.unwrap_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))))
}

fn base() -> io_uring::Builder {
    let mut builder = IoUring::builder();
    builder.dontfork();
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

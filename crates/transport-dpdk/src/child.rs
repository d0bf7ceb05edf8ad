//! The process `lowlat-dpdk`: found, started, asked, ended.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use lowlat_transport::{EngineError, Ns};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use rustix::time::Timespec;

use crate::NAME;
use crate::port::Port;
use crate::wire::{self, LONGEST, Moved, Request};

/// The program's name.
const PROGRAM: &str = "lowlat-dpdk";
/// Where a package has it.
const PACKAGED: &str = "/usr/lib/lowlat/lowlat-dpdk";
/// EAL starts in some 0.15 s; a NIC takes up to five more for its link, and a busy machine multiplies all.
const START_LIMIT: Duration = Duration::from_secs(60);
/// What an answer may take longer than it was asked to wait.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take to close its port.
const END_LIMIT: Duration = Duration::from_secs(5);

/// When a frame came, and its bytes.
pub(crate) type Came<'a> = (Ns, &'a [u8]);

/// A running child. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Mover {
    socket: Option<OwnedFd>,
    child: Child,
    errors: std::io::PipeReader,
    request: Vec<u8>,
    answer: Vec<u8>,
    /// Its port's address.
    pub(crate) mac: [u8; 6],
    /// Its port's driver.
    pub(crate) driver: String,
}

fn unavailable(what: &str, why: impl Into<String>, next: impl Into<String>) -> EngineError {
    EngineError::Unavailable { engine: NAME, what: what.to_owned(), why: why.into(), next: next.into() }
}

/// The program, where it is.
pub(crate) fn program(what: &str) -> Result<PathBuf, EngineError> {
    let named = std::env::var_os("LOWLAT_DPDK").map(PathBuf::from);
    let next_to_us = std::env::current_exe().ok().map(|p| p.with_file_name(PROGRAM));
    let places = [named.clone(), next_to_us, Some(PathBuf::from(PACKAGED))];
    let mut places = places.into_iter().flatten().take(if named.is_some() { 1 } else { 3 });
    places.find(|p| p.is_file()).ok_or_else(|| {
        let why = format!("{PROGRAM} is neither next to lowlat nor {PACKAGED}");
        let why = named.map_or(why, |n| format!("LOWLAT_DPDK names {}, which is not there", n.display()));
        unavailable(what, why, "apt install gcc pkg-config libdpdk-dev, then build it with scripts/dpdk")
    })
}

impl Mover {
    /// Starts the program on a port, on the CPUs of the calling thread, and waits until the port is open.
    pub(crate) fn start(port: &Port, what: &str) -> Result<Self, EngineError> {
        let program = program(what)?;
        let os = |source: std::io::Error| EngineError::Os { what: format!("start {}", program.display()), source };
        let cpus = rustix::thread::sched_getaffinity(None).map_err(|e| os(e.into()))?;
        let cpus: Vec<usize> = (0..rustix::thread::CpuSet::MAX_CPU).filter(|n| cpus.is_set(*n)).collect();
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(|e| os(e.into()))?;
        let (errors, into) = std::io::pipe().map_err(os)?;
        // Nobody reads while it runs: what does not fit is lost, and never stops it.
        fcntl_setfl(&into, OFlags::NONBLOCK).map_err(|e| os(e.into()))?;
        fcntl_setfl(&errors, OFlags::NONBLOCK).map_err(|e| os(e.into()))?;
        let mut command = Command::new(&program);
        command.args(port.eal(&cpus, &format!("lowlat-{}", std::process::id())));
        // A process group of its own: Ctrl-C is for lowlat, which closes the socket.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::from(OwnedFd::from(into)));
        let child = command.spawn().map_err(os)?;
        drop(command);
        let mut mover = Self {
            socket: Some(ours),
            child,
            errors,
            request: Vec::with_capacity(LONGEST),
            answer: vec![0; LONGEST],
            mac: [0; 6],
            driver: String::new(),
        };
        match mover.hear(START_LIMIT) {
            Ok(Moved::Ready { mac, driver }) => {
                (mover.mac, mover.driver) = (mac, driver);
                Ok(mover)
            }
            Ok(Moved::Frame { .. }) => Err(mover.why_not(port, what, "it answered what was not asked")),
            Ok(Moved::Failed(why)) | Err(why) => Err(mover.why_not(port, what, &why)),
        }
    }

    /// Its failure, with the first lines that it wrote.
    fn why_not(mut self, port: &Port, what: &str, why: &str) -> EngineError {
        let _ = self.end();
        let mut text = [0; 4096];
        let read = self.errors.read(&mut text).unwrap_or(0);
        let text = String::from_utf8_lossy(&text[..read]).into_owned();
        if text.contains("error while loading shared libraries") {
            let next = "install the DPDK it was built with, or build it again with scripts/dpdk";
            return unavailable(what, text.lines().next().unwrap_or_default().trim().to_owned(), next);
        }
        let skipped =
            |l: &&str| !l.trim().is_empty() && !l.starts_with("libbpf: elf: skipping") && !l.starts_with("EAL: FATAL");
        let lines: Vec<&str> = text.lines().filter(skipped).take(2).map(str::trim).collect();
        let why = if lines.is_empty() { why.to_owned() } else { format!("{why} ({})", lines.join("; ")) };
        unavailable(
            what,
            format!("port {}: {why}", port.name),
            "see `lowlat bypass check`; another --dpdk-port, or --engine spin",
        )
    }

    /// The next message, at most so long from now; as text, why there is none.
    fn hear(&mut self, limit: Duration) -> Result<Moved<'_>, String> {
        let Some(socket) = &self.socket else { return Err("it has ended".to_owned()) };
        let until = Instant::now() + limit;
        let len = loop {
            let left = until.saturating_duration_since(Instant::now());
            let wait = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            match poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&wait)) {
                Ok(0) => return Err(format!("{PROGRAM} did not answer within {} s", limit.as_secs())),
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => return Err(e.to_string()),
                Ok(_) => {}
            }
            match recv(socket, &mut self.answer[..], RecvFlags::DONTWAIT) {
                Ok((_, 0)) | Err(rustix::io::Errno::CONNRESET) => return Err(format!("{PROGRAM} has ended")),
                Ok((_, len)) => break len,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(e) => return Err(e.to_string()),
            }
        };
        wire::read(self.answer.get(..len).unwrap_or_default())
    }

    /// Asks for one thing, which may take so many ns; as text, why it was not done.
    pub(crate) fn ask(&mut self, request: Request, bytes: &[u8], wait: u64) -> Result<(Ns, Option<Came<'_>>), String> {
        wire::write(request, bytes, &mut self.request);
        let Some(socket) = &self.socket else { return Err("it has ended".to_owned()) };
        while let Err(e) = send(socket, &self.request, SendFlags::NOSIGNAL) {
            match e {
                rustix::io::Errno::INTR => {}
                rustix::io::Errno::PIPE => return Err(format!("{PROGRAM} has ended")),
                e => return Err(e.to_string()),
            }
        }
        match self.hear(Duration::from_nanos(wait).saturating_add(ANSWER_LIMIT))? {
            Moved::Frame { sent, got } => Ok((sent, got)),
            Moved::Failed(why) => Err(why),
            Moved::Ready { .. } => Err(format!("{PROGRAM} answered what was not asked")),
        }
    }

    /// Closes its socket and waits; kills it where it does not end. `None` where it was killed, or its end cannot be known.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        drop(self.socket.take());
        let until = Instant::now() + END_LIMIT;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.code().map(|_| status),
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Err(_) => break,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        None
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

//! The process that holds a wake-up latency limit.
//!
//! The kernel keeps a limit of `/dev/cpu_dma_latency` as long as the descriptor through which it was written is open
//! (Documentation/power/pm_qos_interface.rst), so a setting that outlives lowlat needs a process that does. It is this
//! binary again, with the hidden subcommand [`SUBCOMMAND`], and it holds nothing before it is told to: whoever starts
//! it can first put its id in the journal ([`prepare`], then [`Prepared::go`]). If the starter dies in between, the
//! holder sees its standard input close and ends without having touched the device. It is known again by a token, the
//! name of a pipe in the state directory, which is good where its process id is not.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::WriteError;
use crate::pipe::{self, PipeState};

/// The hidden subcommand; the limit in µs and the path of the holder's pipe follow it.
pub const SUBCOMMAND: &str = "hold-dma-latency";
const DEVICE: &str = "/dev/cpu_dma_latency";
const GO: &[u8] = b"go\n";
/// The holder's name in `/proc/PID/comm` (15 bytes at most), by which it is known again.
const COMM: &str = "lowlat-hold";
const PATIENCE: Duration = Duration::from_secs(5);

/// A process that holds the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`: distinguishes a reused id from the holder.
    pub start_time: u64,
}

/// A holder that waits for its order. Dropped without [`Prepared::go`], it ends.
#[derive(Debug)]
pub struct Prepared {
    child: Child,
    holder: Holder,
    us: i32,
    token: String,
    pipe: PathBuf,
}

/// Starts a holder with the running binary; it holds nothing yet. Its pipe is made in `dir`, which must exist.
pub fn prepare(us: i32, dir: &Path) -> Result<Prepared, WriteError> {
    let what = "start the holder of the wake-up latency limit";
    let program = std::env::current_exe().map_err(|e| WriteError::from_io(what.into(), e))?;
    let mut command = Command::new(program);
    command.arg(SUBCOMMAND).arg(us.to_string());
    prepare_with(command, us, dir)
}

/// As [`prepare`] with another command, which must end in [`hold`]; the pipe's path is added to it.
pub fn prepare_with(mut command: Command, us: i32, dir: &Path) -> Result<Prepared, WriteError> {
    let what = "start the holder of the wake-up latency limit";
    if us < 0 {
        return Err(WriteError::not_allowed(what, "a limit is 0 µs or more"));
    }
    // A process group of its own: Ctrl-C on the starter's terminal is not for the holder, which outlives it.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let io = |e| WriteError::from_io(what.into(), e);
    let dir = std::path::absolute(dir).map_err(io)?;
    let (token, pipe) = pipe::make(&dir).map_err(io)?;
    let mut child = command.arg(&pipe).spawn().map_err(io)?;
    let pid = child.id();
    let ready = wait_for_line(&mut child, "ready");
    let started = start_time(pid).ok_or_else(|| io::Error::other("the holder ended at once"));
    match ready.and(started) {
        Ok(start_time) => Ok(Prepared { child, holder: Holder { pid, start_time }, us, token, pipe }),
        Err(e) => {
            end(&mut child);
            // Without a reader the next one removes it.
            let _ = std::fs::remove_file(pipe);
            Err(io(e))
        }
    }
}

impl Prepared {
    /// Who will hold: what the journal has to know before [`Prepared::go`].
    pub fn holder(&self) -> Holder {
        self.holder
    }

    /// The name of its pipe: what the journal knows it by where its id is another's.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Gives the order. Returns when the limit is held.
    pub fn go(mut self) -> Result<Holder, WriteError> {
        let what = format!("hold a wake-up latency limit of {} µs", self.us);
        let reported = match self.child.stdin.as_mut() {
            Some(stdin) => stdin.write_all(GO).and_then(|()| stdin.flush()),
            None => Err(io::Error::other("the holder has no pipe")),
        };
        reported.and_then(|()| wait_for_line(&mut self.child, "held")).map_err(|e| WriteError::from_io(what, e))?;
        let holder = self.holder;
        // It has its order. The pipe may close now, and without it Drop lets the process live; it becomes a zombie of
        // ours when it ends, which `stop` takes away.
        self.child.stdin.take();
        Ok(holder)
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if self.child.stdin.is_some() {
            end(&mut self.child);
            let _ = std::fs::remove_file(&self.pipe);
        }
    }
}

fn end(child: &mut Child) {
    // Already ended is ended; the wait takes the zombie away.
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads lines until the wanted one; an `error …` line is the holder's failure as text, preceded by its errno.
fn wait_for_line(child: &mut Child, want: &str) -> io::Result<()> {
    let Some(stdout) = child.stdout.take() else { return Err(io::Error::other("the holder has no pipe")) };
    let mut reader = BufReader::with_capacity(1, stdout);
    let mut line = String::new();
    reader.by_ref().take(200).read_line(&mut line)?;
    child.stdout = Some(reader.into_inner());
    let line = line.trim();
    if line == want {
        return Ok(());
    }
    match line.strip_prefix("error ").and_then(|n| n.parse::<i32>().ok()) {
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        None => Err(io::Error::other(format!("the holder said {line:?} and not {want:?}"))),
    }
}

/// The holder's side: waits for the order on standard input, opens the device, writes the limit, and keeps the
/// descriptor until SIGTERM or its pipe ends the process. Returns when there is nothing to hold, or nothing more; the
/// caller exits with 0 then. A holder without a pipe is one that the boot started: its unit ends it.
pub fn hold(us: i32, at: Option<&Path>) -> io::Result<()> {
    // The name by which `stop` knows it. Only the thread that is asked writes its own name.
    let _ = std::fs::write("/proc/self/comm", COMM);
    signal::let_terminate();
    let pipe = at.map(pipe::open).transpose()?;
    let mut stdout = io::stdout();
    writeln!(stdout, "ready")?;
    stdout.flush()?;
    let mut order = [0; GO.len()];
    if io::stdin().read_exact(&mut order).is_err() || order != *GO {
        return Ok(());
    }
    let opened = std::fs::OpenOptions::new().write(true).open(DEVICE).and_then(|mut f| {
        // Four bytes are a number of the machine's order; any other length is read as hexadecimal text.
        f.write_all(&us.to_ne_bytes())?;
        Ok(f)
    });
    let device = match opened {
        Ok(device) => device,
        Err(e) => {
            writeln!(stdout, "error {}", e.raw_os_error().unwrap_or(libc::EIO))?;
            return Err(e);
        }
    };
    writeln!(stdout, "held")?;
    stdout.flush()?;
    if let Some(pipe) = &pipe {
        let reported = pipe::wait(pipe);
        drop(device);
        return reported;
    }
    loop {
        std::thread::park();
        // park may wake on its own; the descriptor has to live on.
        let _ = &device;
    }
}

/// What [`stop`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderStopped {
    /// It was there and has ended.
    Ended,
    /// It was gone already, or its id now is another process's, which was left alone.
    Gone,
}

/// Ends a holder after making sure that it is one: same start time, same name.
pub fn stop(holder: Holder) -> Result<HolderStopped, WriteError> {
    let what = format!("end the holder of the wake-up latency limit (process {})", holder.pid);
    if !is_holder(holder) {
        return Ok(HolderStopped::Gone);
    }
    signal::terminate(holder.pid).map_err(|e| WriteError::from_io(what.clone(), e))?;
    let until = Instant::now() + PATIENCE;
    loop {
        signal::reap(holder.pid);
        if !is_holder(holder) {
            return Ok(HolderStopped::Ended);
        }
        if Instant::now() > until {
            return Err(WriteError::Io { what, source: io::Error::from_raw_os_error(libc::ETIMEDOUT) });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// As [`stop`], by the holder's token: also where its id is another's, or none. [`HolderStopped::Ended`] is the kernel's word
/// that nobody has its pipe open; [`HolderStopped::Gone`] says only that no trace of it is found here.
pub fn stop_by_token(holder: Holder, dir: &Path, token: &str) -> Result<HolderStopped, WriteError> {
    let what = format!("end the holder of the wake-up latency limit ({token})");
    let io = |e| WriteError::from_io(what.clone(), e);
    let Some(at) = pipe::path(dir, token) else {
        return Err(WriteError::not_allowed(what, "its token is none; the journal is not lowlat's"));
    };
    let begun = Instant::now();
    let mut reported = pipe::end(&at).map_err(io)?;
    if reported == PipeState::NoPipe {
        return stop(holder);
    }
    while reported == PipeState::Lives {
        // One that was stopped reads nothing, and ends anyway.
        if begun.elapsed() > PATIENCE / 5 && is_holder(holder) {
            signal::kill(holder.pid).map_err(io)?;
        }
        if begun.elapsed() > PATIENCE {
            let why = format!("it was told to end through its pipe {} and still runs", at.display());
            return Err(WriteError::Io { what, source: io::Error::new(io::ErrorKind::TimedOut, why) });
        }
        std::thread::sleep(Duration::from_millis(1));
        signal::reap(holder.pid);
        reported = pipe::tell(&at).map_err(io)?;
    }
    // One that cannot be removed is removed by the next holder that is started.
    let _ = std::fs::remove_file(at);
    Ok(HolderStopped::Ended)
}

/// Whether this process is that holder and lives.
pub fn is_holder(holder: Holder) -> bool {
    let comm = std::fs::read_to_string(format!("/proc/{}/comm", holder.pid)).unwrap_or_default();
    comm.trim_end() == COMM && start_time(holder.pid) == Some(holder.start_time)
}

/// Field 22 of `/proc/PID/stat`; `None` where there is no such process, or only its zombie.
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may itself hold blanks and parentheses: count from the last one.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Signals.
mod signal {
    use std::io;

    use rustix::io::Errno;
    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

    /// Gives SIGTERM its default action back: the command line catches it to look at a flag, and this process has
    /// nothing that would look.
    pub(super) fn let_terminate() {
        // Cannot fail for a signal that can be caught.
        let _ = lowlat_os::signal::by_default(libc::SIGTERM);
    }

    /// Sends SIGTERM.
    pub(super) fn terminate(pid: u32) -> io::Result<()> {
        send(pid, Signal::TERM)
    }

    /// Sends SIGKILL.
    pub(super) fn kill(pid: u32) -> io::Result<()> {
        send(pid, Signal::KILL)
    }

    /// Process 1 is nobody's holder, and 0 is none.
    fn process(pid: u32) -> Option<Pid> {
        i32::try_from(pid).ok().and_then(Pid::from_raw).filter(|pid| *pid != Pid::INIT)
    }

    fn send(pid: u32, signal: Signal) -> io::Result<()> {
        Ok(kill_process(process(pid).ok_or(Errno::SRCH)?, signal)?)
    }

    /// Takes the zombie away if the process is a child of ours; of another's child this does nothing.
    pub(super) fn reap(pid: u32) {
        if let Some(pid) = process(pid) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

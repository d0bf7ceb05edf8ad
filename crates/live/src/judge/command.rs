//! The user's own command as the judge: run by `sh -c`, it prints one number.
//!
//! One run is one round of an A/B test. The command gets no input, and nothing that says which side the round is of. It
//! runs in a process group of its own: at its end, at its time limit and on a signal the whole group is ended, so that
//! nothing it started runs on into the next round. A `Watcher` in the group ends it where lowlat itself is killed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use lowlat_transport::clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::{Failure, signals};

/// Of what it prints the end counts: so much is kept, bytes.
const KEPT: usize = 64 * 1024;
/// The flag of a signal is looked at this often, since a signal may come between the look and the wait, ns.
const LOOK_NS: u64 = 100_000_000;
/// Reads after its end: a pipe holds 64 KiB (pipe(7)), and a read takes 4 KiB.
const READS_AFTER: u32 = 16;
/// So much of a command is named in an error, characters.
const NAMED: usize = 60;

/// One run of a command, which ends after `timeout_ns` at the latest; the number that it prints.
pub(super) fn run(command: &str, timeout_ns: u64) -> Result<f64, Failure> {
    let failed = |why: &str, next: &str| Failure::new(format!("judge by {}: {why}; {next}", named(command)));
    let os = |what: &str, e: &dyn std::fmt::Display| failed(&format!("{what}: {e}"), "free some resources");
    let mut sh = Command::new("/bin/sh");
    sh.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::start(&mut sh).map_err(|e| os("start /bin/sh", &e))?;
    let end = group.until_it_ends(timeout_ns, Rest::Ends).map_err(|e| os("wait for it", &e))?;
    let Printed { out, errors } = end.printed;
    let last = errors.lines().rev().map(str::trim).find(|l| !l.is_empty());
    let said = last.map(|l| format!(" ({})", cut(l))).unwrap_or_default();
    match end.how {
        How::Exited(status) if status.success() => {
            number(&out).map_err(|why| failed(&why, "let it print one number, without a unit, as its last line"))
        }
        How::Exited(status) => Err(failed(&format!("{status}{said}"), "run it by hand until it succeeds")),
        How::TooLong => {
            let limit = timeout_ns as f64 / 1e9;
            let next = "let it end sooner, or give a longer --judge-timeout";
            Err(failed(&format!("no end after {limit} s{said}"), next))
        }
        How::Stopped => Err(failed("interrupted by a signal", "run it again")),
    }
}

/// The command, in quotation marks and cut where it is long.
fn named(command: &str) -> String {
    format!("{:?}", cut(command))
}

pub(super) fn cut(text: &str) -> String {
    if text.chars().count() <= NAMED {
        return text.to_owned();
    }
    text.chars().take(NAMED).chain(['…']).collect()
}

/// The number in the last line that is not empty.
fn number(out: &str) -> Result<f64, String> {
    let Some(last) = out.lines().rev().map(str::trim).find(|l| !l.is_empty()) else {
        return Err("it printed nothing".to_owned());
    };
    match last.parse::<f64>() {
        Ok(n) if n.is_finite() => Ok(n),
        Ok(_) => Err(format!("its last line is {:?}, which is not a finite number", cut(last))),
        Err(_) => Err(format!("its last line is {:?}, not a number", cut(last))),
    }
}

/// Runs another program to its end, with what it prints on stderr. What it leaves running lives on; a signal, and the end of
/// lowlat, ends it with all that it started.
pub(crate) fn run_through(program: &[String]) -> Result<ExitStatus, Failure> {
    let words = program.join(" ");
    let named = format!("run {:?}", cut(&words));
    let Some((name, args)) = program.split_first() else {
        return Err(Failure::new("run another program: none was named; write it behind --"));
    };
    let mut command = Command::new(name);
    command.args(args).stdin(Stdio::null()).stdout(std::io::stderr()).stderr(Stdio::inherit());
    let mut group = Group::start(&mut command)
        .map_err(|e| Failure::new(format!("{named}: start it: {e}; check its name, and that it is installed")))?;
    match group.until_it_ends(u64::MAX, Rest::Lives).map(|end| end.how) {
        Ok(How::Exited(status)) => Ok(status),
        Ok(How::Stopped | How::TooLong) => Err(Failure::new(format!("{named}: interrupted by a signal"))),
        Err(e) => Err(Failure::new(format!("{named}: wait for it: {e}"))),
    }
}

/// What becomes of the rest of a group when its leader has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Ends,
    Lives,
}

/// How a run ended.
enum How {
    Exited(ExitStatus),
    TooLong,
    Stopped,
}

/// The ends of what it printed.
#[derive(Default)]
struct Printed {
    out: String,
    errors: String,
}

struct Ended {
    how: How,
    printed: Printed,
}

/// Ends a process group when lowlat is gone, however it went: a shell of the group that waits for the end of a pipe of
/// which lowlat alone holds the other end. Dropping it ends the shell and nothing else.
struct Watcher(Child);

impl Watcher {
    /// In the group of this leader, which is not waited for yet.
    fn of(leader: Pid) -> std::io::Result<Self> {
        let mut sh = Command::new("/bin/sh");
        // 0 is the group of whoever calls (POSIX, kill).
        sh.args(["-c", "read -r _; kill -9 0"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        sh.process_group(leader.as_raw_nonzero().get()).spawn().map(Self)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running command. Dropping it ends its whole process group, unless it has ended and what it left may live.
struct Group {
    child: Child,
    leader: Pid,
    ended: OwnedFd,
    /// Ended before the leader is waited for: until then the group's number is no other's.
    watcher: Option<Watcher>,
    is_over: bool,
}

impl Group {
    fn start(command: &mut Command) -> std::io::Result<Self> {
        // Ctrl-C is for lowlat, which ends the group.
        let mut child = command.process_group(0).spawn()?;
        let leader = Pid::from_child(&child);
        let ended = pidfd_open(leader, PidfdFlags::empty()).map_err(std::io::Error::from);
        match ended.and_then(|ended| Ok((ended, Watcher::of(leader)?))) {
            Ok((ended, watcher)) => Ok(Self { child, leader, ended, watcher: Some(watcher), is_over: false }),
            Err(e) => {
                let _ = kill_process_group(leader, Signal::KILL);
                let _ = child.wait();
                Err(e)
            }
        }
    }

    /// The leader has ended. Its process id is the group's as long as it is not waited for.
    fn end(&mut self, rest: Rest) -> std::io::Result<ExitStatus> {
        self.is_over = true;
        if rest == Rest::Ends {
            let _ = kill_process_group(self.leader, Signal::KILL);
        }
        drop(self.watcher.take());
        self.child.wait()
    }

    /// Reads what it prints until its leader ends, or for so long.
    fn until_it_ends(&mut self, timeout_ns: u64, rest: Rest) -> std::io::Result<Ended> {
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let mut pipes = (self.child.stdout.take(), self.child.stderr.take());
        let until = clock::now().saturating_add(timeout_ns);
        let mut after_its_end = 0;
        let how = loop {
            let wait_ns = until.saturating_sub(clock::now()).min(LOOK_NS);
            let pipe_fds = [pipes.0.as_ref().map(AsFd::as_fd), pipes.1.as_ref().map(AsFd::as_fd)];
            let [ended, has_out, has_errors] = readable(self.ended.as_fd(), pipe_fds, wait_ns)?;
            if has_out && !take(pipes.0.as_mut(), &mut out)? {
                pipes.0 = None;
            }
            if has_errors && !take(pipes.1.as_mut(), &mut errors)? {
                pipes.1 = None;
            }
            if signals::stopped() {
                break How::Stopped;
            }
            // What it printed before its end is read first. What it left running may write on for ever: of that no more than
            // fits into the pipes counts, which is what could be there when it ended.
            if ended {
                after_its_end += 1;
                if !has_out && !has_errors || after_its_end > READS_AFTER {
                    break How::Exited(self.end(rest)?);
                }
            }
            if clock::now() >= until {
                break How::TooLong;
            }
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ended { how, printed: Printed { out: text(out), errors: text(errors) } })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.end(Rest::Ends);
        }
    }
}

/// Which of the descriptors has something to read, or has come to its end, within so long.
fn readable(ended: BorrowedFd<'_>, pipes: [Option<BorrowedFd<'_>>; 2], wait_ns: u64) -> std::io::Result<[bool; 3]> {
    let mut fds = vec![PollFd::from_borrowed_fd(ended, PollFlags::IN)];
    fds.extend(pipes.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
    let wait = Timespec {
        tv_sec: i64::try_from(wait_ns / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(wait_ns % 1_000_000_000).unwrap_or_default(),
    };
    match poll(&mut fds, Some(&wait)) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok([false; 3]),
        Err(e) => return Err(e.into()),
    }
    let mut seen = fds.iter().map(|fd| !fd.revents().is_empty());
    let ended = seen.next().unwrap_or(false);
    let [out, errors] = pipes.map(|fd| fd.is_some() && seen.next().unwrap_or(false));
    Ok([ended, out, errors])
}

/// Takes what is there; `false` at the end of the pipe.
fn take(pipe: Option<&mut impl std::io::Read>, into: &mut Vec<u8>) -> std::io::Result<bool> {
    let Some(pipe) = pipe else { return Ok(false) };
    let mut bytes = [0; 4096];
    let read = pipe.read(&mut bytes)?;
    into.extend_from_slice(&bytes[..read]);
    if into.len() > 2 * KEPT {
        into.drain(..into.len() - KEPT);
    }
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(command: &str) -> Result<f64, Failure> {
        run(command, 20_000_000_000)
    }

    fn fails(command: &str) -> String {
        judge(command).map_or_else(|e| e.to_string(), |n| panic!("{command}: {n}"))
    }

    #[test]
    fn the_last_line_is_the_number() {
        for (command, number) in [
            ("echo 12.5", "12.5"),
            ("echo first; echo 2; echo", "2"),
            ("printf ' -3e2 '", "-300"),
            ("echo 7; echo noise >&2", "7"),
            ("seq 1 100000", "100000"),
            // It has no input to wait for.
            ("cat; echo 1", "1"),
        ] {
            assert_eq!(judge(command).unwrap().to_string(), number, "{command}");
        }
    }

    #[test]
    fn what_is_no_number_or_fails_is_named_in_one_line() {
        for (command, named) in [
            ("true", "it printed nothing"),
            ("echo 12us", "\"12us\", not a number"),
            ("echo 5; echo done", "\"done\", not a number"),
            ("echo 1 2", "\"1 2\", not a number"),
            ("echo inf", "not a finite number"),
            ("echo nan", "not a finite number"),
            ("echo 3; exit 4", "exit status: 4"),
            ("echo why not >&2; exit 1", "(why not)"),
            ("kill -9 $$", "signal: 9"),
            ("no-such-program-of-ours", "exit status: 127"),
        ] {
            let failure = fails(command);
            assert!(failure.contains(named) && failure.lines().count() == 1, "{command}: {failure}");
            assert!(failure.starts_with(&format!("judge by {command:?}: ")), "{failure}");
        }
        assert!(fails(&format!("echo {}", "x".repeat(5_000))).chars().count() < 400);
    }

    #[test]
    fn one_that_does_not_end_is_ended_with_all_it_started() {
        let file = std::env::temp_dir().join(format!("lowlat-judge-{}", std::process::id()));
        let command = format!("sleep 600 & echo $! > {}; wait", file.display());
        let failure = run(&command, 300_000_000).unwrap_err().to_string();
        assert!(failure.contains("no end after 0.3 s") && failure.contains("--judge-timeout"), "{failure}");
        assert!(is_gone(&file), "what it started runs on");
        // Nor does what a run leaves behind.
        let command = format!("sleep 600 & echo $! > {}; echo 1", file.display());
        assert_eq!(judge(&command).unwrap().to_string(), "1");
        assert!(is_gone(&file), "what it left runs on");
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn what_it_left_and_what_writes_on_is_not_waited_for() {
        let began = std::time::Instant::now();
        // Its own last line is there before its end; what the child writes later does not hold it up.
        let command = "yes >&2 & sleep 0.3; echo 3";
        assert_eq!(judge(command).unwrap().to_string(), "3");
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    }

    #[test]
    fn a_group_ends_with_the_pipe_that_lowlat_holds() {
        use std::os::unix::process::ExitStatusExt as _;
        let mut sh = Command::new("/bin/sh");
        sh.args(["-c", "sleep 600 & wait"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut group = Group::start(&mut sh).unwrap();
        // What the kernel does to it when lowlat is killed.
        drop(group.watcher.as_mut().unwrap().0.stdin.take());
        let end = group.until_it_ends(20_000_000_000, Rest::Lives).unwrap();
        assert!(matches!(end.how, How::Exited(status) if status.signal() == Some(9)));
    }

    /// The process whose id is in the file has ended, or will in a moment: it was sent SIGKILL before.
    fn is_gone(file: &std::path::Path) -> bool {
        let pid: i32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        // A zombie waits for whoever adopted it.
        let gone = || state().is_none_or(|s| s.rsplit(") ").next().is_some_and(|s| s.starts_with(['Z', 'X'])));
        for _ in 0..2_000 {
            if gone() {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        false
    }
}

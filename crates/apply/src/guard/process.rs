//! A process, distinguished from a later one that got its id.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How long the kernel may take to end a killed process.
const PATIENCE: Duration = Duration::from_secs(2);

/// Process id and start time: field 22 of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) start_time: u64,
}

impl Process {
    /// The process that has this id now.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, start_time: start_time(pid)? })
    }

    /// This one.
    pub(super) fn this() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// Whether it lives and gets to run: no signal has stopped it.
    pub(super) fn runs(self) -> bool {
        Self::of(self.pid) == Some(self) && !matches!(stat(self.pid), Some((b'T' | b't', _)))
    }

    /// Whether it runs the file that this process does.
    pub(super) fn is_this_program(self) -> bool {
        let of = |who: &str| fs::metadata(format!("/proc/{who}/exe")).map(|m| (m.dev(), m.ino())).ok();
        let mine = of("self");
        mine.is_some() && of(&self.pid.to_string()) == mine && Self::of(self.pid) == Some(self)
    }

    /// Ends it by SIGKILL, which a stopped process takes too, and waits until it is gone. The descriptor keeps the
    /// signal from a later process of this id.
    pub(super) fn end(self) {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return };
        let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        if Self::of(self.pid) != Some(self) || pidfd_send_signal(fd, Signal::KILL).is_err() {
            return;
        }
        let until = Instant::now() + PATIENCE;
        while Self::of(self.pid) == Some(self) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn start_time(pid: u32) -> Option<u64> {
    stat(pid).filter(|(state, _)| *state != b'Z').map(|(_, start)| start)
}

/// State and start time (proc_pid_stat(5)); the name in brackets may itself hold blanks and brackets.
fn stat(pid: u32) -> Option<(u8, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_known_by_its_start_and_a_stopped_one_is_ended_too() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let it = Process::of(child.id()).unwrap();
        assert!(it.runs() && !it.is_this_program());
        assert!(Process::this().unwrap().is_this_program());
        Process { start_time: it.start_time + 1, ..it }.end();
        assert!(it.runs(), "another process was ended");
        let stop = Command::new("kill").args(["-STOP", &child.id().to_string()]).status().unwrap();
        assert!(stop.success());
        let until = Instant::now() + Duration::from_secs(60);
        while it.runs() {
            assert!(Instant::now() < until, "it was not stopped");
        }
        it.end();
        assert_eq!(Process::of(it.pid), None);
        child.wait().unwrap();
    }
}

//! A child that ends with its owner, whatever ends the owner.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A running child; dropped means killed by its own pid and reaped.
#[derive(Debug)]
pub(crate) struct Guarded(Child);

/// Why the wait ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// On its own.
    Exit(ExitStatus),
    /// Killed at the time limit.
    TimedOut,
    /// Killed because `stop` said so.
    Stopped,
}

/// `command` under `setpriv --pdeathsig`, so that the kernel ends it also after a `kill -9` of this process
/// (prctl(2), `PR_SET_PDEATHSIG`). `setpriv` replaces itself by the command: the pid stays ours to kill.
pub(crate) fn tied(command: &Command) -> Command {
    let setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].into_iter().find(|p| Path::new(p).exists());
    let Some(setpriv) = setpriv else { return copy(command, Command::new(command.get_program())) };
    let mut outer = Command::new(setpriv);
    outer.args(["--pdeathsig", "KILL"]).arg(command.get_program());
    copy(command, outer)
}

fn copy(from: &Command, mut to: Command) -> Command {
    to.args(from.get_args());
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
    to
}

/// How long a process is looked at before it counts as idle.
const IDLE: Duration = Duration::from_secs(20);

/// Whether a process does nothing: less than a tenth of a CPU, all through [`IDLE`].
#[derive(Debug)]
pub(crate) struct Idle {
    pid: u32,
    since: Instant,
    used: Duration,
}

impl Idle {
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid, since: Instant::now(), used: Duration::ZERO }
    }

    /// Asked often; true at the end of a span without work.
    pub(crate) fn is_idle(&mut self) -> bool {
        let elapsed = self.since.elapsed();
        if elapsed < IDLE {
            return false;
        }
        let Some(used) = cpu_time(self.pid) else { return false };
        let worked = used.saturating_sub(self.used);
        (self.since, self.used) = (Instant::now(), used);
        worked < elapsed / 10
    }
}

/// What the threads of a process have had of the CPUs, and have waited for one: on a busy machine one that works may get less
/// than a tenth of a CPU. The first two numbers of each thread's file, in nanoseconds (Documentation/scheduler/sched-stats.rst,
/// "/proc/<pid>/schedstat").
fn cpu_time(pid: u32) -> Option<Duration> {
    let of = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        Some(text.split_whitespace().take(2).filter_map(|n| n.parse::<u64>().ok()).sum::<u64>())
    };
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    Some(Duration::from_nanos(tasks.flatten().filter_map(of).sum()))
}

impl Guarded {
    pub(crate) fn spawn(command: &mut Command) -> std::io::Result<Self> {
        command.spawn().map(Self)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until the child ends, `limit` passes, or `stop` answers true.
    pub(crate) fn wait(&mut self, limit: Duration, mut stop: impl FnMut() -> bool) -> std::io::Result<Ended> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Ended::Exit(status));
            }
            let ended = if start.elapsed() >= limit {
                Ended::TimedOut
            } else if stop() {
                Ended::Stopped
            } else {
                sleep(Duration::from_millis(20));
                continue;
            };
            self.0.kill()?;
            self.0.wait()?;
            return Ok(ended);
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_past_its_limit_is_killed_and_reaped() {
        let mut child = Guarded::spawn(&mut tied(Command::new("sleep").arg("60"))).unwrap();
        let pid = child.0.id();
        assert_eq!(child.wait(Duration::from_millis(50), || false).unwrap(), Ended::TimedOut);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_process_that_works_is_distinguished_from_one_that_sleeps() {
        let worker = Guarded::spawn(Command::new("sh").args(["-c", "while :; do :; done"])).unwrap();
        let sleeper = Guarded::spawn(Command::new("sleep").arg("60")).unwrap();
        // What the worker uses is seen, however long that takes on a busy host.
        let guard = Instant::now() + Duration::from_secs(60);
        while cpu_time(worker.id()).unwrap() < Duration::from_millis(100) {
            assert!(Instant::now() < guard, "the worker is given no CPU, or what it uses is not read");
            sleep(Duration::from_millis(10));
        }
        // A span that began long ago, in which the sleeper did nothing.
        let idle = |child: &Guarded| Idle {
            pid: child.id(),
            since: Instant::now().checked_sub(IDLE).unwrap(),
            used: Duration::ZERO,
        };
        assert!(idle(&sleeper).is_idle());
        assert!(!Idle::new(sleeper.id()).is_idle(), "too early to say");
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let child = Guarded::spawn(&mut tied(Command::new("sleep").arg("60"))).unwrap();
        let pid = child.0.id();
        drop(child);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}

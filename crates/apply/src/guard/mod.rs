//! The guard: what was applied goes back on its own unless `lowlat confirm` comes in time, also when the change has cut
//! the connection that the confirmation would have come over.
//!
//! It is this program again, in a session of its own, and lives through every signal but SIGKILL; where systemd runs,
//! it is a transient unit, so that it outlives the login session's cgroup too (logind.conf(5), `KillUserProcesses=`).
//! It waits before the first write is made, and the journal says until when and who it is. It holds a lock on
//! `TRANSACTION.guard` as long as it lives, by which others see whether it does.
//!
//! Should it be killed anyway, the next lowlat of any kind takes its place ([`attend`]).

mod attend;
mod orders;
mod process;
mod steadfast;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lowlat_model::journal::{Guard, JournalEntry};
use lowlat_sys::Sys;
use lowlat_sys::store::{Dir, OFlags, Store, StoreError};

use crate::error::ApplyError;
use crate::live::{roll_back_locked, transaction};
use crate::live_writer::LiveWriter;
use crate::log::Log;
use crate::rollback::{RollbackOutcome, RollbackReport};
use crate::session::Session;
use process::Process;

pub use attend::{Attended, attend};
pub(crate) use attend::{late_s, pending};
pub use orders::{Orders, Watch};

/// Between two looks at the journal, the clock and the target.
const STEP: Duration = Duration::from_millis(100);
/// How long a guard may take to say that it waits.
const READY: Duration = Duration::from_secs(5);
/// How long a due rollback waits for another lowlat that holds the lock and is not the one that applied: a `rollback`
/// or `confirm` is done in that time, or hangs.
const LOCK_PATIENCE_NS: u64 = 5_000_000_000;
/// How long the guard waits for a lock whose holder it cannot end.
const PATIENCE_NS: u64 = 24 * 3_600_000_000_000;
/// Tries to put back what could not be put back at once: a driver that resets its link is busy for some seconds.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

impl Session<LiveWriter> {
    /// Starts the guard. Call it before the first [`Session::apply`]: nothing is written unless it waits. What it has
    /// to say goes to `TRANSACTION.watch.log` next to the journal.
    pub fn watch(&mut self, seconds: u64, watch: Option<Watch>) -> Result<(), ApplyError> {
        let after = seconds.saturating_mul(1_000_000_000);
        let orders = Orders {
            transaction: self.transaction().to_owned(),
            token: orders::token(),
            deadline_boot_ns: boottime_ns().saturating_add(after),
            watch,
        };
        let store = self.writer.store.clone();
        let (child, guard) = start(&store, orders, crate::live::now().saturating_add(after), Process::this())?;
        self.writer.watcher = child;
        self.set_guarded(guard)
    }

    /// Whether the guard of [`Session::watch`] still waits.
    pub fn guarded(&self) -> bool {
        lives(&self.writer.store, self.transaction())
    }
}

/// `CLOCK_BOOTTIME`, ns: it goes on while the host sleeps, and nobody sets it.
fn boottime_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0)
}

fn file_name(transaction: &str) -> String {
    format!("{transaction}.guard")
}

/// Whether a transaction's guard holds the lock on its file, and so lives.
fn lives(store: &Store, transaction: &str) -> bool {
    let file = Dir::open(&store.journal_dir()).and_then(|d| d.open_file(&file_name(transaction), OFlags::RDONLY));
    let held = |f| {
        rustix::fs::flock(&f, rustix::fs::FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
    };
    file.is_ok_and(held)
}

/// Starts a guard and waits until it says that it waits. `None` for one that is not a child of this process.
fn start(
    store: &Store,
    orders: Orders,
    deadline_unix_ns: u64,
    applier: Option<Process>,
) -> Result<(Option<Child>, Guard), ApplyError> {
    let failed = |e: io::Error| ApplyError::Watch { why: e.to_string() };
    let mut last = None;
    for unit in [true, false] {
        let Some(mut command) = command(store, &orders, unit).map_err(failed)? else { continue };
        match spawn(&mut command).and_then(|child| ready(store, &orders, child)) {
            Ok((child, me)) => {
                let guard = Guard {
                    pid: me.pid,
                    start_time: me.start_time,
                    token: orders.token,
                    deadline_boot_ns: orders.deadline_boot_ns,
                    deadline_unix_ns,
                    applier_pid: applier.map_or(0, |p| p.pid),
                    applier_start_time: applier.map_or(0, |p| p.start_time),
                    watch: orders.watch.as_ref().map(|w| w.target.clone()),
                    lost_after_ns: orders.watch.map_or(0, |w| w.lost_after_ns),
                };
                // Beside `systemd-run`, which has ended by now, nothing is to be waited for.
                return Ok(((!unit).then_some(child), guard));
            }
            Err(e) => last = Some(e),
        }
    }
    Err(failed(last.unwrap_or_else(|| io::Error::other("it cannot be started"))))
}

/// The guard's command line; as a transient unit only where this process is in the namespaces of process 1, for a unit
/// begins there.
fn command(store: &Store, orders: &Orders, unit: bool) -> io::Result<Option<Command>> {
    let program = std::env::current_exe()?;
    let dir = std::path::absolute(store.dir())?;
    if !unit {
        let log = store.journal_dir().join(format!("{}.watch.log", orders.transaction));
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        let log = OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(flags).open(log)?;
        let mut command = Command::new(program);
        command.args(orders.words()).env("LOWLAT_STATE", dir).current_dir("/").stderr(log);
        return Ok(Some(command));
    }
    let live = lowlat_sys::Live::new();
    let same = |kind: &str| {
        let of = |who: &str| live.link_target(&format!("/proc/{who}/ns/{kind}")).into_value();
        of("self").is_some() && of("self") == of("1")
    };
    if live.list("/run/systemd/system").value().is_none() || !["net", "mnt", "pid"].into_iter().all(same) {
        return Ok(None);
    }
    let mut command = Command::new("systemd-run");
    command.args(orders::unit(&orders.transaction, &dir)).arg("--").arg(program).args(orders.words());
    command.stderr(Stdio::null());
    Ok(Some(command))
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()
}

/// Waits for the guard's word: its file with its token, locked.
fn ready(store: &Store, orders: &Orders, mut child: Child) -> io::Result<(Child, Process)> {
    let until = std::time::Instant::now() + READY;
    loop {
        let text = Dir::open(&store.journal_dir()).and_then(|d| d.read(&file_name(&orders.transaction), 256));
        let text = text.map(|t| String::from_utf8_lossy(&t).into_owned()).unwrap_or_default();
        if let [pid, start, token] = text.split_whitespace().collect::<Vec<_>>()[..]
            && let (Ok(pid), Ok(start_time)) = (pid.parse(), start.parse())
            && token == orders.token
            && lives(store, &orders.transaction)
        {
            return Ok((child, Process { pid, start_time }));
        }
        match child.try_wait()? {
            Some(status) if !status.success() => return Err(io::Error::other(format!("it ended at once ({status})"))),
            _ if std::time::Instant::now() > until => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(io::Error::other(format!("it did not say within {} s that it waits", READY.as_secs())));
            }
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// The guard's body: waits, ends early when the transaction is confirmed or closed, and rolls it back otherwise.
/// `answers` asks the watched target once, within half a second.
pub fn rollback_unless_confirmed(
    store: &Store,
    sys: &dyn Sys,
    orders: &Orders,
    answers: &mut dyn FnMut() -> bool,
) -> Result<RollbackReport, ApplyError> {
    let id = orders.transaction.as_str();
    let failed = |e: io::Error| ApplyError::Watch { why: e.to_string() };
    transaction(store, id)?;
    steadfast::be().map_err(failed)?;
    let alive = say_so(store, orders).map_err(failed)?;
    let done = wait(store, orders, answers)
        .map_or_else(|| Ok(RollbackReport::default()), |()| go_back(store, sys, id, PATIENCE_NS));
    if settled(store, id) {
        // It has served its purpose; that of a killed guard shows the next lowlat that there was one.
        let _ = Dir::open(&store.journal_dir()).and_then(|d| d.remove(&file_name(id)));
    }
    drop(alive);
    done
}

/// Waits until it is time to go back; `None` where it was settled before.
fn wait(store: &Store, orders: &Orders, answers: &mut dyn FnMut() -> bool) -> Option<()> {
    let lost_after = orders.watch.as_ref().map(|w| w.lost_after_ns);
    let mut heard = boottime_ns();
    while boottime_ns() < orders.deadline_boot_ns {
        if settled(store, &orders.transaction) {
            return None;
        }
        if let Some(lost_after) = lost_after {
            if answers() {
                heard = boottime_ns();
            } else if boottime_ns().saturating_sub(heard) >= lost_after {
                let silent_ms = boottime_ns().saturating_sub(heard) / 1_000_000;
                complain(&format!("the watched target has not answered for {silent_ms} ms; going back"));
                break;
            }
        }
        std::thread::sleep(STEP.min(Duration::from_nanos(orders.deadline_boot_ns.saturating_sub(boottime_ns()))));
    }
    Some(())
}

/// A journal that cannot be read now may be readable later, and is not one that was confirmed.
fn settled(store: &Store, id: &str) -> bool {
    transaction(store, id).is_ok_and(|l| l.confirmed || l.closed)
}

/// Takes the lock on the guard's file and puts this process's name in it.
fn say_so(store: &Store, orders: &Orders) -> io::Result<std::fs::File> {
    let me = Process::this().ok_or_else(|| io::Error::other("its own start time cannot be read"))?;
    let dir = Dir::open(&store.journal_dir())?;
    let mut file = dir.open_or_create(&file_name(&orders.transaction), OFlags::RDWR)?;
    let mut tries = 0;
    while let Err(e) = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        // Who asks whether a guard lives holds it for a moment.
        tries += 1;
        if e != rustix::io::Errno::WOULDBLOCK || tries > 20 {
            return Err(e.into());
        }
        std::thread::sleep(STEP / 10);
    }
    file.set_len(0)?;
    file.write_all(format!("{} {} {}\n", me.pid, me.start_time, orders.token).as_bytes())?;
    Ok(file)
}

/// Puts a transaction back, whatever stands in the way: who holds the lock is waited for or ended, what cannot be put
/// back yet is tried again. `patience` is for a lock whose holder cannot be seen from here, in another container.
fn go_back(store: &Store, sys: &dyn Sys, id: &str, patience: u64) -> Result<RollbackReport, ApplyError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let lock = take_over(store, id, patience)?;
        if settled(store, id) {
            return Ok(RollbackReport::default());
        }
        let done = roll_back_locked(store, sys, Some(id), false);
        drop(lock);
        let again = match &done {
            Ok(report) => report.failed.iter().any(|i| matches!(i.outcome, RollbackOutcome::Failed { .. })),
            Err(_) => true,
        };
        if !again || tries >= TRIES {
            return done;
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
}

/// Takes the lock. The lowlat that applied the transaction is ended where it still holds it: it is stopped, hangs, or
/// is slower than its own deadline, and its journal says what to put back. Another lowlat gets [`LOCK_PATIENCE_NS`].
fn take_over(store: &Store, id: &str, patience: u64) -> Result<lowlat_sys::store::Lock, ApplyError> {
    let began = boottime_ns();
    loop {
        let error = match store.lock() {
            Ok(lock) => return Ok(lock),
            Err(e @ StoreError::Locked { .. }) => e,
            Err(other) => return Err(other.into()),
        };
        let applier = transaction(store, id)
            .ok()
            .and_then(|l| l.guard)
            .map(|g| Process { pid: g.applier_pid, start_time: g.applier_start_time });
        let holder = store.lock_holder().and_then(Process::of);
        let waited = boottime_ns().saturating_sub(began);
        match holder {
            Some(holder) if applier == Some(holder) => holder.end(),
            Some(holder) if waited >= LOCK_PATIENCE_NS && holder.is_this_program() => holder.end(),
            _ if waited >= patience => return Err(error.into()),
            _ => {}
        }
        std::thread::sleep(STEP / 5);
    }
}

/// Takes the place of a guard that was killed before its time.
fn rearm(store: &Store, id: &str, guard: &Guard) -> Result<(), ApplyError> {
    let _lock = store.lock()?;
    let watch = guard.watch.clone().map(|target| Watch { target, lost_after_ns: guard.lost_after_ns });
    let orders =
        Orders { transaction: id.to_owned(), token: orders::token(), deadline_boot_ns: guard.deadline_boot_ns, watch };
    let (_, guard) = start(store, orders, guard.deadline_unix_ns, None)?;
    let disk = crate::live::folder(store);
    let found = crate::log::read_all(&disk)?.into_iter().find(|f| f.ledger.transaction == id);
    let found = found.ok_or_else(|| ApplyError::NoTransaction(id.to_owned()))?;
    Log::resume(&disk, found).push(&JournalEntry::Guarded { guard })
}

/// To the guard's log.
fn complain(what: &str) {
    // A full disk has no room for it, and it is not worth more.
    let _ = writeln!(io::stderr(), "lowlat: {what}");
}

//! The dead-man timer: what was applied goes back by itself unless `lowlat confirm` comes in time, also when the change
//! has cut the connection that the confirmation would have come over.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use lowlat_sys::store::{Store, StoreError};
use lowlat_sys::{Live, Sys};

use crate::error::ApplyError;
use crate::live::{roll_back_locked, transaction};
use crate::live_writer::LiveWriter;
use crate::rollback::RollbackReport;
use crate::session::Session;

/// The hidden subcommand; transaction and seconds follow it.
const SUBCOMMAND: &str = "rollback-unless-confirmed";
const WATCHING: &str = "watching";
const STEP_NS: u64 = 200_000_000;
/// How long a due rollback waits for the lock: its holder is a lowlat that is still changing something.
const LOCK_PATIENCE_S: u64 = 24 * 3600;

impl Session<LiveWriter> {
    /// Starts the dead-man timer: the running binary again, in a process group of its own, so that neither Ctrl-C nor
    /// the end of the terminal reaches it. Call it before the first [`Session::apply`]. What it has to say goes to
    /// `TRANSACTION.watch.log` beside the journal.
    pub fn watch(&mut self, seconds: u64) -> Result<(), ApplyError> {
        let failed = |e: io::Error| ApplyError::Watch { why: e.to_string() };
        let dir = std::path::absolute(self.writer.store.dir()).map_err(failed)?;
        let log = self.writer.store.journal_dir().join(format!("{}.watch.log", self.transaction()));
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(log).map_err(failed)?;
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .args([SUBCOMMAND, self.transaction(), &seconds.to_string()])
            .env("LOWLAT_STATE", dir)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        // A timer that did not start must not be relied on: it says so when it runs, and a failed one closes the pipe.
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(failed)?;
        }
        if line.trim_end() != WATCHING {
            let why = child.wait().map_or_else(|e| e.to_string(), |status| format!("it ended at once ({status})"));
            return Err(ApplyError::Watch { why });
        }
        self.writer.watcher = Some(child);
        // The timer began to count a moment ago; it is due no later than this.
        self.set_watched(Live::new().now_ns().saturating_add(seconds.saturating_mul(1_000_000_000)))
    }
}

/// The timer's body: waits, ends early when the transaction is confirmed or closed, and rolls it back otherwise.
///
/// The time is that of `CLOCK_MONOTONIC`, which stands still while the host sleeps.
pub fn rollback_unless_confirmed(
    store: &Store,
    sys: &dyn Sys,
    id: &str,
    seconds: u64,
) -> Result<RollbackReport, ApplyError> {
    transaction(store, id)?;
    let mut stdout = io::stdout();
    // Whoever started it may be gone already; the timer is needed then more than ever.
    let _ = writeln!(stdout, "{WATCHING}").and_then(|()| stdout.flush());
    // A journal that cannot be read now may be readable later, and is not one that was confirmed.
    let settled = || transaction(store, id).is_ok_and(|l| l.confirmed || l.closed);
    let due = sys.now_ns().saturating_add(seconds.saturating_mul(1_000_000_000));
    while sys.now_ns() < due {
        if settled() {
            return Ok(RollbackReport::default());
        }
        sys.wait(STEP_NS.min(due.saturating_sub(sys.now_ns())));
    }
    let patience = due.saturating_add(LOCK_PATIENCE_S * 1_000_000_000);
    loop {
        match store.lock() {
            Ok(_lock) if settled() => return Ok(RollbackReport::default()),
            Ok(_lock) => return roll_back_locked(store, sys, Some(id), false),
            Err(StoreError::Locked { holder, .. }) if sys.now_ns() >= patience => {
                return Err(ApplyError::Stuck { transaction: id.to_owned(), holder, seconds: LOCK_PATIENCE_S });
            }
            Err(StoreError::Locked { .. }) => sys.wait(STEP_NS),
            Err(other) => return Err(other.into()),
        }
    }
}

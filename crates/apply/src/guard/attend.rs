//! The guards of earlier commands: whether they wait, and what becomes of those that were killed.

use lowlat_model::journal::{Guard, Pending};
use lowlat_sys::Sys;
use lowlat_sys::store::Store;

use super::process::Process;
use super::{LOCK_PATIENCE_NS, STEP, boottime_ns, go_back, lives, rearm, settled};
use crate::error::ApplyError;
use crate::ledger::Ledger;
use crate::live::{boot_id, folder};
use crate::log::read_all;
use crate::rollback::RollbackReport;

/// What [`attend`] did for one transaction.
#[derive(Debug)]
pub enum Attended {
    /// Its time was up and its guard gone; it was put back now.
    WentBack {
        /// Its id.
        transaction: String,
        /// What became of its settings, or why they could not be put back.
        report: Result<RollbackReport, ApplyError>,
    },
    /// Its guard was gone before its time; another one waits now.
    Rearmed {
        /// Its id.
        transaction: String,
        /// Time left, ns.
        left_ns: u64,
        /// Why no other could be started.
        failed: Option<ApplyError>,
    },
}

/// Transactions that wait for a confirmation under a guard.
fn waiting(store: &Store) -> Result<Vec<(Ledger, Guard)>, ApplyError> {
    let waits = |l: &Ledger| !l.confirmed && !l.closed && !l.standing.is_empty();
    let ledgers = read_all(&folder(store))?.into_iter().map(|f| f.ledger).filter(waits);
    Ok(ledgers.filter_map(|l| l.guard.clone().map(|g| (l, g))).collect())
}

/// Time to the deadline, ns; `None` where it has passed. A transaction of an earlier boot lost its guard with it.
fn left(ledger: &Ledger, guard: &Guard, boot: &str) -> Option<u64> {
    let left = guard.deadline_boot_ns.checked_sub(boottime_ns()).filter(|ns| *ns > 0);
    left.filter(|_| ledger.boot_id == boot)
}

/// Seconds since the deadline of a guarded transaction passed; `None` where it has not, or there is none.
pub(crate) fn late_s(ledger: &Ledger, boot: &str) -> Option<u64> {
    let guard = ledger.guard.as_ref()?;
    let late = boottime_ns().saturating_sub(guard.deadline_boot_ns) / 1_000_000_000;
    left(ledger, guard, boot).is_none().then_some(late)
}

/// Whether a guard lives and is not stopped.
fn works(store: &Store, ledger: &Ledger, guard: &Guard) -> bool {
    lives(store, &ledger.transaction) && Process { pid: guard.pid, start_time: guard.start_time }.runs()
}

/// Ends a guard that is there and does not do its work.
fn end(store: &Store, transaction: &str, guard: &Guard) {
    if lives(store, transaction) {
        Process { pid: guard.pid, start_time: guard.start_time }.end();
    }
}

/// Takes the place of guards that were killed, stopped or hang. Where a deadline has passed, the transaction is put
/// back; where it has not, another guard is started for the time that is left. Every lowlat begins with it.
pub fn attend(store: &Store, sys: &dyn Sys) -> Result<Vec<Attended>, ApplyError> {
    let mut done = Vec::new();
    let waiting = waiting(store)?;
    if waiting.is_empty() {
        return Ok(done);
    }
    let boot = boot_id(sys)?;
    for (ledger, guard) in waiting {
        let transaction = ledger.transaction.clone();
        match (left(&ledger, &guard, &boot), works(store, &ledger, &guard)) {
            (Some(_), true) => {}
            (Some(left_ns), false) => {
                // Stopped by a signal, it holds its file still.
                end(store, &transaction, &guard);
                let failed = rearm(store, &transaction, &guard).err();
                done.push(Attended::Rearmed { transaction, left_ns, failed });
            }
            (None, works_now) => {
                // A guard that is at work is given its time.
                let until = guard.deadline_boot_ns.saturating_add(LOCK_PATIENCE_NS);
                let busy = || boottime_ns() < until && works(store, &ledger, &guard);
                while works_now && ledger.boot_id == boot && !settled(store, &transaction) && busy() {
                    std::thread::sleep(STEP);
                }
                if settled(store, &transaction) {
                    continue;
                }
                end(store, &transaction, &guard);
                let report = go_back(store, sys, &transaction, 2 * LOCK_PATIENCE_NS);
                done.push(Attended::WentBack { transaction, report });
            }
        }
    }
    Ok(done)
}

/// What waits for a confirmation, for `status`.
pub(crate) fn pending(store: &Store, sys: &dyn Sys) -> Result<Vec<Pending>, ApplyError> {
    let boot = boot_id(sys)?;
    let of = |(ledger, guard): (Ledger, Guard)| Pending {
        settings: ledger.standing.iter().filter(|s| !s.is_guard()).count(),
        left_ns: left(&ledger, &guard, &boot).unwrap_or(0),
        deadline_unix_ns: guard.deadline_unix_ns,
        guarded: works(store, &ledger, &guard),
        watch: guard.watch.clone(),
        transaction: ledger.transaction,
    };
    Ok(waiting(store)?.into_iter().map(of).collect())
}

//! The live host: the writing door, the state directory and its lock, put together for the command line.

use std::time::{SystemTime, UNIX_EPOCH};

use lowlat_model::Capability;
use lowlat_model::journal::{JournalEntry, NetnsId, StatusDocument};
use lowlat_sys::store::Store;
use lowlat_sys::{Live, Sys, query};
use lowlat_sysmut::holder;

use crate::boot::{KNOB, in_boot_namespace, locate_again, persisted, set_again};
use crate::disk::Folder;
use crate::error::ApplyError;
use crate::live_writer::LiveWriter;
use crate::log::{Log, read_all};
use crate::namespaces::{Place, Visible};
use crate::rollback::{RollbackReport, rollback_on};
use crate::session::{Session, refuse_unfinished_on};
use crate::status::status_on;

/// Wall clock, ns since the epoch; 0 before it. Journal names and times only: nothing is decided by it.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|d| u64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

/// This boot.
pub(crate) fn boot_id(sys: &dyn Sys) -> Result<String, ApplyError> {
    identity("the boot id", sys.sysctl("kernel.random.boot_id"))
}

/// This network namespace.
pub(crate) fn netns(sys: &dyn Sys) -> Result<NetnsId, ApplyError> {
    let inode = identity("the network namespace", query::netns_inode(sys))?;
    Ok(NetnsId { inode, cookie: query::netns_cookie(sys).into_value() })
}

/// Where this process is: its namespace and boot, for as long as `boot_id` lives.
fn here<'a>(sys: &dyn Sys, boot_id: &'a str) -> Result<Place<'a>, ApplyError> {
    Ok(Place { netns: netns(sys)?, boot_id, netns_exists: &Visible })
}

fn identity<T>(what: &'static str, reading: lowlat_model::Reading<T>) -> Result<T, ApplyError> {
    let why = reading.why_not().map(|(kind, why)| format!("{kind}: {why}"));
    reading.into_value().ok_or_else(|| ApplyError::Identity { what, why: why.unwrap_or_default() })
}

pub(crate) fn folder(store: &Store) -> Folder {
    Folder::new(store.journal_dir())
}

impl Session<LiveWriter> {
    /// Begins a transaction on this host: proves that the state directory can be written, takes its lock, refuses while
    /// an earlier transaction is unfinished, and begins a journal. No setting is touched.
    pub fn begin(store: &Store, sys: &dyn Sys) -> Result<Self, ApplyError> {
        let boot_id = boot_id(sys)?;
        store.ensure_writable()?;
        let lock = Box::new(store.lock()?);
        Self::begin_on(Box::new(folder(store)), LiveWriter::new(store), lock, &here(sys, &boot_id)?, now)
    }
}

/// Refuses while an earlier transaction is neither confirmed nor rolled back, as [`Session::begin`] will.
pub fn refuse_unfinished(store: &Store) -> Result<(), ApplyError> {
    let live = Live::new();
    refuse_unfinished_on(&folder(store), &here(&live, &boot_id(&live)?)?)
}

/// Marks what is applied as meant to stay; gives the number of transactions that waited for it. `lowlat rollback`
/// still puts them back.
pub fn confirm(store: &Store) -> Result<usize, ApplyError> {
    let disk = folder(store);
    let waits = |f: &crate::log::Found| !f.ledger.closed && !f.ledger.confirmed && !f.ledger.standing.is_empty();
    // A host on which nothing was ever applied has no lock to take.
    if !read_all(&disk)?.iter().any(waits) {
        return Ok(0);
    }
    let _lock = store.lock()?;
    let mut confirmed = 0;
    for found in read_all(&disk)?.into_iter().filter(waits) {
        // Its guard waits for the lock now, or was killed and the next lowlat takes its place.
        if let Some(late_s) = crate::guard::late_s(&found.ledger, &boot_id(&Live::new())?) {
            return Err(ApplyError::TooLate { late_s });
        }
        Log::resume(&disk, found).push(&JournalEntry::Confirmed { at_unix_ns: now() })?;
        confirmed += 1;
    }
    Ok(confirmed)
}

/// Puts back everything that stands applied, newest first, from the journals on disk alone. `force` also where another
/// program has changed the setting meanwhile.
pub fn rollback_from_disk(store: &Store, sys: &dyn Sys, force: bool) -> Result<RollbackReport, ApplyError> {
    if read_all(&folder(store))?.iter().all(|f| f.ledger.closed) {
        return Ok(RollbackReport::default());
    }
    let _lock = store.lock()?;
    roll_back_locked(store, sys, None, force)
}

/// Takes away what `lowlat persist` wrote, newest first, and leaves every other setting as it is.
pub(crate) fn roll_back_persisted(store: &Store, sys: &dyn Sys) -> Result<RollbackReport, ApplyError> {
    let of_persist = || -> Result<Vec<String>, ApplyError> {
        let all = read_all(&folder(store))?.into_iter().map(|f| f.ledger);
        let files = |l: &crate::ledger::Ledger| !l.standing.is_empty() && l.standing.iter().all(|s| s.knob == KNOB);
        Ok(all.filter(|l| !l.closed && files(l)).map(|l| l.transaction).rev().collect())
    };
    if of_persist()?.is_empty() {
        return Ok(RollbackReport::default());
    }
    let _lock = store.lock()?;
    let mut whole = RollbackReport::default();
    for transaction in of_persist()? {
        let report = roll_back_locked(store, sys, Some(&transaction), false)?;
        whole.done.extend(report.done);
        whole.failed.extend(report.failed);
        whole.unwritten = whole.unwritten.or(report.unwritten);
    }
    Ok(whole)
}

/// As [`rollback_from_disk`] for all transactions or one, by a caller that holds the lock.
pub(crate) fn roll_back_locked(
    store: &Store,
    sys: &dyn Sys,
    only: Option<&str>,
    force: bool,
) -> Result<RollbackReport, ApplyError> {
    let boot_id = boot_id(sys)?;
    rollback_on(sys, &mut LiveWriter::new(store), &folder(store), &here(sys, &boot_id)?, only, force, now)
}

/// Puts back, newest first, the transactions that set this place; `None` where none did.
pub fn roll_back_place(
    store: &Store,
    sys: &dyn Sys,
    place: &lowlat_model::Locus,
) -> Result<Option<RollbackReport>, ApplyError> {
    let set_it = || -> Result<Vec<String>, ApplyError> {
        let all = read_all(&folder(store))?.into_iter().map(|f| f.ledger);
        let sets = |l: &crate::ledger::Ledger| !l.closed && l.standing.iter().any(|s| s.op.locus == *place);
        Ok(all.filter(sets).map(|l| l.transaction).rev().collect())
    };
    if set_it()?.is_empty() {
        return Ok(None);
    }
    let _lock = store.lock()?;
    let mut whole = RollbackReport::default();
    for transaction in set_it()? {
        let report = roll_back_locked(store, sys, Some(&transaction), false)?;
        whole.done.extend(report.done);
        whole.failed.extend(report.failed);
        whole.unwritten = whole.unwritten.or(report.unwritten);
    }
    Ok(Some(whole))
}

/// What is applied, and whether it still does.
pub fn status(store: &Store, sys: &dyn Sys) -> Result<StatusDocument, ApplyError> {
    let mut document = status_on(sys, &LiveWriter::new(store), &folder(store), &here(sys, &boot_id(sys)?)?)?;
    document.pending = crate::guard::pending(store, sys)?;
    Ok(document)
}

/// The ledger of one transaction on disk.
pub(crate) fn transaction(store: &Store, id: &str) -> Result<crate::ledger::Ledger, ApplyError> {
    let found = read_all(&folder(store))?.into_iter().find(|f| f.ledger.transaction == id);
    found.map(|f| f.ledger).ok_or_else(|| ApplyError::NoTransaction(id.to_owned()))
}

/// What is applied in this boot, and what the boot has set again from the files of an earlier `lowlat persist`; oldest
/// first, each with the namespace it belongs to (the present one, for what the boot has set).
pub(crate) fn kept_or_applied(
    store: &Store,
    sys: &dyn Sys,
) -> Result<Vec<(NetnsId, crate::ledger::StandingWrite)>, ApplyError> {
    let (boot_id, here) = (boot_id(sys)?, netns(sys)?);
    let all = read_all(&folder(store))?;
    let kept = persisted(&all) && in_boot_namespace(sys);
    let writer = LiveWriter::new(store);
    let mut out = Vec::new();
    for mut found in all {
        let this_boot = found.ledger.boot_id == boot_id;
        if !this_boot && kept {
            locate_again(sys, &mut found.ledger);
        }
        let netns = if this_boot { found.ledger.netns } else { here };
        let stands = |s: &crate::ledger::StandingWrite| this_boot || (kept && set_again(sys, &writer, s));
        let standing = found.ledger.standing.into_iter().filter(stands);
        out.extend(standing.map(|s| (netns, crate::device::line(sys, &writer, &s))));
    }
    Ok(out)
}

/// The body of the hidden subcommand that keeps a wake-up latency limit: returns when there is nothing to hold. `pipe`
/// is what it is known and ended by; none where the boot started it.
pub fn hold_dma_latency(us: u32, pipe: Option<&std::path::Path>) -> Result<(), String> {
    let us = i32::try_from(us).map_err(|_| format!("hold a wake-up latency limit of {us} µs: at most {}", i32::MAX))?;
    holder::hold(us, pipe).map_err(|e| {
        format!(
            "hold a wake-up latency limit of {us} µs: {e}; {}",
            lowlat_sys::next_where_denied(&[Capability::DacOverride])
        )
    })
}

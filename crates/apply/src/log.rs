//! An open journal: every entry goes to the ledger and to the disk, intents flushed.

use lowlat_model::Schema;
use lowlat_model::journal::{JournalEntry, NetnsId};

use crate::disk::{Append, Disk};
use crate::error::ApplyError;
use crate::journal::{JournalError, decode, encode};
use crate::ledger::Ledger;

/// A journal that can be appended to.
pub(crate) struct Log {
    pub(crate) ledger: Ledger,
    out: Box<dyn Append>,
    path: std::path::PathBuf,
    /// An entry could not be written whole. Nothing may follow it: what comes behind a torn entry is damage.
    broken: Option<std::io::Error>,
}

impl Log {
    /// Begins a transaction.
    pub(crate) fn begin(
        disk: &dyn Disk,
        netns: NetnsId,
        boot_id: &str,
        pid: u32,
        now: u64,
    ) -> Result<Self, ApplyError> {
        let newest = names(disk)?.pop().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        // Ids sort by age even when the wall clock was set back between two transactions.
        let transaction = format!("{:020}", now.max(newest.saturating_add(1)));
        let path = disk.path(&transaction);
        let begin = JournalEntry::Begin {
            schema: Schema::current("journal"),
            transaction: transaction.clone(),
            boot_id: boot_id.to_owned(),
            netns: netns.inode,
            netns_cookie: netns.cookie,
            pid,
            at_unix_ns: now,
        };
        let write = |error| ApplyError::Write { path: path.clone(), error };
        let mut out = disk.create(&transaction).map_err(write)?;
        out.append(&encode(&begin).map_err(write)?, true).map_err(write)?;
        let ledger = Ledger::fold(&[begin])
            .map_err(|error| ApplyError::Journal { path: path.clone(), error })?
            .ok_or(ApplyError::NoTransaction(transaction))?;
        Ok(Self { ledger, out, path, broken: None })
    }

    /// Goes on with a transaction read from disk. A journal that cannot be opened to write (a read-only disk) takes no
    /// entry, and each [`Log::push`] says so: going back needs none.
    pub(crate) fn resume(disk: &dyn Disk, found: Found) -> Self {
        let path = disk.path(&found.ledger.transaction);
        let (out, broken): (Box<dyn Append>, _) = match disk.resume(&found.ledger.transaction, found.whole) {
            Ok(out) => (out, None),
            Err(error) => (Box::new(Closed), Some(error)),
        };
        Self { ledger: found.ledger, out, path, broken }
    }

    /// Appends an entry. Intents, holders and the ends of a transaction are flushed before this returns; results need
    /// not be: one that is lost leaves its intent standing, which makes rollback look again.
    pub(crate) fn push(&mut self, entry: &JournalEntry) -> Result<(), ApplyError> {
        let flush =
            !matches!(entry, JournalEntry::Done { .. } | JournalEntry::Refused { .. } | JournalEntry::Undone { .. });
        let write = |error| ApplyError::Write { path: self.path.clone(), error };
        if let Some(error) = &self.broken {
            return Err(write(again(error)));
        }
        let line = encode(entry).map_err(write)?;
        if let Err(error) = self.out.append(&line, flush) {
            self.broken = Some(again(&error));
            return Err(write(error));
        }
        self.ledger.take(entry).map_err(|why| ApplyError::Journal {
            path: self.path.clone(),
            error: JournalError::Corrupt { line: 0, why },
        })
    }
}

/// A journal that takes nothing.
struct Closed;

impl Append for Closed {
    fn append(&mut self, _: &[u8], _: bool) -> std::io::Result<()> {
        Err(std::io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

/// The same error once more.
fn again(error: &std::io::Error) -> std::io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), std::io::Error::from_raw_os_error)
}

/// A transaction read from disk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) ledger: Ledger,
    pub(crate) whole: u64,
    pub(crate) torn: usize,
}

fn names(disk: &dyn Disk) -> Result<Vec<String>, ApplyError> {
    disk.names().map_err(|error| {
        let path = disk.path("").parent().map(std::path::Path::to_owned).unwrap_or_default();
        ApplyError::Read { operation: "list the journals in", path, error }
    })
}

/// Every transaction on disk, oldest first. One damaged journal makes the whole read fail: what it holds may stand on
/// the same places as what the others hold.
pub(crate) fn read_all(disk: &dyn Disk) -> Result<Vec<Found>, ApplyError> {
    let mut found = Vec::new();
    for name in names(disk)? {
        let path = disk.path(&name);
        let bytes = disk.read(&name).map_err(|error| ApplyError::Read {
            operation: "read journal",
            path: path.clone(),
            error,
        })?;
        let journal = |error| ApplyError::Journal { path: path.clone(), error };
        let decoded = decode(&bytes).map_err(journal)?;
        let Some(ledger) = Ledger::fold(&decoded.entries).map_err(journal)? else {
            // Without a beginning nothing was written, or what was written is not known: the script comes with a write.
            if disk.has_side_file(&crate::script::name(&name)).is_ok_and(|there| there) {
                let why = "its beginning is gone, and its script lists writes".to_owned();
                return Err(journal(JournalError::Corrupt { line: 1, why }));
            }
            continue;
        };
        if ledger.transaction != name {
            let why = format!("it belongs to transaction {}, the file is named {name}", ledger.transaction);
            return Err(journal(JournalError::Corrupt { line: 1, why }));
        }
        ledger.standing.iter().try_for_each(|s| disk.trust(s)).map_err(|why| journal(JournalError::Foreign(why)))?;
        found.push(Found { ledger, whole: decoded.whole as u64, torn: decoded.torn });
    }
    Ok(found)
}

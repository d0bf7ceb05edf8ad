//! What can go wrong, for people: operation, target, cause, next step.

use std::path::PathBuf;

use crate::journal::JournalError;

/// A transaction as a whole could not be begun, read or ended. Nothing was changed by the call that returns it, unless
/// the variant says so.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The tool's own files: lock held (and by which process), disk full, read-only.
    #[error(transparent)]
    Store(#[from] lowlat_sys::store::StoreError),
    /// The journals could not be looked at.
    #[error("{operation} {}: {error}; run as the user that applied", path.display())]
    Read {
        /// `list the journals in`, `read journal`.
        operation: &'static str,
        /// What.
        path: PathBuf,
        /// The system's answer.
        #[source]
        error: std::io::Error,
    },
    /// A journal is damaged or from a newer lowlat.
    #[error("read journal {}: {error}", path.display())]
    Journal {
        /// File.
        path: PathBuf,
        /// Where in it, and what.
        #[source]
        error: JournalError,
    },
    /// The journal could not be written. The write it should have announced was not made.
    #[error("write journal {}: {error}; free space or make the disk writable, then run `lowlat rollback`", path.display())]
    Write {
        /// File.
        path: PathBuf,
        /// The system's answer.
        #[source]
        error: std::io::Error,
    },
    /// An earlier transaction was never finished.
    #[error(
        "begin: the earlier transaction {transaction} is neither confirmed nor rolled back; {standing} of its settings are in effect; run `lowlat rollback` to restore them, or `lowlat confirm` to keep them"
    )]
    Unfinished {
        /// Its id.
        transaction: String,
        /// Settings that stand.
        standing: usize,
    },
    /// What identifies this boot and namespace could not be read.
    #[error(
        "begin: {what} cannot be read: {why}; without it a rollback could not tell this boot or namespace from another"
    )]
    Identity {
        /// `the boot id`, `the network namespace`.
        what: &'static str,
        /// The reading's answer.
        why: String,
    },
    /// No transaction of that id.
    #[error("find transaction {0}: no such journal; `lowlat status` lists what is applied")]
    NoTransaction(String),
    /// `confirm` came after the deadline.
    #[error("confirm: its time ran out {late_s} s ago and the settings are being restored; run `lowlat status`")]
    TooLate {
        /// Seconds since.
        late_s: u64,
    },
    /// The guard could not be started.
    #[error("start the guard of --confirm-within: {why}; nothing is applied; run it again, or apply without it")]
    Watch {
        /// The system's answer.
        why: String,
    },
    /// A file that was to keep the settings could not be written. What was written of them was removed.
    #[error("persist: {why}; nothing was persisted; the applied changes are still in effect")]
    Persist {
        /// File and cause.
        why: String,
    },
}

/// One step could not be applied or undone.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The kernel or the driver did not take it. Read back: everything is as it was before the step.
    #[error("refused: {why}")]
    Refused {
        /// The answer as text.
        why: String,
    },
    /// A stop was asked for before the step was complete. Everything is as it was before the step.
    #[error("interrupted by a signal")]
    Stopped,
    /// The setting is no longer what lowlat set: somebody else changed it, so it was left alone.
    #[error(
        "{locus} was changed by another program to {now:?} meanwhile and was left alone; stop that program or leave the setting to it"
    )]
    ChangedByOther {
        /// Where.
        locus: String,
        /// What is there.
        now: String,
    },
    /// The state is not known to be what it should be. The journal knows the prior state: roll back.
    #[error("{why}; the journal has the prior state: run `lowlat rollback`")]
    Fatal {
        /// What, where, why.
        why: String,
    },
    /// The journal or the store failed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

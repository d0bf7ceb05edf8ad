//! Lock, journal, executor, rollback: the only stage that changes the host.
//!
//! Applying is a transaction. For each write the prior state is read, the intent (the write and that prior state) is
//! flushed to an append-only, checksummed journal, the write is made, and the place is read back. Undo puts the prior
//! state back and reads it again. Rollback needs the journal alone: it works after `kill -9`, and after a reboot for
//! settings that survive one.
//!
//! The core ([`Session`], [`rollback_on`], [`status_on`]) works on any [`writer::HostWriter`] and [`disk::Disk`], so that
//! tests can cut the power anywhere; the functions that take a [`Store`](lowlat_sys::store::Store) are the same on the
//! live host.
//!
//! The executor decides nothing: it applies the steps it is given, in their order.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod beside;
mod boot;
mod boot_entry;
mod boot_iface;
mod device;
pub mod disk;
mod error;
pub mod export;
mod guard;
pub mod journal;
mod lacking;
pub mod ledger;
mod live;
mod live_writer;
mod log;
mod namespaces;
mod others;
mod persist;
mod places;
mod rollback;
pub mod script;
mod session;
mod status;
mod trust;
pub mod writer;

pub use device::Whereabouts;
pub use error::{ApplyError, StepError};
pub use guard::{Attended, Orders, Watch, attend, rollback_unless_confirmed};
pub use lacking::{lacking, lacking_to_restore};
pub use live::{confirm, hold_dma_latency, refuse_unfinished, roll_back_place, rollback_from_disk, status};
pub use live_writer::LiveWriter;
pub use lowlat_settings::{same, words};
pub use namespaces::{NetnsExists, Place};
pub use others::others;
pub use persist::{Draft, Kept, draft as draft_persist, persist, remove as remove_persisted};
pub use places::foretold;
pub use rollback::{RollbackItem, RollbackOutcome, RollbackReport, rollback_on};
pub use session::{SeenChange, Session, StepHandle, WatchedPlace};
pub use status::status_on;
pub use trust::plan as check_plan;

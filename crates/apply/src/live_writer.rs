//! The writing door behind the executor.

use lowlat_model::Op;
use lowlat_sys::store::Store;
use lowlat_sysmut::{LiveMut, holder};

use crate::ledger::HolderId;
use crate::writer::{BeforeHold, WriteFailure, Writer, one_by_one};

/// The running host behind the executor.
#[derive(Debug)]
pub struct LiveWriter {
    door: LiveMut,
    pub(crate) store: Store,
    /// Kept so that its end can be waited for; it outlives this process.
    pub(crate) watcher: Option<std::process::Child>,
}

impl LiveWriter {
    pub(crate) fn new(store: &Store) -> Self {
        Self { door: lowlat_sysmut::open(), store: store.clone(), watcher: None }
    }
}

fn failure(e: impl std::fmt::Display) -> WriteFailure {
    WriteFailure(e.to_string())
}

impl Writer for LiveWriter {
    fn write(&mut self, op: &Op) -> Result<(), WriteFailure> {
        self.door.write(op).map_err(failure)
    }

    fn write_together(&mut self, ops: &[Op]) -> Result<(), WriteFailure> {
        // A driver that refuses them at once may take them one after the other.
        self.door.write_together(ops).or_else(|_| one_by_one(self, ops))
    }

    fn hold(&mut self, us: &str, before: BeforeHold<'_>) -> Result<(), WriteFailure> {
        let us = us
            .trim()
            .parse::<i32>()
            .map_err(|_| WriteFailure("another program holds a limit, which only its own end takes away".to_owned()))?;
        // It holds nothing yet; dropped on the way out, it ends.
        let prepared = holder::prepare(us).map_err(failure)?;
        let id = prepared.holder();
        before(HolderId { pid: id.pid, start_time: id.start_time }).map_err(failure)?;
        prepared.go().map(drop).map_err(failure)
    }

    fn release(&mut self, holder: HolderId) -> Result<(), WriteFailure> {
        holder::stop_holder(holder.pid, holder.start_time).map(drop).map_err(failure)
    }
}

//! The writing door behind the executor.

use lowlat_model::journal::{Beside, Device, NetnsId};
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::store::Store;
use lowlat_sys::{Live, Sys, in_netns};
use lowlat_sysmut::{LiveMut, holder};

use crate::device::{self, There, Whereabouts};
use crate::ledger::HolderId;
use crate::writer::{BeforeHold, HostWriter, WriteFailure, one_by_one};

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

impl HostWriter for LiveWriter {
    fn find(&self, sys: &dyn Sys, device: &Device, home: Option<NetnsId>, same_netns: bool) -> Whereabouts {
        device::find_live(sys, device, home, same_netns)
    }

    fn irq(&self, sys: &dyn Sys, device: &Device, name: &str, netns: Option<&str>) -> Option<u32> {
        let Some(netns) = netns else { return device::irq_position(sys, device, name) };
        let (device, name) = (device.clone(), name.to_owned());
        in_netns(netns, move || Ok(device::irq_position(&Live::new(), &device, &name))).ok().flatten()
    }

    fn state_in(&self, netns: &str, locus: &Locus) -> Reading<State> {
        let locus = locus.clone();
        let asked = in_netns(netns, move || Ok(lowlat_settings::state(&Live::new(), &locus)));
        asked.unwrap_or_else(|e| Reading::Denied(format!("enter {netns}: {e}")))
    }

    fn beside_in(&self, netns: &str, op: &Op) -> Result<Vec<Beside>, String> {
        let op = op.clone();
        in_netns(netns, move || Ok(crate::beside::of(&Live::new(), &op))).map_err(|e| format!("enter {netns}: {e}"))?
    }

    fn write_in(&mut self, netns: &str, op: &Op) -> Result<(), WriteFailure> {
        let (op, mut door) = (op.clone(), self.door.clone());
        let written = in_netns(netns, move || Ok(door.write(&op).map_err(failure)));
        written.map_err(|e| WriteFailure(format!("enter {netns}: {e}")))?
    }

    fn write_together_in(&mut self, netns: &str, ops: &[Op]) -> Result<(), WriteFailure> {
        let (all, mut door) = (ops.to_vec(), self.door.clone());
        let at_once = in_netns(netns, move || Ok(door.write_together(&all).map_err(failure)));
        match at_once.map_err(|e| WriteFailure(format!("enter {netns}: {e}")))? {
            Ok(()) => Ok(()),
            Err(_) => one_by_one(&mut There { writer: self, netns }, ops),
        }
    }

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
        let prepared = holder::prepare(us, &self.holders()).map_err(failure)?;
        let id = prepared.holder();
        before(HolderId { pid: id.pid, start_time: id.start_time, token: Some(prepared.token().to_owned()) })
            .map_err(failure)?;
        prepared.go().map(drop).map_err(failure)
    }

    fn release(&mut self, holder: &HolderId) -> Result<bool, WriteFailure> {
        let id = holder::Holder { pid: holder.pid, start_time: holder.start_time };
        let stopped = match &holder.token {
            Some(token) => holder::stop_by_token(id, &self.holders(), token),
            None => holder::stop(id),
        };
        stopped.map(|s| s == holder::HolderStopped::Ended).map_err(failure)
    }
}

impl LiveWriter {
    /// Where the pipes of holders are.
    fn holders(&self) -> std::path::PathBuf {
        self.store.journal_dir()
    }
}

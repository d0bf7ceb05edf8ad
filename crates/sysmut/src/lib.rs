//! The one door through which the host is written. Only the apply crate obtains it.
//!
//! [`LiveMut::write`] performs one [`Op`] and believes nothing: a driver may clamp, round or ignore what it is told, so
//! the caller reads the place back through `lowlat_sys::state`. What it writes is bounded by lists, not by good
//! intentions: files under `/proc/sys`, `/proc/irq` and `/sys`, and drop-ins in the folders of [`dropin::FOLDERS`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod dropin;
mod error;
mod file;
pub mod holder;
mod nic;
mod pipe;
mod qdisc;

use std::path::PathBuf;

use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::{Live, irqs};

pub use error::WriteError;

/// The running host, writable.
#[derive(Debug, Clone)]
pub struct LiveMut {
    root: PathBuf,
}

/// The door to the running host.
pub fn open() -> LiveMut {
    LiveMut { root: PathBuf::from("/") }
}

impl LiveMut {
    /// A door whose *drop-ins* go under another root: for tests, and for images that are not booted. Everything else
    /// still is the running host.
    pub fn with_root(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Performs one write.
    ///
    /// A [`Locus::CpuDmaLatency`] is no write but a process that holds a descriptor: [`holder::prepare`].
    pub fn write(&mut self, op: &Op) -> Result<(), WriteError> {
        match (&op.locus, &op.set) {
            (Locus::File { path }, State::Text(text)) => file::write(path, text),
            (Locus::IrqAffinity { iface, index }, State::Text(cpus)) => irq_affinity(iface, *index, cpus),
            (Locus::Qdisc { iface, parent }, State::Qdisc(q)) => qdisc::put(iface, parent, q),
            (Locus::DropIn { path }, State::Text(text)) => dropin::put(&self.root, path, text),
            (Locus::DropIn { path }, State::Nothing) => dropin::remove(&self.root, path),
            (Locus::CpuDmaLatency, _) => Err(WriteError::not_allowed(
                "hold the wake-up latency limit",
                "it takes a process that keeps /dev/cpu_dma_latency open; start a holder",
            )),
            (_, State::Text(text)) => nic::write(&op.locus, text),
            (locus, set) => {
                Err(WriteError::not_allowed(format!("write {set} to {locus:?}"), "the place does not take it"))
            }
        }
    }
}

impl LiveMut {
    /// Performs several writes that the kernel can take in one request: coalescing parameters of one interface, which a
    /// driver may check against each other. Anything else is refused, and nothing of it is written.
    pub fn write_together(&mut self, ops: &[Op]) -> Result<(), WriteError> {
        let mut values: Vec<(&str, &str)> = Vec::new();
        let mut of: Option<&str> = None;
        for op in ops {
            match (&op.locus, &op.set) {
                (Locus::Coalesce { iface, param }, State::Text(text)) if of.is_none_or(|i| i == iface) => {
                    of = Some(iface);
                    values.push((param, text));
                }
                (locus, set) => {
                    let what = format!("write {set} to {locus:?} together with others");
                    return Err(WriteError::not_allowed(what, "the kernel takes it in a request of its own"));
                }
            }
        }
        of.map_or(Ok(()), |iface| nic::write_coalescing(iface, &values))
    }
}

fn irq_affinity(iface: &str, index: u32, cpus: &str) -> Result<(), WriteError> {
    let what = format!("set the CPUs of interrupt {index} of {iface}");
    let lines = match irqs::of_interface(&Live::new(), iface) {
        Reading::Value(lines) => lines,
        other => {
            let (_, why) = other.why_not().unwrap_or_default();
            return Err(WriteError::Absent { what, why: why.to_owned() });
        }
    };
    let at = usize::try_from(index).unwrap_or(usize::MAX);
    let Some(line) = lines.get(at) else {
        return Err(WriteError::Absent { what, why: format!("there are {} interrupt lines", lines.len()) });
    };
    // EIO from here means that the kernel manages this line's CPUs by itself (IRQD_AFFINITY_MANAGED, kernel/irq/proc.c).
    file::write(&format!("/proc/irq/{}/smp_affinity_list", line.irq), cpus)
}

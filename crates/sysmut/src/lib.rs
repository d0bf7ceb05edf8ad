//! The one door through which the host is written. Only the apply crate obtains it.
//!
//! [`LiveMut::write`] performs one [`Op`], which its kind turns into the description of a write, and trusts nothing: a
//! driver may clamp, round or ignore a value, so the caller reads the place back through `lowlat_settings::state`. What
//! it may write is limited by lists: files under `/proc/sys`, `/proc/irq` and `/sys`, and drop-ins in the folders of [`dropin::FOLDERS`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod dropin;
mod error;
mod file;
pub mod holder;
mod needs;
mod pci;
mod pipe;
mod qdisc;

use std::path::PathBuf;

use lowlat_model::{Op, Reading};
use lowlat_netlink::ethtool::{coalesce, features, flags, ioctl, sizes};
use lowlat_netlink::netdev;
use lowlat_netlink::route::metrics;
use lowlat_settings::Write;
use lowlat_sys::{Live, irqs};

pub use error::WriteError;
pub use needs::lacks;

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
    /// What is held is not a write but a process that holds a descriptor: [`holder::prepare`].
    pub fn write(&mut self, op: &Op) -> Result<(), WriteError> {
        let what = || format!("set {} to {:?}", lowlat_settings::words(&op.locus), op.set.to_string());
        let write = lowlat_settings::write(op).map_err(|why| WriteError::not_allowed(what(), why))?;
        self.perform(&write)
    }

    /// Performs several writes that the kernel can take in one request: coalescing parameters of one interface, which a
    /// driver may check against each other. Anything else is refused, and nothing of it is written.
    pub fn write_together(&mut self, ops: &[Op]) -> Result<(), WriteError> {
        let what = || {
            let places: Vec<String> = ops.iter().map(|op| lowlat_settings::words(&op.locus)).collect();
            format!("set {} together", places.join(" and "))
        };
        let write = lowlat_settings::write_together(ops).map_err(|why| WriteError::not_allowed(what(), why))?;
        write.map_or(Ok(()), |write| self.perform(&write))
    }

    /// The one place where a description of a write becomes one.
    fn perform(&self, write: &Write) -> Result<(), WriteError> {
        match write {
            Write::Line { path, text } => file::write(path, text)?,
            Write::IrqAffinity { iface, index, cpus } => irq_affinity(iface, *index, cpus)?,
            Write::Qdisc { iface, parent, state } => qdisc::put(iface, parent, state)?,
            Write::Own { path, text } => dropin::put(&self.root, path, text)?,
            Write::RemoveOwn { path } => dropin::remove(&self.root, path)?,
            Write::Feature { iface, name, on } => features::set_feature(iface, name, *on)?,
            Write::Coalesce { iface, values } => {
                let values: Vec<(&str, u32)> = values.iter().map(|(param, value)| (param.as_str(), *value)).collect();
                coalesce::set_coalesce_many(iface, &values)?;
            }
            Write::Ring { iface, param, value } => sizes::set_ring(iface, param, *value)?,
            Write::Channels { iface, param, value } => sizes::set_channels(iface, param, *value)?,
            Write::Pause { iface, param, on } => flags::set_pause(iface, param, *on)?,
            Write::Eee { iface, on } => flags::set_eee(iface, *on)?,
            Write::PrivateFlag { iface, name, on } => flags::set_private_flag(iface, name, *on)?,
            Write::HwTimestamp { iface, tx, rx } => {
                ioctl::set_hw_timestamp(iface, ioctl::HwTimestamp { tx: *tx, rx: *rx })?;
            }
            Write::PciDriver { device, driver, forced, iface, mtu } => {
                let (driver, forced) = (driver.as_deref(), forced.as_deref());
                pci::bind(device, driver, forced, iface.as_deref().map(|name| (name, *mtu)))?;
            }
            Write::Rss { iface, table } => ioctl::set_rss(iface, table)?,
            Write::Napi { id, param, value } => netdev::set_napi(*id, param, *value)?,
            Write::RouteMetric { iface, to, metric, value } => metrics::set(iface, *to, metric, *value)?,
        }
        Ok(())
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
    // EIO from here means that the kernel manages this line's CPUs on its own (IRQD_AFFINITY_MANAGED,
    // kernel/irq/proc.c).
    file::write(&format!("/proc/irq/{}/smp_affinity_list", line.irq), cpus)
}

//! Kinds of settings: one file per kind, one line per kind in [`at`].
//!
//! A [`Locus`] of the journal says where a setting is; [`at`] gives its [`Kind`], which says everything else: the
//! current value, the write that changes it, when two states are the same, how far it reaches, what it resets, what
//! undoes it without lowlat, and how it survives a reboot. A [`Place`] is the other end: where a knob of the
//! catalogue has its loci on a host, and when it is tried in a plan.
//!
//! Nothing here writes. A kind reads through the reading door and gives its write as data ([`Write`]), which the
//! writing door performs within its own lists.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod driver;
mod kind;
mod place;
mod reset_table;
pub mod resets;
pub mod shell;
mod text;
mod write;

// The kinds.
pub mod block;
pub mod boot;
pub mod channels;
pub mod coalesce;
pub mod cpu_file;
pub mod dma_latency;
pub mod drop_in;
pub mod eee;
pub mod feature;
pub mod host_file;
pub mod hw_timestamp;
pub mod irq_affinity;
pub mod moderation;
pub mod napi;
pub mod net_file;
pub mod pause;
pub mod pci_driver;
pub mod private_flag;
pub mod qdisc;
pub mod ring;
pub mod route_metric;
pub mod rss;
pub mod sysctl;

#[cfg(test)]
mod tests;

use lowlat_model::tune::Scope;
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::Sys;

pub use driver::Part;
pub use kind::{Asked, AtBoot, Kind};
pub use place::{ByEngine, Nowhere, Place};
pub use write::Write;

/// What the setting at a locus is: the one place where the kinds are told apart.
pub fn at(locus: &Locus) -> Box<dyn Kind + '_> {
    match locus {
        Locus::File { path } => file(path),
        Locus::Feature { iface, name } => Box::new(feature::At { iface, name }),
        Locus::Coalesce { iface, param } => Box::new(coalesce::At { iface, param }),
        Locus::Moderation { iface, direction } => Box::new(moderation::At { iface, direction }),
        Locus::Ring { iface, param } => Box::new(ring::At { iface, param }),
        Locus::Channels { iface, param } => Box::new(channels::At { iface, param }),
        Locus::Pause { iface, param } => Box::new(pause::At { iface, param }),
        Locus::Eee { iface } => Box::new(eee::At { iface }),
        Locus::PrivateFlag { iface, name } => Box::new(private_flag::At { iface, name }),
        Locus::HwTimestamp { iface } => Box::new(hw_timestamp::At { iface }),
        Locus::Qdisc { iface, parent } => Box::new(qdisc::At { iface, parent }),
        Locus::RouteMetric { iface, prefix, metric } => Box::new(route_metric::At { iface, prefix, metric }),
        Locus::IrqAffinity { iface, index } => Box::new(irq_affinity::At { iface, index: *index }),
        Locus::Napi { iface, id, param } => Box::new(napi::At { iface, id: *id, param }),
        Locus::Rss { iface } => Box::new(rss::At { iface }),
        Locus::CpuDmaLatency => Box::new(dma_latency::At),
        Locus::Driver { device } => Box::new(pci_driver::At { device }),
        Locus::DropIn { path } => Box::new(drop_in::At { path }),
    }
}

/// Files of the kernel, by where they are.
fn file(path: &str) -> Box<dyn Kind + '_> {
    if let Some(key) = path.strip_prefix(sysctl::ROOT) {
        return Box::new(sysctl::At { path, key });
    }
    if path.starts_with(cpu_file::ROOT) {
        return Box::new(cpu_file::At { path });
    }
    let Some((iface, name)) = path.strip_prefix(net_file::ROOT).and_then(|p| p.split_once('/')) else {
        return Box::new(host_file::At { path });
    };
    match napi::param_of(name) {
        Some(param) => Box::new(napi::OfDevice { path, iface, param }),
        None => Box::new(net_file::At { path, iface }),
    }
}

/// A place for people: `ring rx of eth0`.
pub fn words(locus: &Locus) -> String {
    at(locus).words()
}

/// What is at a locus now, complete enough to be put back.
pub fn state(sys: &dyn Sys, locus: &Locus) -> Reading<State> {
    at(locus).read(sys)
}

/// Whether two states of one place are equal in effect, although their texts may differ: the kernel prints some values
/// in another form than it takes them in.
pub fn same(locus: &Locus, a: &State, b: &State) -> bool {
    a == b || at(locus).same(a, b)
}

/// The write that an op asks for; as text, why there is none.
pub fn write(op: &Op) -> Result<Write, String> {
    at(&op.locus).write(&op.set)
}

/// Several writes that the kernel takes in one request, as one; as text, why there is none such.
pub fn write_together(ops: &[Op]) -> Result<Option<Write>, String> {
    let mut all: Option<Write> = None;
    for op in ops {
        let next = write(op)?;
        all = Some(match all {
            None => next.alone_or_with_others()?,
            Some(all) => all.with(next)?,
        });
    }
    Ok(all)
}

/// Whether two writes go out in one request.
pub fn together(a: &Locus, b: &Locus) -> bool {
    at(a).together(b)
}

/// Whether one command of a shell puts both places back.
pub fn undone_at_once(a: &Locus, b: &Locus) -> bool {
    at(a).undone_at_once(b)
}

/// How far writes reach: as far as the farthest of them. What is not known to be narrow is wide.
pub fn scope(ops: &[Op]) -> Scope {
    ops.iter().map(|op| at(&op.locus).scope()).max().unwrap_or(Scope::Host)
}

/// The command that puts `state` at `locus`. Runs in a POSIX shell as root; `ethtool` and `tc` where they are needed.
pub fn undo(locus: &Locus, state: &State) -> String {
    at(locus).undo(state)
}

/// The one command that puts several places back which one command can; `None` where there is none, and for
/// fewer than two.
pub fn undo_together(places: &[(&Locus, &State)]) -> Option<String> {
    let (first, _) = places.first()?;
    let fits = places.len() > 1 && places.iter().all(|(locus, _)| undone_at_once(first, locus));
    if fits { at(first).undo_together(places) } else { None }
}

/// The commands that put back what each of these writes replaced, the last one first.
pub fn undo_all(ops: &[Op], prior: &[State]) -> String {
    let places: Vec<(&Locus, &State)> = ops.iter().map(|op| &op.locus).zip(prior).rev().collect();
    let runs = places.chunk_by(|(a, _), (b, _)| undone_at_once(a, b));
    let each =
        |run: &[(&Locus, &State)]| run.iter().map(|(locus, was)| undo(locus, was)).collect::<Vec<_>>().join("; ");
    runs.map(|run| undo_together(run).unwrap_or_else(|| each(run))).collect::<Vec<_>>().join("; ")
}

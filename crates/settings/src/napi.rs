//! Values of NAPI: an interface's own, each a file of `/sys/class/net/IF/`, and those of each instance
//! (`NETDEV_CMD_NAPI_SET`, Linux 6.13), which a write of the interface's own overwrites.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

use crate::place::{Blank, of_ifaces};
use crate::{AtBoot, Kind, Place, Write, net_file, text};

/// A value of the interface, by the name of its file; at a target of one instance that one's own.
#[derive(Debug)]
pub struct NapiDevice(pub &'static str);

impl Place for NapiDevice {
    fn loci(&self, sys: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        match (target, param_of(self.0)) {
            (Target::Iface(iface), _) => {
                Ok(vec![Locus::File { path: format!("{}{iface}/{}", net_file::ROOT, self.0) }])
            }
            (_, Some(param)) => Instance(param).loci(sys, target),
            _ => Ok(Vec::new()),
        }
    }
    fn targets(&self, sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<Target>> {
        of_ifaces(sys, iface, |iface| {
            let whole = Target::Iface(iface.to_owned());
            std::iter::once(whole).chain(instances(sys, iface)).collect()
        })
    }
    fn owns(&self, target: &Target, locus: &Locus) -> bool {
        match target {
            Target::Iface(_) => self.loci(&Blank, target).is_ok_and(|loci| loci.contains(locus)),
            _ => param_of(self.0).is_some_and(|param| Instance(param).owns(target, locus)),
        }
    }
    fn order(&self) -> Order {
        Order::Interrupts
    }
}

/// A value that only instances have, by the kernel's name for it.
#[derive(Debug)]
pub struct Instance(pub &'static str);

impl Place for Instance {
    fn loci(&self, sys: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Napi(iface, n) = target else { return Ok(Vec::new()) };
        let all = ids(sys, iface);
        let Reading::Value(ids) = &all else {
            let (kind, why) = all.why_not().unwrap_or(("garbled", ""));
            return Err(format!("the NAPI instances of {iface} are {kind}: {why}"));
        };
        match usize::try_from(*n).ok().and_then(|n| ids.get(n)) {
            Some(id) => Ok(vec![of(iface, *id, self.0)]),
            None => Err(format!("{iface} has {} NAPI instances, none at position {n}", ids.len())),
        }
    }
    fn targets(&self, sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<Target>> {
        of_ifaces(sys, iface, |iface| instances(sys, iface).collect())
    }
    /// Which instance is at the position a host alone could say.
    fn owns(&self, target: &Target, locus: &Locus) -> bool {
        matches!((target, locus), (Target::Napi(i, _), Locus::Napi { iface, param, .. })
            if i == iface && param == self.0)
    }
    fn order(&self) -> Order {
        Order::Interrupts
    }
}

/// The ids of an interface's instances, rising: drivers make them in the order of their queues (`napi_hash_add`,
/// net/core/dev.c, counts up).
fn ids(sys: &dyn Sys, iface: &str) -> Reading<Vec<u32>> {
    query::napis(sys, iface).map(|all| {
        let mut ids: Vec<u32> = all.into_iter().map(|n| n.id).collect();
        ids.sort_unstable();
        ids
    })
}

fn instances(sys: &dyn Sys, iface: &str) -> impl Iterator<Item = Target> + use<> {
    let (count, iface) = (ids(sys, iface).into_value().unwrap_or_default().len(), iface.to_owned());
    (0..).take(count).map(move |n| Target::Napi(iface.clone(), n))
}

/// Files of the interface, each with the value of an instance that it overwrites: net/core/dev.h
/// (`netdev_set_gro_flush_timeout`, `netdev_set_defer_hard_irqs`), net/core/dev.c (`netif_set_threaded`).
const FILES: &[(&str, &str)] = &[
    ("gro_flush_timeout", "gro-flush-timeout"),
    ("napi_defer_hard_irqs", "defer-hard-irqs"),
    ("threaded", "threaded"),
];

/// What instances alone have.
const SUSPEND: &str = "irq-suspend-timeout";

/// The value of each instance that a file overwrites; `None` where it overwrites none.
pub(crate) fn param_of(file: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, _)| *name == file).map(|(_, param)| *param)
}

/// A wait of its own that an instance of the interface has, as text.
pub fn own_value(sys: &dyn Sys, iface: &str) -> Option<String> {
    let device = |file: &str| {
        let text = sys.read(&format!("{}{iface}/{file}", net_file::ROOT)).into_value()?;
        text.trim().parse::<u64>().ok()
    };
    let waits = FILES.iter().filter(|(_, param)| ["gro-flush-timeout", "defer-hard-irqs"].contains(param));
    let mut whole: Vec<(&str, u64)> = waits.filter_map(|(file, param)| Some((*param, device(file)?))).collect();
    // The device has none for all of them, and an instance begins without.
    whole.push((SUSPEND, 0));
    let all = query::napis(sys, iface).into_value().unwrap_or_default();
    all.into_iter().find_map(|query::Napi { id, values, .. }| {
        let own = whole.iter().find(|(param, whole)| values.get(*param).is_some_and(|v| v != whole));
        own.map(|(param, _)| format!("the own {param} of NAPI instance {id}"))
    })
}

/// The interface's own value.
#[derive(Debug)]
pub(crate) struct OfDevice<'a> {
    pub(crate) path: &'a str,
    pub(crate) iface: &'a str,
    /// The value of each instance that it overwrites.
    pub(crate) param: &'static str,
}

impl Kind for OfDevice<'_> {
    fn words(&self) -> String {
        self.path.to_owned()
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        text::read(sys, self.path)
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        text::line(self.path, set)
    }
    fn shown(&self) -> Option<String> {
        Some(text::shown(self.path))
    }
    fn undo(&self, was: &State) -> String {
        text::undo(self.path, was)
    }
    fn refused(&self, sys: &dyn Sys, _: &State) -> Option<String> {
        net_file::of_another_namespace(sys, self.iface)
    }
    /// Ending the threads of NAPI ends their affinity, priority and policy, and the threads that come with the rollback
    /// are new ones (`napi_kthread_create`, net/core/dev.c). Those that lowlat started itself go as they came.
    fn refused_at_first(&self, sys: &dyn Sys, set: &State) -> Option<String> {
        if self.param != "threaded" || set.to_string() != "0" {
            return None;
        }
        // proc_pid_comm(5): 15 bytes, until Linux 5.17 also of kernel threads.
        let name = format!("napi/{}-", self.iface);
        let name = name.get(..15).unwrap_or(&name);
        placed_thread(sys, |comm| comm.starts_with(name))
    }
    /// A kernel without values of their own reports none.
    fn beside(&self, sys: &dyn Sys) -> Result<Vec<Locus>, String> {
        match query::napis(sys, self.iface) {
            Reading::Value(all) => {
                let have = all.into_iter().filter(|napi| napi.values.contains_key(self.param));
                Ok(have.map(|n| of(self.iface, n.id, self.param)).collect())
            }
            Reading::Unsupported(_) | Reading::Absent(_) => Ok(Vec::new()),
            other => Err(text::not_known("what its NAPI instances have", &other)),
        }
    }
    fn may_change(&self, other: &Locus) -> bool {
        matches!(other, Locus::Napi { iface, param, .. } if iface == self.iface && param == self.param)
    }
}

/// One value of one instance.
fn of(iface: &str, id: u32, param: &str) -> Locus {
    Locus::Napi { iface: iface.to_owned(), id, param: param.to_owned() }
}

/// A thread of NAPI that somebody gave CPUs or a priority, as text.
fn placed_thread(sys: &dyn Sys, is: impl Fn(&str) -> bool) -> Option<String> {
    let as_made = placement(sys, "2")?;
    let pid = sys.list("/proc").into_value().unwrap_or_default().into_iter().find(|pid| {
        sys.read(&format!("/proc/{pid}/comm")).into_value().is_some_and(|comm| is(comm.trim_end()))
            && placement(sys, pid).as_ref() != Some(&as_made)
    })?;
    Some(format!("its thread {pid} was given CPUs or a priority, which would end with it"))
}

/// Allowed CPUs, nice value, real-time priority and policy (proc_pid_status(5); fields 19, 40 and 41 of
/// proc_pid_stat(5)). A kernel thread begins with those of kthreadd, process 2.
fn placement(sys: &dyn Sys, pid: &str) -> Option<Vec<String>> {
    let status = sys.read(&format!("/proc/{pid}/status")).into_value()?;
    let cpus = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"))?.trim().to_owned();
    let stat = sys.read(&format!("/proc/{pid}/stat")).into_value()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // The state, field 3, is the first of them.
    let field = |n: usize| fields.get(n - 3).map(|f| (*f).to_owned());
    Some(vec![cpus, field(19)?, field(40)?, field(41)?])
}

/// A value of one instance.
#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
    pub(crate) id: u32,
    pub(crate) param: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("{} of NAPI instance {} of {}", self.param, self.id, self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        let Self { iface, id, param } = self;
        query::napis(sys, iface).and_then(|all| match all.iter().find(|n| n.id == *id) {
            Some(napi) => match napi.values.get(*param) {
                Some(value) => Reading::Value(text::text(value)),
                None => Reading::Unsupported(format!("{param}: this kernel has no such value of a NAPI instance")),
            },
            // Of a link that is down none is shown, and what it was reported may come back with it
            // (`netdev_nl_napi_dump_one`, net/core/netdev-genl.c; `napi_restore_config`, net/core/dev.c).
            None if query::links(sys).value().is_some_and(|l| l.iter().any(|l| l.name == *iface && !l.up)) => {
                Reading::Unsupported(format!("{iface} is down, and its NAPI instances show only while it is up"))
            }
            None => Reading::Absent(format!("{iface} has no NAPI instance {id}")),
        })
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        Ok(Write::Napi { id: self.id, param: self.param.to_owned(), value: text::number(set)? })
    }
    /// No tool of the distributions sets it (ethtool 6.15; ynl is in the kernel's tree alone).
    fn undo(&self, was: &State) -> String {
        text::reported(&format!(
            "NAPI instance {} of {}: {} was {was}, which only lowlat rollback puts back",
            self.id, self.iface, self.param
        ))
    }
    fn undone_by_shell(&self) -> bool {
        false
    }
    /// As for the interface's own; kernels that have threads of single instances give them their whole name.
    fn refused_at_first(&self, sys: &dyn Sys, set: &State) -> Option<String> {
        let ends = self.param == "threaded" && set.to_string() == "0";
        ends.then(|| placed_thread(sys, |comm| comm == format!("napi/{}-{}", self.iface, self.id)))?
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Never { why: "no tool of the distributions sets a single NAPI instance" }
    }
}

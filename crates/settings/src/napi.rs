//! Values of NAPI: an interface's own, each a file of `/sys/class/net/IF/`, and those of each instance
//! (`NETDEV_CMD_NAPI_SET`, Linux 6.13), which a write of the interface's own overwrites.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

use crate::{AtBoot, Kind, Place, Write, net_file, text};

/// An interface's own value, by the name of its file.
#[derive(Debug)]
pub struct Device(pub &'static str);

impl Place for Device {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Iface(iface) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::File { path: format!("{}{iface}/{}", net_file::ROOT, self.0) }])
    }
    fn order(&self) -> Order {
        Order::Interrupts
    }
}

/// Files of the interface, each with the value of an instance that it overwrites: net/core/dev.h
/// (`netdev_set_gro_flush_timeout`, `netdev_set_defer_hard_irqs`), net/core/dev.c (`netif_set_threaded`).
const FILES: &[(&str, &str)] = &[
    ("gro_flush_timeout", "gro-flush-timeout"),
    ("napi_defer_hard_irqs", "defer-hard-irqs"),
    ("threaded", "threaded"),
];

/// The value of each instance that a file overwrites; `None` where it overwrites none.
pub(crate) fn param_of(file: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, _)| *name == file).map(|(_, param)| *param)
}

/// A wait of its own that an instance of the interface has, in words.
pub fn own_value(sys: &dyn Sys, iface: &str) -> Option<String> {
    let device = |file: &str| {
        let text = sys.read(&format!("{}{iface}/{file}", net_file::ROOT)).into_value()?;
        text.trim().parse::<u64>().ok()
    };
    let waits = FILES.iter().filter(|(_, param)| ["gro-flush-timeout", "defer-hard-irqs"].contains(param));
    let whole: Vec<(&str, u64)> = waits.filter_map(|(file, param)| Some((*param, device(file)?))).collect();
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
    fn undo(&self, was: &State) -> String {
        text::undo(self.path, was)
    }
    fn refused(&self, sys: &dyn Sys, _: &State) -> Option<String> {
        net_file::of_another_namespace(sys, self.iface)
    }
    /// Ending the threads of NAPI ends their affinity, priority and policy, and the threads that come with the way back
    /// are new ones (`napi_kthread_create`, net/core/dev.c). Those that lowlat started itself go as they came.
    fn refused_at_first(&self, sys: &dyn Sys, set: &State) -> Option<String> {
        if self.param != "threaded" || set.to_string() != "0" {
            return None;
        }
        let pid = placed_thread(sys, self.iface)?;
        Some(format!("its thread {pid} was given CPUs or a priority, which would end with it"))
    }
    /// A kernel without values of their own tells none.
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

/// A thread of the interface's NAPI that somebody gave CPUs or a priority.
fn placed_thread(sys: &dyn Sys, iface: &str) -> Option<String> {
    // proc_pid_comm(5): 15 bytes, until Linux 5.17 also of kernel threads.
    let name = format!("napi/{iface}-");
    let name = name.get(..15).unwrap_or(&name);
    let as_made = placement(sys, "2")?;
    sys.list("/proc").into_value().unwrap_or_default().into_iter().find(|pid| {
        let is = sys.read(&format!("/proc/{pid}/comm")).into_value().is_some_and(|comm| comm.starts_with(name));
        is && placement(sys, pid).as_ref() != Some(&as_made)
    })
}

/// Allowed CPUs, nice value, real-time priority and policy (proc_pid_status(5); fields 19, 40 and 41 of proc_pid_stat(5)).
/// A kernel thread begins with those of kthreadd, process 2.
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
            // Of a link that is down none is shown, and what it was told may come back with it (`netdev_nl_napi_dump_one`,
            // net/core/netdev-genl.c; `napi_restore_config`, net/core/dev.c).
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
        text::told(&format!(
            "NAPI instance {} of {}: {} was {was}, which only lowlat rollback puts back",
            self.id, self.iface, self.param
        ))
    }
    fn undone_by_shell(&self) -> bool {
        false
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Never { why: "no tool of the distributions sets a single NAPI instance" }
    }
}

//! Where a knob of the catalogue has its settings.

use std::fmt::Debug;

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::{NetQuery, Sys, query};

use crate::Part;

/// A knob's place, of one kind. The defaults are those of a setting that an interface has once.
pub trait Place: Debug + Sync {
    /// The loci at a target; none where the target is not one of its kind. As text, why this host has none.
    fn loci(&self, sys: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String>;

    /// Targets that may have it. `iface`: of that one alone.
    fn targets(&self, sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<Target>> {
        ifaces(sys, iface).map(|names| names.into_iter().map(Target::Iface).collect())
    }

    /// The value in force, where the locus holds the one after a reboot.
    fn in_force(&self, sys: &dyn Sys) -> Option<Reading<String>> {
        let _ = sys;
        None
    }

    /// Writes that have to go before its own; as text, why it may not be written.
    fn first(&self, sys: &dyn Sys, target: &Target) -> Result<Vec<Op>, String> {
        let _ = (sys, target);
        Ok(Vec::new())
    }

    /// Whether a write at this locus can be one of its own, or one of [`Place::first`], for that target; asks no host.
    fn owns(&self, target: &Target, locus: &Locus) -> bool {
        self.loci(&Blank, target).is_ok_and(|loci| loci.contains(locus))
    }

    /// The commands that undo its writes without lowlat.
    fn undo(&self, ops: &[Op], prior: &[State]) -> String {
        crate::undo_all(ops, prior)
    }

    /// When it is tried in a plan.
    fn order(&self) -> Order {
        Order::Last
    }

    /// The part of the driver that it sets; `None` where no driver has a say.
    fn part(&self) -> Option<Part> {
        None
    }

    /// Whether lowlat writes it anywhere.
    fn is_somewhere(&self) -> bool {
        true
    }
}

/// The place of what is explained only.
#[derive(Debug)]
pub struct Nowhere;

impl Place for Nowhere {
    fn loci(&self, _: &dyn Sys, _: &Target) -> Result<Vec<Locus>, String> {
        Ok(Vec::new())
    }
    fn is_somewhere(&self) -> bool {
        false
    }
}

/// The place of what an engine does for as long as it runs, in a part of the driver.
#[derive(Debug)]
pub struct ByEngine(pub Part);

impl Place for ByEngine {
    fn loci(&self, _: &dyn Sys, _: &Target) -> Result<Vec<Locus>, String> {
        Ok(Vec::new())
    }
    fn part(&self) -> Option<Part> {
        Some(self.0)
    }
    fn is_somewhere(&self) -> bool {
        false
    }
}

/// The one that is asked for, or all but the loopback.
pub(crate) fn ifaces(sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<String>> {
    match iface {
        Some(i) => Reading::Value(vec![i.to_owned()]),
        None => query::links(sys).map(|links| links.into_iter().map(|l| l.name).filter(|n| n != "lo").collect()),
    }
}

/// The targets of each interface.
pub(crate) fn of_ifaces(
    sys: &dyn Sys,
    iface: Option<&str>,
    each: impl Fn(&str) -> Vec<Target>,
) -> Reading<Vec<Target>> {
    ifaces(sys, iface).map(|names| names.iter().flat_map(|name| each(name)).collect())
}

/// The numbers of a directory's entries that begin so, rising.
pub(crate) fn numbered(sys: &dyn Sys, dir: &str, prefix: &str) -> Reading<Vec<u32>> {
    sys.list(dir).map(|names| {
        let mut n: Vec<u32> = names.iter().filter_map(|n| n.strip_prefix(prefix)?.parse().ok()).collect();
        n.sort_unstable();
        n
    })
}

/// A host that answers nothing: where only the shape of a place is asked for.
pub(crate) struct Blank;

impl Sys for Blank {
    fn read(&self, path: &str) -> Reading<String> {
        Reading::Absent(path.to_owned())
    }
    fn list(&self, path: &str) -> Reading<Vec<String>> {
        Reading::Absent(path.to_owned())
    }
    fn link_target(&self, path: &str) -> Reading<String> {
        Reading::Absent(path.to_owned())
    }
    // The type of the answer is the trait's.
    fn net(&self, query: &NetQuery) -> Reading<serde_json::Value> {
        Reading::Absent(query.name())
    }
    fn now_ns(&self) -> u64 {
        0
    }
    fn wait(&self, _: u64) {}
}

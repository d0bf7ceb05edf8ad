//! Ring sizes (`ETHTOOL_MSG_RINGS`): a number of entries.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

use crate::shell::quote;
use crate::{Asked, AtBoot, Kind, Part, Place, Write, text};

/// A ring: `rx`, `tx`.
#[derive(Debug)]
pub struct Ring(pub &'static str);

impl Place for Ring {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Iface(iface) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::Ring { iface: iface.clone(), param: self.0.to_owned() }])
    }
    fn order(&self) -> Order {
        Order::Queues
    }
    fn part(&self) -> Option<Part> {
        Some(Part::Ring)
    }
}

/// One ring of an interface.
#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
    pub(crate) param: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("ring {} of {}", self.param, self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        let all = query::rings(sys, self.iface);
        text::pick(all, self.param, &format!("ring of {}", self.iface)).map(|l| text::text(l.current))
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        Ok(Write::Ring { iface: self.iface.to_owned(), param: self.param.to_owned(), value: text::number(set)? })
    }
    fn shown(&self) -> Option<String> {
        Some(format!("ethtool -g {}", quote(self.iface)))
    }
    fn undo(&self, was: &State) -> String {
        format!("ethtool -G {} {} {}", quote(self.iface), quote(self.param), quote(&was.to_string()))
    }
    fn asked(&self, from: &State, to: &State) -> Vec<Asked<'_>> {
        Asked::all(Part::Ring, self.param, from, to)
    }
    /// The driver gets all sizes in one structure, and may adapt the others (include/linux/ethtool.h, `set_ringparam`).
    fn beside(&self, sys: &dyn Sys) -> Result<Vec<Locus>, String> {
        let others = text::others(&query::rings(sys, self.iface), self.param).into_iter();
        Ok(others.map(|param| Locus::Ring { iface: self.iface.to_owned(), param }).collect())
    }
    fn may_change(&self, other: &Locus) -> bool {
        matches!(other, Locus::Ring { iface, .. } if iface == self.iface)
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Command { resets: true }
    }
}

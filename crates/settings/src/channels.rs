//! Channel counts (`ETHTOOL_MSG_CHANNELS`): a number.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

use crate::shell::quote;
use crate::{Asked, AtBoot, Kind, Part, Place, Write, text};

/// A channel count: `combined`, `rx`, `tx`.
#[derive(Debug)]
pub struct Channels(pub &'static str);

impl Place for Channels {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Iface(iface) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::Channels { iface: iface.clone(), param: self.0.to_owned() }])
    }
    fn order(&self) -> Order {
        Order::Queues
    }
    fn part(&self) -> Option<Part> {
        Some(Part::Channels)
    }
}

/// One channel count of an interface.
#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
    pub(crate) param: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("channels {} of {}", self.param, self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        let all = query::channels(sys, self.iface);
        text::pick(all, self.param, &format!("channel count of {}", self.iface)).map(|l| text::text(l.current))
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        Ok(Write::Channels { iface: self.iface.to_owned(), param: self.param.to_owned(), value: text::number(set)? })
    }
    fn shown(&self) -> Option<String> {
        Some(format!("ethtool -l {}", quote(self.iface)))
    }
    fn undo(&self, was: &State) -> String {
        format!("ethtool -L {} {} {}", quote(self.iface), quote(self.param), quote(&was.to_string()))
    }
    fn asked(&self, from: &State, to: &State) -> Vec<Asked<'_>> {
        Asked::all(Part::Channels, self.param, from, to)
    }
    /// The driver gets all counts in one structure, and may adapt the others (include/linux/ethtool.h, `set_channels`).
    fn beside(&self, sys: &dyn Sys) -> Result<Vec<Locus>, String> {
        let others = text::others(&query::channels(sys, self.iface), self.param).into_iter();
        Ok(others.map(|param| Locus::Channels { iface: self.iface.to_owned(), param }).collect())
    }
    fn may_change(&self, other: &Locus) -> bool {
        matches!(other, Locus::Channels { iface, .. } if iface == self.iface)
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Command { resets: true }
    }
}

//! Energy-efficient Ethernet (`ETHTOOL_MSG_EEE`): `on` or `off`.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

use crate::shell::quote;
use crate::{Asked, AtBoot, Kind, Part, Place, Write, text};

/// The switch.
#[derive(Debug)]
pub struct Eee;

impl Place for Eee {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Iface(iface) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::Eee { iface: iface.clone() }])
    }
    fn order(&self) -> Order {
        Order::Link
    }
    fn part(&self) -> Option<Part> {
        Some(Part::Eee)
    }
}

/// The switch of an interface.
#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("energy-efficient ethernet of {}", self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        text::pick(query::eee(sys, self.iface), "enabled", &format!("EEE setting of {}", self.iface)).map(text::switch)
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        Ok(Write::Eee { iface: self.iface.to_owned(), on: text::on(text::plain(set)?)? })
    }
    fn shown(&self) -> Option<String> {
        Some(format!("ethtool --show-eee {}", quote(self.iface)))
    }
    fn undo(&self, was: &State) -> String {
        format!("ethtool --set-eee {} eee {}", quote(self.iface), quote(&was.to_string()))
    }
    fn asked(&self, from: &State, to: &State) -> Vec<Asked<'_>> {
        Asked::all(Part::Eee, "", from, to)
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Command { resets: true }
    }
}

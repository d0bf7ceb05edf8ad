//! Private flags of a driver (`ETHTOOL_MSG_PRIVFLAGS`): `on` or `off`.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

use crate::shell::quote;
use crate::{Asked, AtBoot, Kind, Part, Place, Write, text};

/// A flag by the driver's name for it.
#[derive(Debug)]
pub struct Flag(pub &'static str);

impl Place for Flag {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Iface(iface) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::PrivateFlag { iface: iface.clone(), name: self.0.to_owned() }])
    }
    fn order(&self) -> Order {
        Order::Interrupts
    }
    fn part(&self) -> Option<Part> {
        Some(Part::PrivateFlag)
    }
}

/// One flag of an interface.
#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
    pub(crate) name: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("private flag {} of {}", self.name, self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        let all = query::private_flags(sys, self.iface);
        text::pick(all, self.name, &format!("private flag of {}", self.iface)).map(text::switch)
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        let on = text::on(text::plain(set)?)?;
        Ok(Write::PrivateFlag { iface: self.iface.to_owned(), name: self.name.to_owned(), on })
    }
    fn shown(&self) -> Option<String> {
        Some(format!("ethtool --show-priv-flags {}", quote(self.iface)))
    }
    fn undo(&self, was: &State) -> String {
        format!("ethtool --set-priv-flags {} {} {}", quote(self.iface), quote(self.name), quote(&was.to_string()))
    }
    fn asked(&self, from: &State, to: &State) -> Vec<Asked<'_>> {
        Asked::all(Part::PrivateFlag, self.name, from, to)
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Command { resets: true }
    }
}

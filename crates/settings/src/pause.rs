//! Pause (`ETHTOOL_MSG_PAUSE`): `on` or `off`.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::{Sys, query};

use crate::shell::quote;
use crate::{Asked, Kind, Part, Place, Write, text};

/// Parameters that are set together.
#[derive(Debug)]
pub struct Pause(pub &'static [&'static str]);

impl Place for Pause {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Iface(iface) = target else { return Ok(Vec::new()) };
        Ok(self.0.iter().map(|p| Locus::Pause { iface: iface.clone(), param: (*p).to_owned() }).collect())
    }
    /// What was negotiated stays, whatever is asked, until the negotiation of pause is off (ethtool(8), `-A`;
    /// drivers/net/ethernet/intel/igb/igb_ethtool.c, `igb_set_pauseparam`).
    fn first(&self, sys: &dyn Sys, target: &Target) -> Result<Vec<Op>, String> {
        let Target::Iface(iface) = target else { return Ok(Vec::new()) };
        let negotiated = query::pause(sys, iface).value().and_then(|p| p.get("autoneg")) == Some(&true);
        let autoneg = || Op::text(Locus::Pause { iface: iface.clone(), param: AUTONEG.to_owned() }, "off");
        Ok(negotiated.then(autoneg).into_iter().collect())
    }
    fn owns(&self, target: &Target, locus: &Locus) -> bool {
        matches!((target, locus), (Target::Iface(i), Locus::Pause { iface, param })
            if i == iface && (self.0.contains(&param.as_str()) || param == AUTONEG))
    }
    fn order(&self) -> Order {
        Order::Link
    }
    fn part(&self) -> Option<Part> {
        Some(Part::Pause)
    }
}

const AUTONEG: &str = "autoneg";

/// One parameter of an interface.
#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
    pub(crate) param: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("pause {} of {}", self.param, self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        text::pick(query::pause(sys, self.iface), self.param, &format!("pause setting of {}", self.iface))
            .map(text::switch)
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        let on = text::on(text::plain(set)?)?;
        Ok(Write::Pause { iface: self.iface.to_owned(), param: self.param.to_owned(), on })
    }
    fn shown(&self) -> Option<String> {
        Some(format!("ethtool -a {}", quote(self.iface)))
    }
    fn undo(&self, was: &State) -> String {
        format!("ethtool -A {} {} {}", quote(self.iface), quote(self.param), quote(&was.to_string()))
    }
    fn asked(&self, from: &State, to: &State) -> Vec<Asked<'_>> {
        Asked::all(Part::Pause, self.param, from, to)
    }
    /// The driver gets all of them in one structure, and may adapt the others (include/linux/ethtool.h,
    /// `set_pauseparam`). What is sent and taken under negotiation is the negotiation's answer and no setting: e1000e
    /// on 7.3 says another one after each (measured), and nothing written brings the former back.
    fn beside(&self, sys: &dyn Sys) -> Result<Vec<Locus>, String> {
        if self.param == AUTONEG {
            return Ok(Vec::new());
        }
        let others = text::others(&query::pause(sys, self.iface), self.param).into_iter();
        Ok(others.map(|param| Locus::Pause { iface: self.iface.to_owned(), param }).collect())
    }
    fn may_change(&self, other: &Locus) -> bool {
        matches!(other, Locus::Pause { iface, .. } if iface == self.iface)
    }
}

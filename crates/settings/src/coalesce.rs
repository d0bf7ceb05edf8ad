//! Coalescing parameters (`ETHTOOL_MSG_COALESCE`): a number; booleans are 0 and 1.
//!
//! Parameters of one interface go out in one request: drivers check them against each other. i40e takes another delay
//! beside `adaptive-rx 0` and refuses it alone while its moderation is adaptive (`__i40e_set_coalesce`,
//! drivers/net/ethernet/intel/i40e/i40e_ethtool.c, Linux 6.12); delay and frames that are both 0 would never interrupt
//! (include/uapi/linux/ethtool.h, `struct ethtool_coalesce`).

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::{Sys, query};

use crate::shell::quote;
use crate::{Asked, Kind, Part, Place, Write, text};

/// A parameter. Fixed microseconds need adaptive moderation of that direction off first.
#[derive(Debug)]
pub struct Param(pub &'static str);

impl Param {
    /// What has to be off before it acts: `adaptive-rx` of `rx-usecs`.
    fn adaptive(&self) -> Option<String> {
        self.0.strip_suffix("-usecs").map(|direction| format!("adaptive-{direction}"))
    }
}

impl Place for Param {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Iface(iface) = target else { return Ok(Vec::new()) };
        Ok(vec![of(iface, self.0)])
    }
    /// A driver that moderates adaptively overwrites a fixed value on its own (networking/net_dim.rst).
    fn first(&self, sys: &dyn Sys, target: &Target) -> Result<Vec<Op>, String> {
        let (Target::Iface(iface), Some(adaptive)) = (target, self.adaptive()) else { return Ok(Vec::new()) };
        let adaptive = of(iface, &adaptive);
        let is_on = crate::state(sys, &adaptive) == Reading::Value(State::Text("1".to_owned()));
        Ok(is_on.then(|| Op::text(adaptive, "0")).into_iter().collect())
    }
    fn owns(&self, target: &Target, locus: &Locus) -> bool {
        matches!((target, locus), (Target::Iface(i), Locus::Coalesce { iface, param })
            if i == iface && (param == self.0 || self.adaptive().as_ref() == Some(param)))
    }
    fn order(&self) -> Order {
        Order::Interrupts
    }
    fn part(&self) -> Option<Part> {
        Some(Part::Coalesce)
    }
}

fn of(iface: &str, param: &str) -> Locus {
    Locus::Coalesce { iface: iface.to_owned(), param: param.to_owned() }
}

/// All that an interface's driver offers.
pub fn all_of(sys: &dyn Sys, iface: &str) -> Vec<Locus> {
    query::coalesce(sys, iface).into_value().unwrap_or_default().keys().map(|param| of(iface, param)).collect()
}

/// One parameter of an interface.
#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
    pub(crate) param: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("coalescing {} of {}", self.param, self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        let all = query::coalesce(sys, self.iface);
        text::pick(all, self.param, &format!("coalescing parameter of {}", self.iface)).map(text::text)
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        let values = vec![(self.param.to_owned(), text::number(set)?)];
        Ok(Write::Coalesce { iface: self.iface.to_owned(), values })
    }
    fn shown(&self) -> Option<String> {
        Some(format!("ethtool -c {}", quote(self.iface)))
    }
    fn undo(&self, was: &State) -> String {
        format!("ethtool -C {} {}", quote(self.iface), as_ethtool(self.param, &was.to_string()))
    }
    fn undo_together(&self, places: &[(&Locus, &State)]) -> Option<String> {
        let words = places.iter().map(|(locus, state)| match locus {
            Locus::Coalesce { param, .. } => Some(as_ethtool(param, &state.to_string())),
            _ => None,
        });
        Some(format!("ethtool -C {} {}", quote(self.iface), words.collect::<Option<Vec<_>>>()?.join(" ")))
    }
    fn asked(&self, from: &State, to: &State) -> Vec<Asked<'_>> {
        Asked::all(Part::Coalesce, self.param, from, to)
    }
    /// The driver gets all of them in one structure, and may adapt the others (include/linux/ethtool.h,
    /// `set_coalesce`).
    fn beside(&self, sys: &dyn Sys) -> Result<Vec<Locus>, String> {
        let others = text::others(&query::coalesce(sys, self.iface), self.param).into_iter();
        Ok(others.map(|param| Locus::Coalesce { iface: self.iface.to_owned(), param }).collect())
    }
    fn may_change(&self, other: &Locus) -> bool {
        self.together(other)
    }
    fn together(&self, other: &Locus) -> bool {
        matches!(other, Locus::Coalesce { iface, .. } if iface == self.iface)
    }
}

/// A parameter as `ethtool -C` takes it.
pub(crate) fn as_ethtool(param: &str, text: &str) -> String {
    let value = match (param, text) {
        ("adaptive-rx" | "adaptive-tx", "0") => "off",
        ("adaptive-rx" | "adaptive-tx", "1") => "on",
        (_, other) => other,
    };
    format!("{} {}", quote(param), quote(value))
}

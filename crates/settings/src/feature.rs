//! Offload features (`ETHTOOL_MSG_FEATURES`): `on` or `off`, followed by `[requested on]` or `[requested off]` where
//! another setting keeps it from what was asked for.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

use crate::shell::quote;
use crate::{Asked, Kind, Part, Place, Write, text};

/// Features that are set together: those of them that the device has and lets change.
#[derive(Debug)]
pub struct Features(pub &'static [&'static str]);

impl Place for Features {
    fn loci(&self, sys: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Iface(iface) = target else { return Ok(Vec::new()) };
        let have = query::features(sys, iface);
        let Reading::Value(have) = &have else {
            let (kind, why) = have.why_not().unwrap_or(("garbled", ""));
            return Err(format!("the features of {iface} are {kind}: {why}"));
        };
        let mine = self.0.iter().filter(|n| have.get(**n).is_some_and(|f| f.changeable));
        let loci: Vec<Locus> = mine.map(|n| Locus::Feature { iface: iface.clone(), name: (*n).to_owned() }).collect();
        if loci.is_empty() {
            Err(format!("{iface} has no feature {} that may be changed", self.0.join(", ")))
        } else {
            Ok(loci)
        }
    }
    fn owns(&self, target: &Target, locus: &Locus) -> bool {
        matches!((target, locus), (Target::Iface(i), Locus::Feature { iface, name })
            if i == iface && self.0.contains(&name.as_str()))
    }
    fn order(&self) -> Order {
        // Filters say which queue, and so which CPU, a flow goes to.
        if self.0.contains(&NTUPLE) { Order::Placement } else { Order::Interrupts }
    }
    fn part(&self) -> Option<Part> {
        Some(Part::Feature)
    }
}

const NTUPLE: &str = "rx-ntuple-filter";
const LRO: &str = "rx-lro";

/// One feature of an interface.
#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
    pub(crate) name: &'a str,
}

/// Only the wish is written; whether it comes true is the kernel's.
fn wish(text: &str) -> &str {
    text.split_once(" [requested ").map_or(text.trim(), |(_, wish)| wish.trim_end_matches(']'))
}

fn in_force(state: &State) -> Option<String> {
    state.to_string().split(' ').next().map(str::to_owned)
}

/// As `ethtool -k` prints it. The wish stays with the device, and comes true with whatever change lets it
/// (`__netdev_update_features`, net/core/dev.c), so it is part of the state.
fn as_printed(active: bool, wanted: Option<bool>) -> State {
    let word = |on: bool| if on { "on" } else { "off" };
    match wanted {
        Some(wanted) if wanted != active => State::Text(format!("{} [requested {}]", word(active), word(wanted))),
        _ => text::switch(active),
    }
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("feature {} of {}", self.name, self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        let (all, wanted) = (query::features(sys, self.iface), query::wanted_features(sys, self.iface));
        text::pick(all, self.name, &format!("feature of {}", self.iface))
            .map(|f| as_printed(f.active, wanted.value().and_then(|w| w.get(self.name)).copied()))
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        let on = text::on(wish(text::plain(set)?))?;
        Ok(Write::Feature { iface: self.iface.to_owned(), name: self.name.to_owned(), on })
    }
    fn shown(&self) -> Option<String> {
        Some(format!("ethtool -k {}", quote(self.iface)))
    }
    fn undo(&self, was: &State) -> String {
        format!("ethtool -K {} {} {}", quote(self.iface), quote(self.name), quote(wish(&was.to_string())))
    }
    /// A feature of TCP segmentation comes only with the plain one (`netdev_fix_features`, net/core/dev.c), and ethtool
    /// fails for what does not come.
    fn undone_at_once(&self, other: &Locus) -> bool {
        matches!(other, Locus::Feature { iface, .. } if iface == self.iface)
    }
    fn undo_together(&self, places: &[(&Locus, &State)]) -> Option<String> {
        let words = places.iter().map(|(locus, state)| match locus {
            Locus::Feature { name, .. } => Some(format!("{} {}", quote(name), quote(wish(&state.to_string())))),
            _ => None,
        });
        Some(format!("ethtool -K {} {}", quote(self.iface), words.collect::<Option<Vec<_>>>()?.join(" ")))
    }
    /// A feature that another setting keeps from coming keeps the wish: that alone is not an effect.
    fn acted(&self, set: &State, now: &State, prior: &State) -> bool {
        let differs = now != prior && !self.same(now, prior);
        differs && (in_force(now) != in_force(prior) || in_force(now) == in_force(set))
    }
    fn asked(&self, from: &State, to: &State) -> Vec<Asked<'_>> {
        Asked::all(Part::Feature, self.name, from, to)
    }
    /// Drivers drop the receive flow rules with the feature that carries them (`igb_set_features`,
    /// `ixgbe_set_features`), and lowlat cannot put a rule back.
    fn refused(&self, sys: &dyn Sys, set: &State) -> Option<String> {
        if self.name != NTUPLE || set.to_string() != "off" {
            return None;
        }
        let n = query::flow_rules(sys, self.iface).into_value().filter(|n| *n > 0)?;
        let iface = self.iface;
        Some(format!(
            "{iface} has {n} receive flow rules, which would be lost; remove them first (`ethtool -n {iface}`)"
        ))
    }
    fn forced_back(&self) -> bool {
        true
    }
    /// One feature may stand in another's way (`netdev_fix_features`, net/core/dev.c), and large receive offload of a
    /// bridge, bond or VLAN device is also taken from the devices below it (`netdev_sync_lower_features`), where it
    /// does not return.
    fn beside(&self, sys: &dyn Sys) -> Result<Vec<Locus>, String> {
        let mut places = changeable(sys, self.iface, |n| n != self.name);
        if self.name == LRO {
            let entries = sys.list(&format!("/sys/class/net/{}", self.iface)).into_value().unwrap_or_default();
            for lower in entries.iter().filter_map(|e| e.strip_prefix("lower_")) {
                places.extend(changeable(sys, lower, |n| n == self.name));
            }
        }
        Ok(places)
    }
    fn may_change(&self, other: &Locus) -> bool {
        matches!(other, Locus::Feature { iface, name }
            if iface == self.iface || (self.name == LRO && name == self.name))
    }
}

fn changeable(sys: &dyn Sys, iface: &str, wanted: impl Fn(&str) -> bool) -> Vec<Locus> {
    let have = query::features(sys, iface).into_value().unwrap_or_default();
    let changeable = have.into_iter().filter(|(n, f)| f.changeable && wanted(n));
    changeable.map(|(name, _)| Locus::Feature { iface: iface.to_owned(), name }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_takes_no_number() {
        let gro = At { iface: "lo", name: "rx-gro" };
        assert!(gro.write(&State::Text("1".into())).is_err());
        let wished = gro.write(&State::Text("off [requested on]".into()));
        assert!(matches!(wished, Ok(Write::Feature { on: true, .. })));
    }
}

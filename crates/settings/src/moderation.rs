//! How a device moderates the interrupts of one direction, whole: `adaptive-rx=0 rx-usecs=8 rx-frames=128`, of which
//! those that the driver offers. A write names what it changes, in one message (`ETHTOOL_MSG_COALESCE`): drivers check
//! delay, packets and adaptive mode against each other.

use std::collections::BTreeMap;

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

use crate::coalesce::as_ethtool;
use crate::shell::quote;
use crate::{Asked, Kind, Part, Place, Write, text};

/// A direction: `rx`, `tx`.
#[derive(Debug)]
pub struct Direction(pub &'static str);

impl Place for Direction {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Iface(iface) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::Moderation { iface: iface.clone(), direction: self.0.to_owned() }])
    }
    fn order(&self) -> Order {
        Order::Interrupts
    }
    fn part(&self) -> Option<Part> {
        Some(Part::Coalesce)
    }
}

/// The parameters of a direction, in the order in which they are reported.
fn params(direction: &str) -> [&'static str; 3] {
    if direction == "tx" { ["adaptive-tx", "tx-usecs", "tx-frames"] } else { ["adaptive-rx", "rx-usecs", "rx-frames"] }
}

/// The state that a value asks for; as text, why it is none.
pub fn encode(direction: &str, want: &str) -> Result<State, String> {
    let form =
        || format!("it takes {} with numbers, or some of them", params(direction).map(|p| format!("{p}=N")).join(" "));
    let named = pairs(direction, want).ok_or_else(form)?;
    if named.is_empty() {
        return Err(form());
    }
    let value = |name: &str| named.get(name).copied();
    let [adaptive, usecs, frames] = params(direction);
    if value(adaptive).is_some_and(|on| on > 1) {
        return Err(format!("{adaptive} is 0 or 1"));
    }
    // No interrupt would ever come (include/uapi/linux/ethtool.h, `struct ethtool_coalesce`).
    if value(usecs) == Some(0) && value(frames) == Some(0) {
        return Err(format!("{usecs} and {frames} are not both 0"));
    }
    Ok(print(direction, |name| value(name)))
}

/// Parameter and number, each at most once; `None` where a word is no such pair.
fn pairs(direction: &str, text: &str) -> Option<BTreeMap<&'static str, u32>> {
    let mut all = BTreeMap::new();
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=')?;
        let name = params(direction).into_iter().find(|p| *p == name)?;
        if all.insert(name, value.parse().ok()?).is_some() {
            return None;
        }
    }
    Some(all)
}

fn print(direction: &str, value: impl Fn(&str) -> Option<u32>) -> State {
    let each = params(direction).into_iter().filter_map(|name| Some(format!("{name}={}", value(name)?)));
    State::Text(each.collect::<Vec<_>>().join(" "))
}

/// One direction of an interface.
#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
    pub(crate) direction: &'a str,
}

impl At<'_> {
    fn pairs(&self, state: &State) -> Option<BTreeMap<&'static str, u32>> {
        pairs(self.direction, text::plain(state).ok()?)
    }
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("{} coalescing of {}", self.direction, self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        query::coalesce(sys, self.iface).and_then(|all| match print(self.direction, |name| all.get(name).copied()) {
            State::Text(none) if none.is_empty() => {
                Reading::Unsupported(format!("the driver of {} moderates no {} interrupts", self.iface, self.direction))
            }
            state => Reading::Value(state),
        })
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        let named = self.pairs(set).filter(|p| !p.is_empty()).ok_or("it takes parameters with numbers")?;
        let values = named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Write::Coalesce { iface: self.iface.to_owned(), values })
    }
    fn shown(&self) -> Option<String> {
        Some(format!("ethtool -c {}", quote(self.iface)))
    }
    fn undo(&self, was: &State) -> String {
        let was = self.pairs(was).unwrap_or_default();
        let each =
            params(self.direction).into_iter().filter_map(|name| Some(as_ethtool(name, &was.get(name)?.to_string())));
        format!("ethtool -C {} {}", quote(self.iface), each.collect::<Vec<_>>().join(" "))
    }
    /// What one of the two does not name it does not ask for.
    fn same(&self, a: &State, b: &State) -> bool {
        let (Some(a), Some(b)) = (self.pairs(a), self.pairs(b)) else { return text::same(a, b) };
        let (few, many) = if a.len() < b.len() { (&a, &b) } else { (&b, &a) };
        !few.is_empty() && few.iter().all(|(name, value)| many.get(name) == Some(value))
    }
    fn asked(&self, from: &State, to: &State) -> Vec<Asked<'_>> {
        let (from, to) = (self.pairs(from).unwrap_or_default(), self.pairs(to).unwrap_or_default());
        let text = |value: Option<&u32>| value.map(ToString::to_string).unwrap_or_default();
        let changes = to.iter().filter(|(name, value)| from.get(*name) != Some(value));
        let asked = |(name, value): (&&'static str, &u32)| Asked {
            part: Part::Coalesce,
            name,
            from: text(from.get(name)),
            to: value.to_string(),
        };
        changes.map(asked).collect()
    }
    /// The driver gets all of them in one structure, and may adapt the others (include/linux/ethtool.h,
    /// `set_coalesce`).
    fn beside(&self, sys: &dyn Sys) -> Result<Vec<Locus>, String> {
        let own = params(self.direction);
        let all = query::coalesce(sys, self.iface).into_value().unwrap_or_default().into_keys();
        let others = all.filter(|param| !own.contains(&param.as_str()));
        Ok(others.map(|param| Locus::Coalesce { iface: self.iface.to_owned(), param }).collect())
    }
    fn may_change(&self, other: &Locus) -> bool {
        matches!(other, Locus::Coalesce { iface, .. } if iface == self.iface)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RX: At<'_> = At { iface: "eth0", direction: "rx" };

    fn state(text: &str) -> State {
        State::Text(text.to_owned())
    }

    #[test]
    fn one_message_holds_what_is_named_and_nothing_else() {
        let set = encode("rx", "rx-frames=1 rx-usecs=0").unwrap();
        assert_eq!(set, state("rx-usecs=0 rx-frames=1"));
        let values = vec![("rx-frames".to_owned(), 1), ("rx-usecs".to_owned(), 0)];
        assert_eq!(RX.write(&set), Ok(Write::Coalesce { iface: "eth0".into(), values }));
        for bad in [
            "",
            "rx-usecs",
            "rx-usecs=x",
            "tx-usecs=1",
            "rx-usecs=1 rx-usecs=2",
            "adaptive-rx=2",
            "rx-usecs=0 rx-frames=0",
        ] {
            assert!(encode("rx", bad).is_err(), "{bad:?} was taken");
        }
        assert!(RX.write(&state("")).is_err());
    }

    #[test]
    fn what_a_write_does_not_name_it_does_not_compare() {
        let now = state("adaptive-rx=0 rx-usecs=0 rx-frames=1");
        assert!(RX.same(&now, &state("rx-usecs=0 rx-frames=1")) && RX.same(&state("rx-usecs=0"), &now));
        assert!(!RX.same(&now, &state("rx-usecs=8")));
        assert!(!RX.same(&state("rx-usecs=0"), &state("rx-frames=1")));
    }

    #[test]
    fn the_rollback_is_one_command_and_a_driver_is_asked_for_each_change() {
        let was = state("adaptive-rx=1 rx-usecs=8 rx-frames=128");
        assert_eq!(RX.undo(&was), "ethtool -C eth0 adaptive-rx on rx-usecs 8 rx-frames 128");
        let to = state("adaptive-rx=0 rx-usecs=8");
        let asked: Vec<_> = RX.asked(&was, &to).into_iter().map(|a| (a.name, a.from, a.to)).collect();
        assert_eq!(asked, [("adaptive-rx", "1".to_owned(), "0".to_owned())]);
    }
}

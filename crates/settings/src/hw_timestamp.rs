//! Hardware time stamping (`SIOCSHWTSTAMP`): `tx=N rx=N`.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

use crate::shell::quote;
use crate::{Asked, Kind, Part, Place, Write, text};

/// The mode.
#[derive(Debug)]
pub struct StampingMode;

impl Place for StampingMode {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Iface(iface) = target else { return Ok(Vec::new()) };
        Ok(vec![of(iface)])
    }
    fn order(&self) -> Order {
        Order::Interrupts
    }
    fn part(&self) -> Option<Part> {
        Some(Part::HwTimestamp)
    }
}

/// The mode of an interface.
pub fn of(iface: &str) -> Locus {
    Locus::HwTimestamp { iface: iface.to_owned() }
}

#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("hardware timestamping of {}", self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        query::hw_timestamp(sys, self.iface).map(|h| {
            let get = |k| h.get(k).copied().unwrap_or(0);
            State::Text(format!("tx={} rx={}", get("tx"), get("rx")))
        })
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        let (tx, rx) = mode(text::plain(set)?).ok_or("it takes tx=N rx=N")?;
        Ok(Write::HwTimestamp { iface: self.iface.to_owned(), tx, rx })
    }
    fn undo(&self, was: &State) -> String {
        let text = was.to_string();
        let field = |key: &str| text.split_whitespace().find_map(|w| w.strip_prefix(key)).unwrap_or("0").to_owned();
        format!("hwstamp_ctl -i {} -t {} -r {}", quote(self.iface), quote(&field("tx=")), quote(&field("rx=")))
    }
    fn asked(&self, from: &State, to: &State) -> Vec<Asked<'_>> {
        Asked::all(Part::HwTimestamp, "", from, to)
    }
}

/// `tx=1 rx=0`.
fn mode(text: &str) -> Option<(u32, u32)> {
    let (mut tx, mut rx) = (None, None);
    for word in text.split_whitespace() {
        match word.split_once('=')? {
            ("tx", n) => tx = Some(n.parse().ok()?),
            ("rx", n) => rx = Some(n.parse().ok()?),
            _ => return None,
        }
    }
    Some((tx?, rx?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stamping_mode_is_whole_or_refused() {
        assert_eq!(mode("tx=1 rx=12"), Some((1, 12)));
        for bad in ["", "tx=1", "tx=1 rx=x", "on", "tx=1 rx=1 z=1"] {
            assert_eq!(mode(bad), None, "{bad:?} was taken");
        }
    }
}

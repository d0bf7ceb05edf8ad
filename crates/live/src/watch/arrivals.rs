//! The stamps of the datagrams of the watched ports.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lowlat_model::watch::{ArrivalShape, WatchCost};
use lowlat_model::{NotSeen, Reading};
use lowlat_os::clock;
use lowlat_sys::{Tap, Tapped};
use lowlat_watch::ArrivalFold;

use super::WatchAsk;

/// A tap with what came so far.
#[derive(Debug)]
pub(super) struct Arrivals {
    tap: Tap,
    peer: Option<IpAddr>,
    ports: BTreeSet<u16>,
    folds: BTreeMap<u16, ArrivalFold>,
    packets: u64,
    overruns: u64,
    began_realtime_ns: u64,
    too_many: bool,
}

fn unseen(why: String) -> NotSeen {
    NotSeen { fact: "how datagrams arrive".to_owned(), why }
}

impl Arrivals {
    /// Begins to look at these ports.
    pub(super) fn begin(ask: &WatchAsk, ports: &BTreeSet<u16>) -> Result<Self, NotSeen> {
        let first: Vec<u16> = ports.iter().copied().collect();
        match Tap::open(Tapped::Udp, ask.pid, &first) {
            Reading::Value(tap) => Ok(Self {
                tap,
                peer: ask.peer,
                ports: ports.clone(),
                folds: BTreeMap::new(),
                packets: 0,
                overruns: 0,
                began_realtime_ns: clock::realtime(),
                too_many: ports.len() > Tap::MOST_PORTS,
            }),
            other => {
                let (kind, why) = other.why_not().unwrap_or_default();
                Err(unseen(format!("{kind}: {why}")))
            }
        }
    }

    /// Looks at these ports too.
    pub(super) fn look_at(&mut self, ports: &BTreeSet<u16>) -> Result<(), NotSeen> {
        if ports.is_subset(&self.ports) {
            return Ok(());
        }
        self.ports.extend(ports);
        self.too_many = self.ports.len() > Tap::MOST_PORTS;
        let all: Vec<u16> = self.ports.iter().copied().collect();
        self.tap.look_at(&all).map_err(|e| unseen(format!("unsupported: change the filter of a packet socket: {e}")))
    }

    /// Takes what has come; `gap` hears of each datagram's port, its time on the kernel's monotonic clock, and the time since
    /// the one before.
    pub(super) fn drain(&mut self, gap: &mut dyn FnMut(u16, u64, u64)) -> Result<(), NotSeen> {
        let (folds, packets, peer) = (&mut self.folds, &mut self.packets, self.peer);
        let monotonic = clock::monotonic().wrapping_sub(clock::realtime());
        let drained = self.tap.drain(&mut |d| {
            *packets += 1;
            if peer.is_none_or(|p| p.to_canonical() == d.from.to_canonical()) {
                let since = folds.entry(d.port).or_default().take(d.at_realtime_ns, u64::from(d.bytes));
                if let Some(since) = since {
                    gap(d.port, d.at_realtime_ns.wrapping_add(monotonic), since);
                }
            }
        });
        self.overruns += self.tap.overruns();
        drained.map_err(|e| unseen(format!("garbled: read a packet socket: {e}")))
    }

    /// The shapes.
    pub(super) fn finish(mut self, cost: &mut WatchCost, not_seen: &mut Vec<NotSeen>) -> Vec<ArrivalShape> {
        not_seen.extend(self.drain(&mut |_, _, _| {}).err());
        (cost.tapped_packets, cost.tap_overruns) = (self.packets, self.overruns);
        if self.too_many {
            let why = format!(
                "unsupported: {} ports are more than the {} that are looked at",
                self.ports.len(),
                Tap::MOST_PORTS
            );
            not_seen.push(NotSeen { fact: "how datagrams arrive at the other ports".to_owned(), why });
        }
        let began = self.began_realtime_ns;
        self.folds.into_iter().map(|(port, fold)| fold.finish(port, began)).collect()
    }
}

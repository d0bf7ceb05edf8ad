//! What a link and its queues are, and what has changed: how a reset that no driver announced is noticed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Reading;
use crate::tune::Resets;

/// The watched interfaces at one moment, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkState {
    /// Each interface that was asked for, whether or not it is there.
    pub interfaces: BTreeMap<String, InterfaceState>,
}

/// One interface. Each field is an answer of its own, so that what cannot be read is never taken for a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InterfaceState {
    /// Its index; a device that was unregistered and came back has another one.
    pub index: Reading<u32>,
    /// How often the carrier changed (`carrier_changes`): a link that goes down and up adds 2.
    pub carrier_changes: Reading<u64>,
    /// `up`, `down`, `unknown`, …
    pub operstate: Reading<String>,
    /// Transmit timeouts of all queues together (`queues/tx-N/tx_timeout`).
    pub tx_timeouts: Reading<u64>,
    /// Receive queues.
    pub rx_queues: Reading<u32>,
    /// Transmit queues.
    pub tx_queues: Reading<u32>,
    /// NAPI ids, ascending: the kernel numbers an instance when it is registered, so new ids are new queues (Linux
    /// 6.8).
    pub napi_ids: Reading<Vec<u32>>,
    /// Interrupt numbers, ascending: new numbers are new vectors.
    pub irqs: Reading<Vec<u32>>,
}

/// What changed on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkChangeKind {
    /// It is no longer there.
    Gone,
    /// Another device has its name.
    Replaced,
    /// The carrier went and came, or went, or came.
    Carrier,
    /// Its operational state is another.
    Operstate,
    /// A transmit queue stood still until the kernel's watchdog came.
    TxTimeout,
    /// It has another number of queues.
    QueueCount,
    /// Its queues are new ones.
    QueuesAnew,
    /// Its interrupts are new ones.
    InterruptsAnew,
}

impl LinkChangeKind {
    /// What such a change is a reset of.
    pub fn resets(self) -> Resets {
        match self {
            Self::Gone | Self::Replaced | Self::Carrier | Self::Operstate | Self::TxTimeout => Resets::Link,
            Self::QueueCount | Self::QueuesAnew | Self::InterruptsAnew => Resets::Queues,
        }
    }
}

/// One change between two moments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkChange {
    /// Which interface.
    pub iface: String,
    /// What changed.
    pub what: LinkChangeKind,
    /// Before, as it was read.
    pub from: String,
    /// After.
    pub to: String,
}

impl LinkChange {
    /// Whether this is more than was announced: a step that resets the queues may make them anew, and only one that
    /// resets the link may take the carrier off.
    pub fn beyond(&self, announced: Resets) -> bool {
        self.what.resets() > announced
    }
}

impl fmt::Display for LinkChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { iface, from, to, .. } = self;
        match self.what {
            LinkChangeKind::Gone => write!(f, "{iface}: the interface is gone ({to})"),
            LinkChangeKind::Replaced => {
                write!(f, "{iface}: the device was removed and another has its name (index {from} → {to})")
            }
            LinkChangeKind::Carrier => {
                let grown =
                    to.parse::<u64>().ok().zip(from.parse().ok()).map_or(0, |(to, from)| to.saturating_sub(from));
                let words = if grown >= 2 { "the link went down and up" } else { "the link changed its state" };
                write!(f, "{iface}: {words} (carrier_changes {from} → {to})")
            }
            LinkChangeKind::Operstate => write!(f, "{iface}: the link is {to}, it was {from}"),
            LinkChangeKind::TxTimeout => {
                write!(f, "{iface}: a transmit queue stood still and was reset (tx_timeout {from} → {to})")
            }
            LinkChangeKind::QueueCount => write!(f, "{iface}: it has other queues ({from} → {to})"),
            LinkChangeKind::QueuesAnew => write!(f, "{iface}: its queues were made anew (NAPI ids {from} → {to})"),
            LinkChangeKind::InterruptsAnew => {
                write!(f, "{iface}: its interrupts were requested anew (numbers {from} → {to})")
            }
        }
    }
}

/// What changed between two moments, the gravest of each interface first. A field that cannot be read at one of them is
/// no change; an interface that is no longer there is.
pub fn changes(before: &LinkState, after: &LinkState) -> Vec<LinkChange> {
    let mut out = Vec::new();
    for (iface, old) in &before.interfaces {
        let Some(new) = after.interfaces.get(iface) else { continue };
        let mut change = |what, from: String, to: String| {
            out.push(LinkChange { iface: iface.clone(), what, from, to });
        };
        match (&old.index, &new.index) {
            (Reading::Value(from), Reading::Absent(why)) => {
                change(LinkChangeKind::Gone, from.to_string(), why.clone());
                continue;
            }
            (Reading::Value(from), Reading::Value(to)) if from != to => {
                change(LinkChangeKind::Replaced, from.to_string(), to.to_string());
                continue;
            }
            _ => {}
        }
        let number = |a: &Reading<u64>, b: &Reading<u64>| differ(a, b).map(|(a, b)| (a.to_string(), b.to_string()));
        let list = |a: &Reading<Vec<u32>>, b: &Reading<Vec<u32>>| anew(a, b).map(|(a, b)| (numbers(a), numbers(b)));
        if let Some((from, to)) = number(&old.carrier_changes, &new.carrier_changes) {
            change(LinkChangeKind::Carrier, from, to);
        }
        // The kernel notes the state of a link late (net/core/link_watch.c, `linkwatch_schedule_work`): one that came
        // up long ago may say so only now.
        if let Some((from, to)) = differ(&old.operstate, &new.operstate).filter(|(_, to)| *to != "up") {
            change(LinkChangeKind::Operstate, from.clone(), to.clone());
        }
        if let Some((from, to)) = number(&old.tx_timeouts, &new.tx_timeouts) {
            change(LinkChangeKind::TxTimeout, from, to);
        }
        let counts = [("receive", &old.rx_queues, &new.rx_queues), ("transmit", &old.tx_queues, &new.tx_queues)];
        for (direction, a, b) in counts {
            if let Some((from, to)) = differ(a, b) {
                change(LinkChangeKind::QueueCount, format!("{from} {direction}"), format!("{to} {direction}"));
            }
        }
        if let Some((from, to)) = list(&old.napi_ids, &new.napi_ids) {
            change(LinkChangeKind::QueuesAnew, from, to);
        }
        if let Some((from, to)) = list(&old.irqs, &new.irqs) {
            change(LinkChangeKind::InterruptsAnew, from, to);
        }
    }
    out
}

fn differ<'a, T: PartialEq>(a: &'a Reading<T>, b: &'a Reading<T>) -> Option<(&'a T, &'a T)> {
    match (a, b) {
        (Reading::Value(a), Reading::Value(b)) if a != b => Some((a, b)),
        _ => None,
    }
}

/// Lists that differ, an order of their own apart.
fn anew<'a>(a: &'a Reading<Vec<u32>>, b: &'a Reading<Vec<u32>>) -> Option<(&'a [u32], &'a [u32])> {
    let (a, b) = differ(a, b)?;
    (a.iter().collect::<BTreeSet<_>>() != b.iter().collect::<BTreeSet<_>>()).then_some((a, b))
}

/// `8193-8196`, or `none`.
fn numbers(of: &[u32]) -> String {
    let sorted: Vec<u32> = of.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let mut words = Vec::new();
    for run in sorted.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
        match run {
            [] => {}
            [one] => words.push(one.to_string()),
            [first, .., last] => words.push(format!("{first}-{last}")),
        }
    }
    if words.is_empty() { "none".to_owned() } else { words.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> InterfaceState {
        InterfaceState {
            index: Reading::Value(2),
            carrier_changes: Reading::Value(2),
            operstate: Reading::Value("up".into()),
            tx_timeouts: Reading::Value(0),
            rx_queues: Reading::Value(4),
            tx_queues: Reading::Value(4),
            napi_ids: Reading::Value(vec![8193, 8194, 8195, 8196]),
            irqs: Reading::Value(vec![40, 41]),
        }
    }

    fn of(state: InterfaceState) -> LinkState {
        LinkState { interfaces: [("eth0".to_owned(), state)].into() }
    }

    fn said(change: impl Fn(&mut InterfaceState)) -> Vec<String> {
        let mut after = state();
        change(&mut after);
        changes(&of(state()), &of(after)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_changes_on_its_own() {
        assert_eq!(said(|_| {}), [""; 0]);
        assert_eq!(said(|s| s.napi_ids = Reading::Value(vec![8196, 8195, 8194, 8193])), [""; 0], "the same ids");
    }

    #[test]
    fn each_change_is_one_plain_line() {
        let carrier = said(|s| s.carrier_changes = Reading::Value(4));
        assert_eq!(carrier, ["eth0: the link went down and up (carrier_changes 2 → 4)"]);
        assert_eq!(
            said(|s| {
                s.carrier_changes = Reading::Value(3);
                s.operstate = Reading::Value("down".into());
            }),
            ["eth0: the link changed its state (carrier_changes 2 → 3)", "eth0: the link is down, it was up"]
        );
        assert_eq!(
            said(|s| s.tx_timeouts = Reading::Value(1)),
            ["eth0: a transmit queue stood still and was reset (tx_timeout 0 → 1)"]
        );
        assert_eq!(
            said(|s| s.napi_ids = Reading::Value(vec![8201, 8202])),
            ["eth0: its queues were made anew (NAPI ids 8193-8196 → 8201-8202)"]
        );
        assert_eq!(said(|s| s.rx_queues = Reading::Value(2)), ["eth0: it has other queues (4 receive → 2 receive)"]);
        assert_eq!(
            said(|s| s.irqs = Reading::Value(vec![40, 52])),
            ["eth0: its interrupts were requested anew (numbers 40-41 → 40,52)"]
        );
    }

    #[test]
    fn a_link_whose_coming_up_is_noted_late_has_not_changed() {
        let mut before = state();
        before.operstate = Reading::Value("unknown".into());
        assert_eq!(changes(&of(before), &of(state())), []);
    }

    #[test]
    fn a_device_that_is_gone_or_another_says_nothing_else() {
        let gone = said(|s| {
            s.index = Reading::Absent("/sys/class/net/eth0/ifindex".into());
            s.operstate = Reading::Absent("gone".into());
        });
        assert_eq!(gone, ["eth0: the interface is gone (/sys/class/net/eth0/ifindex)"]);
        let replaced = said(|s| {
            s.index = Reading::Value(7);
            s.carrier_changes = Reading::Value(0);
        });
        assert_eq!(replaced, ["eth0: the device was removed and another has its name (index 2 → 7)"]);
    }

    #[test]
    fn what_cannot_be_read_is_not_a_change() {
        for why in [
            Reading::Absent("x".into()),
            Reading::Denied("x".into()),
            Reading::Unsupported("x".into()),
            Reading::Garbled("x".into()),
        ] {
            assert_eq!(said(|s| s.carrier_changes = why.clone()), [""; 0]);
        }
        assert_eq!(said(|s| s.index = Reading::Denied("x".into())), [""; 0]);
    }

    #[test]
    fn only_more_than_was_announced_counts() {
        let change = |what| LinkChange { iface: "e".into(), what, from: String::new(), to: String::new() };
        let carrier = change(LinkChangeKind::Carrier);
        let queues = change(LinkChangeKind::QueuesAnew);
        assert!(carrier.beyond(Resets::Nothing) && carrier.beyond(Resets::Queues) && !carrier.beyond(Resets::Link));
        assert!(queues.beyond(Resets::Nothing) && !queues.beyond(Resets::Queues) && !queues.beyond(Resets::Link));
    }
}

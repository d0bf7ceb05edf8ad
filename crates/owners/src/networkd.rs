//! systemd-networkd: queue disciplines of `.network` files.

use lowlat_model::{Claim, Locus};

use crate::ini::Entry;
use crate::netplan::is_netplans;
use crate::{Host, Owner, link_match};

#[derive(Debug)]
pub(crate) struct Networkd;

impl Owner for Networkd {
    fn file(&self) -> &'static str {
        file!()
    }
    fn claims(&self, host: &Host<'_>, locus: &Locus) -> Vec<Claim> {
        of_file(host, locus).filter(|c| !c.file.as_deref().is_some_and(is_netplans)).into_iter().collect()
    }
}

/// Sections of queue disciplines and their kinds (systemd.network(5)).
const KINDS: &[(&str, &str)] = &[
    ("BFIFO", "bfifo"),
    ("CAKE", "cake"),
    ("ControlledDelay", "codel"),
    ("DeficitRoundRobinScheduler", "drr"),
    ("EnhancedTransmissionSelection", "ets"),
    ("FairQueueing", "fq"),
    ("FairQueueingControlledDelay", "fq_codel"),
    ("FlowQueuePIE", "fq_pie"),
    ("GenericRandomEarlyDetection", "gred"),
    ("HeavyHitterFilter", "hhf"),
    ("HierarchyTokenBucket", "htb"),
    ("NetworkEmulator", "netem"),
    ("PFIFO", "pfifo"),
    ("PFIFOFast", "pfifo_fast"),
    ("PFIFOHeadDrop", "pfifo_head_drop"),
    ("PIE", "pie"),
    ("QuickFairQueueing", "qfq"),
    ("StochasticFairBlue", "sfb"),
    ("StochasticFairnessQueueing", "sfq"),
    ("TokenBucketFilter", "tbf"),
];

/// What the `.network` file that applies to the place's interface sets there.
pub(crate) fn of_file(host: &Host<'_>, locus: &Locus) -> Option<Claim> {
    let Locus::Qdisc { iface, parent } = locus else { return None };
    let runs = host.runs("systemd-network");
    if !runs && !host.starts_at_boot("systemd-networkd.service") {
        return None;
    }
    let (path, entries) = link_match::applies(host.sys, iface, ".network")?;
    let of_kind = |e: &Entry| KINDS.iter().find(|(section, _)| *section == e.section);
    let place = |section: &str| {
        let parent = entries.iter().rev().find(|(_, e)| e.section == section && e.key == "Parent");
        parent.map_or("root", |(_, e)| e.value.as_str())
    };
    let (file, entry, (section, kind)) = entries
        .iter()
        .filter_map(|(file, e)| of_kind(e).map(|kind| (file, e, kind)))
        .find(|(_, e, _)| place(&e.section) == parent)?;
    Some(Claim {
        by: "systemd-networkd".to_owned(),
        file: Some(format!("{file}:{}", entry.line)),
        sets: Some((*kind).to_owned()),
        runs,
        wins: true,
        rule:
            "systemd-networkd sets it whenever it configures the interface, which no unit can wait for: when the link \
               comes up and at `networkctl reload` (systemd.network(5))"
                .to_owned(),
        remedy: format!("set it in section [{section}] of {path}, or take that section out"),
    })
}

#[cfg(test)]
mod tests {
    use lowlat_model::State;
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn a_queue_discipline_of_its_file_wins_where_it_runs() {
        let sys = || {
            FakeSys::new().file("/etc/systemd/network/10-lan.network", "[Match]\nName=eth*\n[CAKE]\nBandwidth=100M\n")
        };
        let root = Locus::Qdisc { iface: "eth0".into(), parent: "root".into() };
        let set = State::Text("fq".into());
        assert!(Host::new(&sys()).others(&root, &set).is_empty(), "it does not run");
        let sys = sys().file("/proc/77/comm", "systemd-network\n");
        let found = Host::new(&sys).others(&root, &set);
        assert!(found[0].wins && found[0].runs && found[0].sets.as_deref() == Some("cake"), "{found:?}");
        let inner = Locus::Qdisc { iface: "eth0".into(), parent: "1:1".into() };
        assert!(Host::new(&sys).others(&inner, &set).is_empty());
    }
}

//! The ten items of the verification, each measured or read back after the run, never assumed.
//!
//! `met` is `null` where it cannot be determined, and the evidence says why; a condition that has nothing to hold on
//! (stamps of a NIC without any, a governor of a host without cpufreq) is `null` too, because a tick would claim a
//! check.

mod drops;
mod latency;
mod offloads;
mod persisted;
mod placement;
mod power;
mod stamps;

use lowlat_model::document::ChecklistItem;
use lowlat_model::facts::Interface;
use lowlat_model::{Facts, PathRole};

use crate::Input;

/// One item, and the rules whose findings are about the same thing.
type Item = (fn(&Input<'_>) -> ChecklistItem, &'static [&'static str]);

/// The ten, in the order of the report.
static ITEMS: &[Item] = &[
    (latency::baseline_documented, &[]),
    (latency::latency_down, &[]),
    (latency::jitter, &[]),
    (placement::own_cores, &["irq-off-node-or-app-cpu", "interrupts-on-one-cpu", "busy-smt-sibling"]),
    (offloads::offloads, &["interrupt-coalescing", "gro-flush-without-poller"]),
    (persisted::persisted, &[]),
    (stamps::hardware_stamps, &["ptp-software-stamps", "hardware-clock-not-steered"]),
    (
        drops::no_drops,
        &[
            "nic-ring-drops",
            "softnet-drops",
            "receive-buffer-errors",
            "udp-memory-exhausted",
            "plain-fifo-backlog",
            "unexplained-drops",
        ],
    ),
    (power::governor, &["governor-not-performance"]),
    (placement::one_node, &["irq-off-node-or-app-cpu", "thread-off-nic-node"]),
];

/// All ten, each with what it rests on.
pub(crate) fn all(input: &Input<'_>) -> Vec<ChecklistItem> {
    let one = |(judge, rules): &Item| {
        let mut item = judge(input);
        let found = input.findings.iter().map(|f| f.rule.as_str()).filter(|rule| rules.contains(rule));
        for rule in found.map(|rule| format!("run.findings[{rule}]")) {
            // One rule may have several findings.
            if !item.rests_on.contains(&rule) {
                item.rests_on.push(rule);
            }
        }
        item
    };
    ITEMS.iter().map(one).collect()
}

/// The devices that carry the path's packets: those of its interfaces that have none beneath them. Coalescing, interrupts
/// and rings are theirs, not a bond's or a VLAN's. The one in focus where the path is not known.
fn devices(facts: &Facts) -> Vec<(&str, &Interface)> {
    let carries = |role| role != PathRole::Redirect;
    let has_one_beneath = |name: &str| facts.path.iter().any(|l| carries(l.role) && l.above.as_deref() == Some(name));
    let lowest = facts.path.iter().filter(|l| carries(l.role) && !has_one_beneath(&l.name));
    let known = lowest.filter_map(|l| facts.interfaces.get_key_value(&l.name));
    let all: Vec<(&str, &Interface)> = known.map(|(name, i)| (name.as_str(), i)).collect();
    if all.is_empty() { facts.focus().into_iter().collect() } else { all }
}

/// An item by its key and words, and where its evidence is found.
fn item(
    (id, item): (&str, &str),
    met: Option<bool>,
    evidence: impl Into<String>,
    rests_on: impl IntoIterator<Item = String>,
) -> ChecklistItem {
    ChecklistItem {
        id: id.to_owned(),
        item: item.to_owned(),
        met,
        evidence: evidence.into(),
        rests_on: rests_on.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_good_run_meets_all_it_can_be_asked() {
        let run = sample::Run::good();
        let items = all(&run.input());
        let ids: std::collections::BTreeSet<&str> = items.iter().map(|i| i.id.as_str()).collect();
        assert_eq!(ids.len(), items.len(), "an item twice: {ids:?}");
        for i in &items {
            let want = if i.id == lowlat_model::document::item::STAMPS { None } else { Some(true) };
            assert_eq!(i.met, want, "{i:?}");
            assert!(!i.evidence.is_empty(), "{i:?}");
            assert!(!i.rests_on.is_empty(), "{i:?}");
        }
    }

    #[test]
    fn each_item_says_where_its_evidence_is() {
        use lowlat_model::document::item;
        let mut run = sample::Run::good();
        let mut finding = run.findings[0].clone();
        finding.rule = "nic-ring-drops".into();
        run.findings.extend([finding.clone(), finding]);
        let of = |run: &sample::Run, id: &str| all(&run.input()).into_iter().find(|i| i.id == id).unwrap().rests_on;
        assert_eq!(of(&run, item::BASELINE), ["run.baseline.rtt.p50_ns"]);
        assert_eq!(of(&run, item::JITTER), ["run.result.jitter_ratio"]);
        assert_eq!(of(&run, item::GOVERNOR), ["facts-after.cpus.power"]);
        assert_eq!(of(&run, item::OWN_CORES)[..2], ["run.result.cpu", "facts-after.irqs of eth0"]);
        let drops = of(&run, item::DROPS);
        assert!(drops.contains(&"facts-after.window link/eth0".to_owned()), "{drops:?}");
        assert_eq!(drops.iter().filter(|d| *d == "run.findings[nic-ring-drops]").count(), 1, "{drops:?}");
        run.facts_after = None;
        assert_eq!(of(&run, item::GOVERNOR), ["facts.cpus.power"]);
        run.result = None;
        assert_eq!(of(&run, item::JITTER), ["run.baseline.jitter_ratio"]);
    }

    /// A VLAN on a bond of two: what counts is on the two ports.
    #[test]
    fn what_a_stacked_path_stands_on_is_looked_at() {
        use lowlat_model::{PathLink, Reading};
        let mut run = sample::Run::good();
        let host = run.facts_after.as_mut().unwrap();
        for name in ["eth1", "bond0"] {
            let port = host.interfaces["eth0"].clone();
            host.interfaces.insert(name.into(), port);
        }
        let bond = host.interfaces.get_mut("bond0").unwrap();
        bond.coalesce = Reading::Unsupported("a bond has none".into());
        bond.numa_node = Reading::Absent("a bond has none".into());
        let link = |name: &str, role, above: Option<&str>| PathLink {
            name: name.into(),
            role,
            kind: None,
            above: above.map(str::to_owned),
        };
        host.iface = Some("bond0".into());
        host.path = vec![
            link("bond0", PathRole::Route, None),
            link("eth0", PathRole::Lower, Some("bond0")),
            link("eth1", PathRole::Lower, Some("bond0")),
            link("ifb0", PathRole::Redirect, Some("eth0")),
        ];
        assert_eq!(devices(host).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["eth0", "eth1"]);
        if let Reading::Value(coalesce) = &mut host.interfaces.get_mut("eth1").unwrap().coalesce {
            coalesce.insert("rx-usecs".into(), 50);
        }
        let of = |id: &str| all(&run.input()).into_iter().find(|i| i.id == id).unwrap();
        let offloads = of(lowlat_model::document::item::OFFLOADS);
        assert_eq!((offloads.met, offloads.evidence.as_str()), (Some(false), "eth1: rx-usecs is 50"));
        assert_eq!(of(lowlat_model::document::item::ONE_NODE).met, Some(true));
        assert_eq!(of(lowlat_model::document::item::OWN_CORES).met, Some(true), "the lines of eth0");
    }
}

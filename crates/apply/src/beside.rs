//! What a write changes besides its own place, and what it would lose for good.
//!
//! Asked right before each write: a plan may be old. A place that cannot be fully restored is refused here, untouched;
//! other places that the write may change are recorded with it, and put back with it.

use lowlat_model::Op;
use lowlat_model::journal::Beside;
use lowlat_sys::Sys;

/// The other places that a write may change, with the current value; as text, why it may not be made.
pub fn of(sys: &dyn Sys, op: &Op) -> Result<Vec<Beside>, String> {
    let kind = lowlat_settings::at(&op.locus);
    if let Some(why) = kind.refused(sys, &op.set) {
        return Err(why);
    }
    let there = |locus| Some(Beside { state: lowlat_settings::state(sys, &locus).into_value()?, locus });
    Ok(kind.beside(sys)?.into_iter().filter_map(there).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lowlat_model::facts::{Feature, Limit};
    use lowlat_model::op::QdiscState;
    use lowlat_model::tune::Resets;
    use lowlat_model::{Locus, State};
    use lowlat_sys::NetQuery;
    use lowlat_sys::query::{LinkInfo, Napi, QdiscReply, XskSocket};
    use lowlat_testkit::FakeSys;

    use super::*;
    use crate::places::disturbed;

    fn host() -> FakeSys {
        let link = |index: u32, name: &str| LinkInfo {
            index,
            name: name.into(),
            up: true,
            operstate: "up".into(),
            mtu: 1500,
            mac: None,
            kind: None,
            xdp: "none".into(),
        };
        FakeSys::new().net(&NetQuery::Links, vec![link(3, "eth0"), link(4, "eth1")])
    }

    fn off(name: &str) -> Op {
        Op::text(Locus::Feature { iface: "eth0".into(), name: name.into() }, "off")
    }

    #[test]
    fn what_a_link_reset_may_lose_for_good_is_refused() {
        let reset = |sys: FakeSys| disturbed(&sys, "eth0", |l| lowlat_settings::state(&sys, l)).map(drop);
        let xsk = |index| vec![XskSocket { index, queue: 1, inode: 77, zero_copy: None, owner: None }];
        assert_eq!(reset(host()), Ok(()));
        assert_eq!(reset(host().net(&NetQuery::FlowRules("eth0".into()), 0)), Ok(()));
        assert_eq!(reset(host().net(&NetQuery::XskSockets, xsk(4))), Ok(()));
        assert!(
            reset(host().net(&NetQuery::FlowRules("eth0".into()), 2)).unwrap_err().contains("2 receive flow rules")
        );
        assert!(reset(host().net(&NetQuery::XskSockets, xsk(3))).unwrap_err().contains("AF_XDP socket"));
        let own = xsk(3)[0].inode;
        let ours = host()
            .net(&NetQuery::XskSockets, xsk(3))
            .file("/proc/self/fd/5", "")
            .link("/proc/self/fd/5", &format!("socket:[{own}]"));
        assert_eq!(reset(ours), Ok(()));
        let napis =
            |v: u64| vec![Napi { id: 8193, irq: None, values: BTreeMap::from([("gro-flush-timeout".to_owned(), v)]) }];
        let device = || host().file("/sys/class/net/eth0/gro_flush_timeout", "0\n");
        assert_eq!(reset(device().net(&NetQuery::Napis("eth0".into()), napis(0))), Ok(()));
        assert!(
            reset(device().net(&NetQuery::Napis("eth0".into()), napis(7))).unwrap_err().contains("NAPI instance 8193")
        );
        let suspends = BTreeMap::from([("irq-suspend-timeout".to_owned(), 9)]);
        let napis = vec![Napi { id: 8193, irq: None, values: suspends }];
        let lost = reset(host().net(&NetQuery::Napis("eth0".into()), napis)).unwrap_err();
        assert!(lost.contains("the own irq-suspend-timeout of NAPI instance 8193"), "{lost}");
    }

    #[test]
    fn a_bond_that_would_stay_with_another_port_keeps_this_one_up() {
        let bond = |active: &str, slaves: &str, primary: &str, reselect: &str| {
            let file = |sys: FakeSys, name: &str, text: &str| {
                sys.file(&format!("/sys/class/net/eth0/master/bonding/{name}"), &format!("{text}\n"))
            };
            let all =
                [("active_slave", active), ("slaves", slaves), ("primary", primary), ("primary_reselect", reselect)];
            let sys = all.into_iter().fold(host(), |sys, (name, text)| file(sys, name, text));
            let sys = sys.link("/sys/class/net/eth0/master", "../../../../virtual/net/bond0");
            disturbed(&sys, "eth0", |l| lowlat_settings::state(&sys, l)).map(drop)
        };
        for [primary, reselect] in [["", "always 0"], ["eth1", "always 0"], ["eth0", "failure 2"]] {
            let why = bond("eth0", "eth0 eth1", primary, reselect).unwrap_err();
            assert!(why.contains("bond0 sends by") && why.ends_with("primary eth0`)"), "{why}");
        }
        // It comes back on its own, it is the backup, it is alone, or all ports are sent by.
        assert_eq!(bond("eth0", "eth0 eth1", "eth0", "always 0"), Ok(()));
        assert_eq!(bond("eth1", "eth0 eth1", "", "always 0"), Ok(()));
        assert_eq!(bond("eth0", "eth0", "", "always 0"), Ok(()));
        assert_eq!(bond("", "eth0 eth1", "", "always 0"), Ok(()));
    }

    /// A bond of LACP: `ports` are slaves and the groups that they are in; the first group sends.
    fn lacp(ports: &[(&str, &str)]) -> FakeSys {
        let names: Vec<&str> = ports.iter().map(|p| p.0).collect();
        let bonding = |sys: FakeSys, name: &str, text: &str| {
            sys.file(&format!("/sys/class/net/eth0/master/bonding/{name}"), &format!("{text}\n"))
        };
        let all = [("mode", "802.3ad 4"), ("active_slave", ""), ("slaves", &names.join(" ")), ("ad_aggregator", "1")];
        let sys = all.into_iter().fold(host(), |sys, (name, text)| bonding(sys, name, text));
        let sys = sys.link("/sys/class/net/eth0/master", "../../../../virtual/net/bond0");
        ports.iter().fold(sys, |sys, (port, group)| {
            sys.file(&format!("/sys/class/net/{port}/bonding_slave/ad_aggregator_id"), &format!("{group}\n"))
        })
    }

    #[test]
    fn a_plan_foretells_what_a_reset_would_lose_for_good() {
        let step = |resets| lowlat_model::PlannedStep {
            target: lowlat_model::op::Target::Iface("eth0".into()),
            resets,
            ..lowlat_model::PlannedStep::default()
        };
        let rules = host().net(&NetQuery::FlowRules("eth0".into()), 2);
        for resets in [Resets::Queues, Resets::Link] {
            assert!(crate::foretold(&rules, &step(resets)).unwrap_err().contains("2 receive flow rules"));
            assert_eq!(crate::foretold(&host(), &step(resets)), Ok(()));
            // Switches of two groups: the other one would carry the traffic from then on.
            let lost = crate::foretold(&lacp(&[("eth0", "1"), ("eth1", "2")]), &step(resets)).unwrap_err();
            assert!(lost.contains("the group that bond0 sends by"), "{lost}");
            // One group of both ports, the group that stands by, and a port alone.
            for ports in [&[("eth0", "1"), ("eth1", "1")][..], &[("eth0", "2"), ("eth1", "1")], &[("eth0", "1")]] {
                assert_eq!(crate::foretold(&lacp(ports), &step(resets)), Ok(()), "{ports:?}");
            }
        }
        assert_eq!(crate::foretold(&rules, &step(Resets::Nothing)), Ok(()));
    }

    #[test]
    fn flow_rules_are_not_dropped_with_their_feature() {
        let sys = host().net(&NetQuery::FlowRules("eth0".into()), 2);
        assert!(of(&sys, &off("rx-ntuple-filter")).unwrap_err().contains("2 receive flow rules"));
        assert_eq!(of(&sys, &off("rx-gro")), Ok(Vec::new()));
        assert_eq!(of(&host(), &off("rx-ntuple-filter")), Ok(Vec::new()));
    }

    #[test]
    fn what_may_change_next_to_a_write_is_reported_with_the_current_value() {
        let feature = |active| Feature { active, changeable: true };
        let features = BTreeMap::from([("rx-lro", feature(true)), ("rx-gro", feature(true))]);
        let lower = BTreeMap::from([("rx-lro", feature(true)), ("rx-gro", feature(true))]);
        let rings =
            BTreeMap::from([("rx", Limit { current: 256, max: 512 }), ("tx", Limit { current: 128, max: 512 })]);
        let sys = host()
            .net(&NetQuery::Features("eth0".into()), features)
            .net(&NetQuery::Features("eth1".into()), lower)
            .net(&NetQuery::Rings("eth0".into()), rings)
            .file("/sys/class/net/eth0/lower_eth1", "");
        let words = |op: &Op| {
            let all = of(&sys, op).unwrap();
            all.iter().map(|b| format!("{} = {}", crate::words(&b.locus), b.state)).collect::<Vec<_>>()
        };
        assert_eq!(words(&off("rx-gro")), ["feature rx-lro of eth0 = on"]);
        assert_eq!(words(&off("rx-lro")), ["feature rx-gro of eth0 = on", "feature rx-lro of eth1 = on"]);
        let ring = Op::text(Locus::Ring { iface: "eth0".into(), param: "rx".into() }, "512");
        assert_eq!(words(&ring), ["ring tx of eth0 = 128"]);
        assert!(words(&Op::file("/proc/sys/net/core/busy_read", "50")).is_empty());
    }

    #[test]
    fn an_interface_of_another_namespace_s_sysfs_is_not_written() {
        let op = Op::file("/sys/class/net/eth0/gro_flush_timeout", "1");
        let shown = |index: &str| host().file("/sys/class/net/eth0/ifindex", index);
        assert_eq!(of(&shown("3\n"), &op), Ok(Vec::new()));
        assert!(of(&shown("9\n"), &op).unwrap_err().contains("another network namespace"));
    }

    #[test]
    fn threads_that_somebody_placed_are_not_ended() {
        let stat = |rt: &str, policy: &str| {
            format!("7 (napi/eth0-8193) S {} 0 {} {rt} {policy} 0", "0 ".repeat(15).trim(), "0 ".repeat(20).trim())
        };
        let host = |cpus: &str, rt: &str, policy: &str| {
            let status = |cpus: &str| format!("Name:\tx\nCpus_allowed_list:\t{cpus}\n");
            FakeSys::new()
                .file("/proc/2/comm", "kthreadd\n")
                .file("/proc/2/status", &status("0-3"))
                .file("/proc/2/stat", &stat("0", "0"))
                .file("/proc/7/comm", "napi/eth0-8193\n")
                .file("/proc/7/status", &status(cpus))
                .file("/proc/7/stat", &stat(rt, policy))
        };
        let threads_placed = |sys: &FakeSys, op: &Op| lowlat_settings::at(&op.locus).refused_at_first(sys, &op.set);
        let end = |iface: &str| Op::file(format!("/sys/class/net/{iface}/threaded"), "0");
        assert_eq!(threads_placed(&host("0-3", "0", "0"), &end("eth0")), None);
        assert!(threads_placed(&host("3", "0", "0"), &end("eth0")).unwrap().contains("thread 7"));
        assert!(threads_placed(&host("0-3", "50", "1"), &end("eth0")).is_some());
        assert_eq!(threads_placed(&host("3", "0", "0"), &end("eth1")), None);
        assert_eq!(threads_placed(&host("3", "0", "0"), &Op::file("/sys/class/net/eth0/threaded", "1")), None);
    }

    /// A queue discipline at a place, `root` or a class.
    fn at(parent: &str, kind: &str, handle: &str, carries: &[&str]) -> QdiscReply {
        QdiscReply {
            qdisc: lowlat_testkit::facts::qdisc("eth0", kind, parent, handle),
            exact: QdiscState {
                kind: kind.into(),
                handle: handle.into(),
                options_hex: String::new(),
                summary: String::new(),
                carries: carries.iter().map(|c| (*c).to_owned()).collect(),
            },
        }
    }

    #[test]
    fn a_queue_discipline_is_replaced_only_where_it_comes_back_whole() {
        let op = |parent: &str| Op {
            locus: Locus::Qdisc { iface: "eth0".into(), parent: parent.into() },
            set: State::Nothing,
        };
        let on = |all: &[QdiscReply]| of(&host().net(&NetQuery::Qdiscs, all), &op("root"));
        assert_eq!(on(&[at("root", "tbf", "5:", &[])]), Ok(Vec::new()));
        assert!(on(&[at("root", "tbf", "5:", &["filters (u32)"])]).unwrap_err().contains("filters (u32)"));
        assert!(on(&[at("root", "htb", "5:", &[])]).is_err());
        assert!(on(&[at("root", "tbf", "5:", &[]), at("5:1", "bfifo", "6:", &[])]).unwrap_err().contains("bfifo"));
        assert!(on(&[]).unwrap_err().contains("cannot be read"));
        // What the kernel made comes back by deleting, if it would make the same again.
        let mq = [at("root", "mq", "0:", &[]), at("0:1", "fq_codel", "0:", &[])];
        let with_default = |all: &[QdiscReply], default: &str| {
            let sys = host().net(&NetQuery::Qdiscs, all).file("/proc/sys/net/core/default_qdisc", default);
            of(&sys, &op("root"))
        };
        let one = [at("root", "fq_codel", "0:", &[])];
        for made in [&mq[..], &one[..]] {
            assert_eq!(on(made), Ok(Vec::new()));
            assert_eq!(with_default(made, "fq_codel\n"), Ok(Vec::new()));
            assert!(with_default(made, "fq\n").unwrap_err().contains("would now make fq"));
        }
        assert_eq!(with_default(&[at("root", "noqueue", "0:", &[])], "fq\n"), Ok(Vec::new()));
    }
}

//! What a write changes besides its own place, and what it would lose for good.
//!
//! Asked right before each write: a plan may be old. A place whose way back is not whole is refused here, untouched;
//! other places that the write may change are recorded with it, and put back with it.

use lowlat_model::journal::Beside;
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::{Sys, query};

/// The other places that a write may change, with what stands there; in words, why it may not be made.
pub fn of(sys: &dyn Sys, op: &Op) -> Result<Vec<Beside>, String> {
    shows_this_namespace(sys, &op.locus)?;
    let places = match &op.locus {
        Locus::Qdisc { iface, parent } => {
            return match lowlat_sys::qdisc_restorable(sys, iface, parent) {
                Reading::Value(None) => Ok(Vec::new()),
                Reading::Value(Some(why)) => Err(format!("what hangs there could not be put back: {why}")),
                other => Err(not_known("what hangs there", &other)),
            };
        }
        Locus::Feature { iface, name } => {
            rules_lost(sys, iface, name, &op.set)?;
            features(sys, iface, name)
        }
        // The driver gets all values of its kind in one structure, and may adapt the others to the new one
        // (include/linux/ethtool.h: `set_coalesce`, `set_ringparam`, `set_channels`, `set_pauseparam`).
        Locus::Coalesce { iface, param } => names(&query::coalesce(sys, iface), param)
            .map(|param| Locus::Coalesce { iface: iface.clone(), param })
            .collect(),
        Locus::Ring { iface, param } => {
            names(&query::rings(sys, iface), param).map(|param| Locus::Ring { iface: iface.clone(), param }).collect()
        }
        Locus::Channels { iface, param } => names(&query::channels(sys, iface), param)
            .map(|param| Locus::Channels { iface: iface.clone(), param })
            .collect(),
        // What is sent and taken under negotiation is the negotiation's answer and no setting: e1000e on 7.3 says another
        // one after each (measured), and nothing written brings the former back.
        Locus::Pause { param, .. } if param == "autoneg" => Vec::new(),
        Locus::Pause { iface, param } => {
            names(&query::pause(sys, iface), param).map(|param| Locus::Pause { iface: iface.clone(), param }).collect()
        }
        Locus::File { path } => match (op.locus.iface(), path.strip_suffix(GOVERNOR)) {
            (Some(iface), _) => napis(sys, iface, path.rsplit_once('/').map_or("", |(_, file)| file))?,
            // intel_pstate in active mode sets the preference with the governor
            // (Documentation/admin-guide/pm/intel_pstate.rst, "Energy vs Performance Hints").
            (None, Some(dir)) => vec![Locus::File { path: format!("{dir}{PREFERENCE}") }],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let there = |locus: Locus| Some(Beside { state: lowlat_sys::state(sys, &locus).into_value()?, locus });
    Ok(places.into_iter().filter_map(there).collect())
}

fn not_known<T>(what: &str, reading: &Reading<T>) -> String {
    let (kind, why) = reading.why_not().unwrap_or(("garbled", ""));
    format!("{what} cannot be read before it is changed ({kind}: {why}), so it could not be put back")
}

fn names<'a, T>(
    all: &'a Reading<std::collections::BTreeMap<String, T>>,
    but: &'a str,
) -> impl Iterator<Item = String> + use<'a, T> {
    all.value().into_iter().flat_map(|m| m.keys()).filter(move |name| *name != but).cloned()
}

/// A sysfs that was mounted in another namespace shows that one's interfaces under the same names
/// (net/core/net-sysfs.c, `net_ns_type_operations`).
fn shows_this_namespace(sys: &dyn Sys, locus: &Locus) -> Result<(), String> {
    let (Locus::File { .. }, Some(iface)) = (locus, locus.iface()) else { return Ok(()) };
    let shown = sys.read(&format!("/sys/class/net/{iface}/ifindex")).into_value();
    let index = query::links(sys).into_value().and_then(|l| l.into_iter().find(|l| l.name == iface)).map(|l| l.index);
    match (shown.and_then(|t| t.trim().parse::<u32>().ok()), index) {
        (Some(shown), index) if index != Some(shown) => Err(format!(
            "/sys shows the interfaces of another network namespace; enter this one with `ip netns exec`, which mounts its own ({iface} is index {shown} there)"
        )),
        _ => Ok(()),
    }
}

/// One feature may stand in another's way (`netdev_fix_features`, net/core/dev.c), and large receive offload of a bridge,
/// bond or VLAN device is also taken from the devices below it (`netdev_sync_lower_features`), where it does not return.
fn features(sys: &dyn Sys, iface: &str, name: &str) -> Vec<Locus> {
    let of = |iface: &str, wanted: &dyn Fn(&str) -> bool| -> Vec<Locus> {
        let have = query::features(sys, iface).into_value().unwrap_or_default();
        let changeable = have.into_iter().filter(|(n, f)| f.changeable && wanted(n));
        changeable.map(|(name, _)| Locus::Feature { iface: iface.to_owned(), name }).collect()
    };
    let mut places = of(iface, &|n| n != name);
    if name == "rx-lro" {
        let entries = sys.list(&format!("/sys/class/net/{iface}")).into_value().unwrap_or_default();
        for lower in entries.iter().filter_map(|e| e.strip_prefix("lower_")) {
            places.extend(of(lower, &|n| n == name));
        }
    }
    places
}

/// Whether a write at the first place may change the second: what [`of`] may give, without a host to ask.
pub(crate) fn may_change(own: &Locus, other: &Locus) -> bool {
    match (own, other) {
        (Locus::Feature { iface: a, name }, Locus::Feature { iface: b, name: beside }) => {
            a == b || (name == "rx-lro" && beside == name)
        }
        (Locus::Coalesce { iface: a, .. }, Locus::Coalesce { iface: b, .. })
        | (Locus::Ring { iface: a, .. }, Locus::Ring { iface: b, .. })
        | (Locus::Channels { iface: a, .. }, Locus::Channels { iface: b, .. })
        | (Locus::Pause { iface: a, .. }, Locus::Pause { iface: b, .. }) => a == b,
        (Locus::File { path }, Locus::Napi { iface, param, .. }) => {
            let file =
                path.strip_prefix("/sys/class/net/").and_then(|p| p.strip_prefix(iface.as_str())?.strip_prefix('/'));
            file.and_then(napi_param) == Some(param.as_str())
        }
        (Locus::File { path }, Locus::File { path: beside }) => {
            let dir = path.strip_suffix(GOVERNOR);
            dir.is_some() && dir == beside.strip_suffix(PREFERENCE)
        }
        _ => false,
    }
}

const GOVERNOR: &str = "/scaling_governor";
const PREFERENCE: &str = "/energy_performance_preference";

/// The value of each NAPI instance that a file of the device overwrites.
fn napi_param(file: &str) -> Option<&'static str> {
    match file {
        "gro_flush_timeout" => Some("gro-flush-timeout"),
        "napi_defer_hard_irqs" => Some("defer-hard-irqs"),
        "threaded" => Some("threaded"),
        _ => None,
    }
}

/// A device value of NAPI is written into each instance: net/core/dev.h (`netdev_set_gro_flush_timeout`,
/// `netdev_set_defer_hard_irqs`), net/core/dev.c (`netif_set_threaded`). A kernel without values of their own tells none.
fn napis(sys: &dyn Sys, iface: &str, file: &str) -> Result<Vec<Locus>, String> {
    let Some(param) = napi_param(file) else { return Ok(Vec::new()) };
    match query::napis(sys, iface) {
        Reading::Value(all) => {
            let have = all.into_iter().filter(|napi| napi.values.contains_key(param));
            Ok(have.map(|n| Locus::Napi { iface: iface.to_owned(), id: n.id, param: param.to_owned() }).collect())
        }
        Reading::Unsupported(_) | Reading::Absent(_) => Ok(Vec::new()),
        other => Err(not_known("what its NAPI instances have", &other)),
    }
}

/// Ending the threads of NAPI ends their affinity, priority and policy, and the threads that come with the way back are new
/// ones (`napi_kthread_create`, net/core/dev.c). Asked only before lowlat ends them; those that it started itself go as
/// they came.
pub(crate) fn threads_placed(sys: &dyn Sys, op: &Op) -> Result<(), String> {
    let Locus::File { path } = &op.locus else { return Ok(()) };
    let (Some(iface), true) = (op.locus.iface(), path.ends_with("/threaded") && op.set.to_string() == "0") else {
        return Ok(());
    };
    // proc_pid_comm(5): 15 bytes, until Linux 5.17 also of kernel threads.
    let name = format!("napi/{iface}-");
    let name = name.get(..15).unwrap_or(&name);
    let as_made = placement(sys, "2");
    for pid in sys.list("/proc").into_value().unwrap_or_default() {
        let is = sys.read(&format!("/proc/{pid}/comm")).into_value().is_some_and(|comm| comm.starts_with(name));
        if is && as_made.is_some() && placement(sys, &pid) != as_made {
            return Err(format!("its thread {pid} was given CPUs or a priority, which would end with it"));
        }
    }
    Ok(())
}

/// Allowed CPUs, nice value, real-time priority and policy (proc_pid_status(5); fields 19, 40 and 41 of proc_pid_stat(5)).
/// A kernel thread begins with those of kthreadd, process 2.
fn placement(sys: &dyn Sys, pid: &str) -> Option<Vec<String>> {
    let status = sys.read(&format!("/proc/{pid}/status")).into_value()?;
    let cpus = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"))?.trim().to_owned();
    let stat = sys.read(&format!("/proc/{pid}/stat")).into_value()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // The state, field 3, is the first of them.
    let field = |n: usize| fields.get(n - 3).map(|f| (*f).to_owned());
    Some(vec![cpus, field(19)?, field(40)?, field(41)?])
}

/// Drivers drop the receive flow rules with the feature that carries them (`igb_set_features`, `ixgbe_set_features`), and
/// lowlat cannot put a rule back.
fn rules_lost(sys: &dyn Sys, iface: &str, name: &str, set: &State) -> Result<(), String> {
    if name != "rx-ntuple-filter" || set.to_string() != "off" {
        return Ok(());
    }
    match query::flow_rules(sys, iface) {
        Reading::Value(n) if n > 0 => Err(format!(
            "{iface} has {n} receive flow rules, which would be lost; remove them first (`ethtool -n {iface}`)"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lowlat_model::facts::{Feature, Limit};
    use lowlat_model::op::QdiscState;
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
        let reset = |sys: FakeSys| disturbed(&sys, "eth0", |l| lowlat_sys::state(&sys, l)).map(drop);
        let xsk = |index| vec![XskSocket { index, queue: 1, inode: 77 }];
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
            disturbed(&sys, "eth0", |l| lowlat_sys::state(&sys, l)).map(drop)
        };
        for [primary, reselect] in [["", "always 0"], ["eth1", "always 0"], ["eth0", "failure 2"]] {
            let why = bond("eth0", "eth0 eth1", primary, reselect).unwrap_err();
            assert!(why.contains("bond0 sends by") && why.ends_with("primary eth0`)"), "{why}");
        }
        // It comes back by itself, it is the backup, it is alone, or all ports are sent by.
        assert_eq!(bond("eth0", "eth0 eth1", "eth0", "always 0"), Ok(()));
        assert_eq!(bond("eth1", "eth0 eth1", "", "always 0"), Ok(()));
        assert_eq!(bond("eth0", "eth0", "", "always 0"), Ok(()));
        assert_eq!(bond("", "eth0 eth1", "", "always 0"), Ok(()));
    }

    #[test]
    fn flow_rules_are_not_dropped_with_their_feature() {
        let sys = host().net(&NetQuery::FlowRules("eth0".into()), 2);
        assert!(of(&sys, &off("rx-ntuple-filter")).unwrap_err().contains("2 receive flow rules"));
        assert_eq!(of(&sys, &off("rx-gro")), Ok(Vec::new()));
        assert_eq!(of(&host(), &off("rx-ntuple-filter")), Ok(Vec::new()));
    }

    #[test]
    fn what_may_change_beside_a_write_is_told_with_what_stands_there() {
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
        let end = |iface: &str| Op::file(format!("/sys/class/net/{iface}/threaded"), "0");
        assert_eq!(threads_placed(&host("0-3", "0", "0"), &end("eth0")), Ok(()));
        assert!(threads_placed(&host("3", "0", "0"), &end("eth0")).unwrap_err().contains("thread 7"));
        assert!(threads_placed(&host("0-3", "50", "1"), &end("eth0")).is_err());
        assert_eq!(threads_placed(&host("3", "0", "0"), &end("eth1")), Ok(()));
        assert_eq!(threads_placed(&host("3", "0", "0"), &Op::file("/sys/class/net/eth0/threaded", "1")), Ok(()));
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

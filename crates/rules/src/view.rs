//! Parts of one host: what is on the path, what is off it, and what belongs to no interface.
//!
//! Rules look at whatever interfaces, queue disciplines and interrupts the facts hold. So that none of them has to ask
//! whether a thing is on the path, they are given facts that hold nothing else.

use std::collections::BTreeSet;

use lowlat_model::facts::Filters;
use lowlat_model::{Counters, Facts, Reading, Window};

/// Counter groups of an interface: `link/eth0`, `qdisc/eth0/root`.
const OF_INTERFACES: &[&str] = &["link", "ethtool", "standard", "queues", "pagepool", "aer", "qdisc"];

/// Names of the interfaces of the path; empty where none is in focus. Facts of a version that knew no path have the
/// interface in focus alone.
pub(crate) fn path(facts: &Facts) -> BTreeSet<String> {
    let path: BTreeSet<String> = facts.path.iter().map(|l| l.name.clone()).collect();
    if path.is_empty() { facts.iface.iter().cloned().collect() } else { path }
}

/// The facts without what belongs to an interface that is not `kept`. What is left out is not copied first: a host may have
/// a thousand interfaces.
fn only(facts: &Facts, kept: impl Fn(&str) -> bool) -> Facts {
    Facts {
        schema: facts.schema.clone(),
        lowlat: facts.lowlat.clone(),
        taken_at_unix_ns: facts.taken_at_unix_ns,
        iface: facts.iface.clone(),
        path: facts.path.iter().filter(|l| kept(&l.name)).cloned().collect(),
        target: facts.target.clone(),
        path_not_seen: facts.path_not_seen.clone(),
        login_ifaces: facts.login_ifaces.clone(),
        host: facts.host.clone(),
        cpus: facts.cpus.clone(),
        interfaces: facts.interfaces.iter().filter(|(n, _)| kept(n)).map(|(n, i)| (n.clone(), i.clone())).collect(),
        irqs: those(&facts.irqs, |irq| kept(&irq.iface)),
        irq_actions: facts.irq_actions.clone(),
        sysctls: facts.sysctls.clone(),
        qdiscs: those(&facts.qdiscs, |qdisc| kept(&qdisc.iface)),
        filters: Filters {
            tc: those(&facts.filters.tc, |filter| kept(&filter.iface)),
            tcx: facts
                .filters
                .tcx
                .as_ref()
                .map(|all| all.iter().filter(|(iface, _)| kept(iface)).map(|(iface, n)| (iface.clone(), *n)).collect()),
            programs: those(&facts.filters.programs, |program| kept(&program.iface)),
            ..facts.filters.clone()
        },
        xdp_sockets: those(&facts.xdp_sockets, |socket| kept(&socket.iface)),
        sockets: facts.sockets.clone(),
        routes: those(&facts.routes, |route| kept(&route.iface)),
        time: facts.time.clone(),
        application: facts.application.clone(),
        // Rules look at what grew, and the window has both readings; a third copy on a big host would be for nobody.
        counters: Counters::default(),
        window: facts
            .window
            .as_ref()
            .map(|window| Window { before: counters(&window.before, &kept), after: counters(&window.after, &kept) }),
    }
}

fn those<T: Clone>(reading: &Reading<Vec<T>>, kept: impl Fn(&T) -> bool) -> Reading<Vec<T>> {
    reading.as_ref().map(|all| all.iter().filter(|t| kept(t)).cloned().collect())
}

fn counters(counters: &Counters, kept: &impl Fn(&str) -> bool) -> Counters {
    let is_kept = |group: &str| match group.split_once('/') {
        Some((what, rest)) if OF_INTERFACES.contains(&what) => kept(rest.split('/').next().unwrap_or(rest)),
        _ => true,
    };
    let groups = counters.groups.iter().filter(|(group, _)| is_kept(group));
    Counters { at_ns: counters.at_ns, groups: groups.map(|(name, group)| (name.clone(), group.clone())).collect() }
}

/// What lies on the path, and what belongs to no interface.
pub(crate) fn of_path(facts: &Facts, path: &BTreeSet<String>) -> Facts {
    only(facts, |iface| path.contains(iface))
}

/// What lies off the path, and what belongs to no interface. Nothing is in focus.
pub(crate) fn beside(facts: &Facts, path: &BTreeSet<String>) -> Facts {
    Facts { iface: None, path: Vec::new(), application: None, ..only(facts, |iface| !path.contains(iface)) }
}

/// What belongs to no interface.
pub(crate) fn of_none(facts: &Facts) -> Facts {
    Facts { iface: None, path: Vec::new(), application: None, ..only(facts, |_| false) }
}

#[cfg(test)]
mod tests {
    use lowlat_model::facts::{HookProgram, TcFilter, XdpSocket};
    use lowlat_testkit::facts::{grow, healthy, qdisc};

    use super::*;

    #[test]
    fn everything_of_an_interface_goes_with_it() {
        let mut facts = healthy();
        let eth1 = facts.interfaces["eth0"].clone();
        facts.interfaces.insert("eth1".into(), eth1);
        if let (Reading::Value(irqs), Reading::Value(qdiscs)) = (&mut facts.irqs, &mut facts.qdiscs) {
            let mut irq = irqs[0].clone();
            irq.iface = "eth1".into();
            irqs.push(irq);
            qdiscs.push(qdisc("eth1", "tbf", "root", "1:"));
        }
        facts.filters.tc = Reading::Value(vec![TcFilter { iface: "eth1".into(), kind: "bpf".into() }]);
        facts.filters.tcx = Reading::Value([("eth1".to_owned(), 1)].into());
        facts.filters.programs = Reading::Value(vec![HookProgram {
            iface: "eth1".into(),
            hook: "tc".into(),
            id: None,
            name: None,
            owner: None,
        }]);
        facts.xdp_sockets =
            Reading::Value(vec![XdpSocket { iface: "eth1".into(), queue: 0, zero_copy: None, owner: None }]);
        for group in [
            "link/eth1",
            "ethtool/eth1",
            "standard/eth1",
            "queues/eth1",
            "pagepool/eth1",
            "aer/eth1",
            "qdisc/eth1/root",
        ] {
            grow(&mut facts, group, "x", 1);
        }
        let path = path(&facts);
        let view = of_path(&facts, &path);
        assert_eq!(format!("{view:?}").matches("eth1").count(), 0);
        let beside = beside(&facts, &path);
        assert_eq!(beside.interfaces.keys().collect::<Vec<_>>(), ["eth1", "lo"]);
        assert_eq!((beside.irqs.value().unwrap().len(), beside.qdiscs.value().unwrap().len()), (1, 1));
        assert!(beside.iface.is_none() && beside.path.is_empty());
        let window = beside.window.unwrap();
        assert_eq!(window.delta("qdisc/eth1/root", "x"), Some(1));
        assert!(!window.after.groups.contains_key("link/eth0") && window.after.groups.contains_key("softnet/cpu0"));
        assert!(of_none(&facts).interfaces.is_empty());
    }

    #[test]
    fn facts_that_know_no_path_have_the_interface_in_focus() {
        let mut facts = healthy();
        facts.path.clear();
        assert_eq!(path(&facts).into_iter().collect::<Vec<_>>(), ["eth0"]);
        facts.iface = None;
        assert!(path(&facts).is_empty());
    }
}

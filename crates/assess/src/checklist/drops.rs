//! Item 8: nothing was dropped.

use lowlat_model::Window;
use lowlat_model::document::{ChecklistItem, item as id};

use super::item;
use crate::Input;

/// 8: during the last measurement no probe was lost, and no counter of dropped packets on the path grew: softnet, each of
/// its interfaces and their rings, their queue disciplines, the buffers and the memory of UDP. Counters that could not be
/// read are named; without any of them it cannot be determined.
pub(crate) fn no_drops(input: &Input<'_>) -> ChecklistItem {
    let name = (id::DROPS, "no drops");
    let Some(m) = input.present() else {
        return item(name, None, "nothing was measured", []);
    };
    let mut rests = vec![input.figure("lost")];
    let facts = input.now();
    let (Some((focus, _)), Some(window)) = (facts.focus(), facts.window.as_ref()) else {
        let met = if m.lost > 0 { Some(false) } else { None };
        return item(name, met, format!("{} of {} probes lost; no counters were read", m.lost, m.sent), rests);
    };
    let known = facts.path.iter().map(|l| l.name.as_str()).filter(|name| facts.interfaces.contains_key(*name));
    let mut path: Vec<&str> = known.collect();
    if path.is_empty() {
        path.push(focus);
    }
    let places = places(window, &path);
    let mut groups: Vec<&String> = places.iter().map(|p| &p.group).collect();
    groups.dedup();
    rests.extend(groups.into_iter().map(|group| input.fact(format!("window {group}"))));
    let mut bad: Vec<String> =
        places.iter().filter(|p| p.grown > Some(0)).map(|p| format!("{} {}", p.name, p.grown.unwrap_or(0))).collect();
    let unread: Vec<&str> = places.iter().filter(|p| p.grown.is_none()).map(|p| p.name.as_str()).collect();
    if m.lost > 0 {
        bad.insert(0, format!("{} of {} probes lost", m.lost, m.sent));
    }
    if !bad.is_empty() {
        return item(name, Some(false), bad.join(", "), rests);
    }
    if unread.is_empty() {
        let seen: Vec<&str> = places.iter().map(|p| p.name.as_str()).collect();
        item(name, Some(true), format!("none of {} probes lost; none at {}", m.sent, seen.join(", ")), rests)
    } else {
        item(name, None, format!("none seen, but unreadable: {}", unread.join(", ")), rests)
    }
}

/// Where packets can be dropped.
struct Place {
    name: String,
    group: String,
    /// How many in the window; `None` where it could not be read.
    grown: Option<u64>,
}

/// Every place on the path of these interfaces, with what it dropped in the window.
fn places(window: &Window, path: &[&str]) -> Vec<Place> {
    let place = |name: String, group: &str, grown| Place { name, group: group.to_owned(), grown };
    let mut all = vec![place("softnet".to_owned(), "softnet/*", window.delta_under("softnet/", "dropped"))];
    for iface in path {
        let link = format!("link/{iface}");
        let grown = |key: &str| window.delta(&link, key);
        all.push(place(format!("{iface} receive"), &link, grown("rx_dropped")));
        // The NIC had no room left: in its own memory, in its ring.
        all.push(place(format!("{iface} missed"), &link, grown("rx_missed_errors")));
        all.push(place(format!("{iface} ring"), &link, grown("rx_fifo_errors")));
        // Not every interface counts what it did not send.
        if grown("tx_dropped") > Some(0) {
            all.push(place(format!("{iface} send"), &link, grown("tx_dropped")));
        }
    }
    // An interface above others may have no queue of its own, the path as a whole has one.
    let queued: Vec<u64> = path.iter().filter_map(|i| window.delta_under(&format!("qdisc/{i}/"), "drops")).collect();
    let sum = (!queued.is_empty()).then(|| queued.iter().sum());
    all.push(place("queue disciplines".to_owned(), "qdisc/*", sum));
    all.push(place("UDP receive buffers".to_owned(), "snmp", window.delta("snmp", "Udp.RcvbufErrors")));
    for (name, group, key) in [
        ("UDP memory", "snmp", "Udp.MemErrors"),
        ("UDP receive buffers (IPv6)", "snmp6", "Udp6RcvbufErrors"),
        ("UDP memory (IPv6)", "snmp6", "Udp6MemErrors"),
    ] {
        // Older kernels and those without IPv6 do not count them.
        all.extend(window.delta(group, key).filter(|n| *n > 0).map(|n| place(name.to_owned(), group, Some(n))));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use lowlat_testkit::facts;

    #[test]
    fn a_drop_anywhere_is_seen() {
        for (group, key) in [
            ("softnet/cpu1", "dropped"),
            ("link/eth0", "rx_dropped"),
            ("link/eth0", "rx_missed_errors"),
            ("link/eth0", "rx_fifo_errors"),
            ("qdisc/eth0/root", "drops"),
            ("snmp", "Udp.RcvbufErrors"),
            ("link/eth0", "tx_dropped"),
            ("snmp", "Udp.MemErrors"),
            ("snmp6", "Udp6RcvbufErrors"),
        ] {
            let mut run = sample::Run::good();
            facts::grow(run.after(), group, key, 1);
            assert_eq!(no_drops(&run.input()).met, Some(false), "{group} {key}");
        }
        let mut run = sample::Run::good();
        run.result.as_mut().unwrap().lost = 1;
        assert_eq!(no_drops(&run.input()).met, Some(false));
    }

    /// A bond loses packets at its ports.
    #[test]
    fn a_drop_beneath_is_seen() {
        use lowlat_model::{PathLink, PathRole};
        let mut run = sample::Run::good();
        let host = run.after();
        let port = host.interfaces["eth0"].clone();
        host.interfaces.insert("eth1".into(), port);
        host.path.push(PathLink { name: "eth1".into(), role: PathRole::Lower, kind: None, above: Some("eth0".into()) });
        for key in ["rx_dropped", "rx_missed_errors", "rx_fifo_errors"] {
            facts::grow(host, "link/eth1", key, 0);
        }
        assert_eq!(no_drops(&run.input()).met, Some(true));
        facts::grow(run.after(), "link/eth1", "rx_missed_errors", 9);
        let item = no_drops(&run.input());
        assert_eq!((item.met, item.evidence.as_str()), (Some(false), "eth1 missed 9"));
        assert!(item.rests_on.contains(&"facts-after.window link/eth1".to_owned()), "{item:?}");
    }

    #[test]
    fn an_unread_counter_is_not_zero() {
        let mut run = sample::Run::good();
        facts::deny_group(run.after(), "snmp");
        assert_eq!(no_drops(&run.input()).met, None);
        run.after().window = None;
        assert_eq!(no_drops(&run.input()).met, None);
    }
}

//! Counters of interfaces, drivers and queue disciplines.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::{Sys, query};

use super::Groups;
use crate::interfaces;

crate::collector! {
    /// Per interface, the kernel's own counters and the driver's (`ethtool -S`); per queue discipline, its drops, how
    /// often it reached its limit or rate, and what it holds now.
    ///
    /// The kernel's own counters include `carrier_changes`, how often the link came up or went down, and `tx_timeout`,
    /// how often a transmit queue was found stuck, over all queues.
    ///
    /// The driver's counters have the driver's own names. For a device, `standard` holds the faults for which the
    /// kernel itself has names (of MAC, PHY, pause, FEC and RMON), and `queues` the packets that each queue carried and
    /// dropped, as the queue counts them. A virtual link has neither. `pagepool` holds where a driver's receive pages
    /// came from.
    pub LINKS = "counters/links";
    reads [
        "net:links",
        "/sys/class/net/*/statistics/*",
        "/sys/class/net/*/carrier_changes",
        "/sys/class/net/*/queues/tx-*/tx_timeout",
        "net:IF/statistics", "net:IF/standard-statistics", "net:IF/queue-statistics", "net:page-pools", "net:qdiscs"];
    sources [
        "Documentation/networking/statistics.rst in linux 6.12: Interface statistics, Standard interface statistics",
        "net/ethtool/stats.c in linux 6.12: stats_eth_mac_names, stats_eth_phy_names, stats_rmon_names",
        "Documentation/netlink/specs/netdev.yaml in linux 6.12: qstats-get, page-pool-stats-get",
        "Documentation/ABI/testing/sysfs-class-net-statistics in linux 6.12",
        "Documentation/ABI/testing/sysfs-class-net in linux 6.12: carrier_changes",
        "Documentation/ABI/testing/sysfs-class-net-queues in linux 6.12: tx_timeout",
    ];
}

pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    for link in interfaces::links(sys) {
        let name = &link.name;
        groups.insert(format!("link/{name}"), kernel(sys, name));
        groups.insert(format!("ethtool/{name}"), query::statistics(sys, name));
        if link.kind.is_none() && name != "lo" {
            groups.insert(format!("standard/{name}"), query::standard_statistics(sys, name));
            groups.insert(format!("queues/{name}"), query::queue_statistics(sys, name));
        }
    }
    page_pools(sys, groups);
    match query::qdiscs(sys) {
        Reading::Value(all) => {
            for q in all.into_iter().map(|q| q.qdisc) {
                let counters =
                    [("drops", q.drops), ("overlimits", q.overlimits), ("backlog", q.backlog_bytes), ("qlen", q.qlen)];
                groups.insert(
                    format!("qdisc/{}/{}", q.iface, q.parent),
                    Reading::Value(counters.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
                );
            }
        }
        other => drop(groups.insert("qdisc/*".into(), other.map(|_| BTreeMap::new()))),
    }
}

/// What the page pools count, under the names of their interfaces; those without one have no group.
fn page_pools(sys: &dyn Sys, groups: &mut Groups) {
    match query::page_pools(sys) {
        Reading::Value(pools) => {
            for link in interfaces::links(sys) {
                if let Some(counts) = pools.get(&link.index) {
                    groups.insert(format!("pagepool/{}", link.name), Reading::Value(counts.clone()));
                }
            }
        }
        other => drop(groups.insert("pagepool/*".into(), other.map(|_| BTreeMap::new()))),
    }
}

fn kernel(sys: &dyn Sys, iface: &str) -> Reading<BTreeMap<String, u64>> {
    let dir = format!("/sys/class/net/{iface}/statistics");
    sys.list(&dir).and_then(|names| {
        let mut counters = BTreeMap::new();
        for name in names {
            match sys.read(&format!("{dir}/{name}")).parse(&name) {
                Reading::Value(v) => drop(counters.insert(name, v)),
                other => return other.map(|_: u64| BTreeMap::new()),
            }
        }
        let base = format!("/sys/class/net/{iface}");
        let more = [
            ("carrier_changes", sys.read(&format!("{base}/carrier_changes")).parse("carrier_changes")),
            ("tx_timeout", transmit_timeouts(sys, &base)),
        ];
        for (key, reading) in more {
            match reading {
                Reading::Value(n) => drop(counters.insert(key.to_owned(), n)),
                garbled @ Reading::Garbled(_) => return garbled.map(|_: u64| BTreeMap::new()),
                // Not every kernel and not every link has them.
                _ => {}
            }
        }
        Reading::Value(counters)
    })
}

/// How often the watchdog found a transmit queue stuck, over all queues; absent where no queue has the count.
fn transmit_timeouts(sys: &dyn Sys, base: &str) -> Reading<u64> {
    sys.list(&format!("{base}/queues")).and_then(|queues| {
        let mut all: Reading<u64> = Reading::Absent(format!("{base} counts no transmit timeouts"));
        for queue in queues.iter().filter(|q| q.starts_with("tx-")) {
            match sys.read(&format!("{base}/queues/{queue}/tx_timeout")).parse::<u64>("tx_timeout") {
                Reading::Value(n) => all = Reading::Value(all.into_value().unwrap_or(0).saturating_add(n)),
                garbled @ Reading::Garbled(_) => return garbled,
                _ => {}
            }
        }
        all
    })
}

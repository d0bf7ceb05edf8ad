//! Queues that do not share the load.

use std::collections::BTreeMap;

use lowlat_model::facts::Interface;
use lowlat_model::{Severity, Window};

use crate::look::{finding, on_path, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A device with several receive queues, one of which takes most of the packets.
    /// ## Why it matters
    /// One CPU handles this queue and is the first to lose packets or to make them wait, while the others are idle. A
    /// single flow is always in one queue; then the question is what else shares that queue with the flow that has to be
    /// quick.
    /// ## Threshold
    /// In the counter window one queue took more than 60 % of at least 10 000 packets a second (heuristics). It is a
    /// warning where a CPU also dropped packets or ran out of its budget, and `info` otherwise. The counts are the
    /// kernel's (`qstats`) where the driver has them, else the driver's own.
    /// ## Remedy
    /// Many flows in one queue: look at the table (`ethtool -x`) and at what is hashed (`rx-flow-hash`, ports too for
    /// UDP). One bulk flow next to a quick one: a rule of the device (`steer.flow-rule`) puts them into queues of their
    /// own.
    pub OneQueueCarriesMost = "one-queue-carries-most";
    sources [
        "Documentation/networking/scaling.rst in linux 6.12: RSS: Receive Side Scaling",
        "Documentation/netlink/specs/netdev.yaml in linux 6.12: qstats (rx-packets)",
        "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_get_strings (rx_queue_%u_packets)",
        "drivers/net/ethernet/intel/i40e/i40e_ethtool.c in linux 6.12: i40e_gstrings_queue_stats (%s-%u.packets)",
        "drivers/net/ethernet/mellanox/mlx5/core/en_stats.c in linux 6.12: rq_stats_desc (rx%d_packets)",
        "drivers/net/ethernet/amazon/ena/ena_ethtool.c in linux 6.12: ena_queue_strings (queue_%u_rx_%s)",
        "drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c in linux 6.12: bnxt_ring_rx_stats_str ([%d]: rx_ucast_packets)",
        "drivers/net/ethernet/microsoft/mana/mana_ethtool.c in linux 6.12: mana_get_strings (rx_%d_packets)",
        "drivers/net/ethernet/netronome/nfp/nfp_net_ethtool.c in linux 6.12: nfp_vnic_get_sw_stats_strings (rvec_%u_rx_pkts)",
        "drivers/net/ethernet/aquantia/atlantic/aq_ethtool.c in linux 6.12: aq_ethtool_queue_rx_stat_names (Queue[%d] InPackets)",
        "drivers/net/ethernet/sfc/ethtool_common.c in linux 6.12: efx_describe_per_queue_stats (rx-%d.rx_packets)",
        "heuristic: 60 %, 10 000 packets a second",
    ];
    follows ["interrupts-on-one-cpu"];
}

/// In percent of all packets.
const MOST: u64 = 60;
const LOAD_PER_SECOND: u64 = 10_000;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    for (name, iface) in on_path(input.facts) {
        if iface.kind.is_some() || iface.rx_queues.len() < 2 {
            continue;
        }
        let queues = by_queue(&seen.all_grown(window, &format!("queues/{name}")), &seen.driver_grown(window, name));
        let all: u64 = queues.values().sum();
        let Some((queue, most)) = queues.iter().max_by_key(|(_, n)| **n) else { continue };
        let load = u128::from(all) * 1_000_000_000 >= u128::from(LOAD_PER_SECOND) * u128::from(window.duration_ns());
        if !load || most * 100 <= all * MOST {
            continue;
        }
        let mut evidence = vec![format!(
            "{name} receive queue {queue} took {} % of {all} packets {}; the device has {} queues",
            most * 100 / all,
            within(window),
            iface.rx_queues.len()
        )];
        evidence.extend(spread(name, iface));
        seen.found(finding(
            NAME,
            if too_much(window) { Severity::Warning } else { Severity::Info },
            format!("one receive queue of {name} carries most packets"),
            evidence,
            "look at the table and the hashed fields (ethtool -x, -n IF rx-flow-hash udp4), or give the quick flow a queue by steer.flow-rule",
        ));
    }
}

/// How the device spreads packets, as far as it is known.
fn spread(name: &str, iface: &Interface) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(rss) = iface.rss.value() {
        lines.push(format!("the table of {name} leads to {} of its queues; hash {}", rss.table.len(), rss.hash));
        if !rss.hash_key.is_empty() && rss.hash_key.bytes().all(|b| b == b'0') {
            lines.push("its hash key is all zero: every packet gets the same hash".to_owned());
        }
    }
    lines.extend(iface.flow_rules.value().map(|n| format!("{n} rules of the device for flows")));
    lines
}

/// Whether a CPU could not keep up with what it received.
fn too_much(window: &Window) -> bool {
    let grew =
        |group: &str| ["dropped", "time_squeeze"].iter().any(|k| window.delta(group, k).is_some_and(|by| by > 0));
    window.after.groups_under("softnet/").any(grew)
}

/// Receive queue → packets; the kernel's counts where there are any.
fn by_queue(kernel: &[(String, u64)], driver: &[(String, u64)]) -> BTreeMap<u32, u64> {
    let of = |all: &[(String, u64)]| {
        let mut queues: BTreeMap<u32, u64> = BTreeMap::new();
        // A driver may count unicast, multicast and broadcast apart.
        for (queue, n) in all.iter().filter_map(|(name, n)| Some((queue_of(name)?, *n))) {
            let sum = queues.entry(queue).or_default();
            *sum = sum.saturating_add(n);
        }
        queues
    };
    let counted = of(kernel);
    if counted.is_empty() { of(driver) } else { counted }
}

/// The receive queue whose packets a counter counts, by the names that drivers give: `rx3.rx-packets` (the kernel's own),
/// `rx_queue_3_packets`, `rx-3.packets`, `[3]: rx_ucast_packets`, …
fn queue_of(name: &str) -> Option<u32> {
    let between = |start: &str, end: &str| name.strip_prefix(start)?.strip_suffix(end)?.parse().ok();
    [
        ("rx", ".rx-packets"),
        ("rx_queue_", "_packets"),
        ("rx-", ".packets"),
        ("rx-", ".rx_packets"),
        ("rx", "_packets"),
        ("rx_", "_packets"),
        ("queue_", "_rx_cnt"),
        ("rvec_", "_rx_pkts"),
        ("Queue[", "] InPackets"),
        ("[", "]: rx_ucast_packets"),
        ("[", "]: rx_mcast_packets"),
        ("[", "]: rx_bcast_packets"),
    ]
    .into_iter()
    .find_map(|(start, end)| between(start, end))
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn the_load_is_in_one_of_two() {
        let mut facts = healthy();
        grow(&mut facts, "queues/eth0", "rx0.rx-packets", 90_000);
        grow(&mut facts, "queues/eth0", "rx1.rx-packets", 10_000);
        let said = [
            "eth0 receive queue 0 took 90 % of 100000 packets in 1000 ms; the device has 2 queues",
            "the table of eth0 leads to 2 of its queues; hash toeplitz",
            "0 rules of the device for flows",
        ];
        only(NAME, &facts, &said, &[]);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Info);
        grow(&mut facts, "softnet/cpu0", "time_squeeze", 50);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Warning);
    }

    #[test]
    fn an_even_load_and_a_small_one() {
        let mut facts = healthy();
        grow(&mut facts, "ethtool/eth0", "rx_queue_0_packets", 50_000);
        grow(&mut facts, "ethtool/eth0", "rx_queue_1_packets", 50_000);
        assert_eq!(rule(NAME, &facts), Seen::default());
        grow(&mut facts, "ethtool/eth0", "rx_queue_0_packets", 5_000);
        grow(&mut facts, "ethtool/eth0", "rx_queue_1_packets", 0);
        assert_eq!(rule(NAME, &facts), Seen::default(), "a few packets load nobody");
    }

    #[test]
    fn what_a_driver_counts_apart_is_one_queue() {
        let mut facts = healthy();
        grow(&mut facts, "ethtool/eth0", "[0]: rx_ucast_packets", 40_000);
        grow(&mut facts, "ethtool/eth0", "[0]: rx_mcast_packets", 40_000);
        grow(&mut facts, "ethtool/eth0", "[1]: rx_ucast_packets", 20_000);
        let found = rule(NAME, &facts).findings.remove(0);
        assert!(found.evidence[0].starts_with("eth0 receive queue 0 took 80 % of 100000 packets"), "{found:?}");
    }

    #[test]
    fn names_of_several_drivers() {
        for (name, queue) in [
            ("rx7.rx-packets", 7),
            ("rx_queue_12_packets", 12),
            ("rx-3.packets", 3),
            ("rx5_packets", 5),
            ("queue_2_rx_cnt", 2),
            ("[6]: rx_ucast_packets", 6),
            ("rx_8_packets", 8),
            ("rvec_9_rx_pkts", 9),
            ("Queue[10] InPackets", 10),
            ("rx-11.rx_packets", 11),
        ] {
            assert_eq!(queue_of(name), Some(queue), "{name}");
        }
        for name in ["rx_packets", "tx_queue_1_packets", "rx1_xdp_packets", "rx_queue_0_bytes", "[1]: tx_ucast_packets"]
        {
            assert_eq!(queue_of(name), None, "{name}");
        }
    }

    #[test]
    fn blind_where_the_counts_may_not_be_read() {
        let mut facts = healthy();
        deny_group(&mut facts, "queues/eth0");
        blind(NAME, &facts, "counters queues/eth0", "denied");
    }
}

//! Losses that the host counts and no other rule explains.

use std::collections::BTreeMap;

use lowlat_model::{Severity, Window};

use crate::look::{finding, on_path, within};
use crate::{
    Input, Seen, instance_allowance_exceeded, link_errors, link_goes_down, nic_ring_drops, pause_frames,
    transmit_timeouts,
};

crate::rule! {
    /// ## What it finds
    /// A counter of drops or errors that grew and that no other rule covers: of an interface of the path, of its queue
    /// disciplines or of the host's protocols.
    /// ## Why it matters
    /// Drivers count losses under names of their own. Fix loss before latency, whatever the name of its counter.
    /// ## Threshold
    /// Any growth in the counter window of a counter whose name mentions drops, discards, errors, failures, faults,
    /// overruns, frames of a wrong size, or a lack of buffers, descriptors, memory or space: of the kernel's interface
    /// statistics, of those that it defines for MAC, PHY and queues, and of the driver's own.
    /// It is a warning where more than one packet in 10 000 of the window is lost this way (a heuristic, the same as
    /// for retransmissions), and `info` otherwise. The kernel's `rx_dropped` alone is never a warning: it also counts
    /// packets of protocols that nobody listens to. Drops of a discipline that drops to keep its queue short
    /// (`fq_codel`, `cake` and similar ones) are never a warning either, nor are those of protocols. Drops of an
    /// `ingress` discipline were decided by a filter or policer there.
    /// ## Remedy
    /// Look up the name in the driver's documentation or source. For `rx_dropped` the kernel reports why it drops each
    /// packet: tracepoint `skb:kfree_skb`, field `reason`.
    pub UnexplainedDrops = "unexplained-drops";
    sources [
        "Documentation/networking/statistics.rst in linux 6.12: Interface statistics",
        "include/uapi/linux/if_link.h in linux 6.12: struct rtnl_link_stats64 (rx_dropped)",
        "net/core/dev.c in linux 6.12: __netif_receive_skb_core (rx_dropped, SKB_DROP_REASON_UNHANDLED_PROTO)",
        "Documentation/netlink/specs/netdev.yaml in linux 6.12: qstats (rx-alloc-fail, rx-hw-drops, tx-hw-drops, tx-hw-drop-errors)",
        "net/ethtool/stats.c in linux 6.12: stats_eth_mac_names",
        "net/ipv4/proc.c in linux 6.12: snmp4_ipstats_list, snmp4_udp_list, snmp4_net_list",
        "net/sched/sch_fq_codel.c in linux 6.12: fq_codel_drop",
        "include/trace/events/skb.h in linux 6.12: kfree_skb",
        "heuristic: one in 10 000",
    ];
    follows ["link-errors", "link-goes-down", "transmit-timeouts", "pci-express-errors", "nic-ring-drops"];
}

/// One lost packet of so many is a warning.
const OF: u64 = 10_000;
const KERNEL: [&str; 10] = [
    "rx_errors",
    "rx_dropped",
    "rx_length_errors",
    "tx_errors",
    "tx_dropped",
    "tx_aborted_errors",
    "tx_carrier_errors",
    "tx_fifo_errors",
    "tx_heartbeat_errors",
    "tx_window_errors",
];
/// Parts of a driver's names for losses.
const LOSS: [&str; 33] = [
    "drop",
    "discard",
    "error",
    "_err",
    " err",
    "errs",
    "fail",
    "_fault",
    "abort",
    "reject",
    "lost",
    "overrun",
    "overflow",
    "ovflow",
    "underrun",
    "underflow",
    "missed",
    "exhaust",
    "unavail",
    "truncat",
    "oversize",
    "undersize",
    "jabber",
    "runt",
    "bad_",
    "no_buf",
    "nobuf",
    "no_desc",
    "nodesc",
    "no_mem",
    "no_space",
    "empty_rx_ring",
    "out_of_",
];
/// What sounds like a loss and is none: what a program of the administrator drops, packets that no hardware rule took, a
/// ring without a free descriptor while the packet waits in the device (igb, e1000e), and bytes of frames counted elsewhere.
const NONE: [&str; 5] = ["xdp", "steer_missed", "fdir_", "rx_no_buffer_count", "_bytes"];

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    protocols(window, seen);
    for (name, iface) in on_path(input.facts) {
        let driver = iface.driver.value().map_or("", String::as_str);
        let mut grown = unexplained(window, name, driver, &seen.driver_grown(window, name));
        grown.extend(standard(window, name, seen));
        let (queues, lost) = disciplines(input, window, name);
        if grown.is_empty() && queues.is_empty() {
            continue;
        }
        let packets: u64 =
            ["rx_packets", "tx_packets"].iter().filter_map(|k| window.delta(&format!("link/{name}"), k)).sum();
        let worst =
            grown.iter().filter(|(key, _)| *key != "rx_dropped").map(|(_, by)| *by).max().unwrap_or(0).max(lost);
        let many = worst.saturating_mul(OF) > packets.saturating_add(worst);
        let line = |(key, by): (&String, &u64)| format!("{name} {} grew by {by} {}", key.trim(), within(window));
        let evidence = grown.iter().map(line).chain(queues).collect();
        seen.found(finding(
            NAME,
            if many { Severity::Warning } else { Severity::Info },
            format!("{name} counts drops or errors that no other finding explains"),
            evidence,
            "look the counter up in the driver's documentation; for rx_dropped trace skb:kfree_skb, which gives the reason",
        ));
    }
}

/// Disciplines whose drops are their work, or another rule's: a sum over others, or a plain FIFO.
const NOT_HERE: [&str; 11] =
    ["mq", "mqprio", "taprio", "htb", "hfsc", "prio", "drr", "tbf", "netem", "noqueue", "noop"];
const FIFOS: [&str; 4] = ["pfifo", "bfifo", "pfifo_fast", "pfifo_head_drop"];
/// Disciplines that drop to keep their queue short.
const ON_PURPOSE: [&str; 7] = ["fq_codel", "codel", "cake", "pie", "fq_pie", "red", "sfq"];

/// What the queue disciplines of an interface dropped, and the largest number of those that do not drop on purpose.
fn disciplines(input: &Input<'_>, window: &Window, name: &str) -> (Vec<String>, u64) {
    let (mut lines, mut lost) = (Vec::new(), 0);
    for q in input.facts.qdiscs.value().into_iter().flatten().filter(|q| q.iface == name) {
        let kind = q.kind.as_str();
        if NOT_HERE.contains(&kind) || FIFOS.contains(&kind) {
            continue;
        }
        if let Some(by) = window.delta(&format!("qdisc/{name}/{}", q.parent), "drops").filter(|by| *by > 0) {
            lines.push(format!("{kind} on {name} {} dropped {by} packets {}", q.parent, within(window)));
            lost = if ON_PURPOSE.contains(&kind) { lost } else { lost.max(by) };
        }
    }
    (lines, lost)
}

/// Drops and errors of protocols that no other rule speaks of (net/ipv4/proc.c, net/ipv6/proc.c).
const PROTOCOLS: [(&str, &str); 30] = [
    ("snmp", "Ip.InDiscards"),
    ("snmp", "Ip.OutDiscards"),
    ("snmp", "Ip.InHdrErrors"),
    ("snmp", "Ip.OutNoRoutes"),
    ("snmp", "Ip.ReasmFails"),
    ("snmp", "Ip.FragFails"),
    ("snmp", "Udp.InCsumErrors"),
    ("snmp", "Udp.SndbufErrors"),
    ("snmp", "Tcp.InErrs"),
    ("netstat", "IpExt.InTruncatedPkts"),
    ("netstat", "IpExt.InCsumErrors"),
    ("netstat", "TcpExt.PFMemallocDrop"),
    ("netstat", "TcpExt.TCPMinTTLDrop"),
    ("netstat", "TcpExt.TCPOFODrop"),
    ("netstat", "TcpExt.TCPZeroWindowDrop"),
    ("netstat", "TcpExt.TCPReqQFullDrop"),
    ("netstat", "TcpExt.TCPWqueueTooBig"),
    ("netstat", "TcpExt.TCPMemoryPressures"),
    ("snmp6", "Ip6InDiscards"),
    ("snmp6", "Ip6OutDiscards"),
    ("snmp6", "Udp6InCsumErrors"),
    ("snmp", "Ip.InAddrErrors"),
    ("netstat", "IpExt.InNoRoutes"),
    ("netstat", "TcpExt.TCPAbortOnMemory"),
    ("netstat", "TcpExt.ListenDrops"),
    ("snmp6", "Ip6InHdrErrors"),
    ("snmp6", "Ip6OutNoRoutes"),
    ("snmp6", "Ip6ReasmFails"),
    ("snmp6", "Udp6SndbufErrors"),
    ("neigh/arp", "unresolved_discards"),
];

fn protocols(window: &Window, seen: &mut Seen) {
    let grown = |(group, key): &(&str, &str)| {
        let by = window.delta(group, key).filter(|by| *by > 0)?;
        Some(format!("{key} grew by {by} {} ({group})", within(window)))
    };
    // Overflows are counted as drops too, and are the fault of another rule.
    let overflows = window.delta("netstat", "TcpExt.ListenOverflows").unwrap_or(0) > 0;
    let known = |(_, key): &&(&str, &str)| overflows && key.ends_with("ListenDrops");
    let mut evidence: Vec<String> = PROTOCOLS.iter().filter(|p| !known(p)).filter_map(grown).collect();
    evidence.extend(datagrams(window));
    if !evidence.is_empty() {
        seen.found(finding(
            NAME,
            Severity::Info,
            "the host's protocols count drops or errors that no other finding explains".to_owned(),
            evidence,
            "look the counter up in the kernel's snmp_counter.rst; skb:kfree_skb gives the reason of each drop",
        ));
    }
}

/// Errors of UDP that none of its named causes explains, where all of them are counted.
fn datagrams(window: &Window) -> Option<String> {
    window.after.get("snmp", "Udp.MemErrors")?;
    let grown = |key: &str| window.delta("snmp", &format!("Udp.{key}")).unwrap_or(0);
    let named = grown("RcvbufErrors") + grown("InCsumErrors") + grown("MemErrors");
    let rest = grown("InErrors").saturating_sub(named);
    (rest > 0).then(|| format!("Udp.InErrors grew by {rest} beyond its named causes {} (snmp)", within(window)))
}

/// Whether another rule speaks of this counter of a driver.
fn explained(driver: &str, key: &str) -> bool {
    nic_ring_drops::counts(driver, key)
        || pause_frames::counts(key)
        || link_errors::counts(key)
        || transmit_timeouts::counts(key)
        || link_goes_down::counts(key)
        || link_errors::restored(key)
        || key.ends_with(instance_allowance_exceeded::ALLOWANCE)
}

/// What the kernel has names for itself and no other rule explains. All drops of a queue hold those that are named apart,
/// so they are left out where one of these grew.
fn standard(window: &Window, name: &str, seen: &mut Seen) -> BTreeMap<String, u64> {
    let named = |key: &String| link_errors::STANDARD.contains(&key.as_str()) || key.starts_with(pause_frames::STANDARD);
    let mut grown: BTreeMap<String, u64> = seen.all_grown(window, &format!("standard/{name}")).into_iter().collect();
    grown.retain(|key, _| !named(key));
    let parts = [nic_ring_drops::OVERRUNS].iter().chain(&instance_allowance_exceeded::RATE_LIMITS);
    let explained = parts.filter(|key| seen.queues_grown(window, name, key).is_some()).count() > 0;
    for key in ["rx-alloc-fail", "rx-hw-drops", "tx-hw-drops", "tx-hw-drop-errors"] {
        if let Some(by) = seen.queues_grown(window, name, key).filter(|_| !(explained && key.ends_with("-hw-drops"))) {
            grown.insert(key.to_owned(), by);
        }
    }
    grown
}

/// What grew and is not explained. The kernel's sums are left out where one of their parts is known.
fn unexplained(window: &Window, name: &str, driver: &str, driver_grown: &[(String, u64)]) -> BTreeMap<String, u64> {
    let link = format!("link/{name}");
    let kernel = |key: &str| window.delta(&link, key).filter(|by| *by > 0);
    let part_known = |side: &str| {
        driver_grown.iter().any(|(key, _)| explained(driver, key) && (key.contains(side) || side == "rx"))
            || (side == "rx" && nic_ring_drops::KERNEL.iter().chain(&link_errors::KERNEL).any(|k| kernel(k).is_some()))
    };
    let mut grown = BTreeMap::new();
    for key in KERNEL {
        if key == "rx_dropped" && nic_ring_drops::as_dropped(window, name, driver) {
            continue;
        }
        let sum = matches!(key, "rx_errors" | "rx_dropped" | "tx_errors" | "tx_dropped");
        if let Some(by) = kernel(key).filter(|_| !(sum && part_known(&key[..2]))) {
            grown.insert(key.to_owned(), by);
        }
    }
    for (key, by) in driver_grown {
        let low = key.to_ascii_lowercase();
        let loss = LOSS.iter().any(|part| low.contains(part)) && !NONE.iter().any(|part| low.contains(part));
        // A driver that shows the kernel's own again adds nothing.
        if loss && !explained(driver, key) && !KERNEL.contains(&key.trim()) {
            grown.insert(key.clone(), *by);
        }
    }
    grown
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{grow, healthy, qdisc};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_name_that_no_rule_knows() {
        let mut facts = healthy();
        grow(&mut facts, "ethtool/eth0", "rx_wqe_err", 100);
        only(NAME, &facts, &["eth0 rx_wqe_err grew by 100 in 1000 ms"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Warning);
    }

    #[test]
    fn protocols_that_nobody_listens_to_are_not_a_fault() {
        let mut facts = healthy();
        grow(&mut facts, "link/eth0", "rx_dropped", 500);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Info);
    }

    #[test]
    fn a_policer_and_a_queue_that_is_kept_short() {
        let mut facts = healthy();
        grow(&mut facts, "qdisc/eth0/root", "drops", 100);
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!(found.evidence, ["fq_codel on eth0 root dropped 100 packets in 1000 ms"]);
        assert_eq!(found.severity, Severity::Info, "that is its work");
        let mut facts = healthy();
        if let Reading::Value(all) = &mut facts.qdiscs {
            all.push(qdisc("eth0", "ingress", "ingress", "ffff:"));
        }
        grow(&mut facts, "qdisc/eth0/ingress", "drops", 100);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Warning);
    }

    #[test]
    fn what_protocols_drop() {
        let mut facts = healthy();
        grow(&mut facts, "snmp", "Ip.InDiscards", 3);
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!(found.evidence, ["Ip.InDiscards grew by 3 in 1000 ms (snmp)"]);
        assert_eq!(found.severity, Severity::Info);
    }

    #[test]
    fn errors_of_datagrams_beyond_their_causes() {
        let mut facts = healthy();
        grow(&mut facts, "snmp", "Udp.MemErrors", 0);
        grow(&mut facts, "snmp", "Udp.InErrors", 9);
        grow(&mut facts, "snmp", "Udp.RcvbufErrors", 9);
        assert_eq!(rule(NAME, &facts), Seen::default());
        grow(&mut facts, "snmp", "Udp.InErrors", 3);
        let said = &rule(NAME, &facts).findings[0].evidence;
        assert_eq!(said, &["Udp.InErrors grew by 3 beyond its named causes in 1000 ms (snmp)"]);
    }

    #[test]
    fn what_the_kernel_has_names_for() {
        let mut facts = healthy();
        grow(&mut facts, "standard/eth0", "eth-mac.LateCollisions", 100);
        grow(&mut facts, "queues/eth0", "rx1.rx-alloc-fail", 7);
        let said = ["eth0 eth-mac.LateCollisions grew by 100 in 1000 ms", "eth0 rx-alloc-fail grew by 7 in 1000 ms"];
        only(NAME, &facts, &said, &[]);
    }

    #[test]
    fn all_drops_of_a_queue_hold_those_that_are_named_apart() {
        let mut facts = healthy();
        grow(&mut facts, "queues/eth0", "rx0.rx-hw-drops", 8);
        assert_eq!(rule(NAME, &facts).findings.len(), 1);
        grow(&mut facts, "queues/eth0", "rx0.rx-hw-drop-overruns", 8);
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn one_in_a_million_is_worth_knowing() {
        let mut facts = healthy();
        grow(&mut facts, "link/eth0", "rx_packets", 10_000_000);
        grow(&mut facts, "link/eth0", "tx_errors", 10);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Info);
    }

    #[test]
    fn what_other_rules_explain_is_not_said_twice() {
        let mut facts = healthy();
        for (group, key) in [
            ("link/eth0", "rx_crc_errors"),
            ("link/eth0", "rx_errors"),
            ("ethtool/eth0", "rx_errors"),
            ("ethtool/eth0", "rx_no_dma_resources"),
            ("ethtool/eth0", "tx_timeout_count"),
            ("ethtool/eth0", "rx0_xdp_drops"),
        ] {
            grow(&mut facts, group, key, 9);
        }
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn blind_without_a_window() {
        let mut facts = healthy();
        facts.window = None;
        blind(NAME, &facts, "counter growth", "absent");
    }
}

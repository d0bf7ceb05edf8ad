//! Counters of IP, UDP and TCP.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use super::Groups;
use crate::text::garbled;

crate::collector! {
    /// The counters of the network namespace's protocols: `Udp.RcvbufErrors`, `Tcp.RetransSegs`,
    /// `TcpExt.TCPRcvQDrop` and so on, and for IPv6 the names of `/proc/net/snmp6` unchanged.
    ///
    /// Values below zero (`Tcp.MaxConn` is -1) are settings, not counts, and are left out.
    pub PROTOCOLS = "counters/protocols";
    reads ["/proc/net/snmp", "/proc/net/netstat", "/proc/net/snmp6"];
    sources [
        "Documentation/networking/snmp_counter.rst in linux 6.12",
        "net/ipv4/proc.c in linux 6.12: snmp_seq_show, netstat_seq_show",
        "net/ipv6/proc.c in linux 6.12: snmp6_seq_show",
    ];
}

pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    groups.insert("snmp".into(), sys.read("/proc/net/snmp").and_then(|t| paired(&t)));
    groups.insert("netstat".into(), sys.read("/proc/net/netstat").and_then(|t| paired(&t)));
    groups.insert("snmp6".into(), sys.read("/proc/net/snmp6").and_then(|t| single(&t)));
}

/// Pairs of lines, names above values: `Udp: InDatagrams …` and `Udp: 12 …`.
fn paired(text: &str) -> Reading<BTreeMap<String, u64>> {
    let mut counters = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(names) = lines.next() {
        let (Some((group, names)), Some(Some((same, values)))) =
            (names.split_once(':'), lines.next().map(|l| l.split_once(':')))
        else {
            return garbled("protocol counters", names);
        };
        if group != same || names.split_whitespace().count() != values.split_whitespace().count() {
            return garbled("protocol counters", values);
        }
        for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
            match value.parse::<u64>() {
                Ok(v) => drop(counters.insert(format!("{group}.{name}"), v)),
                Err(_) if value.parse::<i64>().is_ok() => {}
                Err(_) => return garbled("protocol counters", value),
            }
        }
    }
    Reading::Value(counters)
}

/// One counter per line: `Udp6RcvbufErrors   0`.
fn single(text: &str) -> Reading<BTreeMap<String, u64>> {
    let mut counters = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next().map(str::parse::<u64>)) {
            (Some(name), Some(Ok(value))) => drop(counters.insert(name.to_owned(), value)),
            _ => return garbled("/proc/net/snmp6", line),
        }
    }
    Reading::Value(counters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_above_their_values() {
        let text =
            "Tcp: RtoAlgorithm RtoMin MaxConn RetransSegs\nTcp: 1 200 -1 7\nUdp: InDatagrams RcvbufErrors\nUdp: 5 3\n";
        let counters = paired(text).into_value().unwrap();
        assert_eq!(counters["Tcp.RetransSegs"], 7);
        assert_eq!(counters["Udp.RcvbufErrors"], 3);
        assert!(!counters.contains_key("Tcp.MaxConn"));
    }

    #[test]
    fn a_cut_table_is_garbled_not_shifted() {
        assert!(matches!(paired("Udp: InDatagrams RcvbufErrors\nUdp: 5\n"), Reading::Garbled(_)));
        assert!(matches!(paired("Udp: InDatagrams\n"), Reading::Garbled(_)));
        assert!(matches!(paired("Udp: InDatagrams\nTcp: 5\n"), Reading::Garbled(_)));
    }

    #[test]
    fn six_has_one_per_line() {
        assert_eq!(single("Udp6RcvbufErrors                \t4\n").into_value().unwrap()["Udp6RcvbufErrors"], 4);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = paired(&text);
            let _ = single(&text);
        }
    }
}

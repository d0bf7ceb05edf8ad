//! Packet filters and taps on the path.

use lowlat_model::Reading;
use lowlat_model::facts::Filters;
use lowlat_sys::{Sys, query};

use crate::text::garbled;

crate::collector! {
    /// What looks at each packet before an application does: nf_tables rules per chain, legacy iptables tables that
    /// were ever used in this namespace, connection tracking, and packet sockets (tcpdump, DHCP clients, LLDP).
    ///
    /// A packet socket is counted when it is bound to a protocol; one with protocol 0 receives nothing (packet(7)).
    pub FILTERS = "filters";
    reads [
        "net:nft-rules",
        "/proc/net/ip_tables_names",
        "/proc/net/ip6_tables_names",
        "/proc/sys/net/netfilter/nf_conntrack_count",
        "/proc/sys/net/netfilter/nf_conntrack_max",
        "/proc/net/packet",
    ];
    sources [
        "man 7 packet (ETH_P_ALL; protocol 0 receives nothing)",
        "net/packet/af_packet.c in linux 6.12: packet_seq_show",
        "Documentation/networking/nf_conntrack-sysctl.rst in linux 6.12: nf_conntrack_count, nf_conntrack_max",
    ];
}

/// All of it.
pub(crate) fn read(sys: &dyn Sys) -> Filters {
    Filters {
        nft_rules: query::nft_rules(sys),
        iptables_tables: legacy_tables(sys),
        conntrack_count: sys.sysctl("net.netfilter.nf_conntrack_count").parse("nf_conntrack_count"),
        conntrack_max: sys.sysctl("net.netfilter.nf_conntrack_max").parse("nf_conntrack_max"),
        packet_sockets: sys.read("/proc/net/packet").and_then(|text| packet_sockets(&text)),
    }
}

/// Names of the legacy tables, those for IPv6 as `ip6 filter`. A kernel without one of the two has no such file.
fn legacy_tables(sys: &dyn Sys) -> Reading<Vec<String>> {
    let names = |file: &str, prefix: &str| {
        sys.read(&format!("/proc/net/{file}")).map(|text| {
            text.lines().map(str::trim).filter(|l| !l.is_empty()).map(|l| format!("{prefix}{l}")).collect::<Vec<_>>()
        })
    };
    match (names("ip_tables_names", ""), names("ip6_tables_names", "ip6 ")) {
        (Reading::Value(four), Reading::Value(six)) => Reading::Value([four, six].concat()),
        (Reading::Absent(_), six) => six,
        (four, Reading::Absent(_)) => four,
        (Reading::Value(_), six) => six,
        (four, _) => four,
    }
}

/// Counts the sockets of `/proc/net/packet` that receive: `sk RefCnt Type Proto Iface R Rmem User Inode`, the protocol
/// in hexadecimal.
fn packet_sockets(text: &str) -> Reading<u64> {
    let mut lines = text.lines();
    let Some(header) = lines.next() else { return Reading::Value(0) };
    let Some(column) = header.split_whitespace().position(|name| name == "Proto") else {
        return garbled("/proc/net/packet", header);
    };
    let mut count = 0;
    for line in lines {
        match line.split_whitespace().nth(column).map(|p| u32::from_str_radix(p, 16)) {
            Some(Ok(0)) => {}
            Some(Ok(_)) => count += 1,
            _ => return garbled("/proc/net/packet", line),
        }
    }
    Reading::Value(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_counted_and_mute_sockets_are_not() {
        let text = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n\
                    00000000f8a5c3d1 3      3    0003   0     1 0      0      24521\n\
                    000000008b9d4f02 3      2    0806   2     1 0      0      24522\n\
                    00000000aa9d4f02 3      3    0000   0     0 0      0      24523\n";
        assert_eq!(packet_sockets(text), Reading::Value(2));
        assert_eq!(
            packet_sockets("sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"),
            Reading::Value(0)
        );
        assert!(matches!(packet_sockets("something else\n"), Reading::Garbled(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = packet_sockets(&text);
        }
    }
}

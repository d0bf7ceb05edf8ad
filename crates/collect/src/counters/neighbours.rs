//! The tables of neighbours.

use lowlat_sys::Sys;

use super::{Groups, conntrack};

crate::collector! {
    /// How often the kernel found its table of IPv4 (`neigh/arp`) or IPv6 neighbours (`neigh/ndisc`) full, and how many
    /// packets it dropped while it was asking for a neighbour's address.
    pub NEIGHBOURS = "counters/neighbours";
    reads ["/proc/net/stat/arp_cache", "/proc/net/stat/ndisc_cache"];
    sources [
        "net/core/neighbour.c in linux 6.12: neigh_stat_seq_show, neigh_alloc (table_fulls)",
    ];
}

/// Reads them.
pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    for (group, file) in [("neigh/arp", "arp_cache"), ("neigh/ndisc", "ndisc_cache")] {
        let path = format!("/proc/net/stat/{file}");
        let counts = sys.read(&path).and_then(|t| conntrack::sums(&path, &t, &["table_fulls", "unresolved_discards"]));
        groups.insert(group.to_owned(), counts);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn both_tables() {
        let text = "entries  unresolved_discards table_fulls\n00000007 00000002 0000000a\n00000007 00000001 00000001\n";
        let sys = FakeSys::new().file("/proc/net/stat/arp_cache", text);
        let mut groups = Groups::new();
        read(&sys, &mut groups);
        let want = BTreeMap::from([("table_fulls".to_owned(), 11), ("unresolved_discards".to_owned(), 3)]);
        assert_eq!(groups["neigh/arp"].value(), Some(&want));
        assert!(groups["neigh/ndisc"].value().is_none());
    }
}

//! A table of neighbours that is full.

use lowlat_model::Severity;

use crate::look::{finding, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Neighbours (ARP or IPv6 neighbour discovery) for which the kernel's table had no room.
    /// ## Why it matters
    /// Packets to a neighbour without an entry are dropped while the kernel searches old entries for one to evict. It
    /// can happen at any time on a network with more hosts than the table holds, or on a container host with many
    /// bridges.
    /// ## Threshold
    /// Any growth of `table_fulls` in the counter window: the table had more entries than `gc_thresh3`, 1024 by
    /// default, and none could be evicted.
    /// ## Remedy
    /// Raise `net.ipv4.neigh.default.gc_thresh3` (and `gc_thresh2`, above which entries are evicted early); for IPv6,
    /// the same settings under `net.ipv6`. The tables belong to the whole host, not to the namespace. lowlat writes
    /// neither setting.
    pub NeighbourTableFull = "neighbour-table-full";
    sources [
        "net/core/neighbour.c in linux 6.12: neigh_alloc (table_fulls)",
        "Documentation/networking/ip-sysctl.rst in linux 6.12: neigh/default/gc_thresh1, gc_thresh2, gc_thresh3",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let mut evidence = Vec::new();
    for (group, limit) in
        [("neigh/arp", "net.ipv4.neigh.default.gc_thresh3"), ("neigh/ndisc", "net.ipv6.neigh.default.gc_thresh3")]
    {
        if !seen.counted(window, group) {
            continue;
        }
        if let Some(by) = window.delta(group, "table_fulls").filter(|by| *by > 0) {
            evidence.push(format!("{group} was full {by} times {} (/proc/net/stat)", within(window)));
            evidence.extend(input.facts.sysctl(limit).map(|value| format!("{limit} = {}", value.trim())));
        }
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Critical,
        "packets are dropped because the table of neighbours is full".to_owned(),
        evidence,
        "raise neigh.default.gc_thresh3 above the number of neighbours, and gc_thresh2 with it",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn more_neighbours_than_entries() {
        let mut facts = healthy();
        facts.sysctls.insert("net.ipv4.neigh.default.gc_thresh3".into(), Reading::Value("1024".into()));
        grow(&mut facts, "neigh/arp", "table_fulls", 0);
        assert_eq!(rule(NAME, &facts), Seen::default());
        grow(&mut facts, "neigh/arp", "table_fulls", 7);
        let said =
            ["neigh/arp was full 7 times in 1000 ms (/proc/net/stat)", "net.ipv4.neigh.default.gc_thresh3 = 1024"];
        only(NAME, &facts, &said, &[]);
    }

    #[test]
    fn blind_where_it_may_not_be_read() {
        let mut facts = healthy();
        grow(&mut facts, "neigh/arp", "table_fulls", 0);
        deny_group(&mut facts, "neigh/arp");
        blind(NAME, &facts, "neigh/arp", "denied");
    }
}

//! Packet filter rules that every packet walks.

use lowlat_model::Severity;

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// An nf_tables chain with many rules.
    /// ## Why it matters
    /// For each packet the kernel tries the rules of a chain one after another until one decides. Measured over
    /// loopback UDP with rules that compare a source address and do not match: 6.2 µs per round trip without rules,
    /// 7.7 µs with 100, 9.3 µs with 300, 17 µs with 1000. That is about 5 ns for each rule and packet.
    /// ## Threshold
    /// 100 rules in one chain are `info` (half a microsecond per packet); 1000 are a warning (five microseconds each
    /// way). How many of them a packet passes depends on where it matches, which the number of rules does not show.
    /// Rules of legacy iptables are not counted; where its tables exist, lowlat says so.
    /// ## Remedy
    /// Replace a list of similar rules with one rule that has a set or a verdict map: a lookup costs the same whatever
    /// its size. Accept established and latency-critical flows at the top of the chain. lowlat never edits a packet
    /// filter.
    pub LongFilterChain = "long-filter-chain";
    sources [
        "net/netfilter/nf_tables_core.c in linux 6.12: nft_do_chain",
        "net/netfilter/x_tables.c in linux 6.12: xt_proto_init, FORMAT_TABLES (_tables_names)",
        "https://github.com/kubernetes/kubernetes/issues/14099 (iptables-save: 9508 lines)",
        "https://wiki.nftables.org/wiki-nftables/index.php/Sets",
        "measured: loopback UDP round trips against rule counts, linux 6.18, median of 20000, three runs each",
    ];
}

const INFO: u64 = 100;
const WARNING: u64 = 1_000;

fn look(input: &Input<'_>, seen: &mut Seen) {
    if let Some(tables) = input.facts.filters.iptables_tables.value().filter(|t| !t.is_empty()) {
        // Only a program of iptables itself can read them, and reading a table that is not there makes it.
        let why = format!("unsupported: tables {} are there, and lowlat does not read legacy rules", tables.join(", "));
        seen.missing("number of legacy iptables rules (count them with iptables-legacy-save)", why);
    }
    let Some(chains) = seen.need("nf_tables rules", &input.facts.filters.nft_rules) else { return };
    let mut long: Vec<(&String, u64)> = chains.iter().map(|(c, n)| (c, *n)).filter(|(_, n)| *n >= INFO).collect();
    if long.is_empty() {
        return;
    }
    long.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let severity = if long[0].1 >= WARNING { Severity::Warning } else { Severity::Info };
    let evidence = long.iter().map(|(chain, n)| format!("chain {chain}: {n} rules")).collect();
    seen.found(finding(
        NAME,
        severity,
        "packets traverse a long list of filter rules".to_owned(),
        evidence,
        "put the rules into a set or a verdict map, and accept the critical flows at the top of the chain; lowlat edits no packet filter",
    ));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lowlat_model::{Facts, Reading};
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    fn with_rules(n: u64) -> Facts {
        let mut facts = healthy();
        facts.filters.nft_rules =
            Reading::Value(BTreeMap::from([("inet grown input".into(), n), ("inet grown output".into(), 4)]));
        facts
    }

    #[test]
    fn two_thousand_rules() {
        only(NAME, &with_rules(2_000), &["chain inet grown input: 2000 rules"], &[]);
        let found = rule(NAME, &with_rules(2_000)).findings.remove(0);
        assert_eq!((found.severity, found.remedy.settings.len()), (Severity::Warning, 0));
    }

    #[test]
    fn the_edges() {
        assert_eq!(rule(NAME, &with_rules(99)), Seen::default());
        assert_eq!(rule(NAME, &with_rules(100)).findings[0].severity, Severity::Info);
        assert_eq!(rule(NAME, &with_rules(999)).findings[0].severity, Severity::Info);
        assert_eq!(rule(NAME, &with_rules(1_000)).findings[0].severity, Severity::Warning);
    }

    #[test]
    fn legacy_rules_are_not_counted_and_that_is_said() {
        let mut facts = healthy();
        facts.filters.iptables_tables = Reading::Value(vec!["nat".into(), "ip6 filter".into()]);
        let seen = rule(NAME, &facts);
        assert_eq!(seen.findings, []);
        assert_eq!(
            seen.not_seen[0].why,
            "unsupported: tables nat, ip6 filter are there, and lowlat does not read legacy rules"
        );
    }

    #[test]
    fn blind_without_the_dump() {
        let mut facts = healthy();
        facts.filters.nft_rules = Reading::Denied("listing rules needs root".into());
        blind(NAME, &facts, "nf_tables rules", "denied");
    }
}

//! A table of connections without room.

use lowlat_model::{Reading, Severity};

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A connection tracking table that is nearly full, or that dropped packets or entries.
    /// ## Why it matters
    /// When the table is full, the kernel drops the packets of new connections. Near the limit it evicts entries to
    /// make room, and each lookup walks longer chains.
    /// ## Threshold
    /// More than nine tenths of `nf_conntrack_max` in use (a heuristic), or any growth of `drop` or `early_drop` in the
    /// counter window.
    /// ## Remedy
    /// Exempt the latency-critical flows from tracking (`notrack` in the raw table), which also saves their lookups. Or
    /// raise `net.netfilter.nf_conntrack_max`. lowlat edits no packet filter.
    pub ConnectionTrackingFull = "connection-tracking-full";
    sources [
        "Documentation/networking/nf_conntrack-sysctl.rst in linux 6.12: nf_conntrack_count, nf_conntrack_max",
        "net/netfilter/nf_conntrack_core.c in linux 6.12: __nf_conntrack_alloc, early_drop",
        "heuristic: nine tenths",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    // Where connections are not tracked there is no such file.
    let tracked = |reading: &Reading<u64>| !matches!(reading, Reading::Absent(_));
    let filters = &input.facts.filters;
    if !tracked(&filters.conntrack_count) || !tracked(&filters.conntrack_max) {
        return;
    }
    let count = seen.need("connection tracking entries", &filters.conntrack_count).copied();
    let most = seen.need("connection tracking table size", &filters.conntrack_max).copied();
    let mut evidence = Vec::new();
    if let (Some(count), Some(most)) = (count, most)
        && count.saturating_mul(10) > most.saturating_mul(9)
    {
        evidence.push(format!("{count} of {most} entries in use"));
    }
    if let Some(window) = seen.window(input)
        && seen.counted(window, "conntrack")
    {
        evidence.extend(seen.grown(window, "conntrack", &["drop", "early_drop"], "/proc/net/stat/nf_conntrack"));
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Critical,
        "the connection tracking table has no room".to_owned(),
        evidence,
        "leave the latency-critical flows out (notrack), or raise net.netfilter.nf_conntrack_max; lowlat edits no packet filter",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn nearly_full_and_dropping() {
        let mut facts = healthy();
        facts.filters.conntrack_count = Reading::Value(240_000);
        only(NAME, &facts, &["240000 of 262144 entries in use"], &[]);
        facts.filters.conntrack_count = Reading::Value(5);
        grow(&mut facts, "conntrack", "drop", 3);
        only(NAME, &facts, &["drop grew by 3 in 1000 ms (/proc/net/stat/nf_conntrack)"], &[]);
    }

    #[test]
    fn silent_without_tracking_and_blind_where_it_may_not_be_read() {
        let mut facts = healthy();
        facts.filters.conntrack_max = Reading::Absent("no conntrack".into());
        assert_eq!(rule(NAME, &facts), Seen::default());
        facts.filters.conntrack_max = Reading::Denied("x".into());
        blind(NAME, &facts, "table size", "denied");
        deny_group(&mut facts, "conntrack");
        blind(NAME, &facts, "conntrack", "denied");
    }
}

//! Filters that each packet passes.

use std::collections::BTreeMap;

use lowlat_model::{Reading, Severity};

use crate::look::{finding, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Traffic control filters at an interface of the path: classifiers, redirections, BPF programs.
    /// ## Why it matters
    /// Each packet passes them in turn before a program sees it, and each sent packet before the device does. A BPF program
    /// may do anything, also drop or redirect. Container networks and agents install such programs.
    /// ## Threshold
    /// One filter is enough; equal ones are counted once, and programs of the hook `tcx` (Linux 6.6) as well. The finding is
    /// `info`: what a filter costs is not known before it is measured.
    /// ## Remedy
    /// `tc filter show dev IF ingress` (and `egress`) shows them, `bpftool net` also those of `tcx`. `lowlat trace` shows what
    /// they cost. Remove those that are not needed; lowlat removes none.
    pub TrafficControlFilters = "traffic-control-filters";
    sources [
        "net/core/dev.c in linux 6.12: sch_handle_ingress, sch_handle_egress",
        "kernel/bpf/tcx.c in linux 6.12: tcx_prog_query",
        "man 8 tc-bpf (direct-action)",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(filters) = seen.need("traffic control filters", &input.facts.filters.tc) else { return };
    let tcx = match &input.facts.filters.tcx {
        // Not every kernel has the hook.
        Reading::Absent(_) | Reading::Unsupported(_) => None,
        other => seen.need("programs of tcx", other),
    };
    for (name, _) in on_path(input.facts) {
        let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
        for filter in filters.iter().filter(|f| f.iface == name) {
            *kinds.entry(filter.kind.as_str()).or_default() += 1;
        }
        if let Some(n) = tcx.and_then(|all| all.get(name)) {
            kinds.insert("at the hook tcx", *n);
        }
        if kinds.is_empty() {
            continue;
        }
        let list: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        seen.found(finding(
            NAME,
            Severity::Info,
            format!("every packet of {name} passes traffic control filters"),
            vec![format!("filters on {name}: {}", list.join(", "))],
            "`tc filter show dev IF ingress` and `bpftool net` show them; remove those that are not needed",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::facts::TcFilter;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn on_the_path_and_off_it() {
        let mut facts = healthy();
        let on = |iface: &str, kind: &str| TcFilter { iface: iface.into(), kind: kind.into() };
        facts.filters.tc =
            Reading::Value(vec![on("eth0", "u32"), on("eth0", "bpf"), on("eth0", "u32"), on("eth7", "fw")]);
        only(NAME, &facts, &["filters on eth0: 1 bpf, 2 u32"], &[]);
        facts.filters.tc = Reading::Value(vec![]);
        facts.filters.tcx = Reading::Value([("eth0".to_owned(), 2), ("eth7".to_owned(), 1)].into());
        only(NAME, &facts, &["filters on eth0: 2 at the hook tcx"], &[]);
    }

    #[test]
    fn blind_where_they_may_not_be_listed() {
        let mut facts = healthy();
        facts.filters.tc = Reading::Denied("x".into());
        blind(NAME, &facts, "traffic control filters", "denied");
        let mut facts = healthy();
        facts.filters.tcx = Reading::Denied("x".into());
        blind(NAME, &facts, "programs of tcx", "denied");
        facts.filters.tcx = Reading::Unsupported("before 6.6".into());
        assert_eq!(crate::look::test::rule(NAME, &facts), Seen::default());
    }
}

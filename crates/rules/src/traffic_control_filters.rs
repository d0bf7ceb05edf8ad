//! Filters that each packet passes.

use std::collections::BTreeMap;

use lowlat_model::facts::HookProgram;
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
    /// One filter is enough; equal ones are counted once, and programs of the hook `tcx` (Linux 6.6) as well. Programs are
    /// named, with the process that holds them where it is known. The finding is
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
    // Names need more rights than counts, and stored facts of before have none.
    let programs = input.facts.filters.programs.value().map_or(&[][..], |all| all);
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
        let mut evidence = vec![format!("filters on {name}: {}", list.join(", "))];
        evidence.extend(named(programs, name));
        seen.found(finding(
            NAME,
            Severity::Info,
            format!("every packet of {name} passes traffic control filters"),
            evidence,
            "`tc filter show dev IF ingress` and `bpftool net` show them; remove those that are not needed",
        ));
    }
}

/// Programs that one finding names.
const MOST: usize = 8;

/// The programs of an interface: `tcx ingress agent_in (id 31, held by agent (700))`.
fn named(programs: &[HookProgram], iface: &str) -> Option<String> {
    let one = |p: &HookProgram| {
        let name = p.name.as_deref().unwrap_or("without a known name");
        let known = [p.id.map(|id| format!("id {id}")), p.owner.as_deref().map(|o| format!("held by {o}"))];
        let known: Vec<String> = known.into_iter().flatten().collect();
        let known = if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) };
        format!("{} {name}{known}", p.hook)
    };
    let all: Vec<&HookProgram> = programs.iter().filter(|p| p.iface == iface).collect();
    let mut list: Vec<String> = all.iter().take(MOST).map(|p| one(p)).collect();
    if all.len() > MOST {
        list.push(format!("and {} more", all.len() - MOST));
    }
    (!list.is_empty()).then(|| format!("programs on {iface}: {}", list.join(", ")))
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
    fn programs_are_named_by_what_is_known_of_them() {
        let mut facts = healthy();
        facts.filters.tcx = Reading::Value([("eth0".to_owned(), 9)].into());
        let one = |iface: &str, name: Option<&str>, id, owner: Option<&str>| HookProgram {
            iface: iface.into(),
            hook: "tcx egress".into(),
            id,
            name: name.map(Into::into),
            owner: owner.map(Into::into),
        };
        let mut all = vec![one("eth0", Some("agent"), Some(4), Some("agent (9)")), one("eth0", None, None, None)];
        all.push(one("eth7", Some("beside"), Some(5), None));
        facts.filters.programs = Reading::Value(all.clone());
        let want = "programs on eth0: tcx egress agent (id 4, held by agent (9)), tcx egress without a known name";
        only(NAME, &facts, &["filters on eth0: 9 at the hook tcx", want], &[]);
        all.extend((0..MOST).map(|_| one("eth0", Some("x"), Some(1), None)));
        facts.filters.programs = Reading::Value(all);
        let seen = crate::look::test::rule(NAME, &facts);
        assert!(seen.findings[0].evidence[1].ends_with("tcx egress x (id 1), and 2 more"), "{:?}", seen.findings);
        facts.filters.programs = Reading::Denied("x".into());
        only(NAME, &facts, &["filters on eth0: 9 at the hook tcx"], &[]);
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

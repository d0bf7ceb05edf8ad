//! What is read of a host is judged by a rule, or is there for a reason of its own: a fact that nobody looks at costs every
//! `check` its read, and makes silence look like health.

use std::collections::BTreeSet;

use crate::tree::{Tree, is, product};

/// Where the facts of a host are declared.
const FACTS: &str = "crates/model/src/facts.rs";

/// Facts that no rule looks at, and who does.
const SHOWN: &[(&str, &str)] = &[
    ("active", "what of the features is on: checklist and plan"),
    ("addresses", "`facts` shows them; the path finds the local end by them"),
    ("attachment", "says why a device has no PCI Express link and no interrupt lines of its own"),
    ("boot_id", "a journal belongs to one boot"),
    ("bql_limit_max", "the knob's present value"),
    ("bus", "identifies the device for persisted settings"),
    ("changeable", "what of the features a plan may offer"),
    ("channels", "the knob's present value"),
    ("congestion", "`facts` shows it with each connection"),
    ("cwnd", "`facts` shows it with each connection"),
    ("default_route", "what carries it is protected from resets"),
    ("dma_latency_us", "a condition of a measurement"),
    ("driver_version", "the report's baseline"),
    ("estimated_error_ns", "bounds one-way figures"),
    ("features", "checklist and confidence"),
    ("firmware", "the report's baseline"),
    ("gateway", "the next hop of a path"),
    ("hugepages", "what DPDK needs"),
    ("lower", "the path walks down by them"),
    ("mac", "identifies the device for persisted settings"),
    ("matched_by", "`facts` shows how the lines were found"),
    ("mtu", "what AF_XDP needs"),
    ("napi_threaded", "the knob's present value"),
    ("netns", "a transaction belongs to one namespace"),
    ("operstate", "`facts` shows it; an interface that is down is refused"),
    ("pci_id", "identifies the device where a driver serves many"),
    ("private_flags", "the knob's present value"),
    ("ptp_clocks", "`facts` shows them; rules ask the interface for its own"),
    ("resume_latency", "the knob's present value"),
    ("retransmits", "`facts` shows it with each connection; the rule takes the counters of the window"),
    ("rps_flow_cnt", "the knob's present value"),
    ("rttvar_ns", "`facts` shows it with each connection"),
    ("rx_filters", "which stamps a measurement can take"),
    ("srtt_ns", "`facts` shows it with each connection"),
    ("tx_types", "which stamps a measurement can take"),
    ("usage", "`facts` shows it; the rule takes the counters of the window"),
    ("version", "the kernel as `uname -v` names it: preemption and real-time are read from it"),
];

/// Names of the public fields of the facts.
fn fields(text: &str) -> BTreeSet<&str> {
    let field = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    text.lines().filter_map(|line| Some(line.strip_prefix("    pub ")?.split_once(':')?.0)).filter(field).collect()
}

/// Facts that no rule looks at and that are not in the list, and entries of the list that a rule looks at.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let Some(text) = tree.text(FACTS) else { return vec![format!("{FACTS} is not there")] };
    let rules: String = tree
        .files(|p| p.starts_with("crates/rules/src/") && is(p, "rs"))
        .map(|(_, text)| product(text))
        .collect::<Vec<_>>()
        .join("\n");
    let all = fields(product(text));
    let mut wrong = Vec::new();
    for name in &all {
        let looked_at = looks_at(&rules, name);
        let listed = SHOWN.iter().any(|(shown, _)| shown == name);
        if !looked_at && !listed {
            wrong.push(format!(
                "{FACTS}: no rule looks at {name}; drop it, or name who does in xtask/src/tidy/facts.rs"
            ));
        }
        if looked_at && listed {
            wrong.push(format!("xtask/src/tidy/facts.rs: a rule looks at {name}; take it off the list"));
        }
    }
    for (name, _) in SHOWN.iter().filter(|(name, _)| !all.contains(name)) {
        wrong.push(format!("xtask/src/tidy/facts.rs: there is no fact {name}"));
    }
    wrong
}

/// Whether a field of this name is read: `.name`, or a part of a pattern, `{ name, .. }`.
fn looks_at(rules: &str, name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    rules.match_indices(name).any(|(at, _)| {
        let (before, after) = (&rules[..at], &rules[at + name.len()..]);
        let word = !before.ends_with(part) && !after.starts_with(part);
        word && (before.ends_with('.')
            || before.trim_end().ends_with(['{', ',']) && after.trim_start().starts_with([',', '}']))
    })
}

#[cfg(test)]
mod tests {
    use super::super::proves;
    use super::*;

    #[test]
    fn a_fact_that_no_rule_looks_at_is_named() {
        let planted = |t: &Tree| {
            let text = t
                .text(FACTS)
                .unwrap()
                .replace("    pub boot_id:", "    pub unused_fact: Reading<u64>,\n    pub boot_id:");
            t.with(FACTS, &text)
        };
        proves(check, planted, "no rule looks at unused_fact");
    }

    #[test]
    fn the_list_holds_no_more_than_it_has_to() {
        let looks = "fn look() { let x = facts.host.boot_id; }";
        proves(check, |t| t.with("crates/rules/src/planted.rs", looks), "a rule looks at boot_id");
        let gone = |t: &Tree| t.with(FACTS, &t.text(FACTS).unwrap().replace("    pub boot_id:", "    pub renamed:"));
        proves(check, gone, "there is no fact boot_id");
    }

    #[test]
    fn a_field_is_read_by_a_dot_or_a_pattern() {
        for text in ["facts.host.thp.value()", "let Host { thp, .. } = h", "Host {\n  ksm,\n  thp,\n}"] {
            assert!(looks_at(text, "thp"), "{text}");
        }
        for text in ["thp_defrag", ".thp_defrag", "a thp of", "\"thp\""] {
            assert!(!looks_at(text, "thp"), "{text}");
        }
    }
}

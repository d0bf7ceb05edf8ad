//! What processor faults cost each system call.

use lowlat_model::Severity;

use crate::look::{aims, finding};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Mitigations of processor vulnerabilities that act each time a program enters or leaves the kernel.
    /// ## Why it matters
    /// Each system call and each interrupt of a program pays for them: page tables are switched (PTI), buffers cleared,
    /// branch prediction restricted (IBRS), returns made safe (`untrained return thunk`, `Safe RET`: at each return within
    /// the kernel too). A round trip through the kernel has several such crossings.
    /// ## Threshold
    /// A mitigation of that kind is in use. Not looked for are a branch prediction barrier at each entry (`IBPB` of retbleed
    /// and spec_rstack_overflow) and the cleared register file. The finding is `info`, and given only where a goal was given
    /// or a path measured.
    /// ## Remedy
    /// None is switched off by lowlat, and `mitigations=off` gives every program of the host its neighbours' secrets. What
    /// helps without that: fewer system calls (busy polling, io_uring, kernel bypass), and processors that need none.
    pub MitigationsInSystemCalls = "mitigations-in-system-calls";
    sources [
        "Documentation/admin-guide/hw-vuln/spectre.rst in linux 6.12: 1. Kernel mitigation (Spectre variant 2)",
        "Documentation/arch/x86/pti.rst in linux 6.12: Overhead",
        "Documentation/arch/x86/mds.rst in linux 6.12: Return to user space",
        "Documentation/admin-guide/hw-vuln/srso.rst in linux 6.12: Mitigation: Safe RET",
        "arch/x86/kernel/cpu/bugs.c in linux 6.12: spectre_v2_strings, retbleed_strings, mds_strings, srso_strings",
    ];
}

/// Vulnerability (or any) and what its text holds where the mitigation acts on each entry or exit.
const COSTLY: [(&str, &str); 6] = [
    ("meltdown", "PTI"),
    ("", "Clear CPU buffers"),
    ("retbleed", "IBRS"),
    ("retbleed", "untrained return thunk"),
    ("spec_rstack_overflow", "Safe RET"),
    ("spectre_v2", "Mitigation: IBRS"),
];

fn look(input: &Input<'_>, seen: &mut Seen) {
    if !aims(input) {
        return;
    }
    let Some(all) = seen.need("processor vulnerabilities", &input.facts.host.vulnerabilities) else { return };
    let costs = |name: &str, text: &str| {
        let at = |(of, what): &(&str, &str)| (of.is_empty() || *of == name) && text.contains(what);
        // A newer IBRS stays on and costs nothing at an entry.
        text.starts_with("Mitigation") && !text.contains("Enhanced") && COSTLY.iter().any(at)
    };
    let costly = all.iter().filter(|(name, text)| costs(name, text));
    let evidence: Vec<String> = costly.map(|(name, text)| format!("{name}: {}", text.trim_end_matches('.'))).collect();
    if !evidence.is_empty() {
        seen.found(finding(
            NAME,
            Severity::Info,
            "mitigations of processor vulnerabilities slow each system call and interrupt".to_owned(),
            evidence,
            "make fewer system calls (busy polling, io_uring, bypass); lowlat switches no mitigation off",
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lowlat_model::{Facts, Reading};
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{rule, rule_for};

    fn with(name: &str, text: &str) -> Facts {
        let mut facts = healthy();
        facts.host.vulnerabilities = Reading::Value(BTreeMap::from([(name.into(), text.into())]));
        facts
    }

    #[test]
    fn those_that_act_at_each_entry() {
        for (name, text) in [
            ("meltdown", "Mitigation: PTI"),
            ("mds", "Mitigation: Clear CPU buffers; SMT vulnerable"),
            ("retbleed", "Mitigation: untrained return thunk; SMT enabled with STIBP protection"),
            ("spec_rstack_overflow", "Mitigation: Safe RET"),
            ("spectre_v2", "Mitigation: IBRS; IBPB: conditional"),
        ] {
            let found = rule_for(NAME, &with(name, text), 50_000).findings.remove(0);
            assert_eq!(found.evidence, [format!("{name}: {text}")]);
            assert_eq!(rule(NAME, &with(name, text)), Seen::default(), "nobody asked for latency");
        }
    }

    #[test]
    fn those_that_do_not() {
        for (name, text) in [
            ("meltdown", "Not affected"),
            ("meltdown", "Vulnerable"),
            ("spectre_v2", "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional"),
            ("spectre_v1", "Mitigation: usercopy/swapgs barriers and __user pointer sanitization"),
            ("retbleed", "Mitigation: Enhanced IBRS"),
        ] {
            assert_eq!(rule_for(NAME, &with(name, text), 50_000), Seen::default(), "{name}: {text}");
        }
    }

    #[test]
    fn blind_where_they_may_not_be_read() {
        let mut facts = healthy();
        facts.host.vulnerabilities = Reading::Denied("x".into());
        let seen = rule_for(NAME, &facts, 50_000);
        assert_eq!((seen.findings.len(), seen.not_seen[0].why.as_str()), (0, "denied: x"));
    }
}

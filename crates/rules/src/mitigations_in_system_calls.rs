//! What processor faults cost each system call.

use lowlat_model::Severity;

use crate::look::{aims, finding};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Mitigations of processor vulnerabilities that act each time a program enters or leaves the kernel.
    /// ## Why it matters
    /// Each system call and each interrupt of a program pays for them: page tables are switched (PTI), buffers or the
    /// register file cleared, branch prediction restricted (IBRS), its history overwritten (`BHI: SW loop`) or emptied
    /// (`IBPB`, the most expensive), returns made safe (`untrained return thunk`, `Safe RET`, `Stuffing`: at each return
    /// within the kernel too). A round trip through the kernel has several such crossings.
    /// ## Threshold
    /// A mitigation of that kind is in use. Those that act only when a virtual machine is entered or left (`IBPB on VMEXIT
    /// only`, `Clear CPU buffers: VM`), only at a task switch (`IBPB: conditional`), or in hardware without a cost at the
    /// entry (`Enhanced IBRS`, `BHI_DIS_S`) are not. The finding is `info`, and given only where a goal was given or a path
    /// measured.
    /// ## Remedy
    /// None is switched off by lowlat, and `mitigations=off` gives every program of the host its neighbours' secrets. What
    /// helps without that: fewer system calls (busy polling, io_uring, kernel bypass), and processors that need none.
    pub MitigationsInSystemCalls = "mitigations-in-system-calls";
    sources [
        "Documentation/admin-guide/hw-vuln/spectre.rst in linux 6.12: 1. Kernel mitigation (Spectre variant 2)",
        "Documentation/arch/x86/pti.rst in linux 6.12: Overhead",
        "Documentation/arch/x86/mds.rst in linux 6.12: Return to user space",
        "Documentation/admin-guide/hw-vuln/srso.rst in linux 6.12: Mitigation: Safe RET",
        "Documentation/admin-guide/hw-vuln/reg-file-data-sampling.rst in linux 6.12: Mitigation",
        "Documentation/admin-guide/hw-vuln/spectre.rst in linux 6.12: BHI: SW loop, BHI_DIS_S",
        "arch/x86/kernel/cpu/bugs.c in linux 6.12: spectre_v2_strings, spectre_bhi_state, retbleed_strings, mds_strings, srso_strings, rfds_strings, tsa_strings",
    ];
}

/// Vulnerability (or any) and the whole clause of its text by which a mitigation acts on each entry or exit. Clauses end at
/// `;` (and at `, KVM`, the part for virtual machines), the first comes after `Mitigation:`. Case does not matter: 6.5 and
/// earlier have `safe RET`.
const COSTLY: [(&str, &str); 11] = [
    ("meltdown", "PTI"),
    ("", "Clear CPU buffers"),
    ("", "Clear CPU buffers: user/kernel boundary"),
    ("reg_file_data_sampling", "Clear Register File"),
    ("retbleed", "IBRS"),
    ("retbleed", "IBPB"),
    ("retbleed", "Stuffing"),
    ("retbleed", "untrained return thunk"),
    ("spec_rstack_overflow", "Safe RET"),
    ("spec_rstack_overflow", "IBPB"),
    ("spectre_v2", "IBRS"),
];
/// Any vulnerability's line of branch history: cleared by a loop at each entry.
const HISTORY: &str = "BHI: SW loop";

/// Whether what the kernel says of a vulnerability costs something at each entry or exit.
fn costs(name: &str, text: &str) -> bool {
    let Some(all) = text.strip_prefix("Mitigation:") else { return false };
    let mut clauses = all.split(';').map(|c| c.split(", KVM").next().unwrap_or(c).trim());
    let first = clauses.next().unwrap_or_default();
    let at = |(of, what): &(&str, &str)| (of.is_empty() || *of == name) && first.eq_ignore_ascii_case(what);
    COSTLY.iter().any(at) || clauses.any(|c| c.eq_ignore_ascii_case(HISTORY))
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    if !aims(input) {
        return;
    }
    let Some(all) = seen.need("processor vulnerabilities", &input.facts.host.vulnerabilities) else { return };
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
            ("spec_rstack_overflow", "Mitigation: safe RET"),
            ("spectre_v2", "Mitigation: IBRS; IBPB: conditional"),
            ("spectre_v2", "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional; BHI: SW loop, KVM: SW loop"),
            ("spectre_v2", "Mitigation: Retpolines; STIBP: disabled; RSB filling; BHI: SW loop"),
            ("retbleed", "Mitigation: IBPB"),
            ("retbleed", "Mitigation: Stuffing"),
            ("spec_rstack_overflow", "Mitigation: IBPB"),
            ("reg_file_data_sampling", "Mitigation: Clear Register File"),
            ("tsa", "Mitigation: Clear CPU buffers"),
            ("tsa", "Mitigation: Clear CPU buffers: user/kernel boundary"),
            ("mmio_stale_data", "Mitigation: Clear CPU buffers; SMT disabled"),
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
            ("spectre_v2", "Mitigation: Enhanced / Automatic IBRS; IBPB: always-on; BHI: BHI_DIS_S"),
            ("spectre_v2", "Mitigation: Retpolines; IBPB: conditional; BHI: Vulnerable, KVM: SW loop"),
            ("retbleed", "Mitigation: Enhanced IBRS"),
            ("spec_rstack_overflow", "Mitigation: IBPB on VMEXIT only"),
            ("spec_rstack_overflow", "Vulnerable: Safe RET, no microcode"),
            ("vmscape", "Mitigation: IBPB before exit to userspace"),
            ("tsa", "Mitigation: Clear CPU buffers: VM"),
            ("tsa", "Vulnerable: Clear CPU buffers attempted, no microcode"),
            ("itlb_multihit", "KVM: Mitigation: VMX disabled"),
            ("l1tf", "Mitigation: PTE Inversion; VMX: conditional cache flushes, SMT vulnerable"),
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

//! Faults made on purpose.

use lowlat_model::op::Target;
use lowlat_model::{Reading, Severity};

use crate::look::{finding, number, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Page faults that automatic NUMA balancing causes to see which task uses a page.
    /// ## Why it matters
    /// The kernel removes mappings and waits for the fault. Each fault costs the program a microsecond or more, and
    /// moving the page costs far more. A program that is pinned to a node gains nothing from it.
    /// ## Threshold
    /// `kernel.numa_balancing` is not 0 and `numa_hint_faults` grew in the counter window.
    /// ## Remedy
    /// Place programs and their memory explicitly (memory.numa-placement), and turn balancing off. Programs that are
    /// not pinned then lose automatic placement.
    pub NumaBalancingFaults = "numa-balancing-faults";
    sources [
        "Documentation/admin-guide/sysctl/kernel.rst in linux 6.12: numa_balancing",
        "mm/vmstat.c in linux 6.12: numa_hint_faults",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    // A kernel that cannot balance has no such file: that is not a fact missed.
    if matches!(input.facts.sysctls.get("kernel.numa_balancing"), Some(Reading::Absent(_))) {
        return;
    }
    let on = number(seen, input.facts, "kernel.numa_balancing");
    if on.is_none_or(|n| n == 0) {
        return;
    }
    let Some(window) = seen.window(input) else { return };
    let mut evidence = seen.grown(window, "vmstat", &["numa_hint_faults"], "/proc/vmstat");
    if evidence.is_empty() {
        return;
    }
    evidence.push(format!("kernel.numa_balancing = {}", on.unwrap_or(0)));
    let found = finding(
        NAME,
        Severity::Warning,
        "automatic NUMA balancing causes page faults".to_owned(),
        evidence,
        "place programs and their memory on the device's node and turn balancing off",
    );
    seen.found(with(found, [set("sysctl.kernel.numa_balancing", Target::Host, 0)]));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn only_where_it_is_on_and_at_work() {
        let mut facts = healthy();
        grow(&mut facts, "vmstat", "numa_hint_faults", 12);
        assert_eq!(rule(NAME, &facts), Seen::default());
        facts.sysctls.insert("kernel.numa_balancing".into(), Reading::Value("1".into()));
        only(
            NAME,
            &facts,
            &["numa_hint_faults grew by 12 in 1000 ms (/proc/vmstat)", "kernel.numa_balancing = 1"],
            &[],
        );
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "0");
        deny_group(&mut facts, "vmstat");
        blind(NAME, &facts, "vmstat", "denied");
    }
}

//! Time the hypervisor gave to others.

use lowlat_model::Severity;

use crate::look::{finding, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Time in which a virtual processor wanted to run and the hypervisor ran something else.
    /// ## Why it matters
    /// During that time nothing runs on the virtual processor: a packet that arrives then waits for the whole slice,
    /// often milliseconds. No setting in the guest can prevent it. P99 suffers first.
    /// ## Threshold
    /// More than 0.1 % of a processor's time in the counter window (a heuristic: a dedicated processor has no steal
    /// time), and at least two clock ticks, since the counters have a resolution of 10 ms.
    /// ## Remedy
    /// Ask for dedicated processors: dedicated or metal instances, pinned virtual processors, a host that is not
    /// overcommitted.
    pub StealTime = "steal-time";
    sources [
        "man 5 proc (/proc/stat, steal)",
        "Documentation/virt/kvm/x86/msr.rst in linux 6.12: MSR_KVM_STEAL_TIME",
        "heuristic: 0.1 %; on a processor of its own none is stolen",
    ];
}

const RATIO: f64 = 1e-3;
/// Fewer ticks than this are as good as the counter's own grain.
const TICKS: u64 = 2;
const STATES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let mut evidence = Vec::new();
    for (group, stolen) in seen.growth_under(window, "cpu/", "steal") {
        // iowait may go backwards by design (man 5 proc_stat); it then counts as nothing.
        let total: u64 = STATES.iter().map(|s| window.delta(&group, s).unwrap_or(0)).sum();
        let ratio = stolen as f64 / total.max(1) as f64;
        if stolen >= TICKS && ratio > RATIO {
            evidence.push(format!(
                "{group}: {stolen} of {total} ticks were stolen {}, {:.1} % (/proc/stat)",
                within(window),
                ratio * 100.0
            ));
        }
    }
    if !evidence.is_empty() {
        seen.found(finding(
            NAME,
            Severity::Warning,
            "the hypervisor takes CPU time away".to_owned(),
            evidence,
            "ask for dedicated CPUs (dedicated or bare-metal instance, pinned vCPUs); nothing in the guest prevents it",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn five_of_a_hundred() {
        let mut facts = healthy();
        grow(&mut facts, "cpu/2", "steal", 1);
        assert_eq!(rule(NAME, &facts), Seen::default(), "one tick is the counter's grain");
        grow(&mut facts, "cpu/2", "steal", 4);
        only(NAME, &facts, &["cpu/2: 5 of 105 ticks were stolen in 1000 ms, 4.8 % (/proc/stat)"], &[]);
    }

    #[test]
    fn blind_without_counters() {
        let mut facts = healthy();
        deny_group(&mut facts, "cpu/0");
        blind(NAME, &facts, "cpu/0", "denied");
    }
}

//! A control group's quota that stops programs.

use lowlat_model::Severity;

use crate::look::{finding, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Times at which the programs of lowlat's own control group were stopped because their processor quota was used
    /// up.
    /// ## Why it matters
    /// A quota is spent in periods of 100 ms as a rule: a program that used its share early stands still until the next
    /// one, tens of milliseconds later. No other setting makes up for that.
    /// ## Threshold
    /// Any growth of `nr_throttled` in the counter window. The quota seen is that of the group lowlat itself runs in:
    /// in a container, the container's. Another program's group is not looked at.
    /// ## Remedy
    /// Lift the quota of the latency-critical group (`cpu.max`, `CPUQuota=` of its unit, the CPU limit of its
    /// container), and give it processors of its own instead.
    pub CpuQuotaThrottled = "cpu-quota-throttled";
    sources [
        "Documentation/scheduler/sched-bwc.rst in linux 6.12: Management, Statistics",
        "Documentation/admin-guide/cgroup-v2.rst in linux 6.12: cpu.max, cpu.stat",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    if !seen.counted(window, "cgroup") {
        return;
    }
    // A group without the cpu controller counts no periods; that is not a fact missed.
    let Some(times) = window.delta("cgroup", "nr_throttled").filter(|n| *n > 0) else { return };
    let us = window.delta("cgroup", "throttled_usec").unwrap_or(0);
    seen.found(finding(
        NAME,
        Severity::Critical,
        "a CPU quota throttles the programs of this cgroup".to_owned(),
        vec![format!("stopped {times} times, {us} µs altogether, {} (cpu.stat of lowlat's own group)", within(window))],
        "lift the quota of the latency-critical group (cpu.max, CPUQuota=, a container's CPU limit) and give it processors of its own",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn stopped_by_its_quota() {
        let mut facts = healthy();
        grow(&mut facts, "cgroup", "nr_throttled", 3);
        grow(&mut facts, "cgroup", "throttled_usec", 45_000);
        only(NAME, &facts, &["stopped 3 times, 45000 µs altogether, in 1000 ms (cpu.stat of lowlat's own group)"], &[]);
    }

    #[test]
    fn silent_without_a_group_and_blind_where_it_may_not_be_read() {
        let mut facts = healthy();
        facts.window.as_mut().unwrap().after.groups.remove("cgroup");
        assert_eq!(rule(NAME, &facts), Seen::default());
        deny_group(&mut facts, "cgroup");
        blind(NAME, &facts, "cgroup", "denied");
    }
}

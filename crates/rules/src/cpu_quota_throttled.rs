//! A control group's quota that stops programs.

use lowlat_model::{Reading, Severity};

use crate::look::{finding, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Throttling: the programs in lowlat's own control group, or in one above it, were stopped because a CPU quota was
    /// used up.
    /// ## Why it matters
    /// A quota usually applies to periods of 100 ms: a program that has used its share early in a period is stopped
    /// until the next one, tens of milliseconds later. No other setting makes up for that.
    /// ## Threshold
    /// Any growth of `nr_throttled` in the counter window. The rule sees the quotas of the group that lowlat itself
    /// runs in and of the visible groups above it. Inside a container the container's own group is the last, and lowlat
    /// says so. The rule does not look at the groups of other programs.
    /// ## Remedy
    /// Lift the quota of the latency-critical group (`cpu.max`, `CPUQuota=` of its unit, the CPU limit of its
    /// container), and give it CPUs of its own instead.
    pub CpuQuotaThrottled = "cpu-quota-throttled";
    sources [
        "Documentation/scheduler/sched-bwc.rst in linux 6.12: Management, Statistics",
        "Documentation/admin-guide/cgroup-v2.rst in linux 6.12: cpu.max, cpu.stat",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    // A host without control groups has no quotas; one whose group cannot be seen may have one.
    if let Some(Reading::Absent(why)) = window.after.groups.get("cgroup")
        && why.contains("/sys/fs/cgroup")
    {
        seen.missing("cpu quota of this control group", format!("absent: {why}"));
    }
    if !seen.counted(window, "cgroup") {
        return;
    }
    let own = window.after.groups.get("cgroup").and_then(|g| g.value());
    // The root of all groups has no quota of its own and counts no periods; a group that does and has none above it is
    // the root of what a container sees.
    if own.is_some_and(|g| g.contains_key("nr_periods")) && window.after.groups_under("cgroup/above").next().is_none() {
        seen.missing("cpu quotas above this control group", "absent: its namespace shows none of them");
    }
    let mut evidence = Vec::new();
    let groups = std::iter::once("cgroup").chain(window.after.groups_under("cgroup/above"));
    for group in groups {
        // A group without the cpu controller counts no periods; that is not a fact missed.
        let Some(times) = window.delta(group, "nr_throttled").filter(|n| *n > 0) else { continue };
        let us = window.delta(group, "throttled_usec").unwrap_or(0);
        let whose = match group.strip_prefix("cgroup/above") {
            Some(level) => format!("cpu.stat {level} level(s) above lowlat's own group"),
            None => "cpu.stat of lowlat's own group".to_owned(),
        };
        evidence.push(format!("stopped {times} times, {us} µs altogether, {} ({whose})", within(window)));
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Critical,
        "a CPU quota throttles the programs of this cgroup".to_owned(),
        evidence,
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
    fn stopped_by_the_quota_of_a_group_above() {
        let mut facts = healthy();
        grow(&mut facts, "cgroup/above2", "nr_throttled", 4);
        let said = "stopped 4 times, 0 µs altogether, in 1000 ms (cpu.stat 2 level(s) above lowlat's own group)";
        only(NAME, &facts, &[said], &[]);
    }

    #[test]
    fn a_container_does_not_see_the_quotas_above_it() {
        let mut facts = healthy();
        facts.window.as_mut().unwrap().after.groups.remove("cgroup/above1");
        assert_eq!(rule(NAME, &facts).not_seen[0].fact, "cpu quotas above this control group");
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

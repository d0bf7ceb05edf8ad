//! Real-time tasks without a limit.

use lowlat_model::Severity;

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A host on which real-time tasks may take all CPU time.
    /// ## Why it matters
    /// A real-time task that spins then starves the kernel's own threads on that CPU: RCU stalls, watchdogs fire, the
    /// host hangs. Tuning guides recommend this setting for programs that an isolated CPU would serve better.
    /// ## Threshold
    /// `kernel.sched_rt_runtime_us` is -1, or equal to its period. From 6.12 on, a kernel without CONFIG_RT_GROUP_SCHED
    /// throttles no real-time task, whatever the setting says: a deadline server reserves 50 ms of each second for
    /// other tasks, and the rule finds nothing.
    /// ## Remedy
    /// Set it back to 950000, and let the program spin as an ordinary task on a CPU of its own. lowlat does not write
    /// this setting.
    pub RtThrottlingOff = "rt-throttling-off";
    sources [
        "Documentation/scheduler/sched-rt-group.rst in linux 6.12: 2.1 System wide settings, 2.2 Default behaviour",
        "kernel/sched/rt.c in linux 6.12: rt_throttled is under CONFIG_RT_GROUP_SCHED",
        "kernel/sched/deadline.c in linux 6.12: dl_server_start (runtime 50 ms, period 1000 ms)",
    ];
}

/// The first release in which a deadline server stands in for the throttling.
const DEADLINE_SERVER: (u32, u32) = (6, 12);

/// Whether a release, `6.12.43-amd64`, is of this version or later. One that cannot be read is not.
fn since(release: &str, version: (u32, u32)) -> bool {
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().ok());
    let of = (parts.next().flatten(), parts.next().flatten());
    matches!(of, (Some(major), Some(minor)) if (major, minor) >= version)
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let read = |key: &str| input.facts.sysctls.get(key);
    let Some(reading) = read("kernel.sched_rt_runtime_us") else {
        seen.missing("sysctl kernel.sched_rt_runtime_us", "absent: it was not read");
        return;
    };
    let Some(runtime) = seen.need("sysctl kernel.sched_rt_runtime_us", reading) else { return };
    let period = read("kernel.sched_rt_period_us").and_then(|p| p.value());
    if runtime.trim() != "-1" && period.is_none_or(|p| p.trim() != runtime.trim()) {
        return;
    }
    let grouped =
        input.facts.host.config.value().and_then(|c| c.get("CONFIG_RT_GROUP_SCHED")).is_some_and(|v| v == "y");
    if !grouped && input.facts.host.release.value().is_some_and(|release| since(release, DEADLINE_SERVER)) {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Info,
        "real-time tasks may take all CPU time".to_owned(),
        vec![format!("kernel.sched_rt_runtime_us = {}", runtime.trim())],
        "set it back to 950000 and let the program spin as an ordinary task on a cpu of its own",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn without_a_limit() {
        let mut facts = healthy();
        facts.sysctls.insert("kernel.sched_rt_runtime_us".into(), Reading::Value("-1".into()));
        assert_eq!(rule(NAME, &facts), Seen::default(), "6.12 without groups has a deadline server");
        facts.host.release = Reading::Value("6.1.0-44-amd64".into());
        only(NAME, &facts, &["kernel.sched_rt_runtime_us = -1"], &[]);
        facts.host.release = Reading::Value("6.12.43-amd64".into());
        if let Reading::Value(config) = &mut facts.host.config {
            config.insert("CONFIG_RT_GROUP_SCHED".into(), "y".into());
        }
        only(NAME, &facts, &["kernel.sched_rt_runtime_us = -1"], &[]);
    }

    #[test]
    fn blind_where_it_may_not_be_read() {
        let mut facts = healthy();
        facts.sysctls.insert("kernel.sched_rt_runtime_us".into(), Reading::Denied("x".into()));
        blind(NAME, &facts, "sched_rt_runtime_us", "denied");
    }
}

//! Real-time tasks without a limit.

use lowlat_model::Severity;

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A host on which real-time tasks may take all CPU time.
    /// ## Why it matters
    /// A real-time task that spins then starves the kernel's own threads on that CPU: RCU stalls, watchdogs bark, the
    /// host hangs. Tuning lists set it for a program that an isolated CPU would serve better.
    /// ## Threshold
    /// `kernel.sched_rt_runtime_us` is -1, or equal to its period. From 6.12 on, without CONFIG_RT_GROUP_SCHED, a
    /// deadline server bounds real-time tasks in its place.
    /// ## Remedy
    /// Set it back to 950000, and let the program spin as an ordinary task on a CPU of its own. lowlat does not write
    /// it.
    pub RtThrottlingOff = "rt-throttling-off";
    sources [
        "Documentation/scheduler/sched-rt-group.rst in linux 6.12: 2.1 System wide settings, 2.2 Default behaviour",
        "kernel/sched/rt.c in linux 6.12: rt_throttled is under CONFIG_RT_GROUP_SCHED",
    ];
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
    use crate::look::test::{blind, only};

    #[test]
    fn without_a_limit() {
        let mut facts = healthy();
        facts.sysctls.insert("kernel.sched_rt_runtime_us".into(), Reading::Value("-1".into()));
        only(NAME, &facts, &["kernel.sched_rt_runtime_us = -1"], &[]);
    }

    #[test]
    fn blind_where_it_may_not_be_read() {
        let mut facts = healthy();
        facts.sysctls.insert("kernel.sched_rt_runtime_us".into(), Reading::Denied("x".into()));
        blind(NAME, &facts, "sched_rt_runtime_us", "denied");
    }
}

//! A kernel that finishes first.

use lowlat_model::Severity;

use crate::look::{aims, finding};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A kernel that lets a waiting task in only when it leaves the kernel, or at few places in it.
    /// ## Why it matters
    /// A program that a packet woke waits until whatever the CPU does in the kernel comes to such a place: a large copy or
    /// the end of a process may take a millisecond and more. It does not matter for a CPU that has one task alone.
    /// ## Threshold
    /// The model is `none` or `voluntary`. The finding is `info`, and given only where a goal was given or a path measured.
    /// ## Remedy
    /// `preempt=full` at boot (boot.preempt), or at once `echo full > /sys/kernel/debug/sched/preempt`, both where the kernel
    /// has `CONFIG_PREEMPT_DYNAMIC`. It costs some throughput. `lowlat noise --goal TIME` judges the wake-up latency before
    /// and after. A real-time kernel (boot.preempt-rt) bounds it; where the distribution keeps one, the finding says so.
    pub KernelNotPreemptible = "kernel-not-preemptible";
    sources [
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: preempt=",
        "kernel/Kconfig.preempt in linux 6.12: PREEMPT_NONE, PREEMPT_VOLUNTARY, PREEMPT_DYNAMIC",
        "kernel/sched/debug.c in linux 6.12: sched_dynamic_write",
        "not confirmed: how long the kernel takes to the next such place",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    if !aims(input) {
        return;
    }
    let host = &input.facts.host;
    let Some(model) = seen.need("preemption of the kernel", &host.preemption) else { return };
    if !["none", "voluntary"].contains(&model.as_str()) {
        return;
    }
    let real_time = host.distribution.value().and_then(|d| Some(format!("; for a bound: {}", d.real_time_kernel()?)));
    seen.found(finding(
        NAME,
        Severity::Info,
        "a woken program waits for the kernel to finish what it does".to_owned(),
        vec![format!("preemption model: {model}")],
        &format!(
            "preempt=full (boot.preempt), or a CPU that the program has alone; compare by `lowlat noise`{}",
            real_time.unwrap_or_default()
        ),
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{rule, rule_for};

    #[test]
    fn two_of_five_models() {
        let mut facts = healthy();
        for (model, found) in [("none", 1), ("voluntary", 1), ("lazy", 0), ("full", 0), ("rt", 0)] {
            facts.host.preemption = Reading::Value(model.into());
            assert_eq!(rule_for(NAME, &facts, 50_000).findings.len(), found, "{model}");
            assert_eq!(rule(NAME, &facts), Seen::default(), "nobody asked for latency");
            for found in rule_for(NAME, &facts, 50_000).findings {
                assert!(found.remedy.advice.ends_with("(on arm64 linux-image-rt-arm64)"), "{}", found.remedy.advice);
            }
        }
    }

    #[test]
    fn blind_where_it_is_not_known() {
        let mut facts = healthy();
        facts.host.preemption = Reading::Denied("x".into());
        let seen = rule_for(NAME, &facts, 50_000);
        assert_eq!((seen.findings.len(), seen.not_seen[0].why.as_str()), (0, "denied: x"));
    }
}

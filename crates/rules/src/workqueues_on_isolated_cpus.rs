//! Kernel work on CPUs that should be quiet.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{cpus, finding, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Isolated CPUs on which the kernel's unbound workqueues may run.
    /// ## Why it matters
    /// Deferred work of the kernel (writeback, networking, drivers) then runs on the CPU of the one task, for tens of
    /// microseconds and more.
    /// ## Threshold
    /// Any CPU of `isolcpus`, of an isolated cpuset partition or of `nohz_full` in the workqueues' mask. The kernel leaves
    /// CPUs of `nohz_full` and `isolcpus=domain` out on its own, and 6.12 also those of partitions; a later write to the
    /// mask can put them back, and `isolcpus=nohz` alone does not take them out.
    /// ## Remedy
    /// Take them out of the mask (cpu.workqueue-mask). Work of workqueues bound to a CPU stays there: it is caused by
    /// what runs on that CPU.
    pub WorkqueuesOnIsolatedCpus = "workqueues-on-isolated-cpus";
    sources [
        "kernel/workqueue.c in linux 6.12: workqueue_init_early, wq_unbound_cpumask",
        "kernel/sched/isolation.c in linux 6.12: housekeeping_nohz_full_setup, housekeeping_isolcpus_setup",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let cpus_of = &input.facts.cpus;
    let isolated = seen.quiet("isolated CPUs", &cpus_of.isolated);
    let full = seen.quiet("nohz_full CPUs", &cpus_of.nohz_full);
    let quiet = |cpu: &u32| isolated.contains(cpu) || full.contains(cpu);
    if isolated.is_empty() && full.is_empty() {
        return;
    }
    let Some(mask) = seen.need("CPUs of unbound workqueues", &cpus_of.workqueue) else { return };
    let bad: Vec<u32> = mask.iter().copied().filter(quiet).collect();
    if bad.is_empty() {
        return;
    }
    let rest: Vec<u32> = mask.iter().copied().filter(|cpu| !quiet(cpu)).collect();
    let found = finding(
        NAME,
        Severity::Warning,
        "kernel work may run on CPUs that are isolated".to_owned(),
        vec![format!("unbound workqueues may use CPU {}; isolated among them: {}", cpus(mask), cpus(&bad))],
        "take the isolated CPUs out of the workqueues' mask; work bound to a CPU stays where it is caused",
    );
    let wanted = (!rest.is_empty()).then(|| set("cpu.workqueue-mask", Target::Host, cpus(&rest)));
    seen.found(with(found, wanted));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn isolated_cpus_in_the_mask() {
        let mut facts = healthy();
        facts.cpus.isolated = Reading::Value(vec![2, 3]);
        only(
            NAME,
            &facts,
            &["unbound workqueues may use CPU 0-3; isolated among them: 2-3"],
            &["tick-on-isolated-cpu"],
        );
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "0-1");
        facts.cpus.workqueue = Reading::Value(vec![0, 1]);
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn blind_without_the_mask() {
        let mut facts = healthy();
        facts.cpus.isolated = Reading::Value(vec![3]);
        facts.cpus.workqueue = Reading::Denied("x".into());
        blind(NAME, &facts, "unbound workqueues", "denied");
    }
}

//! Processors that lower their frequency.

use std::collections::BTreeMap;

use lowlat_model::op::Target;

use crate::look::{chosen, cpus, finding, joint, on_path, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Processors whose frequency governor is not `performance`.
    /// ## Why it matters
    /// A governor that follows the load sees an idle CPU between packets, lowers its frequency, and raises it too late
    /// when the next packet comes. All governors other than `performance` trade latency for power.
    /// ## Threshold
    /// Any governor other than `performance`, including `powersave` of `intel_pstate` and `amd-pstate`, which follows
    /// the load through the energy/performance preference. Without a goal and without a measured path the finding is
    /// `info` only: some hosts save power on purpose.
    /// ## Remedy
    /// Set `performance`, as one step, on the CPUs of the path: the application's and those that take its interrupts,
    /// or all CPUs where these are not known. A path is as slow as its slowest CPU. It costs power. In most virtual
    /// machines the host decides, and there is nothing to set.
    pub GovernorNotPerformance = "governor-not-performance";
    sources [
        "Documentation/admin-guide/pm/cpufreq.rst in linux 6.12: Generic Scaling Governors",
        "Documentation/admin-guide/pm/intel_pstate.rst in linux 6.12: Active Mode, Energy vs Performance Hints",
        "Documentation/admin-guide/pm/amd-pstate.rst in linux 6.12: Active Mode",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let facts = input.facts;
    let mut others: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut unread: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (cpu, power) in &facts.cpus.power {
        match (power.governor.value(), power.governor.why_not()) {
            (Some(governor), _) if governor != "performance" => {
                let label = match power.epp.value() {
                    Some(epp) => format!("{governor} (preference {epp})"),
                    None => governor.clone(),
                };
                others.entry(label).or_default().push(*cpu);
            }
            // The reason names one CPU's file; one line per kind reports it for all.
            (None, Some((kind, _))) => unread.entry(kind.to_owned()).or_default().push(*cpu),
            _ => {}
        }
    }
    for (kind, on) in unread {
        seen.missing("cpu frequency governor", format!("{kind}: CPU {} has no readable governor", cpus(&on)));
    }
    if others.is_empty() {
        return;
    }
    let mut path: Vec<u32> = on_path(facts)
        .into_iter()
        .flat_map(|(name, _)| facts.irqs.value().into_iter().flatten().filter(move |i| i.iface == name))
        .filter_map(|i| i.effective.value())
        .flatten()
        .copied()
        .chain(input.baseline.and_then(|b| b.cpu))
        .collect();
    path.sort_unstable();
    path.dedup();
    let app_known = input.baseline.is_some_and(|b| b.cpu.is_some());
    let mut slow: Vec<u32> = others.values().flatten().copied().collect();
    slow.sort_unstable();
    if app_known {
        slow.retain(|c| path.contains(c));
    }
    let evidence = others.iter().map(|(governor, on)| format!("CPU {}: governor {governor}", cpus(on))).collect();
    let found = finding(
        NAME,
        chosen(input),
        "CPUs lower their frequency at low load".to_owned(),
        evidence,
        "set the performance governor on the CPUs of the path; it costs power",
    );
    let settings = slow.into_iter().map(|c| set("cpu.governor", Target::Cpu(c), "performance")).collect();
    seen.found(with(found, joint("governors", settings)));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::find;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn two_that_save_power() {
        let mut facts = healthy();
        for cpu in [1, 2] {
            let power = facts.cpus.power.get_mut(&cpu).unwrap();
            power.governor = Reading::Value("powersave".into());
            power.epp = Reading::Value("balance_performance".into());
        }
        only(NAME, &facts, &["CPU 1-2: governor powersave (preference balance_performance)"], &[]);
        let targets =
            |seen: Seen| seen.findings[0].remedy.settings.iter().map(|s| s.target.to_string()).collect::<Vec<_>>();
        assert_eq!(targets(rule(NAME, &facts)), ["cpu1", "cpu2"]);
        let joint = |s: &lowlat_model::finding::Setting| s.joint.as_deref() == Some("governors");
        assert!(rule(NAME, &facts).findings[0].remedy.settings.iter().all(joint), "one step");
        // With the application on CPU 2 and interrupts on 0 and 1, both are on the path; with it on 3, only CPU 1 is.
        for (app, want) in [(2, &["cpu1", "cpu2"][..]), (3, &["cpu1"])] {
            let baseline = crate::tests::baseline(Some(app));
            let seen = find(NAME).unwrap().check(&Input { facts: &facts, baseline: Some(&baseline), goal_ns: None });
            assert_eq!(targets(seen), want);
        }
    }

    #[test]
    fn blind_where_there_is_no_governor() {
        let mut facts = healthy();
        for power in facts.cpus.power.values_mut() {
            power.governor = Reading::Absent("there is no cpufreq".into());
        }
        blind(NAME, &facts, "cpu frequency governor", "absent");
        assert_eq!(rule(NAME, &facts).not_seen.len(), 1, "said once for all processors");
    }
}

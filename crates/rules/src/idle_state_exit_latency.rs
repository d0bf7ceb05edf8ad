//! Idle states that take too long to leave.

use std::collections::BTreeMap;

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{cpus, finding, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Idle states that CPUs entered and whose exit latency is more than a tenth of the goal.
    /// ## Why it matters
    /// A CPU that sleeps when a packet arrives must wake before it can take the interrupt. Deep states need from some
    /// 50 µs to 2.6 ms for that, and between two packets of a slow flow the CPU has time to reach them.
    /// ## Threshold
    /// An exit latency, as the driver states it, above a tenth of the goal, in a state that is enabled and was entered
    /// within the counter window. The tenth is a heuristic: one wake-up on each side then costs at most a fifth of the
    /// goal.
    /// ## Remedy
    /// Request a wake-up limit of a tenth of the goal through `/dev/cpu_dma_latency`; it ends when the file is closed.
    /// It costs power and may cost other cores their turbo headroom. In a virtual machine the guest's states say
    /// nothing about what the hypervisor does when the guest halts.
    pub IdleStateExitLatency = "idle-state-exit-latency";
    sources [
        "Documentation/admin-guide/pm/cpuidle.rst in linux 6.12: Representation of Idle States; Power Management Quality of Service for CPUs",
        "drivers/idle/intel_idle.c in linux 6.12: skx_cstates (C6 133 µs), hsw_cstates (C10 2600 µs)",
        "heuristic: a tenth of the goal, so that one wake-up on each side costs at most a fifth of it",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(goal_ns) = input.goal_ns else {
        seen.missing("latency goal", "absent: give --goal to check idle states");
        return;
    };
    let limit_us = goal_ns / 10 / 1_000;
    let Some(window) = seen.window(input) else { return };
    // State name and latency → the CPUs that entered it and how often.
    let mut entered: BTreeMap<(u64, String), (Vec<u32>, u64)> = BTreeMap::new();
    // The reason names one CPU's files; one line per kind reports it for all.
    let mut unread: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (cpu, power) in &input.facts.cpus.power {
        if let Some((kind, _)) = power.idle_states.why_not() {
            unread.entry(kind).or_default().push(*cpu);
        }
        let Some(states) = power.idle_states.value() else { continue };
        for (n, state) in states.iter().enumerate() {
            if state.disabled || state.latency_us * 1_000 * 10 <= goal_ns {
                continue;
            }
            let by = seen.growth(window, &format!("cpuidle/cpu{cpu}/state{n}"), "usage").unwrap_or(0);
            if by > 0 {
                let slot = entered.entry((state.latency_us, state.name.clone())).or_default();
                slot.0.push(*cpu);
                slot.1 += by;
            }
        }
    }
    for (kind, on) in unread {
        seen.missing("cpu idle states", format!("{kind}: CPU {} has no readable idle states", cpus(&on)));
    }
    if entered.is_empty() {
        return;
    }
    let mut evidence: Vec<String> = entered
        .iter()
        .rev()
        .map(|((latency, name), (on, by))| {
            format!(
                "{name} has an exit latency of {latency} µs and was entered {by} times {} on CPU {}",
                within(window),
                cpus(on)
            )
        })
        .collect();
    evidence.push(format!("the goal is {} µs, a tenth of it {} µs", goal_ns / 1_000, goal_ns as f64 / 10_000.0));
    let worst_us = entered.keys().next_back().map_or(0, |(latency, _)| *latency);
    let found = finding(
        NAME,
        if worst_us * 1_000 >= goal_ns { Severity::Critical } else { Severity::Warning },
        "CPUs enter idle states with too high an exit latency".to_owned(),
        evidence,
        "hold a wake-up latency limit while latency matters (/dev/cpu_dma_latency); it costs power and turbo headroom",
    );
    seen.found(with(found, [set("cpu.dma-latency", Target::Host, limit_us)]));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{grow, healthy};

    use super::*;
    use crate::look::test::{blind, rule_for};

    #[test]
    fn a_deep_state_that_was_entered() {
        let mut facts = healthy();
        assert_eq!(rule_for(NAME, &facts, 50_000), Seen::default(), "C6 is slow, but nobody went there");
        grow(&mut facts, "cpuidle/cpu1/state2", "usage", 7);
        grow(&mut facts, "cpuidle/cpu2/state2", "usage", 3);
        let found = rule_for(NAME, &facts, 50_000).findings.remove(0);
        assert_eq!(
            found.evidence,
            [
                "C6 has an exit latency of 133 µs and was entered 10 times in 1000 ms on CPU 1-2",
                "the goal is 50 µs, a tenth of it 5 µs"
            ]
        );
        assert_eq!(found.severity, Severity::Critical);
        assert_eq!(
            (found.remedy.settings[0].knob.as_str(), found.remedy.settings[0].value.as_str()),
            ("cpu.dma-latency", "5")
        );
        assert_eq!(rule_for(NAME, &facts, 1_330_000), Seen::default(), "a tenth of the goal exactly is let pass");
    }

    #[test]
    fn a_state_that_was_disabled_is_let_pass() {
        let mut facts = healthy();
        grow(&mut facts, "cpuidle/cpu1/state2", "usage", 7);
        if let Reading::Value(states) = &mut facts.cpus.power.get_mut(&1).unwrap().idle_states {
            states[2].disabled = true;
        }
        assert_eq!(rule_for(NAME, &facts, 50_000), Seen::default());
    }

    #[test]
    fn blind_without_goal_or_states() {
        let mut facts = healthy();
        blind(NAME, &facts, "latency goal", "absent");
        for power in facts.cpus.power.values_mut() {
            power.idle_states = Reading::Absent("no cpuidle".into());
        }
        let seen = rule_for(NAME, &facts, 50_000);
        let said: Vec<&str> = seen.not_seen.iter().map(|n| n.why.as_str()).collect();
        assert_eq!((seen.findings.len(), said), (0, vec!["absent: CPU 0-3 has no readable idle states"]));
    }
}

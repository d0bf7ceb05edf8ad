//! Interruptions by other processors.

use std::collections::BTreeSet;

use lowlat_model::{Severity, Window};

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Interrupts that other processors sent to the CPU of the application or to isolated CPUs: function calls, TLB
    /// flushes, rescheduling.
    /// ## Why it matters
    /// Each one stops the task there for a microsecond or more. They come from programs that unmap memory while they
    /// have threads on these and on other CPUs (TLB), from tracing, profiling, frequency and firmware drivers (function
    /// calls), and from wake-ups across CPUs (rescheduling).
    /// ## Threshold
    /// More than ten a second of one kind in the counter window (a heuristic). The rule subtracts the number of times
    /// the CPU left an idle state, because a function call or a rescheduling interrupt wakes a sleeping CPU, and that
    /// is its reader's wake-up. On the CPU of a program that sleeps, these two kinds do not count at all; TLB flushes
    /// always do.
    /// ## Remedy
    /// Find the source (`trace-cmd record -e ipi:*`, where the kernel has these events): a program with threads on both
    /// quiet and busy CPUs, a profiler, a kernel module. Keep all threads of a program on the quiet CPUs or all on the
    /// busy ones.
    pub InterprocessorInterrupts = "interprocessor-interrupts";
    sources [
        "arch/x86/kernel/irq.c in linux 6.12: arch_show_interrupts (RES, CAL, TLB)",
        "kernel/smp.c in linux 6.12: __smp_call_single_queue (a wake-up of an idle CPU is a function call)",
        "include/trace/events/ipi.h in linux 6.12: ipi_send_cpu",
        "heuristic: ten a second",
    ];
    follows ["rps-remote-cpu"];
}

const PER_SECOND: f64 = 10.0;
/// Engines whose reader sleeps until a packet is there.
const SLEEPS: [&str; 2] = ["block", "epoll"];

/// How often a CPU left an idle state, a second. Each time something woke it.
fn wake_ups(window: &Window, cpu: u32) -> f64 {
    window.after.groups_under(&format!("cpuidle/cpu{cpu}/")).filter_map(|group| window.rate(group, "usage")).sum()
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let facts = input.facts;
    let app = input.baseline.and_then(|b| b.cpu);
    let isolated = facts.cpus.isolated.value().cloned().unwrap_or_default();
    if app.is_none() && isolated.is_empty() {
        return;
    }
    let Some(window) = seen.window(input) else { return };
    let mut evidence = Vec::new();
    for (row, what) in [("CAL", "function calls"), ("TLB", "TLB flushes"), ("RES", "rescheduling")] {
        let group = format!("irq/{row}");
        if !seen.counted(window, &group) {
            continue;
        }
        let wakes = row != "TLB";
        let asleep = input.baseline.is_some_and(|b| SLEEPS.contains(&b.engine.as_str()));
        let quiet: BTreeSet<u32> = isolated.iter().copied().chain(app).collect();
        for cpu in quiet.into_iter().filter(|cpu| !(wakes && asleep && app == Some(*cpu))) {
            let woken = if wakes { wake_ups(window, cpu) } else { 0.0 };
            let rate = window.rate(&group, &format!("cpu{cpu}")).unwrap_or(0.0) - woken;
            if rate > PER_SECOND {
                evidence.push(format!(
                    "CPU {cpu}: {rate:.0} interruptions a second for {what} ({row} of /proc/interrupts)"
                ));
            }
        }
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "other CPUs interrupt CPUs of the path".to_owned(),
        evidence,
        "find who sends them (trace ipi events): threads of one program on both sides, a profiler, a module",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::tests::baseline;

    #[test]
    fn on_the_cpu_of_the_application() {
        let mut facts = healthy();
        grow(&mut facts, "irq/TLB", "cpu3", 40);
        grow(&mut facts, "irq/RES", "cpu3", 40);
        let measured = baseline(Some(3));
        let see = |facts: &lowlat_model::Facts| {
            let mut seen = Seen::default();
            look(&Input { facts, baseline: Some(&measured), goal_ns: None }, &mut seen);
            seen
        };
        let found = see(&facts);
        assert_eq!(
            found.findings[0].evidence,
            ["CPU 3: 40 interruptions a second for TLB flushes (TLB of /proc/interrupts)"],
            "rescheduling there is the wake-up of the program"
        );
        grow(&mut facts, "irq/CAL", "cpu3", 1_060);
        assert_eq!(see(&facts).findings[0].evidence.len(), 1, "so are function calls while it sleeps");
        deny_group(&mut facts, "irq/TLB");
        deny_group(&mut facts, "irq/CAL");
        let blind = see(&facts);
        assert!(blind.findings.is_empty());
        assert!(blind.not_seen.iter().any(|n| n.fact == "counters irq/TLB" && n.why.starts_with("denied: ")));
    }

    /// 790 wake-ups a second of an idle CPU came with 1060 function calls, measured on a 6.18 kernel.
    #[test]
    fn wake_ups_of_an_idle_isolated_cpu_are_not_interruptions() {
        let mut facts = healthy();
        facts.cpus.isolated = lowlat_model::Reading::Value(vec![3]);
        facts.cpus.workqueue = lowlat_model::Reading::Value(vec![0, 1, 2]);
        grow(&mut facts, "irq/CAL", "cpu3", 1_060);
        let see = |facts: &lowlat_model::Facts| {
            let mut seen = Seen::default();
            look(&Input { facts, baseline: None, goal_ns: None }, &mut seen);
            seen.findings
        };
        assert_eq!(see(&facts).len(), 1, "it does not idle, so each call interrupts a task");
        grow(&mut facts, "cpuidle/cpu3/state1", "usage", 1_055);
        assert_eq!(see(&facts), []);
    }
}

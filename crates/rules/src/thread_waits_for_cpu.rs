//! A thread that is ready and has no CPU.

use lowlat_model::{Reading, Severity};

use crate::look::{few, finding, per_second, thread, watched};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A thread of the application that other tasks keep from its CPU.
    /// ## Why it matters
    /// A thread that loses its CPU answers nothing until the other task's turn is over: some 3 ms on a host of eight
    /// CPUs or more, longer where the other task is a real-time one.
    /// ## Threshold
    /// It waited for 1 % of the window or more while ready to run; where the kernel does not count that time, it lost
    /// its CPU twenty times a second or more. Both are heuristics.
    /// ## Remedy
    /// Give the thread a CPU of its own: isolated CPUs (isolcpus, a cpuset partition), other tasks and interrupts kept
    /// away from it. A real-time class (chrt) only for a thread that sleeps; one that spins would keep the kernel's own
    /// threads from that CPU.
    pub ThreadWaitsForCpu = "thread-waits-for-cpu";
    sources [
        "Documentation/scheduler/sched-stats.rst in linux 6.12: /proc/<pid>/schedstat",
        "kernel/sched/fair.c in linux 6.12: sysctl_sched_base_slice, get_update_sysctl_factor",
        "man 5 proc (nonvoluntary_ctxt_switches)",
        "heuristic: 1 % of the time, twenty times a second",
    ];
    follows ["cpu-quota-throttled", "tasks-wait-for-cpu", "steal-time", "realtime-thread-throttled"];
}

const WAITED_PER_SECOND: f64 = 10e6;
const PER_SECOND: f64 = 20.0;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some((seconds, threads)) = watched(seen, input) else { return };
    let mut evidence = Vec::new();
    for (process, t, grown) in threads {
        let who = thread(process, t);
        let Some(lost) = seen.need(format!("preemptions of {who}"), &grown.preemptions) else { continue };
        let often = per_second(*lost, seconds) >= PER_SECOND;
        let long = match &grown.waited_ns {
            Reading::Value(ns) => per_second(*ns, seconds) >= WAITED_PER_SECOND,
            // Without the time, the count alone.
            _ => often,
        };
        if long {
            let waited = grown.waited_ns.value().map_or_else(
                || "for a time that this kernel does not count".to_owned(),
                |ns| format!("for {} µs", ns / 1_000),
            );
            let class = if t.priority > 0 {
                format!("{} {}", t.policy, t.priority)
            } else {
                format!("{}, nice {}", t.policy, t.nice)
            };
            evidence
                .push(format!("{who} ({class}) waited {waited}, lost CPU {} {lost} times in the window", t.last_cpu));
        }
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "other tasks keep the application's threads from their CPUs".to_owned(),
        few(evidence),
        "give the thread a CPU of its own: isolcpus or a cpuset partition, and no interrupts there",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::application::grown;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn ready_and_without_a_cpu() {
        let mut facts = healthy();
        grown(&mut facts).waited_ns = Reading::Value(10_000_000);
        only(NAME, &facts, &["feed[812] (other, nice 0) waited for 10000 µs, lost CPU 1 1 times in the window"], &[]);
        grown(&mut facts).waited_ns = Reading::Value(9_999_999);
        grown(&mut facts).preemptions = Reading::Value(500);
        assert_eq!(rule(NAME, &facts), Seen::default(), "often, and short");
        grown(&mut facts).waited_ns = Reading::Absent("x".into());
        assert!(rule(NAME, &facts).findings[0].evidence[0].contains("does not count, lost CPU 1 500 times"));
        grown(&mut facts).preemptions = Reading::Denied("x".into());
        blind(NAME, &facts, "preemptions of feed[812]", "denied");
    }
}

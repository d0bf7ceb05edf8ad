//! A thread that loses its CPU to other tasks, if only for a moment.

use lowlat_model::Severity;

use crate::look::{chosen, few, finding, per_second, thread, watched};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A thread of the application that other tasks took the CPU from more than once a second.
    /// ## Why it matters
    /// Even a turn of some microseconds, of a kernel worker for instance, delays the message that comes in it, and leaves a
    /// cold cache. On a CPU that was isolated for this thread nothing should have run at all.
    /// ## Threshold
    /// More than one involuntary switch a second. On an isolated CPU, and of a real-time thread, it is a warning where a goal
    /// was given or a path measured; elsewhere, where the scheduler shares the CPU as it is meant to, it is `info`. How long
    /// the thread then waits is what thread-waits-for-cpu looks at.
    /// ## Remedy
    /// A CPU of its own (isolcpus or a cpuset partition), with workqueues and interrupts kept away (cpu.workqueue-mask,
    /// irq.affinity). On an isolated CPU find the other task: `lowlat noise --trace --cpus N` names it. A thread that sleeps
    /// may be given a real-time class.
    pub ThreadPreempted = "thread-preempted";
    sources [
        "man 5 proc (/proc/pid/status: nonvoluntary_ctxt_switches)",
        "man 7 cpuset (cpuset.cpus.partition is in Documentation/admin-guide/cgroup-v2.rst)",
        "heuristic: one a second",
    ];
    follows ["thread-waits-for-cpu"];
}

const PER_SECOND: f64 = 1.0;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some((seconds, threads)) = watched(seen, input) else { return };
    let isolated = seen.quiet("isolated CPUs", &input.facts.cpus.isolated);
    let (mut evidence, mut unexpected) = (Vec::new(), false);
    for (process, t, grown) in threads {
        // thread-waits-for-cpu says so where the count cannot be read.
        let Some(lost) = grown.preemptions.value() else { continue };
        if per_second(*lost, seconds) <= PER_SECOND {
            continue;
        }
        let quiet = isolated.contains(&t.last_cpu);
        unexpected |= quiet || matches!(t.policy.as_str(), "fifo" | "rr" | "deadline");
        let kind = if quiet { ", which is isolated," } else { "" };
        evidence.push(format!(
            "{} ({}) lost CPU {}{kind} {lost} times in the window",
            thread(process, t),
            t.policy,
            t.last_cpu
        ));
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        if unexpected { chosen(input) } else { Severity::Info },
        "other tasks take the CPU from threads of the application".to_owned(),
        few(evidence),
        "give the thread a CPU of its own; `lowlat noise --trace --cpus N` names who runs on an isolated one",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::application::{grown, only_thread};
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{only, rule, rule_for};

    #[test]
    fn more_than_once_a_second() {
        let mut facts = healthy();
        assert_eq!(rule(NAME, &facts), Seen::default(), "once");
        grown(&mut facts).preemptions = Reading::Value(2);
        only(NAME, &facts, &["feed[812] (other) lost CPU 1 2 times in the window"], &[]);
        assert_eq!(rule_for(NAME, &facts, 50_000).findings[0].severity, Severity::Info, "a CPU that is shared");
        only_thread(&mut facts).policy = "fifo".into();
        assert_eq!(rule_for(NAME, &facts, 50_000).findings[0].severity, Severity::Warning);
        only_thread(&mut facts).policy = "other".into();
        facts.cpus.isolated = Reading::Value(vec![1]);
        let found = rule_for(NAME, &facts, 50_000).findings.remove(0);
        assert_eq!(found.severity, Severity::Warning);
        assert_eq!(found.evidence, ["feed[812] (other) lost CPU 1, which is isolated, 2 times in the window"]);
        grown(&mut facts).preemptions = Reading::Denied("x".into());
        assert_eq!(rule(NAME, &facts), Seen::default(), "another rule says so");
    }
}

//! A real-time thread that the kernel stops so that others may run.

use lowlat_model::{Facts, Severity};

use crate::look::{few, finding, per_second, thread, watched};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A real-time thread of the application that takes nearly all of its CPU and is stopped for the rest.
    /// ## Why it matters
    /// The kernel keeps a part of each second for other tasks, 50 ms by default. The real-time thread is stopped for that
    /// time in one piece, whatever arrives in it: a thread that spins answers nothing for up to 50 ms, once a second.
    /// ## Threshold
    /// `fifo` or `rr`, 80 % of a CPU or more, and 10 ms of each second or more in which it was ready and had no CPU
    /// (heuristics). Another real-time thread of a higher priority on the same CPU looks the same. Which of the two limits
    /// acts: before Linux 6.12, and with CONFIG_RT_GROUP_SCHED, `kernel.sched_rt_runtime_us`; else the fair server, and only
    /// while ordinary tasks wait on that CPU.
    /// ## Remedy
    /// Let a thread that spins be an ordinary one on a CPU of its own: then nobody waits there, and nothing is kept for
    /// others. Do not lift the limit on a CPU where the kernel's own threads run (rt-throttling-off).
    pub RealtimeThreadThrottled = "realtime-thread-throttled";
    sources [
        "Documentation/scheduler/sched-rt-group.rst in linux 6.12: 2.1 System wide settings",
        "kernel/sched/deadline.c in linux 6.12: dl_server_start (runtime 50 ms, period 1000 ms)",
        "kernel/sched/rt.c in linux 6.1: sched_rt_runtime_exceeded",
        "Documentation/scheduler/sched-stats.rst in linux 6.12: /proc/<pid>/schedstat",
        "heuristic: 80 % of a CPU, 10 ms of a second",
    ];
    follows ["realtime-thread-spins"];
}

const BUSY_NS_PER_SECOND: f64 = 0.80e9;
const HELD_NS_PER_SECOND: f64 = 10e6;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some((seconds, threads)) = watched(seen, input) else { return };
    let mut evidence = Vec::new();
    let mut cpus = Vec::new();
    for (process, t, grown) in threads {
        if !matches!(t.policy.as_str(), "fifo" | "rr") || per_second(grown.cpu_ns, seconds) < BUSY_NS_PER_SECOND {
            continue;
        }
        let fact = format!("time for which {} waited for a CPU", thread(process, t));
        let Some(waited) = seen.need(fact, &grown.waited_ns) else { continue };
        if per_second(*waited, seconds) >= HELD_NS_PER_SECOND {
            let share = per_second(grown.cpu_ns, seconds) / 1e7;
            evidence.push(format!(
                "{} ({} {}) used {share:.0} % of CPU {} and was held back for {} ms in the window",
                thread(process, t),
                t.policy,
                t.priority,
                t.last_cpu,
                waited / 1_000_000
            ));
            cpus.push(t.last_cpu);
        }
    }
    if evidence.is_empty() {
        return;
    }
    let mut evidence = few(evidence);
    evidence.extend(limits(input.facts, &cpus));
    seen.found(finding(
        NAME,
        Severity::Warning,
        "the kernel stops a real-time thread of the application so that others may run".to_owned(),
        evidence,
        "let it spin as an ordinary task (chrt -o -p 0 TID) on a CPU of its own, where nobody waits",
    ));
}

/// The limits that may act there, as far as known.
fn limits(facts: &Facts, cpus: &[u32]) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(
        facts.sysctl("kernel.sched_rt_runtime_us").map(|us| format!("kernel.sched_rt_runtime_us = {}", us.trim())),
    );
    let servers = facts.cpus.fair_server.value();
    let server = cpus.iter().find_map(|cpu| Some((*cpu, servers?.get(cpu)?)));
    lines.extend(server.filter(|(_, s)| s.runtime_ns > 0).map(|(cpu, s)| {
        let [runtime, period] = [s.runtime_ns, s.period_ns].map(|ns| ns / 1_000_000);
        format!("the fair server gives ordinary tasks {runtime} ms of each {period} ms of CPU {cpu}")
    }));
    lines
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::application::{grown, only_thread};
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn stopped_for_the_rest_of_the_second() {
        let mut facts = healthy();
        let thread = only_thread(&mut facts);
        (thread.policy, thread.priority) = ("fifo".into(), 50);
        assert_eq!(rule(NAME, &facts), Seen::default(), "nobody waits there");
        grown(&mut facts).cpu_ns = 950_000_000;
        grown(&mut facts).waited_ns = Reading::Value(50_100_000);
        let said = [
            "feed[812] (fifo 50) used 95 % of CPU 1 and was held back for 50 ms in the window",
            "kernel.sched_rt_runtime_us = 950000",
            "the fair server gives ordinary tasks 50 ms of each 1000 ms of CPU 1",
        ];
        only(NAME, &facts, &said, &["realtime-thread-spins", "thread-waits-for-cpu"]);
        let all = crate::check_all(&Input { facts: &facts, baseline: None, goal_ns: None });
        let order: Vec<(&str, Option<&str>)> =
            all.findings.iter().map(|f| (f.rule.as_str(), f.follows.as_deref())).collect();
        assert_eq!(
            order,
            [
                ("realtime-thread-spins", None),
                (NAME, Some("realtime-thread-spins")),
                ("thread-waits-for-cpu", Some(NAME)),
            ]
        );
        facts.cpus.fair_server = Reading::Denied("debugfs is root's".into());
        assert_eq!(rule(NAME, &facts).findings[0].evidence.len(), 2);
        grown(&mut facts).waited_ns = Reading::Denied("x".into());
        blind(NAME, &facts, "waited for a CPU", "denied");
        grown(&mut facts).cpu_ns = 700_000_000;
        assert_eq!(rule(NAME, &facts), Seen::default(), "it sleeps");
        only_thread(&mut facts).policy = "other".into();
        grown(&mut facts).cpu_ns = 950_000_000;
        assert_eq!(rule(NAME, &facts), Seen::default(), "an ordinary thread");
    }
}

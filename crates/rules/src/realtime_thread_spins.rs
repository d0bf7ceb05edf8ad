//! A real-time thread that never sleeps.

use lowlat_model::Severity;

use crate::look::{few, finding, per_second, thread, watched};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A thread of the application that has a real-time class and takes all time of its CPU.
    /// ## Why it matters
    /// The kernel's own threads on that CPU do not run: RCU, ksoftirqd and the workers of its workqueues wait, and
    /// other CPUs wait for them. Where real-time tasks are limited, which is the default, the others get 50 ms of
    /// each second: before Linux 6.12, and with CONFIG_RT_GROUP_SCHED, the thread is stopped for so long, else only
    /// where others wait.
    /// ## Threshold
    /// `fifo`, `rr` or `deadline`, and 90 % of a CPU in the window or more, also on an isolated CPU: one that is stopped
    /// for its 50 ms of each second takes 95 %, and the kernel counts the time in ticks.
    /// ## Remedy
    /// Let a thread that spins be an ordinary one on a CPU of its own: nothing else wants to run there, and the kernel's
    /// threads get their turn. Real-time classes are for threads that sleep.
    pub RealtimeThreadSpins = "realtime-thread-spins";
    sources [
        "Documentation/scheduler/sched-rt-group.rst in linux 6.12: 2.1 System wide settings, 2.2 Default behaviour",
        "kernel/sched/deadline.c in linux 6.12: dl_server_start (runtime 50 ms, period 1000 ms)",
        "kernel/sched/rt.c in linux 6.1, 6.12: update_curr_rt (CONFIG_RT_GROUP_SCHED)",
        "heuristic: 90 %, below what the limit of 95 % leaves",
        "man 7 sched (SCHED_FIFO; Limiting the CPU usage of real-time and deadline processes)",
    ];
}

const ALL_NS_PER_SECOND: f64 = 0.90e9;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some((seconds, threads)) = watched(seen, input) else { return };
    let evidence: Vec<String> = threads
        .into_iter()
        .filter(|(_, t, _)| matches!(t.policy.as_str(), "fifo" | "rr" | "deadline"))
        .filter(|(.., g)| per_second(g.cpu_ns, seconds) >= ALL_NS_PER_SECOND)
        .map(|(process, t, g)| {
            let share = per_second(g.cpu_ns, seconds) / 1e7;
            format!("{} ({} {}): {share:.0} % of CPU {}", thread(process, t), t.policy, t.priority, t.last_cpu)
        })
        .collect();
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "a real-time thread of the application spins".to_owned(),
        few(evidence),
        "let it spin as an ordinary task (chrt -o -p 0 TID) on a CPU of its own",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::application::{grown, only_thread};
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{only, rule};

    #[test]
    fn a_real_time_class_and_no_sleep() {
        let mut facts = healthy();
        let thread = only_thread(&mut facts);
        (thread.policy, thread.priority) = ("fifo".into(), 99);
        only(NAME, &facts, &["feed[812] (fifo 99): 100 % of CPU 1"], &[]);
        grown(&mut facts).cpu_ns = 940_000_000;
        only(NAME, &facts, &["feed[812] (fifo 99): 94 % of CPU 1"], &[]);
        grown(&mut facts).cpu_ns = 890_000_000;
        assert_eq!(rule(NAME, &facts), Seen::default(), "it sleeps");
    }
}

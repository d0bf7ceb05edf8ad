//! A thread that the scheduler moves about.

use lowlat_model::Severity;

use crate::look::{cpus, few, finding, per_second, thread, watched};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A thread of the application that is moved from CPU to CPU.
    /// ## Why it matters
    /// After each move its data is in another processor's caches, and on another NUMA node its memory is far away.
    /// ## Threshold
    /// Five moves a second or more (a heuristic) of a thread that may run on several CPUs.
    /// ## Remedy
    /// Pin the thread: pthread_setaffinity_np, sched_setaffinity, or taskset -cp CPU TID; to a CPU on the NIC's node that
    /// takes none of its interrupts.
    pub ThreadMigrates = "thread-migrates";
    sources [
        "kernel/sched/debug.c in linux 6.12: proc_sched_show_task (se.nr_migrations)",
        "man 2 sched_setaffinity",
        "heuristic: five moves a second",
    ];
}

const PER_SECOND: f64 = 5.0;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some((seconds, threads)) = watched(seen, input) else { return };
    let mut evidence = Vec::new();
    for (process, t, grown) in threads {
        let Some(allowed) = seen.need(format!("affinity of {}", thread(process, t)), &t.allowed) else { continue };
        if allowed.len() < 2 {
            continue;
        }
        let fact = format!("migrations of {}[{}]", process.command, process.pid);
        let Some(moves) = seen.need(fact, &grown.migrations) else { continue };
        if per_second(*moves, seconds) >= PER_SECOND {
            let who = thread(process, t);
            evidence.push(format!("{who} moved {moves} times in the window, may run on CPUs {}", cpus(allowed)));
        }
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "threads of the application move between CPUs".to_owned(),
        few(evidence),
        "pin them (sched_setaffinity, taskset -cp CPU TID) to CPUs on the NIC's node that take none of its interrupts",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::application::{grown, only_thread};
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn moved_and_not_pinned() {
        let mut facts = healthy();
        grown(&mut facts).migrations = Reading::Value(5);
        assert_eq!(rule(NAME, &facts), Seen::default(), "pinned: it was moved by its owner");
        only_thread(&mut facts).allowed = Reading::Value(vec![0, 1, 2, 3]);
        only(NAME, &facts, &["feed[812] moved 5 times in the window, may run on CPUs 0-3"], &[]);
        grown(&mut facts).migrations = Reading::Value(4);
        assert_eq!(rule(NAME, &facts), Seen::default());
        grown(&mut facts).migrations = Reading::Unsupported("x".into());
        blind(NAME, &facts, "migrations of feed[812]", "unsupported");
    }
}

//! Software interrupts that come faster than they are done.

use std::collections::BTreeSet;

use lowlat_model::{Facts, Severity};

use crate::look::{finding, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// The thread `ksoftirqd` at work on a CPU that handles packets of the path.
    /// ## Why it matters
    /// The kernel handles received packets right after the interrupt. Where more work keeps coming for 2 ms or ten rounds,
    /// or another task has to run, it leaves the rest to this thread, which competes with programs for the CPU like any of
    /// them: a packet then waits for its turn, up to milliseconds.
    /// ## Threshold
    /// The thread ran for more than 1 % of the counter window (a heuristic) on a CPU where interrupts of the path fire,
    /// to which its packets are steered (RPS), or on which the prober runs; on any CPU where the path has no interrupts.
    /// A real-time kernel runs such work in threads by design and is left out.
    /// ## Remedy
    /// Take load off this CPU: spread the interrupts and queues over more CPUs, move programs away, find the source of
    /// the packets. Threads of the device's own (`nic.napi-threaded`) can be given a priority and a CPU.
    pub SoftirqsLeftToThreads = "softirqs-left-to-threads";
    sources [
        "kernel/softirq.c in linux 6.12: handle_softirqs (MAX_SOFTIRQ_TIME, MAX_SOFTIRQ_RESTART)",
        "Documentation/networking/napi.rst in linux 6.12: Threaded NAPI",
        "heuristic: 1 % of the window",
    ];
    follows ["steal-time", "interrupts-on-one-cpu"];
}

/// Of the window, in percent.
const SHARE: u64 = 1;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    if input.facts.host.realtime.value() == Some(&true) {
        return;
    }
    let path = cpus_of_path(input.facts, input.baseline.and_then(|b| b.cpu));
    let evidence: Vec<String> = seen
        .growth_under(window, "ksoftirqd/", "run_ns")
        .into_iter()
        .filter(|(_, ns)| ns * 100 > window.duration_ns() * SHARE)
        .filter_map(|(group, ns)| Some((group.strip_prefix("ksoftirqd/cpu")?.parse::<u32>().ok()?, ns)))
        .filter(|(cpu, _)| path.is_empty() || path.contains(cpu))
        .map(|(cpu, ns)| {
            format!("ksoftirqd/{cpu} ran for {} of {} ms", ns / 1_000_000, window.duration_ns() / 1_000_000)
        })
        .collect();
    if !evidence.is_empty() {
        seen.found(finding(
            NAME,
            Severity::Warning,
            "packets wait for a thread: software interrupts come faster than they are done".to_owned(),
            evidence,
            "spread the interrupts and queues over more CPUs, and move programs away from this one",
        ));
    }
}

/// Where packets of the path are handled.
fn cpus_of_path(facts: &Facts, prober: Option<u32>) -> BTreeSet<u32> {
    let mut cpus: BTreeSet<u32> = prober.into_iter().collect();
    for (name, iface) in on_path(facts) {
        let lines = facts.irqs.value().into_iter().flatten().filter(|i| i.iface == name);
        cpus.extend(lines.filter_map(|i| i.effective.value()).flatten());
        cpus.extend(iface.rx_queues.iter().filter_map(|q| q.rps_cpus.value()).flatten());
    }
    cpus
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn on_the_paths_cpu_and_elsewhere() {
        let mut facts = healthy();
        grow(&mut facts, "ksoftirqd/cpu3", "run_ns", 400_000_000);
        grow(&mut facts, "ksoftirqd/cpu0", "run_ns", 9_000_000);
        assert_eq!(rule(NAME, &facts), Seen::default(), "CPU 3 has none of the path's interrupts, CPU 0 is below 1 %");
        grow(&mut facts, "ksoftirqd/cpu0", "run_ns", 11_000_000);
        only(NAME, &facts, &["ksoftirqd/0 ran for 20 of 1000 ms"], &[]);
        facts.host.realtime = Reading::Value(true);
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn blind_where_the_threads_are_not_visible() {
        let mut facts = healthy();
        deny_group(&mut facts, "ksoftirqd/cpu0");
        blind(NAME, &facts, "ksoftirqd/cpu0", "denied");
    }
}

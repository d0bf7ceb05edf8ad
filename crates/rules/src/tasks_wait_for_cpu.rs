//! Programs that wait for their turn.

use std::collections::BTreeSet;

use lowlat_model::{Severity, Window};

use crate::irq_off_node_or_app_cpu::fired;
use crate::look::{finding, on_path, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Programs that were ready to run and waited for a processor, on the CPUs of the path.
    /// ## Why it matters
    /// A reader that is woken and has to wait until another program's time slice ends is late by that whole slice:
    /// milliseconds. No network setting makes up for that.
    /// ## Threshold
    /// On the application's CPU or, where it is not known, on those that take the interface's interrupts: programs
    /// waited for more than 5 % of the counter window, and for 100 µs or more on average. Where the kernel does not
    /// count that per CPU: programs waited anywhere on the host for more than a quarter of the window, which is `info`
    /// only. All figures are heuristics.
    /// ## Remedy
    /// Give the latency-critical program a CPU of its own by keeping others off it (a cpuset partition, CPUAffinity= of
    /// their units), or give it a priority (sched.rt-priority). Then fix the cause: too many programs, or too few CPUs.
    pub TasksWaitForCpu = "tasks-wait-for-cpu";
    sources [
        "Documentation/scheduler/sched-stats.rst in linux 6.12: CPU statistics (8, sum of all time spent waiting to run)",
        "Documentation/accounting/psi.rst in linux 6.12: Pressure interface (some)",
        "heuristic: 5 % and 100 µs of one CPU, 25 % of the host",
    ];
    follows ["steal-time", "cpu-quota-throttled"];
}

const SHARE: f64 = 0.05;
const MEAN_NS: u64 = 100_000;
const HOST_SHARE: f64 = 0.25;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let span = window.duration_ns().max(1) as f64;
    let mut evidence = Vec::new();
    let counted = window.after.groups_under("sched/").any(|g| window.delta(g, "wait_ns").is_some());
    for cpu in path(input, window) {
        let group = format!("sched/cpu{cpu}");
        let (Some(wait), Some(slices)) = (window.delta(&group, "wait_ns"), window.delta(&group, "slices")) else {
            continue;
        };
        let mean = wait / slices.max(1);
        if wait as f64 / span > SHARE && mean >= MEAN_NS {
            evidence.push(format!(
                "CPU {cpu}: programs waited {} ms {}, {} µs for each turn",
                wait / 1_000_000,
                within(window),
                mean / 1_000
            ));
        }
    }
    let mut severity = Severity::Warning;
    if !counted
        && let Some(us) = window.delta("pressure/cpu", "some_us").filter(|us| *us as f64 * 1e3 / span > HOST_SHARE)
    {
        severity = Severity::Info;
        evidence.push(format!("programs waited for a CPU somewhere for {} ms {}", us / 1_000, within(window)));
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        severity,
        "programs wait for a CPU".to_owned(),
        evidence,
        "give the latency-critical program a CPU of its own (a cpuset partition, CPUAffinity= of the others), or a priority",
    ));
}

/// The application's CPU, else those on which interrupts of the path fired.
fn path(input: &Input<'_>, window: &Window) -> BTreeSet<u32> {
    if let Some(app) = input.baseline.and_then(|b| b.cpu) {
        return BTreeSet::from([app]);
    }
    let lines = input.facts.irqs.value().into_iter().flatten();
    let names: Vec<&str> = on_path(input.facts).into_iter().map(|(name, _)| name).collect();
    let mine = lines.filter(|irq| names.contains(&irq.iface.as_str()) && fired(Some(window), irq));
    mine.filter_map(|irq| irq.effective.value()).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn on_a_cpu_of_the_path() {
        let mut facts = healthy();
        grow(&mut facts, "sched/cpu1", "wait_ns", 90_000_000);
        grow(&mut facts, "sched/cpu1", "slices", 100);
        grow(&mut facts, "sched/cpu3", "wait_ns", 900_000_000);
        grow(&mut facts, "sched/cpu3", "slices", 100);
        only(NAME, &facts, &["CPU 1: programs waited 90 ms in 1000 ms, 900 µs for each turn"], &[]);
        grow(&mut facts, "sched/cpu1", "slices", 10_000);
        assert_eq!(rule(NAME, &facts), Seen::default(), "many short turns are a busy CPU, not a late reader");
    }

    #[test]
    fn the_hosts_pressure_where_no_cpu_is_counted() {
        let mut facts = healthy();
        grow(&mut facts, "pressure/cpu", "some_us", 400_000);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Info);
        grow(&mut facts, "sched/cpu1", "wait_ns", 1);
        assert_eq!(rule(NAME, &facts), Seen::default(), "the CPUs of the path say more");
    }

    #[test]
    fn blind_without_a_window() {
        let mut facts = healthy();
        facts.window = None;
        blind(NAME, &facts, "counter growth", "absent");
    }
}

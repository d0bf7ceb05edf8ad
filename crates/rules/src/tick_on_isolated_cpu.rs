//! The clock tick on a CPU that should be quiet.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{cpus, finding, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Isolated CPUs that the timer tick still interrupts.
    /// ## Why it matters
    /// A CPU is isolated so that nothing interrupts its one task. The tick does, HZ times a second, for a microsecond
    /// or more each time, and it evicts part of the cache.
    /// ## Threshold
    /// More than two timer interrupts a second in the counter window on a CPU of `isolcpus` or `nohz_full` (a
    /// heuristic: the kernel keeps one a second in some cases). An idle CPU has few ticks, whatever is set.
    /// ## Remedy
    /// Boot with `nohz_full` for those CPUs where the kernel has it (CONFIG_NO_HZ_FULL), and run exactly one task on
    /// each. It helps a program that stays in user space and bypasses the kernel. Each system call, interrupt and page
    /// fault costs more there, so a program on kernel sockets may become slower: for it one tick in four milliseconds
    /// costs less, and the setting is advice only. If ticks remain with `nohz_full` set, something else is runnable on
    /// that CPU. Another rule covers device interrupts (device-interrupts-on-isolated-cpus).
    pub TickOnIsolatedCpu = "tick-on-isolated-cpu";
    sources [
        "Documentation/timers/no_hz.rst in linux 6.12: Omit Scheduling-Clock Ticks For CPUs With Only One Runnable Task",
        "arch/x86/kernel/irq.c in linux 6.12: arch_show_interrupts (LOC)",
        "Documentation/timers/no_hz.rst in linux 6.12: Known Issues (user/kernel transitions, one runnable task)",
        "heuristic: two a second",
    ];
}

const PER_SECOND: f64 = 2.0;

fn named(list: &[u32]) -> String {
    if list.is_empty() { "none".to_owned() } else { cpus(list) }
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let facts = input.facts;
    let isolated = seen.quiet("isolated CPUs", &facts.cpus.isolated);
    let full = seen.quiet("nohz_full CPUs", &facts.cpus.nohz_full);
    let mut quiet: Vec<u32> = isolated.iter().chain(&full).copied().collect();
    quiet.sort_unstable();
    quiet.dedup();
    if quiet.is_empty() {
        return;
    }
    let Some(window) = seen.window(input) else { return };
    // Only x86 counts its timer interrupts under this name.
    if !seen.counted(window, "irq/LOC") {
        return;
    }
    let rate = |cpu: &u32| window.rate("irq/LOC", &format!("cpu{cpu}"));
    let ticked: Vec<(u32, f64)> =
        quiet.iter().filter_map(|cpu| Some((*cpu, rate(cpu)?))).filter(|(_, rate)| *rate > PER_SECOND).collect();
    if ticked.is_empty() {
        return;
    }
    let mut evidence: Vec<String> =
        ticked.iter().map(|(cpu, rate)| format!("CPU {cpu}: {rate:.0} timer interrupts a second")).collect();
    evidence.push(format!("isolated: {}; nohz_full: {}", named(&isolated), named(&full)));
    let able = facts.host.config.value().and_then(|c| c.get("CONFIG_NO_HZ_FULL")).is_some_and(|v| v == "y");
    let missing: Vec<u32> = ticked.iter().map(|(cpu, _)| *cpu).filter(|cpu| *cpu != 0 && !full.contains(cpu)).collect();
    // What was measured over kernel sockets would pay for it at each system call.
    let in_kernel = input.baseline.is_some_and(|b| b.engine != "af-xdp");
    let wanted = (able && !in_kernel && !missing.is_empty()).then(|| {
        let mut all: Vec<u32> = missing.into_iter().chain(full.iter().copied()).collect();
        all.sort_unstable();
        set("boot.nohz_full", Target::Host, cpus(&all))
    });
    let found = finding(
        NAME,
        Severity::Warning,
        "the scheduling-clock tick interrupts isolated CPUs".to_owned(),
        evidence,
        "for a program that stays in user space: nohz_full on these CPUs, and exactly one task on each; kernel sockets may lose by it",
    );
    seen.found(with(found, wanted));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{deny_group, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    fn isolated() -> lowlat_model::Facts {
        let mut facts = healthy();
        facts.cpus.isolated = Reading::Value(vec![3]);
        facts.cpus.workqueue = Reading::Value(vec![0, 1, 2]);
        facts
    }

    #[test]
    fn an_isolated_cpu_that_ticks() {
        let mut facts = isolated();
        only(NAME, &facts, &["CPU 3: 250 timer interrupts a second", "isolated: 3; nohz_full: none"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings, [], "this kernel may not have it");
        if let Reading::Value(config) = &mut facts.host.config {
            config.insert("CONFIG_NO_HZ_FULL".into(), "y".into());
        }
        let settings = &rule(NAME, &facts).findings[0].remedy.settings;
        assert_eq!((settings[0].knob.as_str(), settings[0].value.as_str()), ("boot.nohz_full", "3"));
    }

    #[test]
    fn blind_without_the_counters() {
        let mut facts = isolated();
        deny_group(&mut facts, "irq/LOC");
        blind(NAME, &facts, "irq/LOC", "denied");
    }
}

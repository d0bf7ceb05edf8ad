//! Receive queues that all end on one processor.

use std::collections::BTreeSet;

use lowlat_model::facts::Irq;
use lowlat_model::op::Target;
use lowlat_model::{Severity, Window};

use crate::irq_off_node_or_app_cpu::{fired, free};
use crate::look::{finding, fired_on, joint, on_path, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Two or more interrupt lines of an interface that all fire on one busy CPU.
    /// ## Why it matters
    /// Receive queues exist so that several CPUs share the work. When all their lines fire on one CPU, packets of every
    /// flow wait for it, and the hash that spreads the flows achieves nothing.
    /// ## Threshold
    /// At least two lines fired in the counter window, all on the same CPU, which was busy for half of the window or
    /// more (a heuristic). An idle CPU handles a few lines as fast as several CPUs would.
    /// ## Remedy
    /// Spread the lines over the CPUs of the device's NUMA node, as one step; afterwards irqbalance must not move them.
    /// For a program that is pinned next to one queue, it is better to steer its flow to that queue.
    pub InterruptsOnOneCpu = "interrupts-on-one-cpu";
    sources [
        "Documentation/networking/scaling.rst in linux 6.12: RSS IRQ Configuration",
        "heuristic: half of the window busy",
    ];
    follows ["interrupts-moved-by-irqbalance"];
}

/// Lines below which there is nothing to spread.
const LEAST: usize = 2;
/// Share of the window for which a processor that takes all lines is too busy for them.
const SHARE: f64 = 0.5;
const BUSY: [&str; 5] = ["user", "nice", "system", "irq", "softirq"];
const IDLE: [&str; 2] = ["idle", "iowait"];

fn look(input: &Input<'_>, seen: &mut Seen) {
    let facts = input.facts;
    let Some(irqs) = seen.need("interrupts of the interfaces", &facts.irqs) else { return };
    for (name, iface) in on_path(facts) {
        let mine: Vec<&Irq> = irqs.iter().filter(|i| i.iface == name).collect();
        let Some(window) = (mine.len() >= LEAST).then(|| seen.window(input)).flatten() else { continue };
        let firing: Vec<&Irq> = mine.into_iter().filter(|i| fired(Some(window), i)).collect();
        let Some(cpu) = the_one(window, &firing) else { continue };
        let Some(share) = busy(seen, window, cpu).filter(|share| *share >= SHARE) else { continue };
        let node = iface.numa_node.value().copied().filter(|node| facts.cpus.node_of.values().any(|n| n == node));
        let mut places = free(facts, node, input.baseline.and_then(|b| b.cpu));
        // CPU 0 does the host's own work; it takes lines where there are too few others.
        if places.len() > firing.len() {
            places.retain(|c| *c != 0);
        }
        let spread = firing.iter().zip(places.iter().cycle()).filter(|(_, to)| **to != cpu);
        let settings: Vec<_> =
            spread.map(|(irq, to)| set("irq.affinity", Target::Irq(name.to_owned(), irq.index), to)).collect();
        let found = finding(
            NAME,
            Severity::Warning,
            format!("all interrupts of {name} fire on one busy CPU"),
            vec![
                format!("all {} interrupt lines of {name} that fired do so on CPU {cpu}", firing.len()),
                format!("CPU {cpu} was busy {:.0} % {} (/proc/stat)", share * 100.0, within(window)),
            ],
            "spread the interrupt lines over the CPUs of the device's NUMA node; tell irqbalance to leave these lines alone",
        );
        seen.found(with(found, joint(&format!("interrupts of {name}"), settings)));
    }
}

/// The one CPU on which all of these fire. Not every chip names it (`effective_affinity_list`): there the counts do.
fn the_one(window: &Window, firing: &[&Irq]) -> Option<u32> {
    let on = |i: &&Irq| i.effective.value().cloned().unwrap_or_else(|| fired_on(window, i.irq));
    let each: Vec<Vec<u32>> = firing.iter().map(on).collect();
    let at: BTreeSet<u32> = each.iter().flatten().copied().collect();
    let known = firing.len() >= LEAST && each.iter().all(|cpus| !cpus.is_empty());
    at.first().copied().filter(|_| known && at.len() == 1)
}

/// The share of the window for which a CPU did something.
fn busy(seen: &mut Seen, window: &Window, cpu: u32) -> Option<f64> {
    let group = format!("cpu/{cpu}");
    if !seen.counted(window, &group) {
        return None;
    }
    let ticks = |keys: &[&str]| keys.iter().map(|key| window.delta(&group, key).unwrap_or(0)).sum::<u64>();
    let (busy, idle) = (ticks(&BUSY), ticks(&IDLE));
    (busy + idle > 0).then(|| busy as f64 / (busy + idle) as f64)
}

#[cfg(test)]
mod tests {
    use lowlat_model::{Facts, Reading};
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    /// Both lines of the interface on CPU 1.
    fn piled() -> Facts {
        let mut facts = healthy();
        let Reading::Value(irqs) = &mut facts.irqs else { panic!() };
        for irq in irqs {
            irq.effective = Reading::Value(vec![1]);
        }
        facts
    }

    #[test]
    fn all_lines_on_one_busy_cpu() {
        let mut facts = piled();
        assert_eq!(rule(NAME, &facts).findings, [], "an idle processor takes them all");
        grow(&mut facts, "cpu/1", "softirq", 100_000);
        let evidence =
            ["all 2 interrupt lines of eth0 that fired do so on CPU 1", "CPU 1 was busy 100 % in 1000 ms (/proc/stat)"];
        only(NAME, &facts, &evidence, &["interrupts-outside-their-affinity", "interrupts-moved-in-window"]);
        let found = rule(NAME, &facts).findings.remove(0);
        let settings: Vec<String> = found.remedy.settings.iter().map(|s| format!("{} {}", s.target, s.value)).collect();
        assert_eq!(settings, ["eth0/irq-0 0"], "the other line stays where it is");
        assert!(found.remedy.settings.iter().all(|s| s.joint.as_deref() == Some("interrupts of eth0")));
    }

    #[test]
    fn lines_that_are_spread_and_a_single_line_are_right() {
        let mut facts = healthy();
        grow(&mut facts, "cpu/1", "softirq", 100_000);
        assert_eq!(rule(NAME, &facts), Seen::default());
        let mut facts = piled();
        grow(&mut facts, "cpu/1", "softirq", 100_000);
        let Reading::Value(irqs) = &mut facts.irqs else { panic!() };
        irqs.truncate(1);
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn blind_without_interrupts_or_processor_times() {
        let mut facts = piled();
        deny_group(&mut facts, "cpu/1");
        blind(NAME, &facts, "counters cpu/1", "denied");
        facts.irqs = Reading::Denied("x".into());
        blind(NAME, &facts, "interrupts of the interfaces", "denied");
    }
}

//! Device interrupts on CPUs that should be quiet.

use std::collections::BTreeMap;

use lowlat_model::op::Target;
use lowlat_model::{Severity, Window};

use crate::irq_off_node_or_app_cpu::free;
use crate::look::{cpus, finding, joint, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Interrupt lines of devices that fire on isolated CPUs.
    /// ## Why it matters
    /// A CPU is isolated so that nothing interrupts its one task. `isolcpus=domain` keeps the scheduler away, but not
    /// interrupts: the lines stay where they were, and a multi-queue device has one line on each CPU.
    /// ## Threshold
    /// A line fired more than once a second in the counter window on a CPU of `isolcpus`, an isolated cpuset partition or `nohz_full` (a heuristic:
    /// below that, the task is disturbed too rarely to matter).
    /// ## Remedy
    /// Move the lines to the other CPUs; irqbalance avoids isolated CPUs automatically. Lines whose affinity the kernel
    /// manages (nvme, virtio-blk, some NICs) cannot be moved: boot with `isolcpus=managed_irq,domain,…`, or use fewer
    /// queues. `irqaffinity=` sets the default affinity of all lines.
    pub DeviceInterruptsOnIsolatedCpus = "device-interrupts-on-isolated-cpus";
    sources [
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: isolcpus= (managed_irq), irqaffinity=",
        "kernel/irq/proc.c in linux 6.12: show_interrupts",
        "kernel/irq/manage.c in linux 6.12: irq_can_set_affinity_usr (managed lines)",
        "https://github.com/seapath/ansible/issues/865",
        "heuristic: one a second",
    ];
    follows ["interrupts-moved-by-irqbalance"];
}

const PER_SECOND: f64 = 1.0;
/// No more lines are named than this.
const NAMED: usize = 8;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let facts = input.facts;
    let mut quiet = seen.quiet("isolated CPUs", &facts.cpus.isolated);
    quiet.extend(seen.quiet("nohz_full CPUs", &facts.cpus.nohz_full));
    quiet.sort_unstable();
    quiet.dedup();
    if quiet.is_empty() {
        return;
    }
    let Some(window) = seen.window(input) else { return };
    let Some(actions) = seen.need("interrupt lines", &facts.irq_actions) else { return };
    let mut lines: Vec<(u32, &str, BTreeMap<u32, f64>)> = Vec::new();
    for (irq, action) in actions {
        let at = fires_on(window, *irq, &quiet);
        if !at.is_empty() {
            lines.push((*irq, action, at));
        }
    }
    if lines.is_empty() {
        return;
    }
    let mut evidence: Vec<String> = lines
        .iter()
        .take(NAMED)
        .map(|(irq, action, at)| {
            let rates: Vec<String> = at.iter().map(|(cpu, rate)| format!("CPU {cpu}: {rate:.0}")).collect();
            format!("line {irq} ({action}) fires on isolated CPUs, interrupts a second: {}", rates.join(", "))
        })
        .collect();
    if lines.len() > NAMED {
        evidence.push(format!("and {} lines more", lines.len() - NAMED));
    }
    evidence.push(format!("isolated or nohz_full: {}", cpus(&quiet)));
    let found = finding(
        NAME,
        Severity::Warning,
        "device interrupts fire on isolated CPUs".to_owned(),
        evidence,
        "move these lines to the other CPUs; for those that the kernel manages boot with isolcpus=managed_irq, or use fewer queues",
    );
    let settings = moves(input, &lines.iter().map(|(irq, ..)| *irq).collect::<Vec<_>>());
    seen.found(with(found, joint("interrupts off isolated CPUs", settings)));
}

/// Where a line fired often: isolated CPU → interrupts a second.
fn fires_on(window: &Window, irq: u32, quiet: &[u32]) -> BTreeMap<u32, f64> {
    let group = format!("irq/{irq}");
    let rate = |cpu: &u32| window.rate(&group, &format!("cpu{cpu}"));
    quiet.iter().filter_map(|cpu| Some((*cpu, rate(cpu)?))).filter(|(_, rate)| *rate > PER_SECOND).collect()
}

/// The lines of the path's interfaces can be moved; those of other devices are the administrator's.
fn moves(input: &Input<'_>, lines: &[u32]) -> Vec<lowlat_model::finding::Setting> {
    let facts = input.facts;
    let mut settings = Vec::new();
    for (nth, irq) in facts.irqs.value().into_iter().flatten().filter(|i| lines.contains(&i.irq)).enumerate() {
        let node = facts.interfaces.get(&irq.iface).and_then(|i| i.numa_node.value().copied());
        let node = node.filter(|node| facts.cpus.node_of.values().any(|n| n == node));
        let mut places = free(facts, node, input.baseline.and_then(|b| b.cpu));
        if places.is_empty() {
            places = free(facts, None, None);
        }
        if let Some(cpu) = places.get(nth % places.len().max(1)) {
            settings.push(set("irq.affinity", Target::Irq(irq.iface.clone(), irq.index), cpu));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use lowlat_model::{Facts, Reading};
    use lowlat_testkit::facts::{grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    fn isolated() -> Facts {
        let mut facts = healthy();
        facts.cpus.isolated = Reading::Value(vec![3]);
        facts.cpus.workqueue = Reading::Value(vec![0, 1, 2]);
        facts
    }

    #[test]
    fn lines_of_any_device() {
        let mut facts = isolated();
        assert_eq!(rule(NAME, &facts), Seen::default());
        let Reading::Value(actions) = &mut facts.irq_actions else { panic!() };
        actions.insert(70, "nvme0q3".into());
        grow(&mut facts, "irq/70", "cpu3", 9_000);
        grow(&mut facts, "irq/70", "cpu1", 9_000);
        grow(&mut facts, "irq/41", "cpu3", 2);
        let want = [
            "line 41 (eth0-TxRx-1) fires on isolated CPUs, interrupts a second: CPU 3: 2",
            "line 70 (nvme0q3) fires on isolated CPUs, interrupts a second: CPU 3: 9000",
            "isolated or nohz_full: 3",
        ];
        let also = ["tick-on-isolated-cpu", "interrupts-outside-their-affinity", "interrupts-moved-in-window"];
        only(NAME, &facts, &want, &also);
        let settings = rule(NAME, &facts).findings.remove(0).remedy.settings;
        let settings: Vec<String> = settings.iter().map(|s| format!("{} {}", s.target, s.value)).collect();
        assert_eq!(settings, ["eth0/irq-1 0"], "only lines of the path are ours to move");
    }

    #[test]
    fn one_a_second_disturbs_little() {
        let mut facts = isolated();
        grow(&mut facts, "irq/41", "cpu3", 1);
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn blind_without_the_table() {
        let mut facts = isolated();
        facts.irq_actions = Reading::Denied("x".into());
        blind(NAME, &facts, "interrupt lines", "denied");
    }
}

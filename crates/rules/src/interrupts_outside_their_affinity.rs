//! Interrupts that fire where they may not.

use lowlat_model::Severity;

use crate::look::{cpus, finding, fired_on, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// An interrupt of the interface that fires on a CPU that its affinity does not name.
    /// ## Why it matters
    /// The affinity is a wish. A controller that cannot move a line keeps all CPUs, a kernel may move it with the line's
    /// next interrupt only, and managed lines refuse a change and keep the CPUs that the kernel chose. Whoever placed the
    /// line believes that the other CPU is quiet.
    /// ## Threshold
    /// In the counter window the line fired on a CPU outside `smp_affinity_list`; without a window,
    /// `effective_affinity_list` names such a CPU.
    /// ## Remedy
    /// Read `/proc/irq/N/effective_affinity_list` after the next packet. If it stays, the controller or the driver decides
    /// where the line fires: place the program instead, or give the driver fewer queues.
    pub InterruptsOutsideTheirAffinity = "interrupts-outside-their-affinity";
    sources [
        "Documentation/core-api/irq/irq-affinity.rst in linux 6.12: SMP IRQ affinity",
        "kernel/irq/proc.c in linux 6.12: show_irq_affinity, write_irq_affinity",
        "kernel/irq/manage.c in linux 6.12: irq_set_affinity_locked, irq_can_set_affinity_usr",
        "kernel/irq/migration.c in linux 6.12: irq_move_masked_irq",
    ];
    follows ["interrupts-moved-by-irqbalance"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(irqs) = seen.need("interrupts of the interfaces", &input.facts.irqs) else { return };
    for (name, _) in on_path(input.facts) {
        let mut evidence = Vec::new();
        for irq in irqs.iter().filter(|i| i.iface == name) {
            let Some(allowed) = seen.need(format!("{name}/irq-{} affinity", irq.index), &irq.affinity) else {
                continue;
            };
            let (on, says) = match &input.facts.window {
                Some(window) => (fired_on(window, irq.irq), "fired"),
                None => (irq.effective.value().cloned().unwrap_or_default(), "fires"),
            };
            let outside: Vec<u32> = on.into_iter().filter(|cpu| !allowed.contains(cpu)).collect();
            if !outside.is_empty() && !allowed.is_empty() {
                evidence.push(format!(
                    "{name}/irq-{} ({}) {says} on CPU {}; its affinity is {}",
                    irq.index,
                    irq.action,
                    cpus(&outside),
                    cpus(allowed)
                ));
            }
        }
        if !evidence.is_empty() {
            seen.found(finding(
                NAME,
                Severity::Warning,
                format!("interrupts of {name} fire outside their affinity"),
                evidence,
                "see effective_affinity_list after the next packet; if it stays, the controller or driver decides: place the program instead",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn on_another_cpu_than_asked() {
        let mut facts = healthy();
        assert_eq!(rule(NAME, &facts), Seen::default());
        grow(&mut facts, "irq/40", "cpu1", 5);
        let said = ["eth0/irq-0 (eth0-TxRx-0) fired on CPU 1; its affinity is 0"];
        only(NAME, &facts, &said, &["interrupts-moved-in-window"]);
        facts.window = None;
        assert_eq!(rule(NAME, &facts), Seen::default(), "what is in effect is what was asked for");
        let Reading::Value(irqs) = &mut facts.irqs else { panic!() };
        irqs[0].effective = Reading::Value(vec![1]);
        assert_eq!(rule(NAME, &facts).findings.len(), 1);
    }

    #[test]
    fn blind_without_the_affinity() {
        let mut facts = healthy();
        let Reading::Value(irqs) = &mut facts.irqs else { panic!() };
        irqs[0].affinity = Reading::Denied("x".into());
        blind(NAME, &facts, "eth0/irq-0 affinity", "denied");
    }
}

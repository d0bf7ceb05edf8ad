//! Interrupts that something moves.

use lowlat_model::Severity;

use crate::look::{cpus, finding, fired_on, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// An interrupt of the interface that moved to another CPU while the counters were watched.
    /// ## Why it matters
    /// The packets of its queue then come to a CPU whose caches know nothing of them, perhaps to the one where the
    /// program runs; figures from before and after are not of one host.
    /// ## Threshold
    /// In the counter window the line fired on a CPU that was not in its `effective_affinity_list` at the start.
    /// ## Remedy
    /// Find who moves it: irqbalance, a script of the network configuration, a tuning daemon. `lowlat plan` names those
    /// that it knows. Exclude the path's lines there.
    pub InterruptsMovedInWindow = "interrupts-moved-in-window";
    sources [
        "kernel/irq/proc.c in linux 6.12: show_irq_affinity (EFFECTIVE_LIST)",
        "man 1 irqbalance (--interval; 1.9.2)",
    ];
    follows ["interrupts-outside-their-affinity", "interrupts-moved-by-irqbalance"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let Some(irqs) = seen.need("interrupts of the interfaces", &input.facts.irqs) else { return };
    for (name, _) in on_path(input.facts) {
        let mut evidence = Vec::new();
        for irq in irqs.iter().filter(|i| i.iface == name) {
            let Some(at) = seen.need(format!("{name}/irq-{} effective affinity", irq.index), &irq.effective) else {
                continue;
            };
            let other: Vec<u32> = fired_on(window, irq.irq).into_iter().filter(|cpu| !at.contains(cpu)).collect();
            if !other.is_empty() && !at.is_empty() {
                evidence.push(format!(
                    "{name}/irq-{} ({}) was on CPU {} and fired on CPU {} within {} ms",
                    irq.index,
                    irq.action,
                    cpus(at),
                    cpus(&other),
                    window.duration_ns() / 1_000_000
                ));
            }
        }
        if !evidence.is_empty() {
            let daemon = input.facts.time.irqbalance.value() == Some(&true);
            evidence.extend(daemon.then(|| "irqbalance runs".to_owned()));
            seen.found(finding(
                NAME,
                Severity::Warning,
                format!("interrupts of {name} move between CPUs"),
                evidence,
                "exclude these lines from whatever moves them (irqbalance, network scripts, tuning daemons)",
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
    fn from_one_cpu_to_the_other() {
        let mut facts = healthy();
        assert_eq!(rule(NAME, &facts), Seen::default());
        let Reading::Value(irqs) = &mut facts.irqs else { panic!() };
        irqs[0].affinity = Reading::Value(vec![0, 1]);
        grow(&mut facts, "irq/40", "cpu1", 5);
        only(NAME, &facts, &["eth0/irq-0 (eth0-TxRx-0) was on CPU 0 and fired on CPU 1 within 1000 ms"], &[]);
    }

    #[test]
    fn blind_without_what_is_in_effect() {
        let mut facts = healthy();
        let Reading::Value(irqs) = &mut facts.irqs else { panic!() };
        irqs[0].effective = Reading::Denied("x".into());
        blind(NAME, &facts, "eth0/irq-0 effective affinity", "denied");
    }
}

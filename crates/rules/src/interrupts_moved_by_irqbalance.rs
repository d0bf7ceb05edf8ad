//! A daemon that moves interrupts.

use lowlat_model::Severity;

use crate::look::{finding, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// irqbalance running on a host whose interface has interrupts that it may move.
    /// ## Why it matters
    /// irqbalance looks at the load every ten seconds and moves lines between CPUs, also in the middle of a measurement
    /// or of the working day. A line that was placed by hand or by lowlat does not stay in place.
    /// ## Threshold
    /// The daemon runs, and a line of the interface may fire on one CPU only: a line placed by hand looks like that,
    /// and so does one placed by irqbalance.
    /// ## Remedy
    /// Ban the path's CPUs or lines in its configuration (irq.irqbalance) and let it balance the rest. If irqbalance is
    /// stopped, nothing spreads the interrupts of the other devices.
    pub InterruptsMovedByIrqbalance = "interrupts-moved-by-irqbalance";
    sources [
        "man 1 irqbalance (--banirq, IRQBALANCE_BANNED_CPULIST, --interval; 1.9.2)",
        "https://github.com/amzn/amzn-drivers/blob/365c58ba5cf538aba14f1661e471b5cfc07c9548/kernel/linux/ena/ENA_Linux_Best_Practices.rst (we do not recommend disabling irqbalance service)",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(runs) = seen.need("irqbalance", &input.facts.time.irqbalance) else { return };
    if !runs {
        return;
    }
    let Some(irqs) = seen.need("interrupts of the interfaces", &input.facts.irqs) else { return };
    for (name, _) in on_path(input.facts) {
        let placed: Vec<String> = irqs
            .iter()
            .filter(|i| i.iface == name && i.affinity.value().is_some_and(|at| at.len() == 1))
            .map(|i| i.index.to_string())
            .collect();
        if placed.is_empty() {
            continue;
        }
        seen.found(finding(
            NAME,
            Severity::Info,
            format!("irqbalance may move the interrupts of {name}"),
            vec![format!("irqbalance runs; lines of {name} placed on one CPU: {}", placed.join(", "))],
            "ban the path's CPUs or lines in irqbalance's configuration instead of stopping it",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn at_work_and_not() {
        let mut facts = healthy();
        facts.time.irqbalance = Reading::Value(true);
        only(NAME, &facts, &["irqbalance runs; lines of eth0 placed on one CPU: 0, 1"], &[]);
        if let Reading::Value(irqs) = &mut facts.irqs {
            for irq in irqs {
                irq.affinity = Reading::Value(vec![0, 1]);
            }
        }
        assert_eq!(rule(NAME, &facts), Seen::default());
        facts.time.irqbalance = Reading::Denied("x".into());
        blind(NAME, &facts, "irqbalance", "denied");
    }
}

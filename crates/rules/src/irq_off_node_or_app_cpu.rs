//! Interrupts that fire in the wrong place.

use lowlat_model::facts::{Facts, Irq};
use lowlat_model::op::Target;
use lowlat_model::{Reading, Severity, Window};

use crate::look::{cpus, finding, fired_on, joint, on_path, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Interrupts of the interface that fire on another NUMA node than the device's, or on the core on which the
    /// application runs.
    /// ## Why it matters
    /// On another node, each descriptor and packet crosses the link between the nodes. On the application's own CPU the
    /// interrupt stops the program while it works, and a program that spins delays the processing of its own packets.
    /// On the SMT sibling of that CPU, the two share the core's execution units.
    /// ## Threshold
    /// Any line that fired in the counter window (without a window, any line) on a CPU of another node, on the CPU that
    /// the prober was pinned to, or on its SMT sibling.
    /// ## Remedy
    /// Move the line to a CPU of the device's node that is not isolated, not CPU 0 and not the application's. A program
    /// that sleeps between packets may do as well with the interrupt on its own core: let the A/B test decide.
    pub IrqOffNodeOrAppCpu = "irq-off-node-or-app-cpu";
    sources [
        "Documentation/networking/scaling.rst in linux 6.12: RSS IRQ Configuration",
        "Documentation/core-api/irq/irq-affinity.rst in linux 6.12: SMP IRQ affinity",
        "https://rigtorp.se/low-latency-guide/",
    ];
    follows ["interrupts-moved-by-irqbalance"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let facts = input.facts;
    let Some(irqs) = seen.need("interrupts of the interfaces", &facts.irqs) else { return };
    let nodes: std::collections::BTreeSet<u32> = facts.cpus.node_of.values().copied().collect();
    let app = input.baseline.and_then(|b| b.cpu);
    for (name, iface) in on_path(facts) {
        let mine: Vec<&Irq> = irqs.iter().filter(|i| i.iface == name && fired(facts.window.as_ref(), i)).collect();
        if mine.is_empty() {
            continue;
        }
        // On a host of one node every CPU is on it.
        let node = if nodes.len() > 1 {
            seen.need_of(facts, format!("{name} NUMA node"), &iface.numa_node).copied()
        } else {
            None
        };
        let mut evidence = Vec::new();
        let mut settings = Vec::new();
        for (nth, irq) in mine.iter().enumerate() {
            let counted = facts.window.as_ref().map(|w| fired_on(w, irq.irq)).filter(|at| !at.is_empty());
            let at = match (&irq.effective, &counted) {
                // Not every chip names where a line fires: there the counts do.
                (Reading::Absent(_) | Reading::Unsupported(_), Some(at)) => at,
                (named, _) => match seen.need(format!("{name}/irq-{} effective affinity", irq.index), named) {
                    Some(at) => at,
                    None => continue,
                },
            };
            let reasons = reasons(facts, at, node, app);
            if reasons.is_empty() {
                continue;
            }
            evidence.push(format!(
                "{name}/irq-{} ({}) fires on CPU {}: {}",
                irq.index,
                irq.action,
                cpus(at),
                reasons.join(", ")
            ));
            if let Some(cpu) = better(facts, node, app, nth) {
                settings.push(set("irq.affinity", Target::Irq(name.to_owned(), irq.index), cpu));
            }
        }
        if evidence.is_empty() {
            continue;
        }
        let found = finding(
            NAME,
            Severity::Warning,
            format!("interrupts of {name} fire in the wrong place"),
            evidence,
            "keep the interrupts on the device's NUMA node and off the application's core; tell irqbalance to leave these lines alone",
        );
        seen.found(with(found, joint(&format!("interrupts of {name}"), settings)));
    }
}

/// Whether the line fired in the window; without one, it may have.
pub(crate) fn fired(window: Option<&Window>, irq: &Irq) -> bool {
    let group = format!("irq/{}", irq.irq);
    let Some(window) = window else { return true };
    match window.after.groups.get(&group).and_then(|r| r.value()) {
        Some(counts) => counts.keys().any(|cpu| window.delta(&group, cpu) != Some(0)),
        None => true,
    }
}

fn reasons(facts: &Facts, at: &[u32], node: Option<u32>, app: Option<u32>) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(node) = node
        && let Some(other) = at.iter().find_map(|c| facts.cpus.node_of.get(c).filter(|n| **n != node))
    {
        reasons.push(format!("that is NUMA node {other}, the device is on node {node}"));
    }
    if let Some(app) = app {
        if at.contains(&app) {
            reasons.push("the application runs there".to_owned());
        } else if facts.cpus.siblings.get(&app).is_some_and(|s| at.iter().any(|c| s.contains(c))) {
            reasons.push(format!("it shares its core with CPU {app}, where the application runs"));
        }
    }
    reasons
}

/// A better CPU for the n-th line: on the node, not isolated, not the application's core; CPU 0 only if nothing else
/// is left.
fn better(facts: &Facts, node: Option<u32>, app: Option<u32>, nth: usize) -> Option<u32> {
    let mut free = free(facts, node, app);
    if free.len() > 1 {
        free.retain(|c| *c != 0);
    }
    (!free.is_empty()).then(|| free[nth % free.len()])
}

/// CPUs that may take interrupts: on the node, not isolated, not the application's core.
pub(crate) fn free(facts: &Facts, node: Option<u32>, app: Option<u32>) -> Vec<u32> {
    let isolated = facts.cpus.isolated.value().map(Vec::as_slice).unwrap_or_default();
    let core: &[u32] = app.and_then(|a| facts.cpus.siblings.get(&a)).map(Vec::as_slice).unwrap_or_default();
    let online = facts.cpus.online.value().map(Vec::as_slice).unwrap_or_default();
    online
        .iter()
        .copied()
        .filter(|c| node.is_none_or(|n| facts.cpus.node_of.get(c) == Some(&n)))
        .filter(|c| !isolated.contains(c) && !core.contains(c) && Some(*c) != app)
        .collect()
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::find;
    use crate::look::test::{blind, only, rule};

    fn effective(facts: &mut Facts, n: usize, at: Vec<u32>) {
        let Reading::Value(irqs) = &mut facts.irqs else { panic!() };
        irqs[n].effective = Reading::Value(at);
    }

    #[test]
    fn off_the_node() {
        let mut facts = healthy();
        effective(&mut facts, 1, vec![3]);
        only(
            NAME,
            &facts,
            &["eth0/irq-1 (eth0-TxRx-1) fires on CPU 3: that is NUMA node 1, the device is on node 0"],
            &["interrupts-moved-in-window"],
        );
        let setting = rule(NAME, &facts).findings[0].remedy.settings[0].clone();
        assert_eq!((setting.target.to_string().as_str(), setting.value.as_str()), ("eth0/irq-1", "1"));
        assert_eq!(setting.joint.as_deref(), Some("interrupts of eth0"), "all lines move in one step");
    }

    #[test]
    fn on_the_applications_core() {
        let facts = healthy();
        let baseline = crate::tests::baseline(Some(1));
        let seen = find(NAME).unwrap().check(&Input { facts: &facts, baseline: Some(&baseline), goal_ns: None });
        assert_eq!(seen.findings[0].evidence, ["eth0/irq-1 (eth0-TxRx-1) fires on CPU 1: the application runs there"]);
        assert_eq!(seen.findings[0].remedy.settings[0].value, "0", "CPU 0 is the only other one on the node");
    }

    #[test]
    fn on_the_siblings_of_the_applications_core() {
        let mut facts = healthy();
        for (a, b) in [(1, 2), (2, 1)] {
            facts.cpus.siblings.insert(a, vec![a, b]);
        }
        let baseline = crate::tests::baseline(Some(2));
        let seen = find(NAME).unwrap().check(&Input { facts: &facts, baseline: Some(&baseline), goal_ns: None });
        let want = "eth0/irq-1 (eth0-TxRx-1) fires on CPU 1: it shares its core with CPU 2, where the application runs";
        assert_eq!(seen.findings[0].evidence, [want]);
    }

    #[test]
    fn a_line_that_is_silent_is_left_alone() {
        let mut facts = healthy();
        effective(&mut facts, 1, vec![3]);
        let window = facts.window.as_mut().unwrap();
        window.before.groups.insert("irq/41".into(), window.after.groups["irq/41"].clone());
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn blind_without_interrupts_or_affinity() {
        let mut facts = healthy();
        let Reading::Value(irqs) = &mut facts.irqs else { panic!() };
        irqs[0].effective = Reading::Denied("x".into());
        blind(NAME, &facts, "eth0/irq-0 effective affinity", "denied");
        facts.irqs = Reading::Denied("x".into());
        blind(NAME, &facts, "interrupts of the interfaces", "denied");
    }
}

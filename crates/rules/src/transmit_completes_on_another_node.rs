//! Packets that are cleaned up far from where they were sent.

use lowlat_model::Severity;
use lowlat_model::facts::{Facts, Irq};

use crate::look::{cpus, finding, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A transmit queue whose senders (XPS) run on another NUMA node than the CPU that its interrupt fires on.
    /// ## Why it matters
    /// The interrupt frees what was sent. On another node, each buffer and descriptor crosses the link between the nodes
    /// twice, and the lock of the queue does too.
    /// ## Threshold
    /// The queue has CPUs (`xps_cpus`), and its interrupt fires on none of their nodes. It is a warning for the queue of
    /// the CPU that the prober was pinned to, and `info` otherwise. Queue and interrupt are matched by the number in the
    /// line's name.
    /// ## Remedy
    /// Give the queue CPUs of the interrupt's node (`steer.xps`), and move the sender or the interrupt so that both are on
    /// the device's node.
    pub TransmitCompletesOnAnotherNode = "transmit-completes-on-another-node";
    sources [
        "Documentation/networking/scaling.rst in linux 6.12: XPS: Transmit Packet Steering",
        "Documentation/ABI/testing/sysfs-class-net-queues in linux 6.12: xps_cpus",
    ];
    follows ["irq-off-node-or-app-cpu", "interrupts-moved-by-irqbalance"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let facts = input.facts;
    let Some(irqs) = seen.need("interrupts of the interfaces", &facts.irqs) else { return };
    let app = input.baseline.and_then(|b| b.cpu);
    for (name, iface) in on_path(facts) {
        let lines: Vec<&Irq> = irqs.iter().filter(|i| i.iface == name && sends(&i.action)).collect();
        let (mut evidence, mut mine) = (Vec::new(), false);
        for (n, queue) in iface.tx_queues.iter().enumerate() {
            let line = lines.iter().find(|i| number(&i.action).is_some_and(|q| usize::try_from(q) == Ok(n)));
            let Some(line) = line else { continue };
            // A device with one transmit queue has no such file (net/core/net-sysfs.c, xps_cpus_show).
            let Some(senders) = queue.xps_cpus.value() else { continue };
            let Some(at) = seen.need(format!("{name}/irq-{} effective affinity", line.index), &line.effective) else {
                continue;
            };
            if apart(facts, senders, at) {
                evidence.push(format!(
                    "{name} transmit queue {n}: sent from CPU {}, completed on CPU {}",
                    cpus(senders),
                    cpus(at)
                ));
                mine |= app.is_some_and(|cpu| senders.contains(&cpu));
            }
        }
        if !evidence.is_empty() {
            seen.found(finding(
                NAME,
                if mine { Severity::Warning } else { Severity::Info },
                format!("{name} completes what it sends on another NUMA node"),
                evidence,
                "give the queue CPUs of the interrupt's node (steer.xps), both on the device's node",
            ));
        }
    }
}

/// Whether no CPU of the one list shares a node with one of the other.
fn apart(facts: &Facts, a: &[u32], b: &[u32]) -> bool {
    let nodes = |cpus: &[u32]| -> Vec<u32> { cpus.iter().filter_map(|c| facts.cpus.node_of.get(c).copied()).collect() };
    let (a, b) = (nodes(a), nodes(b));
    !a.is_empty() && !b.is_empty() && a.iter().all(|n| !b.contains(n))
}

/// Whether a line completes transmits: one that names only the receive side does not.
fn sends(action: &str) -> bool {
    let low = action.to_ascii_lowercase();
    let receive_only = low.contains("input") || (low.contains("rx") && !low.contains("tx"));
    !receive_only
}

/// The last number of a line's name, before the address of its device: `eth0-TxRx-3`, `mlx5_comp3@pci:0000:3b:00.0`.
fn number(action: &str) -> Option<u32> {
    let own = action.split('@').next().unwrap_or(action);
    let digits = own.len() - own.bytes().rev().take_while(u8::is_ascii_digit).count();
    own[digits..].parse().ok()
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::find;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn sent_on_one_node_and_completed_on_the_other() {
        let mut facts = healthy();
        iface(&mut facts).tx_queues[1].xps_cpus = Reading::Value(vec![1]);
        assert_eq!(rule(NAME, &facts), Seen::default());
        iface(&mut facts).tx_queues[1].xps_cpus = Reading::Value(vec![2, 3]);
        only(NAME, &facts, &["eth0 transmit queue 1: sent from CPU 2-3, completed on CPU 1"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Info);
        let baseline = crate::tests::baseline(Some(3));
        let seen = find(NAME).unwrap().check(&Input { facts: &facts, baseline: Some(&baseline), goal_ns: None });
        assert_eq!(seen.findings[0].severity, Severity::Warning);
        facts.cpus.node_of = (0..4).map(|c| (c, 0)).collect();
        assert_eq!(rule(NAME, &facts), Seen::default(), "one node has no other");
    }

    #[test]
    fn lines_by_their_names() {
        assert_eq!(number("eth0-TxRx-3"), Some(3));
        assert_eq!(number("mlx5_comp12@pci:0000:3b:00.0"), Some(12));
        assert_eq!(number("eth0"), Some(0));
        assert_eq!(number("ena-mgmnt@pci:0000:00:05.0"), None);
        assert!(sends("virtio1-output.0") && !sends("virtio1-input.0") && !sends("eth0-rx-1") && sends("eth0-TxRx-1"));
    }

    #[test]
    fn blind_without_what_is_in_effect() {
        let mut facts = healthy();
        iface(&mut facts).tx_queues[0].xps_cpus = Reading::Value(vec![2]);
        let Reading::Value(irqs) = &mut facts.irqs else { panic!() };
        irqs[0].effective = Reading::Denied("x".into());
        blind(NAME, &facts, "eth0/irq-0 effective affinity", "denied");
    }
}

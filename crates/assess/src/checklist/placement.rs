//! Items 4 and 10: who works on which core, and on which NUMA node.

use std::collections::BTreeSet;

use lowlat_model::document::{ChecklistItem, item as id};
use lowlat_model::facts::Irq;
use lowlat_model::{Facts, Reading};

use super::{devices, item};
use crate::Input;
use crate::words::cpus;

/// 4: no interrupt of the path's devices fires on the application's core or on its SMT sibling. The application is the
/// prober, which stands in for it on this path.
pub(crate) fn own_cores(input: &Input<'_>) -> ChecklistItem {
    let name = (id::OWN_CORES, "IRQs and application on separate cores");
    let facts = input.now();
    let mut rests = vec![pinned(input)];
    rests.extend(devices(facts).iter().map(|(iface, _)| input.fact(format!("irqs of {iface}"))));
    rests.push(input.fact("cpus.siblings"));
    let item = |met, evidence: String| item(name, met, evidence, rests);
    let Some(app) = input.application_cpu() else {
        return item(None, "the prober was not pinned to a core".to_owned());
    };
    let irqs = match irqs(facts) {
        Ok(irqs) => irqs,
        Err(why) => return item(None, why),
    };
    let mut fire_on = BTreeSet::new();
    for irq in &irqs {
        // Where a driver does not report where an interrupt does fire, it may fire wherever it is allowed to.
        match irq.effective.value().or(irq.affinity.value()) {
            Some(on) => fire_on.extend(on),
            None => return item(None, format!("the affinity of {} was not read", irq.action)),
        }
    }
    let core: Vec<u32> = facts.cpus.siblings.get(&app).cloned().unwrap_or_else(|| vec![app]);
    let shared: Vec<u32> = core.iter().copied().filter(|c| fire_on.contains(c)).collect();
    let fire_on: Vec<u32> = fire_on.into_iter().collect();
    let evidence = format!("application on CPU {app}, {} interrupts on CPU {}", irqs.len(), cpus(&fire_on));
    item(Some(shared.is_empty()), evidence)
}

/// Where the CPU of the application's stand-in is found.
fn pinned(input: &Input<'_>) -> String {
    if input.placement.near.cpu.is_some() { "run.placement.near.cpu".to_owned() } else { input.figure("cpu") }
}

fn irqs(facts: &Facts) -> Result<Vec<&Irq>, String> {
    let devices = devices(facts);
    if devices.is_empty() {
        return Err("no interface was in focus".to_owned());
    }
    match &facts.irqs {
        Reading::Value(all) => {
            let is_of_one = |i: &&Irq| devices.iter().any(|(name, _)| *name == i.iface);
            let own: Vec<&Irq> = all.iter().filter(is_of_one).collect();
            let names: Vec<&str> = devices.iter().map(|(name, _)| *name).collect();
            if own.is_empty() {
                Err(format!("{} has no interrupt lines of its own", names.join(", ")))
            } else {
                Ok(own)
            }
        }
        other => {
            let (kind, why) = other.why_not().unwrap_or(("absent", ""));
            Err(format!("interrupts were not read: {kind}: {why}"))
        }
    }
}

/// 10: the application's core is on the NUMA node of each of the path's devices. On a host with one node they cannot be
/// apart.
pub(crate) fn one_node(input: &Input<'_>) -> ChecklistItem {
    let name = (id::ONE_NODE, "NIC and application on one NUMA node");
    let facts = input.now();
    let mut rests = vec![input.fact("cpus.node_of"), pinned(input)];
    let devices = devices(facts);
    rests.extend(devices.iter().map(|(iface, _)| input.fact(format!("interfaces.{iface}.numa_node"))));
    let item = |met, evidence: String| item(name, met, evidence, rests);
    let nodes: BTreeSet<u32> = facts.cpus.node_of.values().copied().collect();
    if nodes.len() == 1 {
        return item(Some(true), "the host has one NUMA node".to_owned());
    }
    let Some(app) = input.application_cpu() else {
        return item(None, "the prober was not pinned to a core".to_owned());
    };
    let Some(node) = facts.cpus.node_of.get(&app) else {
        return item(None, format!("the node of CPU {app} was not read"));
    };
    if devices.is_empty() {
        return item(None, "no interface was in focus".to_owned());
    }
    let (mut on, mut apart) = (Vec::new(), false);
    for (iface, nic) in &devices {
        let Some(nic_node) = nic.numa_node.value() else {
            let (kind, why) = nic.numa_node.why_not().unwrap_or(("absent", ""));
            return item(None, format!("the node of {iface} is not known: {kind}: {why}"));
        };
        apart |= nic_node != node;
        on.push(format!("{iface} on node {nic_node}"));
    }
    item(Some(!apart), format!("{}, application on CPU {app} of node {node}", on.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn an_interrupt_on_the_core_or_its_sibling_is_seen() {
        let mut run = sample::Run::good(); // application on CPU 2, interrupts on 0 and 1
        assert_eq!(own_cores(&run.input()).met, Some(true));
        run.after().cpus.siblings.insert(2, vec![1, 2]);
        assert_eq!(own_cores(&run.input()).met, Some(false));
        run.after().cpus.siblings.insert(2, vec![2]);
        if let Reading::Value(irqs) = &mut run.after().irqs {
            irqs[0].effective = Reading::Value(vec![2]);
        }
        assert_eq!(own_cores(&run.input()).met, Some(false));
    }

    #[test]
    fn without_interrupts_or_a_pinned_prober_it_cannot_be_determined() {
        let mut run = sample::Run::good();
        run.after().irqs = Reading::Value(vec![]);
        assert_eq!(own_cores(&run.input()).met, None);
        let mut run = sample::Run::good();
        run.result.as_mut().unwrap().cpu = None;
        assert_eq!(own_cores(&run.input()).met, None);
    }

    #[test]
    fn nodes_are_compared_only_where_there_are_two() {
        let mut run = sample::Run::good();
        run.after().cpus.node_of = (0..4).map(|c| (c, c / 2)).collect(); // NIC on 0, application on CPU 2 of 1
        assert_eq!(one_node(&run.input()).met, Some(false));
        run.iface().numa_node = Reading::Value(1);
        assert_eq!(one_node(&run.input()).met, Some(true));
        run.iface().numa_node = Reading::Unsupported("the device reports none".into());
        assert_eq!(one_node(&run.input()).met, None);
    }
}

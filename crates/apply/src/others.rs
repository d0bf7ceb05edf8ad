//! Which programs that run now set the places of a plan too.

use std::collections::BTreeSet;

use lowlat_model::Plan;
use lowlat_owners::Host;
use lowlat_sys::Sys;

/// A line for each setting of a plan that a running program sets as well: who, to which value, by which rule, and what to
/// do, so that nobody wonders later who changed it. What only acts at boot matters to `persist`, which reports it.
pub fn others(plan: &Plan, sys: &dyn Sys) -> Vec<String> {
    let host = Host::new(sys);
    let mut lines = Vec::new();
    for step in &plan.steps {
        for (knob, target, op) in step.owned_ops() {
            let claims = host.others(&op.locus, &op.set).into_iter().filter(|c| c.runs);
            // Places of one step, the interrupts of an interface say, may have the same claim.
            let texts: BTreeSet<String> = claims.map(|c| c.to_string()).collect();
            lines.extend(texts.into_iter().map(|text| format!("{knob} on {target}: {text}")));
        }
    }
    let mut seen = BTreeSet::new();
    lines.retain(|line| seen.insert(line.clone()));
    lines
}

#[cfg(test)]
mod tests {
    use lowlat_model::{Locus, Op, PlannedStep, Schema};
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn who_sets_a_place_of_the_plan_is_named_once_with_what_to_do() {
        let irq = |index| Op::text(Locus::IrqAffinity { iface: "eth0".into(), index }, "3");
        let step = PlannedStep {
            knob: "irq.affinity".into(),
            target: "eth0/irq-0".parse().unwrap(),
            ops: vec![irq(0), irq(1)],
            ..PlannedStep::default()
        };
        let plan = Plan { schema: Schema::current("plan"), iface: None, steps: vec![step], left_out: Vec::new() };
        assert_eq!(others(&plan, &FakeSys::new()), Vec::<String>::new());
        let found = others(&plan, &FakeSys::new().file("/proc/41/comm", "irqbalance\n"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("irq.affinity on eth0/irq-0: irqbalance sets it"), "{found:?}");
        // One that only starts at boot does nothing to what is set now.
        let boots = FakeSys::new().link("/etc/systemd/system/multi-user.target.wants/irqbalance.service", "x");
        assert_eq!(others(&plan, &boots), Vec::<String>::new());
    }
}

//! Findings to an ordered plan: pure, no I/O, no clock.
//!
//! Steps come in the order of [`Order`](lowlat_model::plan::Order), which each step has from its kind of setting.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod bypass;
mod joint;
mod management;

use lowlat_model::plan::LeftOut;
use lowlat_model::tune::Scope;
use lowlat_model::{Plan, PlannedStep, Risk, Schema};

pub use management::management_ifaces;

/// What the person who asks allows.
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own; none excludes another
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// Steps that reset the link or may cut a connection.
    pub allow_disruptive: bool,
    /// How far a step may reach, whatever its risk: the path's interfaces alone, the network namespace, or the host.
    pub reach: Scope,
    /// Steps that act after a reboot only, which nobody can judge before.
    pub allow_reboot: bool,
    /// Interfaces whose loss may cut the host off, see [`management_ifaces`].
    pub management_ifaces: Vec<String>,
    /// Interfaces of the path: a step on any other is left out. Empty where there is no path in focus, and then none
    /// is.
    pub path: Vec<String>,
}

/// Orders steps, weightiest finding first as they come in; what is not done is left out with the reason.
///
/// Steps that set one place to different values are *alternatives*: all stay, the weightiest finding's first, and
/// whoever tries them stops at the first that is kept (`lowlat apply`, which judges nothing, takes the first alone).
/// The same step twice is one step with both reasons. Settings that a finding joins are one step, whose members each
/// keep their own knob and target.
pub fn order(steps: Vec<PlannedStep>, left_out: Vec<LeftOut>, options: &PlanOptions) -> Plan {
    let mut plan = Plan { schema: Schema::current("plan"), iface: None, steps: Vec::new(), left_out };
    for step in joint::merge(steps) {
        if let Some(why) = refusal(&step, options) {
            plan.left_out.extend(left_out_of(step, &why));
            continue;
        }
        if let Some(same) =
            plan.steps.iter_mut().find(|s| s.knob == step.knob && s.target == step.target && s.ops == step.ops)
        {
            if !same.reason.contains(&step.reason) {
                same.reason = format!("{}; {}", same.reason, step.reason);
            }
            continue;
        }
        plan.steps.push(step);
    }
    // Stable: within a class the weightier finding stays first.
    plan.steps.sort_by_key(|s| s.order);
    plan
}

/// Moves the steps that `is_last` names behind all others, each group in the order that it had, and gives the knob and
/// target of each that was moved. Steps at one place keep their order as long as `is_last` looks at knob and target alone.
pub fn try_last(plan: &mut Plan, is_last: &dyn Fn(&PlannedStep) -> bool) -> Vec<String> {
    let (first, last): (Vec<PlannedStep>, Vec<PlannedStep>) =
        std::mem::take(&mut plan.steps).into_iter().partition(|s| !is_last(s));
    // Where all are of one kind nothing is tried later than anything else.
    let moved = if first.is_empty() { Vec::new() } else { last.iter().map(name).collect() };
    plan.steps = first.into_iter().chain(last).collect();
    moved
}

fn name(step: &PlannedStep) -> String {
    format!("{} on {}", step.knob, step.target)
}

/// One line for a step, and for each knob of a joint one.
fn left_out_of(step: PlannedStep, why: &str) -> Vec<LeftOut> {
    let line = |knob, target| LeftOut { knob, target, why: why.to_owned() };
    let mut out = vec![line(step.knob, step.target)];
    for m in step.members {
        if out.iter().all(|l| l.knob != m.knob) {
            out.push(line(m.knob, m.target));
        }
    }
    out
}

fn refusal(step: &PlannedStep, options: &PlanOptions) -> Option<String> {
    // What waits for a reboot is no question of reach: nobody could judge it now.
    if step.risk == Risk::Reboot {
        return at_risk(step, options);
    }
    beyond(step, options).or_else(|| at_risk(step, options))
}

/// Why a step reaches farther than it may.
fn beyond(step: &PlannedStep, options: &PlanOptions) -> Option<String> {
    let off_the_path = |i: &&str| !options.path.is_empty() && !options.path.iter().any(|p| p == i);
    if let Some(iface) = step.ifaces().find(off_the_path) {
        return Some(format!("{iface} is not on the path ({})", options.path.join(", ")));
    }
    let whose = match step.scope {
        Scope::Interface => return None,
        Scope::Namespace => "the whole network namespace has it",
        Scope::Host => "the whole host has it",
    };
    if step.scope <= options.reach {
        return None;
    }
    Some(match options.reach {
        Scope::Interface => format!("left out by --own-settings-only: {whose}"),
        Scope::Namespace | Scope::Host => format!("left out: {whose}"),
    })
}

fn at_risk(step: &PlannedStep, options: &PlanOptions) -> Option<String> {
    let management = step.ifaces().any(|i| options.management_ifaces.iter().any(|m| m == i));
    match step.risk {
        Risk::Reboot if !options.allow_reboot => Some(format!(
            "takes effect only after a reboot, so it cannot be judged now; `lowlat explain {}` shows the file",
            step.knob
        )),
        Risk::High if management && !options.allow_disruptive => Some(
            "resets a link that carries the default route or a login session, itself or by what is set on it; needs \
             --allow-disruptive"
                .to_owned(),
        ),
        Risk::High if !options.allow_disruptive => {
            Some("resets the link or may cut a connection; needs --allow-disruptive".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::plan::Order;
    use lowlat_model::{Op, State};

    use super::*;

    fn step(knob: &str, target: &str, to: &str, risk: Risk) -> PlannedStep {
        PlannedStep {
            knob: knob.into(),
            phase: 2,
            target: target.parse().unwrap(),
            from: "a".into(),
            to: to.into(),
            risk,
            reason: format!("because of {to}"),
            undo: String::new(),
            ops: vec![Op::file(format!("/{knob}/{target}"), to)],
            prior: vec![State::Text("a".into())],
            resets_link: risk == Risk::High,
            scope: if target == "host" { Scope::Host } else { Scope::Interface },
            ..PlannedStep::default()
        }
    }

    fn ordered(step: PlannedStep, order: Order) -> PlannedStep {
        PlannedStep { order, ..step }
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.steps.iter().map(|s| s.knob.as_str()).collect()
    }

    #[test]
    fn steps_come_in_their_order_and_by_weight_within_it() {
        let low = Risk::Low;
        let steps = vec![
            ordered(step("nic.coalesce.rx-usecs", "e", "0", low), Order::Interrupts),
            ordered(step("cpu.governor", "cpu0", "performance", low), Order::Power),
            ordered(step("steer.rps", "e/rx-0", "off", low), Order::Placement),
            ordered(step("irq.affinity", "e/irq-0", "1", low), Order::Placement),
            ordered(step("qdisc.kind", "e/qdisc-root", "fq", low), Order::Queues),
        ];
        let plan = order(steps, Vec::new(), &PlanOptions::default());
        assert_eq!(names(&plan), ["qdisc.kind", "steer.rps", "irq.affinity", "cpu.governor", "nic.coalesce.rx-usecs"]);
    }

    #[test]
    fn what_is_tried_last_keeps_its_order_and_nothing_known_changes_none() {
        let all = || {
            let low = |knob: &str, to: &str| step(knob, "e", to, Risk::Low);
            order(vec![low("a", "1"), low("b", "1"), low("a", "2"), low("c", "1")], Vec::new(), &PlanOptions::default())
        };
        let mut plan = all();
        let moved = try_last(&mut plan, &|s| s.knob == "a");
        let shown: Vec<String> = plan.steps.iter().map(|s| format!("{}={}", s.knob, s.to)).collect();
        assert_eq!(shown, ["b=1", "c=1", "a=1", "a=2"]);
        assert_eq!(moved, ["a on e", "a on e"]);
        for of_all in [false, true] {
            let mut plan = all();
            assert!(try_last(&mut plan, &|_| of_all).is_empty());
            assert_eq!(plan, all());
        }
    }

    #[test]
    fn the_same_twice_is_one_and_alternatives_stay_in_order() {
        let low = |to: &str| step("x", "e", to, Risk::Low);
        let mut again = low("1");
        again.reason = "and because".to_owned();
        let plan = order(vec![low("1"), again, low("3"), low("2")], Vec::new(), &PlanOptions::default());
        let to: Vec<&str> = plan.steps.iter().map(|s| s.to.as_str()).collect();
        assert_eq!(to, ["1", "3", "2"]);
        assert_eq!(plan.steps[0].reason, "because of 1; and because");
        assert!(plan.left_out.is_empty());
    }

    #[test]
    fn a_joint_step_is_refused_whole_and_each_knob_is_reported() {
        let joint = |knob: &str, risk| PlannedStep {
            reason: "rule: title".into(),
            joint: Some("pair".into()),
            ..step(knob, "e", "0", risk)
        };
        let both = || vec![joint("nic.coalesce.rx-usecs", Risk::High), joint("nic.coalesce.rx-frames", Risk::Low)];
        let plan = order(both(), Vec::new(), &PlanOptions::default());
        assert!(plan.steps.is_empty());
        let reported: Vec<&str> = plan.left_out.iter().map(|l| l.knob.as_str()).collect();
        assert_eq!(reported, ["nic.coalesce.rx-usecs", "nic.coalesce.rx-frames"]);
        let plan = order(both(), Vec::new(), &PlanOptions { allow_disruptive: true, ..PlanOptions::default() });
        assert_eq!((plan.steps.len(), plan.steps[0].ops.len()), (1, 2));
    }

    #[test]
    fn every_interface_of_a_joint_step_is_looked_at() {
        let joint = |target: &str, risk| PlannedStep {
            reason: "rule: title".into(),
            joint: Some("lines".into()),
            ..step("nic.coalesce.rx-usecs", target, "0", risk)
        };
        let of = |path: &[&str]| PlanOptions {
            management_ifaces: vec!["e1".into()],
            path: path.iter().map(|p| (*p).to_owned()).collect(),
            ..PlanOptions::default()
        };
        let both = || vec![joint("e0", Risk::High), joint("e1", Risk::High)];
        let plan = order(both(), Vec::new(), &of(&[]));
        assert!(plan.steps.is_empty() && plan.left_out[0].why.contains("login session"), "{plan:?}");
        let plan = order(vec![joint("e0", Risk::Low), joint("e1", Risk::Low)], Vec::new(), &of(&["e0"]));
        assert!(plan.steps.is_empty() && plan.left_out[0].why == "e1 is not on the path (e0)", "{plan:?}");
        assert_eq!(
            order(vec![joint("e0", Risk::Low), joint("e1", Risk::Low)], Vec::new(), &of(&["e0", "e1"])).steps.len(),
            1
        );
    }

    #[test]
    fn what_needs_consent_is_left_out_with_a_reason() {
        let steps = || {
            vec![
                step("nic.ring.rx", "e", "1", Risk::High),
                step("boot.idle", "host", "poll", Risk::Reboot),
                step("sysctl.y", "host", "1", Risk::Medium),
            ]
        };
        let namespace =
            PlanOptions { reach: Scope::Namespace, management_ifaces: vec!["e".into()], ..PlanOptions::default() };
        let plan = order(steps(), Vec::new(), &namespace);
        assert!(plan.steps.is_empty());
        let why: Vec<&str> = plan.left_out.iter().map(|l| l.why.as_str()).collect();
        assert!(
            why[0].contains("login session") && why[1].contains("reboot") && why[2].contains("the whole host"),
            "{why:?}"
        );
        let all = PlanOptions {
            allow_disruptive: true,
            reach: Scope::Host,
            management_ifaces: vec!["e".into()],
            ..PlanOptions::default()
        };
        assert_eq!(names(&order(steps(), Vec::new(), &all)), ["nic.ring.rx", "sysctl.y"]);
    }

    #[test]
    fn own_settings_only_leaves_out_what_reaches_beyond_the_interface_whatever_its_risk() {
        let mut namespace = step("sysctl.net.ipv4.tcp_sack", "host", "1", Risk::Low);
        namespace.scope = Scope::Namespace;
        let steps = vec![
            step("cpu.governor", "cpu0", "performance", Risk::Low),
            step("sysctl.y", "host", "1", Risk::Medium),
            namespace,
            ordered(step("qdisc.kind", "e/qdisc-root", "fq", Risk::Low), Order::Queues),
        ];
        let steps: Vec<PlannedStep> = steps
            .into_iter()
            .map(|s| if s.knob == "cpu.governor" { PlannedStep { scope: Scope::Host, ..s } } else { s })
            .collect();
        let own = PlanOptions { reach: Scope::Interface, ..PlanOptions::default() };
        let plan = order(steps.clone(), Vec::new(), &own);
        assert_eq!(names(&plan), ["qdisc.kind"]);
        assert!(plan.left_out.iter().all(|l| l.why.starts_with("left out by --own-settings-only: ")), "{plan:?}");
        // With a namespace's reach its own are tried too, with the host's all.
        let reaching = |reach| order(steps.clone(), Vec::new(), &PlanOptions { reach, ..PlanOptions::default() });
        assert_eq!(names(&reaching(Scope::Namespace)), ["qdisc.kind", "sysctl.net.ipv4.tcp_sack"]);
        assert_eq!(reaching(Scope::Host).steps.len(), 4);
    }

    #[test]
    fn a_step_off_the_path_is_left_out_with_the_path() {
        let steps = vec![
            step("qdisc.kind", "e1/qdisc-root", "fq", Risk::Low),
            step("irq.affinity", "e0/irq-0", "1", Risk::Low),
            step("cpu.governor", "cpu0", "performance", Risk::Low),
        ];
        let options = PlanOptions { path: vec!["bond0".into(), "e0".into()], ..PlanOptions::default() };
        let plan = order(steps, Vec::new(), &options);
        assert_eq!(names(&plan), ["irq.affinity", "cpu.governor"]);
        assert_eq!(plan.left_out[0].why, "e1 is not on the path (bond0, e0)");
    }
}

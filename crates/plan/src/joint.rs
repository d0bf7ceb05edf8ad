//! Settings that act only together are one step.

use lowlat_model::PlannedStep;
use lowlat_model::tune::Member;

/// Most values that are named one by one; of more, the first ones and how many there are.
const NAMED: usize = 4;

/// Merges the steps of each group into one, at the place of the group's first. Steps are of one group when one finding
/// (its reason) asks for them under one name; a member that is not there was left out, and the rest still is the step.
pub(crate) fn merge(steps: Vec<PlannedStep>) -> Vec<PlannedStep> {
    let mut groups: Vec<Vec<PlannedStep>> = Vec::new();
    for step in steps {
        let of = |g: &&mut Vec<PlannedStep>| {
            step.joint.is_some() && g.first().is_some_and(|f| f.joint == step.joint && f.reason == step.reason)
        };
        match groups.iter_mut().find(of) {
            Some(group) => group.push(step),
            None => groups.push(vec![step]),
        }
    }
    groups.into_iter().filter_map(one).collect()
}

fn one(group: Vec<PlannedStep>) -> Option<PlannedStep> {
    let mut whole = group.first()?.clone();
    if group.len() == 1 {
        return Some(whole);
    }
    (whole.ops, whole.prior) = (Vec::new(), Vec::new());
    let mut undo = Vec::new();
    for step in group {
        let mut mine = 0;
        for (op, prior) in step.ops.into_iter().zip(step.prior) {
            // A write that two members share (a delay switches adaptive moderation off too) is made once.
            if !whole.ops.contains(&op) {
                whole.ops.push(op);
                whole.prior.push(prior);
                mine += 1;
            }
        }
        // One with nothing left of its own at a place that another has set: CPUs of one frequency policy.
        if mine == 0 && whole.members.iter().any(|m: &Member| m.knob == step.knob) {
            continue;
        }
        undo.push(step.undo);
        whole.risk = whole.risk.max(step.risk);
        whole.resets_link |= step.resets_link;
        if step.resets > whole.resets {
            (whole.resets, whole.resets_why) = (step.resets, step.resets_why);
        }
        whole.scope = whole.scope.max(step.scope);
        extend(&mut whole.rules, step.rules);
        extend(&mut whole.needs, step.needs);
        whole.members.push(Member { knob: step.knob, target: step.target, from: step.from, to: step.to, ops: mine });
    }
    // Knobs that are members already need no second try next to it.
    whole.needs.retain(|n| !whole.members.iter().any(|m| m.knob == *n));
    whole.undo = undo.join("; ");
    match whole.members.as_slice() {
        [_] => whole.members.clear(),
        members => (whole.from, whole.to) = (words(members, |m| &m.from), words(members, |m| &m.to)),
    }
    Some(whole)
}

fn extend(all: &mut Vec<String>, more: Vec<String>) {
    for name in more {
        if !all.contains(&name) {
            all.push(name);
        }
    }
}

/// `performance (4 policies)`; `adaptive-rx off, rx-usecs 0` where the knobs differ.
fn words(members: &[Member], value: impl Fn(&Member) -> &String) -> String {
    let Some(first) = members.first() else { return String::new() };
    if members.iter().any(|m| m.knob != first.knob) {
        let each = |m: &Member| format!("{} {}", m.knob.rsplit('.').next().unwrap_or(&m.knob), value(m));
        return members.iter().map(each).collect::<Vec<_>>().join(", ");
    }
    let mut values: Vec<&str> = members.iter().map(|m| value(m).as_str()).collect();
    values.dedup();
    let more = if values.len() > NAMED { ", …" } else { "" };
    values.truncate(NAMED);
    format!("{}{more} ({} {})", values.join(", "), members.len(), noun(first))
}

fn noun(member: &Member) -> &'static str {
    if is_frequency(&member.knob) { "policies" } else { member.target.plural() }
}

/// Settings of a frequency policy, which may hold several CPUs (drivers/cpufreq/cpufreq.c, `cpufreq_policy_alloc`).
fn is_frequency(knob: &str) -> bool {
    ["cpu.governor", "cpu.min-frequency", "cpu.max-frequency", "cpu.energy-preference"].contains(&knob)
}

#[cfg(test)]
mod tests {
    use lowlat_model::tune::Resets;
    use lowlat_model::{Op, Risk, State};

    use super::*;

    fn step(knob: &str, target: &str, from: &str, to: &str) -> PlannedStep {
        PlannedStep {
            knob: knob.into(),
            target: target.parse().unwrap(),
            from: from.into(),
            to: to.into(),
            reason: "rule: title".into(),
            undo: format!("back {target}"),
            ops: vec![Op::file(format!("/{knob}/{target}"), to)],
            prior: vec![State::Text(from.into())],
            joint: Some("group".into()),
            ..PlannedStep::default()
        }
    }

    #[test]
    fn sixty_four_governors_are_one_step() {
        let all = (0..64).map(|n| step("cpu.governor", &format!("cpu{n}"), "schedutil", "performance")).collect();
        let merged = merge(all);
        let [one] = merged.as_slice() else { panic!("{} steps", merged.len()) };
        assert_eq!((one.from.as_str(), one.to.as_str()), ("schedutil (64 policies)", "performance (64 policies)"));
        assert_eq!((one.ops.len(), one.prior.len(), one.members.len()), (64, 64, 64));
        let owners: Vec<String> = one.owned_ops().map(|(_, target, _)| target.to_string()).collect();
        assert_eq!((owners[0].as_str(), owners[63].as_str()), ("cpu0", "cpu63"));
        assert!(one.undo.starts_with("back cpu0; back cpu1; "));
    }

    #[test]
    fn cpus_of_one_policy_are_one_write() {
        let all: Vec<PlannedStep> = (0..4)
            .map(|n| PlannedStep {
                ops: vec![Op::file("/policy0", "performance")],
                ..step("cpu.governor", &format!("cpu{n}"), "ondemand", "performance")
            })
            .collect();
        let merged = merge(all);
        assert_eq!((merged.len(), merged[0].ops.len(), merged[0].members.len()), (1, 1, 0));
        assert_eq!((merged[0].from.as_str(), merged[0].to.as_str()), ("ondemand", "performance"));
        assert_eq!((merged[0].target.to_string().as_str(), merged[0].undo.as_str()), ("cpu0", "back cpu0"));
    }

    #[test]
    fn a_group_takes_the_gravest_of_its_members_and_says_each_value() {
        let shared = Op::file("/adaptive", "0");
        let mut adaptive = step("nic.coalesce.adaptive-rx", "e", "on", "off");
        adaptive.ops = vec![shared.clone()];
        let mut usecs = step("nic.coalesce.rx-usecs", "e", "20", "0");
        usecs.ops.insert(0, shared);
        usecs.prior.insert(0, State::Text("1".into()));
        (usecs.risk, usecs.resets, usecs.resets_link) = (Risk::High, Resets::Link, true);
        usecs.resets_why = Some("because".into());
        usecs.needs = vec!["nic.coalesce.adaptive-rx".into(), "other".into()];
        let merged = merge(vec![adaptive, usecs, step("nic.coalesce.rx-frames", "e", "5", "1")]);
        let [one] = merged.as_slice() else { panic!("{} steps", merged.len()) };
        assert_eq!(one.to, "adaptive-rx off, rx-usecs 0, rx-frames 1");
        assert_eq!((one.risk, one.resets, one.resets_link), (Risk::High, Resets::Link, true));
        assert_eq!((one.resets_why.as_deref(), one.needs.as_slice()), (Some("because"), &["other".to_owned()][..]));
        let owners: Vec<&str> = one.owned_ops().map(|(knob, ..)| knob).collect();
        assert_eq!(owners, ["nic.coalesce.adaptive-rx", "nic.coalesce.rx-usecs", "nic.coalesce.rx-frames"]);
    }

    #[test]
    fn only_settings_of_one_finding_and_one_name_are_joined() {
        let mut alone = step("x", "e", "0", "1");
        alone.joint = None;
        let mut other = step("y", "e", "0", "1");
        other.reason = "another rule: title".into();
        let mut named = step("z", "e", "0", "1");
        named.joint = Some("other".into());
        let merged =
            merge(vec![step("a", "e", "0", "1"), alone.clone(), alone, other, named, step("b", "e", "0", "1")]);
        let sizes: Vec<usize> = merged.iter().map(|s| s.ops.len()).collect();
        assert_eq!(sizes, [2, 1, 1, 1, 1]);
    }
}

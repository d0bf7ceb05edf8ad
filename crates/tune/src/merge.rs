//! Several steps as one, and whether two steps meet at one place.

use lowlat_model::PlannedStep;
use lowlat_model::tune::Member;

/// Whether two steps write one place: they are alternatives then.
pub(crate) fn same_place(a: &PlannedStep, b: &PlannedStep) -> bool {
    a.ops.iter().any(|x| b.ops.iter().any(|y| x.locus == y.locus))
}

/// Whether two results or steps are of one setting: knob, target and value.
pub(crate) fn same_setting(a: &PlannedStep, b: &PlannedStep) -> bool {
    a.knob == b.knob && a.target == b.target && a.to == b.to
}

/// The settings of a step: its members, or itself.
fn members(step: &PlannedStep) -> Vec<Member> {
    if !step.members.is_empty() {
        return step.members.clone();
    }
    vec![Member {
        knob: step.knob.clone(),
        target: step.target.clone(),
        from: step.from.clone(),
        to: step.to.clone(),
        ops: step.ops.len(),
    }]
}

/// One step of two: all writes of the first, then those of the second.
pub(crate) fn together(a: &PlannedStep, b: &PlannedStep) -> PlannedStep {
    let mut one = a.clone();
    one.members = members(a);
    one.members.extend(members(b));
    one.ops.extend(b.ops.iter().cloned());
    one.prior.extend(b.prior.iter().cloned());
    one.risk = one.risk.max(b.risk);
    one.resets = one.resets.max(b.resets);
    one.resets_link |= b.resets_link;
    one.scope = one.scope.max(b.scope);
    one.rules.extend(b.rules.iter().filter(|r| !a.rules.contains(r)).cloned());
    if one.reason != b.reason {
        one.reason = format!("{}; {}", one.reason, b.reason);
    }
    // Undone in reverse.
    one.undo = [b.undo.as_str(), a.undo.as_str()].into_iter().filter(|u| !u.is_empty()).collect::<Vec<_>>().join("; ");
    one
}

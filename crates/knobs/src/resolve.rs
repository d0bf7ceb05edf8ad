//! From a setting that a rule asks for to a step that can be applied and undone.

use lowlat_model::finding::Setting;
use lowlat_model::op::Target;
use lowlat_model::plan::LeftOut;
use lowlat_model::tune::Resets;
use lowlat_model::{Op, PlannedStep, Reading, Risk, State};
use lowlat_settings::resets::{self, Known, ResetDevice};
use lowlat_sys::Sys;

use crate::{Knob, find};

/// Reads what is there now and builds the writes; a setting that is already so, that this host does not have, or that
/// nobody should set is left out with the reason.
pub fn resolve(sys: &dyn Sys, setting: &Setting, reason: &str) -> Result<PlannedStep, LeftOut> {
    let left = |why: String| LeftOut { knob: setting.knob.clone(), target: setting.target.clone(), why };
    let Some(knob) = find(&setting.knob) else {
        return Err(left("there is no knob of that name".to_owned()));
    };
    let ops = knob.ops(sys, &setting.target, &setting.value).map_err(left)?;
    let from = knob.read(sys, &setting.target);
    let Reading::Value(from) = from else {
        let (kind, why) = from.why_not().unwrap_or(("garbled", ""));
        return Err(left(format!("{kind}: {why}")));
    };
    let mut prior: Vec<State> = Vec::with_capacity(ops.len());
    for op in &ops {
        match lowlat_settings::state(sys, &op.locus) {
            Reading::Value(state) => prior.push(state),
            other => {
                let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
                return Err(left(format!(
                    "what is there now cannot be read, so it could not be restored later: {kind}: {why}"
                )));
            }
        }
    }
    let words = |t: &str| t.split_whitespace().collect::<Vec<_>>().join(" ");
    let stands = |(op, prior): (&Op, &State)| lowlat_settings::same(&op.locus, &op.set, prior);
    if words(&from) == words(&setting.value) || ops.iter().zip(&prior).all(stands) {
        return Err(left(format!("already {from}")));
    }
    let step = step(sys, knob, &setting.target, (ops, prior));
    Ok(PlannedStep { from, to: setting.value.clone(), reason: reason.to_owned(), joint: setting.joint.clone(), ..step })
}

/// A step from states that were seen at a knob's places: `ops` bring them about, `prior` is what they replace, in the
/// same order.
pub fn observed(
    sys: &dyn Sys,
    knob: &Knob,
    target: &Target,
    (ops, prior): (Vec<Op>, Vec<State>),
    reason: &str,
) -> PlannedStep {
    let words = |states: Vec<&State>| {
        let mut words: Vec<String> = states.iter().map(ToString::to_string).collect();
        words.dedup();
        words.join(", ")
    };
    let (from, to) = (words(prior.iter().collect()), words(ops.iter().map(|op| &op.set).collect()));
    PlannedStep { from, to, reason: reason.to_owned(), ..step(sys, knob, target, (ops, prior)) }
}

/// What follows from the knob and its writes.
fn step(sys: &dyn Sys, knob: &Knob, target: &Target, (ops, prior): (Vec<Op>, Vec<State>)) -> PlannedStep {
    let meta = &knob.meta;
    let known = resets_of(sys, target, &ops, &prior);
    PlannedStep {
        knob: meta.name.to_owned(),
        phase: meta.phase,
        target: target.clone(),
        risk: if known.resets == Resets::Link { meta.risk.max(Risk::High) } else { meta.risk },
        undo: knob.place.undo(&ops, &prior),
        scope: lowlat_settings::scope(&ops),
        order: knob.place.order(),
        ops,
        prior,
        resets_link: known.resets == Resets::Link,
        resets: known.resets,
        resets_why: known.why,
        needs: meta.needs.iter().map(|n| (*n).to_owned()).collect(),
        ..PlannedStep::default()
    }
}

/// What the gravest of the writes resets, or its undo.
fn resets_of(sys: &dyn Sys, target: &Target, ops: &[Op], prior: &[State]) -> Known {
    let device = target.iface().map(|iface| ResetDevice::of(sys, iface)).unwrap_or_default();
    let each = ops.iter().zip(prior).filter(|(op, prior)| op.set != **prior);
    let known = each.map(|(op, prior)| resets::of(&device, &op.locus, prior, &op.set));
    known.reduce(|a, b| if b.resets > a.resets { b } else { a }).unwrap_or_default()
}

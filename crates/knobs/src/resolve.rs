//! From a setting that a rule asks for to a step that can be applied and undone.

use lowlat_model::finding::Setting;
use lowlat_model::plan::LeftOut;
use lowlat_model::tune::Resets;
use lowlat_model::{PlannedStep, Reading, State};
use lowlat_sys::Sys;

use crate::find;

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
        match lowlat_sys::state(sys, &op.locus) {
            Reading::Value(state) => prior.push(state),
            other => {
                let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
                return Err(left(format!(
                    "what is there now cannot be read, so it could not be put back: {kind}: {why}"
                )));
            }
        }
    }
    let words = |t: &str| t.split_whitespace().collect::<Vec<_>>().join(" ");
    let default = |s: &State| matches!(s, State::Qdisc(q) if q.handle == "0:");
    // A discipline is asked for by its kind alone where its options do not matter.
    let kind = |s: &State| matches!(s, State::Qdisc(q) if q.kind == setting.value);
    let already = if setting.value == "default" {
        prior.iter().all(default)
    } else {
        words(&from) == words(&setting.value) || (!prior.is_empty() && prior.iter().all(kind))
    };
    if already || ops.iter().zip(&prior).all(|(op, prior)| &op.set == prior) {
        return Err(left(format!("already {from}")));
    }
    let meta = knob.meta();
    let undo = match (ops.as_slice(), prior.as_slice()) {
        ([op], [prior]) if meta.risk != lowlat_model::Risk::Reboot => crate::shell::restore(&op.locus, prior),
        _ => knob.undo_by_hand(&setting.target, &from),
    };
    let scope = crate::scope::of(&ops);
    Ok(PlannedStep {
        knob: setting.knob.clone(),
        phase: meta.phase,
        target: setting.target.clone(),
        from,
        to: setting.value.clone(),
        risk: meta.risk,
        reason: reason.to_owned(),
        undo,
        ops,
        prior,
        scope,
        resets_link: meta.resets_link,
        resets: if meta.resets_link { Resets::Link } else { Resets::Nothing },
        ..PlannedStep::default()
    })
}

//! Settings that are known to need each other, tried together when neither helped alone.

use lowlat_apply::writer::HostWriter;
use lowlat_model::PlannedStep;
use lowlat_model::tune::Disposition;

use crate::TuneError;
use crate::merge::{same_place, together};
use crate::steps::{Tried, try_step};
use crate::trial::Rig;

/// Tries each pair of put-back steps of which one names the other's knob among its needs ([`PlannedStep::needs`]).
pub(crate) fn together_where_needed<W: HostWriter>(
    rig: &mut Rig<'_, W>,
    tried: &mut Tried,
    say: &mut dyn FnMut(&str),
) -> Result<(), TuneError> {
    let pairs = pairs(tried);
    for (n, (a, b)) in pairs.iter().enumerate() {
        rig.schedule.set_tests(pairs.len() - n);
        // What was kept meanwhile may stand at one of the places.
        if tried.kept.iter().any(|k| same_place(&k.step, a) || same_place(&k.step, b)) {
            continue;
        }
        let both = together(a, b);
        try_step(rig, &both, tried, &format!("[with {} on {}]", b.knob, b.target), say)?;
    }
    Ok(())
}

/// The pairs, in the order of the plan; each setting once with each partner, whichever of the two names the other.
fn pairs(tried: &Tried) -> Vec<(PlannedStep, PlannedStep)> {
    let put_back: Vec<&PlannedStep> = tried
        .steps
        .iter()
        .filter(|(_, at)| tried.results[*at].attempt == 1 && tried.results[*at].disposition == Disposition::PutBack)
        .map(|(step, _)| step)
        .collect();
    let mut pairs = Vec::new();
    for (i, a) in put_back.iter().enumerate() {
        for b in &put_back[i + 1..] {
            let needed = a.needs.contains(&b.knob) || b.needs.contains(&a.knob);
            let near = a.target.iface().is_none() || b.target.iface().is_none() || a.target.iface() == b.target.iface();
            if needed && near && !same_place(a, b) {
                pairs.push(((*a).clone(), (*b).clone()));
            }
        }
    }
    pairs
}

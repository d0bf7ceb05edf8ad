//! The backward pass: each kept step is taken out once against the whole. What no longer helps goes.

use lowlat_apply::writer::HostWriter;
use lowlat_model::tune::Disposition;
use lowlat_model::verdict::Stopped;

use crate::TuneError;
use crate::alternate::Halt;
use crate::steps::Tried;
use crate::trial::{Bundle, HARM, Rig, Trial, stopped};

/// Takes each kept step out and in again next to the others. A step goes when its harm is shown, or when a gain worth
/// having is excluded; where the test runs out of pairs undecided it stays, since it was shown to help once.
///
/// With a single kept step there is no whole next to it: the headline is its second test.
pub(crate) fn backward<W: HostWriter>(
    rig: &mut Rig<'_, W>,
    tried: &mut Tried,
    say: &mut dyn FnMut(&str),
) -> Result<(), TuneError> {
    let results: Vec<usize> = {
        let mut all: Vec<usize> = tried.kept.iter().map(|k| k.result).collect();
        all.dedup();
        all
    };
    if results.len() < 2 {
        return Ok(());
    }
    // Each of these steps was shown to help. So that chance takes none of them out, the harm of all is shown at one
    // level.
    let harm = HARM / results.len() as f64;
    say("each kept setting is removed once and tested against the whole");
    rig.schedule.set_tests(results.len());
    for result in results {
        let mut parts = Vec::new();
        let mut rest = Vec::new();
        for kept in tried.kept.drain(..) {
            if kept.result == result { parts.push((kept.step, kept.handle)) } else { rest.push(kept) }
        }
        tried.kept = rest;
        let Some((first, _)) = parts.first() else { continue };
        let name = format!("{} on {}", first.knob, first.target);
        let judged_by = first.judged_by.clone();
        let trial = Trial { harm, ..rig.trial_of_standing(&judged_by, rig.limits.false_keep) };
        let mut bundle = Bundle::standing(parts);
        rig.begin(&format!("without {name}"), &trial);
        let goes = match rig.alternate(&mut bundle, &trial) {
            Err(Halt::Fail(fatal)) => return Err(fatal),
            // It was taken before; that it is not any more, or resets now, is a reason to be without it.
            Err(Halt::Refused(why) | Halt::Reset(why)) => Some(why),
            Ok(shown) => match stopped(&shown.comparison) {
                Stopped::Excluded => {
                    Some(format!("no longer helps with the others in place: {}", shown.comparison.words))
                }
                Stopped::Worse => Some(format!("harms with the others in place: {}", shown.comparison.words)),
                Stopped::Better | Stopped::Futile | Stopped::Exhausted | Stopped::Interrupted => None,
            },
        };
        if let Some(why) = goes {
            rig.clear(&mut bundle)?;
            say(&format!("  {name}: {why}; taken out"));
            let row = &mut tried.results[result];
            (row.kept, row.disposition) = (false, Disposition::TakenOut);
            row.note = format!("{}; taken out: {why}", row.note.trim_end_matches("; kept"));
            row.why = Some(why);
            continue;
        }
        stay(rig, tried, bundle, result)?;
        say(&format!("  {name}: stays"));
    }
    Ok(())
}

/// The step stands again, now as the newest.
fn stay<W: HostWriter>(
    rig: &mut Rig<'_, W>,
    tried: &mut Tried,
    mut bundle: Bundle,
    result: usize,
) -> Result<(), TuneError> {
    crate::steps::put_in(rig, &mut bundle)?;
    if let Some(parts) = bundle.into_standing() {
        tried.kept.extend(parts.into_iter().map(|(step, handle)| crate::steps::Kept { step, handle, result }));
    }
    Ok(())
}

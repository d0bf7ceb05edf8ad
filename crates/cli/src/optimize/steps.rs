//! Phase 2: every planned step is tried, judged on the live path, and kept only if it is better.

use lowlat_apply::{Handle, Session, StepError};
use lowlat_model::document::StepResult;
use lowlat_model::plan::PlannedStep;
use lowlat_model::{Plan, Verdict};
use lowlat_sys::Sys;

use super::judge::Judge;
use super::{Job, judge, stop_point};
use crate::failure::Failure;
use crate::probe::{Ask, words};

/// Tries the steps in order. Steps that set the same place are alternatives: the first one kept ends their search.
///
/// A large fault hides the smaller ones behind its own noise. So what showed no difference is tried once more when
/// something was kept after it: the path is quieter then. And a test that saw next to nothing ([`blind`]) is made once
/// more with twice the pairs, judged by the new rounds alone.
pub fn prove(
    job: &Job,
    sys: &dyn Sys,
    session: &mut Session,
    plan: &Plan,
    results: &mut Vec<StepResult>,
    say: &mut dyn FnMut(&str),
) -> Result<(), Failure> {
    let mut kept: Vec<&PlannedStep> = Vec::new();
    // Steps without a difference, with how many had been kept when they were tried.
    let mut unclear: Vec<(&PlannedStep, usize, Option<u64>)> = Vec::new();
    for step in &plan.steps {
        if let Some(verdict) = attempt(job, sys, session, step, &mut kept, results, say)?
            && verdict == Verdict::Unclear
        {
            unclear.push((step, kept.len(), results.last().and_then(blind)));
        }
    }
    let longer = Job { pairs: job.pairs.saturating_mul(2), ..job.clone() };
    for (step, kept_then, blind) in unclear {
        if kept.len() > kept_then {
            say(&format!("  again, now that more is kept: {} on {}", step.knob, step.target));
            attempt(job, sys, session, step, &mut kept, results, say)?;
        } else if let Some(ns) = blind {
            let shown = words(Some(ns));
            say(&format!("  again and longer, since only {shown} would have shown: {} on {}", step.knob, step.target));
            attempt(&longer, sys, session, step, &mut kept, results, say)?;
        }
    }
    Ok(())
}

/// The smallest difference that a test would have shown, where that is a quarter of the median or more.
fn blind(result: &StepResult) -> Option<u64> {
    let comparison = result.comparison.as_ref()?;
    let median = comparison.quantiles.iter().find(|q| (q.q - 0.5).abs() < 1e-9)?.a_ns?;
    comparison.smallest_detectable_ns.filter(|ns| ns.saturating_mul(4) >= median)
}

/// One try; `None` where another setting of the same place was kept before.
fn attempt<'a>(
    job: &Job,
    sys: &dyn Sys,
    session: &mut Session,
    step: &'a PlannedStep,
    kept: &mut Vec<&'a PlannedStep>,
    results: &mut Vec<StepResult>,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Verdict>, Failure> {
    stop_point()?;
    if let Some(first) = kept.iter().find(|k| same_place(k, step)) {
        say(&format!("  {} on {}: {} was kept there already", step.knob, step.target, first.to));
        return Ok(None);
    }
    let result = try_one(job, sys, session, step)?;
    say(&format!("  {} on {}: {} -> {}: {}", step.knob, step.target, step.from, step.to, result.note));
    if result.kept {
        kept.push(step);
    }
    let verdict = result.verdict;
    results.push(result);
    Ok(Some(verdict))
}

fn same_place(a: &PlannedStep, b: &PlannedStep) -> bool {
    a.ops.iter().any(|x| b.ops.iter().any(|y| x.locus == y.locus))
}

fn try_one(job: &Job, sys: &dyn Sys, session: &mut Session, step: &PlannedStep) -> Result<StepResult, Failure> {
    let mut result = StepResult {
        knob: step.knob.clone(),
        phase: step.phase,
        target: step.target.clone(),
        before: step.from.clone(),
        after: step.to.clone(),
        verdict: Verdict::Refused,
        kept: false,
        p50_change_ratio: None,
        p50_change_low: None,
        p50_change_high: None,
        comparison: None,
        note: String::new(),
        undo: step.undo.clone(),
        rules: step.rules.clone(),
        members: step.members.clone(),
        ..StepResult::default()
    };
    let mut applied: Option<Handle> = None;
    let mut refused: Option<String> = None;
    let mut read_back: Option<String> = None;
    let ask = Ask { duration_ns: job.round_ns, ..Ask::new(&job.path, &job.engine) };
    let mut toggle = |on: bool| {
        if on && applied.is_none() {
            match session.apply(sys, step) {
                Ok(handle) => {
                    read_back.get_or_insert_with(|| handle.read_back_words());
                    applied = Some(handle);
                }
                Err(StepError::Refused { why }) => {
                    refused = Some(why.clone());
                    return Err(Failure::new(why));
                }
                Err(fatal) => return Err(Failure::new(fatal.to_string())),
            }
        } else if !on && let Some(handle) = applied.take() {
            session.undo(sys, handle).map_err(|e| Failure::new(e.to_string()))?;
        }
        Ok(())
    };
    let rule = step.reason.split(':').next().unwrap_or_default();
    let compared = match Judge::for_rule(rule) {
        Judge::RoundTrips => {
            let how = (job.pairs, judge::seed(), judge::OnStop::Fail);
            judge::alternate(&ask, &ask, ("without", "with"), how, &mut toggle).map(|r| judge::compare(&r))
        }
        Judge::Counter(group, key) => judge::alternate_counts(
            sys,
            (group, key),
            std::time::Duration::from_nanos(job.round_ns),
            job.pairs,
            &mut toggle,
        ),
    };
    let comparison = match (compared, refused) {
        (_, Some(why)) => {
            result.note = format!("refused: {why}");
            return Ok(result);
        }
        (Err(failure), None) => {
            if let Some(handle) = applied.take() {
                session.undo(sys, handle).map_err(|e| Failure::new(e.to_string()))?;
            }
            return Err(failure);
        }
        (Ok(comparison), None) => comparison,
    };
    result.verdict = comparison.verdict;
    if let Some(p50) = comparison.quantiles.iter().find(|q| (q.q - 0.5).abs() < 1e-9) {
        result.p50_change_ratio = p50.change_ratio;
        result.p50_change_low = p50.change_low;
        result.p50_change_high = p50.change_high;
    }
    if let Some(words) = read_back {
        result.after = words;
    }
    if comparison.verdict == Verdict::Better {
        if applied.is_none() {
            session.apply(sys, step).map_err(|e| Failure::new(e.to_string()))?;
        }
        result.kept = true;
        result.note = format!("{}; kept", comparison.words);
    } else {
        if let Some(handle) = applied.take() {
            session.undo(sys, handle).map_err(|e| Failure::new(e.to_string()))?;
        }
        result.note = format!("{}; put back", comparison.words);
    }
    result.comparison = Some(comparison);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_testkit::run::{comparison, step};

    #[test]
    fn a_test_is_blind_when_a_quarter_of_the_median_would_not_have_shown() {
        let tried = |detectable| {
            let mut judged = comparison(10_000, -300, -1_900, 1_400, Verdict::Unclear);
            judged.smallest_detectable_ns = detectable;
            blind(&step("steer.rps", lowlat_model::op::Target::Host, "1", "off", judged))
        };
        assert_eq!((tried(Some(2_499)), tried(Some(2_500)), tried(None)), (None, Some(2_500), None));
    }
}

//! The forward pass: every planned step is tried in order, and kept only if its test shows that it helps.

use lowlat_apply::StepHandle;
use lowlat_apply::writer::HostWriter;
use lowlat_model::document::StepResult;
use lowlat_model::tune::Disposition;
use lowlat_model::verdict::{Comparison, Stopped};
use lowlat_model::{Plan, PlannedStep, Verdict};
use lowlat_verdict::sequential::Online;

use crate::TuneError;
use crate::alternate::Halt;
use crate::merge::{same_place, same_setting};
use crate::trial::{Bundle, Rig, helped, stopped};

/// A step that stands.
pub(crate) struct Kept {
    pub(crate) step: PlannedStep,
    pub(crate) handle: StepHandle,
    /// Its place among the results.
    pub(crate) result: usize,
}

/// What was tried so far.
pub(crate) struct Tried {
    pub(crate) results: Vec<StepResult>,
    pub(crate) kept: Vec<Kept>,
    /// Each tried step next to its result's place, in order.
    pub(crate) steps: Vec<(PlannedStep, usize)>,
    pub(crate) online: Online,
}

impl Tried {
    pub(crate) fn new(false_keep: f64) -> Self {
        Self { results: Vec::new(), kept: Vec::new(), steps: Vec::new(), online: Online::new(false_keep) }
    }

    /// Which try of this setting the next one is.
    fn attempt(&self, step: &PlannedStep) -> u32 {
        let before = self.steps.iter().filter(|(s, _)| same_setting(s, step)).count();
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// Tries the steps in order. Steps that set the same place are alternatives: the first one kept ends their search.
///
/// A large fault hides the smaller ones behind its own noise. So a step whose test ran out of pairs undecided is tried
/// once more when something was kept after it: the path is quieter then. That is one more test, and the run's bound
/// counts it as one.
pub(crate) fn forward<W: HostWriter>(
    rig: &mut Rig<'_, W>,
    plan: &Plan,
    tried: &mut Tried,
    say: &mut dyn FnMut(&str),
) -> Result<(), TuneError> {
    let mut undecided: Vec<(&PlannedStep, usize)> = Vec::new();
    for (n, step) in plan.steps.iter().enumerate() {
        let place = format!("[{}/{}]", n + 1, plan.steps.len());
        if !try_step(rig, step, tried, &place, say)? {
            continue;
        }
        let ran_out = tried.results.last().is_some_and(|r| r.verdict == Verdict::Unclear);
        if ran_out {
            undecided.push((step, tried.kept.len()));
        }
    }
    let again = |kept_then: usize, tried: &Tried| tried.kept.len() > kept_then;
    for (n, (step, kept_then)) in undecided.iter().copied().enumerate() {
        if again(kept_then, tried) {
            rig.schedule.set_tests(undecided[n..].iter().filter(|(_, then)| again(*then, tried)).count());
            try_step(rig, step, tried, "[again]", say)?;
        }
    }
    Ok(())
}

/// One try; `false` where another setting of the same place stands.
pub(crate) fn try_step<W: HostWriter>(
    rig: &mut Rig<'_, W>,
    step: &PlannedStep,
    tried: &mut Tried,
    place: &str,
    say: &mut dyn FnMut(&str),
) -> Result<bool, TuneError> {
    let name = format!("{place} {} on {}", step.knob, step.target);
    if let Some(first) = tried.kept.iter().find(|k| same_place(&k.step, step)) {
        say(&format!("  {name}: {} is already kept there", first.step.to));
        rig.schedule.skip_test();
        return Ok(false);
    }
    let mut result = blank(step, tried.attempt(step));
    let trial = rig.trial(&step.judged_by, tried.online.level());
    rig.say_plan(&trial, say);
    rig.begin(&format!("{} on {}", step.knob, step.target), &trial);
    let mut bundle = Bundle::new(step.clone());
    let stands = match rig.alternate(&mut bundle, &trial) {
        Err(Halt::Fail(fatal)) => return Err(fatal),
        Err(Halt::Refused(why)) => {
            rig.clear(&mut bundle)?;
            (result.verdict, result.disposition) = (Verdict::Refused, Disposition::Refused);
            result.note = format!("refused: {why}");
            result.why = Some(why);
            None
        }
        Err(Halt::Reset(why)) => {
            rig.clear(&mut bundle)?;
            (result.verdict, result.disposition) = (Verdict::Refused, Disposition::Reset);
            result.note = format!("it reset the link unexpectedly ({why}); undone");
            result.why = Some(why);
            None
        }
        Ok(shown) => {
            tried.online.record(shown.e_value);
            result.took_ns = shown.took_ns;
            let keep = helped(stopped(&shown.comparison));
            if let Some(words) = &bundle.read_back {
                result.after.clone_from(words);
            }
            if keep {
                put_in(rig, &mut bundle)?;
                rig.median_ns = median(&shown.comparison).or(rig.median_ns);
            } else {
                bundle.take_out(rig.session, rig.sys)?;
            }
            describe(&mut result, shown.comparison, keep);
            keep.then_some(bundle)
        }
    };
    say(&format!("  {name}: {} → {}: {}", result.before, result.after, result.note));
    let at = tried.results.len();
    tried.results.push(result);
    tried.steps.push((step.clone(), at));
    if let Some(parts) = stands.and_then(Bundle::into_standing) {
        tried.kept.extend(parts.into_iter().map(|(step, handle)| Kept { step, handle, result: at }));
    }
    Ok(true)
}

/// Applies what a test left out; by now the host has taken it many times, so a refusal ends the run.
pub(crate) fn put_in<W: HostWriter>(rig: &mut Rig<'_, W>, bundle: &mut Bundle) -> Result<(), TuneError> {
    bundle.put_in(rig.session, rig.sys).map_err(|halt| match halt {
        Halt::Fail(error) => error,
        Halt::Refused(why) | Halt::Reset(why) => crate::BenchError(format!(
            "keep a setting that was shown to help: the host no longer accepts it: {why}; run it again"
        ))
        .into(),
    })
}

/// Median of side B, ns.
fn median(comparison: &Comparison) -> Option<u64> {
    comparison.quantiles.iter().find(|q| (q.q - 0.5).abs() < 1e-9)?.b_ns
}

/// A result before its test.
fn blank(step: &PlannedStep, attempt: u32) -> StepResult {
    StepResult {
        knob: step.knob.clone(),
        phase: step.phase,
        target: step.target.clone(),
        before: step.from.clone(),
        after: step.to.clone(),
        undo: step.undo.clone(),
        rules: step.rules.clone(),
        members: step.members.clone(),
        attempt,
        ..StepResult::default()
    }
}

/// Fills in what the test showed.
fn describe(result: &mut StepResult, comparison: Comparison, kept: bool) {
    result.kept = kept;
    result.disposition = if kept { Disposition::Kept } else { Disposition::PutBack };
    result.verdict = match stopped(&comparison) {
        Stopped::Better => Verdict::Better,
        Stopped::Worse => Verdict::Worse,
        Stopped::Excluded => Verdict::Same,
        Stopped::Futile | Stopped::Exhausted | Stopped::Interrupted => Verdict::Unclear,
    };
    if let Some(p50) = comparison.quantiles.iter().find(|q| (q.q - 0.5).abs() < 1e-9) {
        result.p50_change_ratio = p50.change_ratio;
        result.p50_change_low = p50.change_low;
        result.p50_change_high = p50.change_high;
    }
    let end = if kept { "kept" } else { "put back" };
    result.note = format!("{}; {end}", comparison.words);
    result.comparison = Some(comparison);
}

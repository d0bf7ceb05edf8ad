//! What became of the settings that a run tried, and of the findings that asked for them.

use lowlat_model::document::StepResult;
use lowlat_model::finding::Setting;
use lowlat_model::tune::Disposition;
use lowlat_model::{Finding, Severity, Verdict};

use crate::Input;

/// The steps, each setting once: what was tried again (same knob, place and value) stands with its last try.
pub(crate) fn settled<'a>(steps: &'a [StepResult]) -> Vec<&'a StepResult> {
    let same = |a: &StepResult, b: &StepResult| a.knob == b.knob && a.target == b.target && a.after == b.after;
    let last = |n: usize, s: &&'a StepResult| !steps[n + 1..].iter().any(|later| same(s, later));
    steps.iter().enumerate().filter(|(n, s)| last(*n, s)).map(|(_, s)| s).collect()
}

/// The kernel steps that an A/B test judged, each setting once.
pub(crate) fn judged<'a>(input: &Input<'a>) -> Vec<&'a StepResult> {
    let mut all = settled(input.steps);
    all.retain(|s| s.phase == 2 && s.comparison.is_some());
    all
}

/// The steps that stand, each setting once.
pub(crate) fn kept<'a>(input: &Input<'a>) -> Vec<&'a StepResult> {
    let mut all = settled(input.steps);
    all.retain(|s| s.kept);
    all
}

/// How a finding stands after the run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Standing<'a> {
    /// A step that sets one of its settings was kept.
    Fixed(&'a StepResult),
    /// None of its settings was tried, or it has none.
    Open,
    /// Some of its settings were tried and not kept; these were not tried.
    Left(Vec<&'a Setting>),
    /// Every setting was tried, and one reset the link or its queues without notice.
    Reset(&'a StepResult),
    /// Every setting was tried, and none was shown to help.
    Useless(&'a StepResult),
    /// Every setting was refused by the kernel or the driver.
    Refused(&'a StepResult),
}

/// How `finding` stands, by what the steps set, not by what they say.
pub(crate) fn standing<'a>(input: &Input<'a>, finding: &'a Finding) -> Standing<'a> {
    let settings = &finding.remedy.settings;
    let steps = settled(input.steps);
    let tried: Vec<&StepResult> = steps.into_iter().filter(|s| settings.iter().any(|x| sets(s, x))).collect();
    if let Some(step) = tried.iter().filter(|s| s.kept).max_by(|a, b| gain(a).total_cmp(&gain(b))) {
        return Standing::Fixed(step);
    }
    let Some(first) = tried.first() else { return Standing::Open };
    let left: Vec<&Setting> = settings.iter().filter(|x| !tried.iter().any(|s| sets(s, x))).collect();
    if !left.is_empty() {
        return Standing::Left(left);
    }
    let became = |what: Disposition| tried.iter().find(|s| disposition(s) == what);
    if let Some(step) = became(Disposition::Reset) {
        Standing::Reset(step)
    } else if let Some(step) = became(Disposition::PutBack).or_else(|| became(Disposition::TakenOut)) {
        Standing::Useless(step)
    } else {
        Standing::Refused(first)
    }
}

/// Whether the step sets this knob at this place, alone or as a member of a joint step.
fn sets(step: &StepResult, setting: &Setting) -> bool {
    (step.knob == setting.knob && step.target == setting.target)
        || step.members.iter().any(|m| m.knob == setting.knob && m.target == setting.target)
}

/// What became of a step. Documents from before dispositions were stored say it by verdict and `kept`.
fn disposition(step: &StepResult) -> Disposition {
    match step.disposition {
        _ if step.kept => Disposition::Kept,
        Disposition::PutBack if step.verdict == Verdict::Refused => Disposition::Refused,
        other => other,
    }
}

/// By how much the step alone lowered the median, as a share; 0 where that is not known.
pub(crate) fn gain(step: &StepResult) -> f64 {
    step.p50_change_ratio.filter(|r| r.is_finite()).map_or(0.0, |r| -r)
}

/// Serious findings that no kept step fixed, weightiest first.
pub(crate) fn open<'a>(input: &Input<'a>) -> Vec<(&'a Finding, Standing<'a>)> {
    let mut all: Vec<_> = input
        .findings
        .iter()
        .filter(|f| f.severity >= Severity::Warning)
        .map(|f| (f, standing(input, f)))
        .filter(|(_, s)| !matches!(s, Standing::Fixed(_)))
        .collect();
    all.sort_by_key(|(f, _)| std::cmp::Reverse(f.severity));
    all
}

/// A step's settings as text: `nic.ring.rx on eth0 = 1024`.
pub(crate) fn name(step: &StepResult) -> String {
    if step.members.is_empty() {
        return format!("{} on {} = {}", step.knob, step.target, step.after);
    }
    let members: Vec<String> = step.members.iter().map(|m| format!("{} on {} = {}", m.knob, m.target, m.to)).collect();
    members.join(" with ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use lowlat_model::op::Target;
    use lowlat_model::tune::Member;
    use lowlat_testkit::run;

    fn same_rps(run: &sample::Run) -> StepResult {
        run.steps.iter().find(|s| s.knob == "steer.rps").unwrap().clone()
    }

    #[test]
    fn a_setting_tried_twice_counts_once() {
        let mut run = sample::Run::good();
        let again = StepResult { attempt: 2, ..same_rps(&run) };
        run.steps.push(again.clone());
        assert_eq!(judged(&run.input()).len(), 2);
        run.steps.push(StepResult { after: "another value".into(), ..again });
        assert_eq!(judged(&run.input()).len(), 3);
    }

    #[test]
    fn the_standing_follows_what_became_of_the_settings() {
        let mut run = sample::Run::good();
        let finding = run.findings.iter().find(|f| f.rule == "rps-remote-cpu").unwrap().clone();
        let seen = |run: &sample::Run| match standing(&run.input(), &finding) {
            Standing::Fixed(_) => "fixed",
            Standing::Open => "open",
            Standing::Left(_) => "left",
            Standing::Reset(_) => "reset",
            Standing::Useless(_) => "useless",
            Standing::Refused(_) => "refused",
        };
        assert_eq!(seen(&run), "useless");
        let at = run.steps.iter().position(|s| s.knob == "steer.rps").unwrap();
        for (became, word) in
            [(Disposition::Refused, "refused"), (Disposition::Reset, "reset"), (Disposition::TakenOut, "useless")]
        {
            run.steps[at].disposition = became;
            assert_eq!(seen(&run), word);
        }
        (run.steps[at].disposition, run.steps[at].kept) = (Disposition::Kept, true);
        assert_eq!(seen(&run), "fixed");
        run.steps.remove(at);
        assert_eq!(seen(&run), "open");
    }

    #[test]
    fn a_member_of_a_joint_step_counts_as_tried() {
        let mut run = sample::Run::good();
        let mut finding = run::finding("coalescing", Severity::Warning, "a", Target::Iface("eth0".into()), "0");
        finding.remedy.settings.push(Setting { knob: "b".into(), ..finding.remedy.settings[0].clone() });
        let mut joint = same_rps(&run);
        joint.members = ["a", "b"]
            .map(|k| Member {
                knob: k.into(),
                target: Target::Iface("eth0".into()),
                from: "1".into(),
                to: "0".into(),
                ops: 1,
            })
            .to_vec();
        run.steps = vec![joint];
        assert!(matches!(standing(&run.input(), &finding), Standing::Useless(_)));
        assert_eq!(name(&run.steps[0]), "a on eth0 = 0 with b on eth0 = 0");
        run.steps[0].members.pop();
        assert!(matches!(standing(&run.input(), &finding), Standing::Left(left) if left.len() == 1));
    }
}

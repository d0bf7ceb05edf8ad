//! What a person must know before going on, weightiest first.

use lowlat_model::document::ConfidencePart;

use crate::cause::{self, Cause, LOSS, none_helped};
use crate::words::{percent, time};
use crate::{Input, steps};

/// Below this the remaining microseconds are in code and hardware, not in settings.
const EXPERT_WORK_NS: u64 = 100_000;
/// Below this a baseline is expert territory altogether.
const EXPERT_LEVEL_NS: u64 = 50_000;
/// Above this something is set wrongly, not merely slowly.
const FAULT_NS: u64 = 10_000_000;
/// Under this share the kernel's settings are not the bottleneck.
const SMALL_GAIN: f64 = 0.20;
/// Under this score the uncertainty is explained.
const LOW_CONFIDENCE: u8 = 60;

/// An escalation, and where in the run's documents what it says is found.
pub(crate) type Escalation = (String, Vec<String>);

/// Every escalation that applies.
pub(crate) fn all(
    input: &Input<'_>,
    confidence: u8,
    parts: &[ConfidencePart],
    causes: &[Cause<'_>],
) -> Vec<Escalation> {
    let run = |places: &[&str]| places.iter().map(|p| format!("run.{p}")).collect::<Vec<_>>();
    let median = || run(&["baseline.rtt.p50_ns"]);
    let each = [
        (loss(input), vec![input.figure("loss_ratio")]),
        (no_baseline(input), run(&["baseline"])),
        (fault_likely(input), median()),
        (two_modes(input), run(&["modes"])),
        (expert(input), median()),
        (nothing_gained(input, causes), run(&["steps[].verdict", "engines[].against_block", "findings"])),
        (small_gain(input), run(&["headline.p50_change_ratio", "steps[].verdict"])),
        (false_keeps(input), run(&["headline.false_keep_bound", "steps[].kept"])),
        (low_confidence(confidence, parts), run(&["confidence_parts"])),
    ];
    each.into_iter().filter_map(|(text, rests_on)| Some((text?, rests_on))).collect()
}

fn loss(input: &Input<'_>) -> Option<String> {
    let m = input.present()?;
    let ratio = m.loss_ratio.filter(|r| *r > LOSS)?;
    Some(format!("packet loss is {} ({} of {}): fix the drops before the latency", percent(ratio), m.lost, m.sent))
}

fn no_baseline(input: &Input<'_>) -> Option<String> {
    (input.baseline.is_none() && input.judge.is_none())
        .then(|| "there is no baseline: confidence is 30 points lower".to_owned())
}

fn fault_likely(input: &Input<'_>) -> Option<String> {
    let p50 = input.baseline?.rtt.p50_ns.filter(|p| *p > FAULT_NS)?;
    Some(format!("the baseline's median is {}: above 10 ms a configuration fault is likely", time(Some(p50))))
}

fn expert(input: &Input<'_>) -> Option<String> {
    let p50 = input.baseline?.rtt.p50_ns.filter(|p| *p < EXPERT_WORK_NS)?;
    let words = if p50 < EXPERT_LEVEL_NS {
        "below 50 µs this is expert-level: settings alone gain little, and each microsecond needs its own proof"
    } else {
        "below 100 µs further gains need expert work"
    };
    Some(format!("the baseline's median is {}: {words}", time(Some(p50))))
}

fn two_modes(input: &Input<'_>) -> Option<String> {
    let modes = input.modes?;
    Some(format!(
        "this path has two modes, P50 {} and {}: no single figure describes it; {}",
        time(Some(modes.fast_ns)),
        time(Some(modes.slow_ns)),
        cause::differs(modes)
    ))
}

/// What is left when no setting helped: the weightiest open cause, and the hardware only where there is none.
fn nothing_gained(input: &Input<'_>, causes: &[Cause<'_>]) -> Option<String> {
    let judged = steps::judged(input);
    if input.dry_run || judged.is_empty() || judged.iter().any(|s| s.kept) {
        return None;
    }
    let tried = none_helped(judged.len());
    Some(match causes.first() {
        Some(Cause::Hardware(_)) if input.engines.iter().all(|e| e.measurement.is_none()) => {
            format!("{tried}: the limit is likely the hardware's; no bypass engine was measured to tell")
        }
        Some(Cause::Hardware(_)) => format!("{tried}: the limit is likely the hardware's"),
        Some(cause) => format!("{tried}; the open cause: {}", cause.words()),
        None => format!("{tried}, and no cause was found"),
    })
}

/// A gain is the headline's: what differs between two measurements is drift.
fn small_gain(input: &Input<'_>) -> Option<String> {
    // The number of the user's own command says nothing of the median.
    if input.dry_run || input.judge.is_some() || steps::judged(input).is_empty() {
        return None;
    }
    if !steps::kept(input).is_empty() && input.headline.p50_change_ratio.is_none() {
        return None; // the whole was not tested, so nothing is known of its gain
    }
    let gain = input.headline.p50_claim().unwrap_or(0.0);
    (gain < SMALL_GAIN).then(|| {
        let shown = if gain > 0.0 { format!("fell by {}", percent(gain)) } else { "is not shown to fall".to_owned() };
        format!("the median {shown}: the kernel's settings are not the bottleneck; phase 3 (bypass) comes next")
    })
}

/// The stated bound over the whole run, retries included.
fn false_keeps(input: &Input<'_>) -> Option<String> {
    let bound = input.headline.false_keep_bound?;
    let kept = steps::kept(input).len();
    (kept > 0).then(|| {
        let (count, noun) = (kept, if kept == 1 { "setting was" } else { "settings were" });
        format!("{count} {noun} kept; chance that a kept step has no effect: at most {}", whole_percent(bound))
    })
}

/// `5 %`, `2.5 %`.
pub(crate) fn whole_percent(ratio: f64) -> String {
    let p = format!("{:.1}", ratio * 100.0);
    format!("{} %", p.strip_suffix(".0").unwrap_or(&p))
}

fn low_confidence(confidence: u8, parts: &[ConfidencePart]) -> Option<String> {
    if confidence >= LOW_CONFIDENCE {
        return None;
    }
    let missing: Vec<String> = parts
        .iter()
        .filter(|p| p.points < p.of)
        .map(|p| format!("{} gives {} of {} points ({})", p.what, p.points, p.of, p.why))
        .collect();
    Some(format!("confidence is only {confidence}: {}", missing.join("; ")))
}

#[cfg(test)]
mod tests {
    use crate::sample;

    fn has(run: &sample::Run, words: &str) -> bool {
        let a = crate::assess(&run.input());
        a.escalations.iter().any(|e| e.contains(words))
    }

    fn median(run: &mut sample::Run, baseline: u64, result: u64) {
        run.baseline.as_mut().unwrap().rtt.p50_ns = Some(baseline);
        run.result.as_mut().unwrap().rtt.p50_ns = Some(result);
    }

    #[test]
    fn a_good_run_states_its_bound_and_nothing_else() {
        assert_eq!(
            crate::assess(&sample::Run::good().input()).escalations,
            ["1 setting was kept; chance that a kept step has no effect: at most 5 %"]
        );
    }

    #[test]
    fn the_baseline_alone_shows_who_is_needed() {
        let mut run = sample::Run::good();
        for (p50, expert_level, expert_work, fault) in [
            (49_999, true, false, false),
            (50_000, false, true, false),
            (99_999, false, true, false),
            (100_000, false, false, false),
            (10_000_000, false, false, false),
            (10_000_001, false, false, true),
        ] {
            median(&mut run, p50, p50 / 4);
            assert_eq!(has(&run, "expert-level"), expert_level, "{p50}");
            assert_eq!(has(&run, "need expert work"), expert_work, "{p50}");
            assert_eq!(has(&run, "configuration fault"), fault, "{p50}");
        }
        run.baseline = None;
        assert!(has(&run, "30 points"));
    }

    #[test]
    fn each_says_where_its_figures_are() {
        let mut run = sample::Run::good();
        median(&mut run, 40_000, 39_000);
        run.result.as_mut().unwrap().loss_ratio = Some(0.5);
        let a = crate::assess(&run.input());
        assert_eq!(a.escalations.len(), a.escalations_rest_on.len());
        assert!(a.escalations_rest_on.iter().all(|places| !places.is_empty()), "{a:#?}");
        assert_eq!(a.escalations_rest_on[0], ["run.result.loss_ratio"]);
        let expert = a.escalations.iter().position(|e| e.contains("expert-level")).unwrap();
        assert_eq!(a.escalations_rest_on[expert], ["run.baseline.rtt.p50_ns"]);
    }

    #[test]
    fn loss_comes_first() {
        let mut run = sample::Run::good();
        median(&mut run, 40_000, 39_000);
        let r = run.result.as_mut().unwrap();
        (r.lost, r.loss_ratio) = (2, Some(0.0001));
        assert!(!has(&run, "packet loss"));
        run.result.as_mut().unwrap().loss_ratio = Some(0.000_11);
        let first = crate::assess(&run.input()).escalations.remove(0);
        assert_eq!(first, "packet loss is 0.011 % (2 of 20000): fix the drops before the latency");
    }

    #[test]
    fn a_small_gain_leads_to_phase_three_and_comes_from_the_headline() {
        let mut run = sample::Run::good();
        let change = |run: &mut sample::Run, ratio: f64, high: f64| {
            (run.headline.p50_change_ratio, run.headline.p50_change_high) = (Some(ratio), Some(high));
        };
        change(&mut run, -0.2, -0.1);
        assert!(!has(&run, "phase 3"));
        change(&mut run, -0.199, -0.1);
        assert!(has(&run, "fell by 19.9 %") && has(&run, "phase 3"));
        // The interval holds 0: whatever the two measurements say, nothing is shown.
        median(&mut run, 200_000, 20_000);
        change(&mut run, -0.9, 0.1);
        assert!(has(&run, "is not shown to fall"));
        run.headline.p50_change_ratio = None;
        assert!(!has(&run, "phase 3"), "the whole was not tested");
    }

    #[test]
    fn the_hardware_is_blamed_only_when_nothing_is_open() {
        let mut run = sample::Run::good();
        assert!(!has(&run, "hardware's"));
        run = sample::Run::nothing_kept();
        assert!(!has(&run, "hardware's"), "two serious findings are open");
        assert!(has(&run, "the one setting tried brought no gain; the open cause: netem-on-path on the path"));
        run.findings.clear();
        assert!(has(&run, "the limit is likely the hardware's; no bypass engine was measured to tell"));
        run.steps.push(run.steps[0].clone());
        assert!(has(&run, "the one setting tried"), "tried twice, and one setting");
        run.steps.clear();
        assert!(!has(&run, "hardware's"), "nothing was tried, so nothing is known");
    }

    #[test]
    fn a_path_with_two_modes_is_called_one() {
        let mut run = sample::Run::good();
        run.modes = Some(lowlat_model::tune::Modes {
            fast_ns: 6_000,
            slow_ns: 83_800,
            fast_rounds: 3,
            slow_rounds: 7,
            differs: vec!["CPU of the wake-up".into()],
        });
        assert!(has(&run, "two modes, P50 6.00 µs and 83.8 µs: no single figure describes it; what differs: CPU of"));
    }

    #[test]
    fn low_confidence_is_explained() {
        let mut run = sample::Run::good();
        run.baseline = None;
        run.loaded = None;
        let a = crate::assess(&run.input());
        assert!(a.confidence < 60);
        assert!(a.escalations.iter().any(|e| e.contains("baseline measured gives 0 of 30 points")), "{a:#?}");
    }
}

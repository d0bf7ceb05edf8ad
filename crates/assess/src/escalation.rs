//! What a person must know before going on (rows B12, G2, G3), weightiest first.

use lowlat_model::document::{ConfidencePart, StepResult};

use crate::Input;
use crate::words::{percent, reduction, time};

/// Above this share of lost probes latency is not the first problem (row G3).
const LOSS: f64 = 0.0001;
/// Below this the remaining microseconds are in code and hardware, not in settings (row B12).
const EXPERT_WORK_NS: u64 = 100_000;
/// Below this a baseline is expert territory altogether (row G3).
const EXPERT_LEVEL_NS: u64 = 50_000;
/// Above this something is set wrongly, not merely slowly (row B12).
const FAULT_NS: u64 = 10_000_000;
/// Under this share the kernel's settings are not the bottleneck (phase 2 of the brief).
const SMALL_GAIN: f64 = 0.20;
/// Under this score the uncertainty is explained (row G2).
const LOW_CONFIDENCE: u8 = 60;

/// How often one A/B test of a change that does nothing keeps it: P50 or P99 may seem better, and each lies above its
/// two-sided interval of 95 % once in forty tests.
const KEPT_BY_CHANCE: f64 = 2.0 * 0.025;

/// Every escalation that applies.
pub(crate) fn all(input: &Input<'_>, confidence: u8, parts: &[ConfidencePart]) -> Vec<String> {
    [
        loss(input),
        no_baseline(input),
        fault_likely(input),
        expert(input),
        nothing_gained(input),
        small_gain(input),
        many_tests(input),
        low_confidence(confidence, parts),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn loss(input: &Input<'_>) -> Option<String> {
    let m = input.present()?;
    let ratio = m.loss_ratio.filter(|r| *r > LOSS)?;
    Some(format!("packet loss is {} ({} of {}): fix the drops before the latency", percent(ratio), m.lost, m.sent))
}

fn no_baseline(input: &Input<'_>) -> Option<String> {
    input.baseline.is_none().then(|| "there is no baseline: confidence is 30 points lower".to_owned())
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

/// The kernel steps that an A/B test judged.
fn judged<'a>(input: &Input<'a>) -> impl Iterator<Item = &'a StepResult> {
    input.steps.iter().filter(|s| s.phase == 2 && s.comparison.is_some())
}

fn nothing_gained(input: &Input<'_>) -> Option<String> {
    if input.dry_run || judged(input).any(|s| s.kept) {
        return None;
    }
    let tried = judged(input).count();
    (tried > 0).then(|| {
        format!("none of the {tried} kernel settings tried gained anything: the limit is likely the hardware's")
    })
}

fn small_gain(input: &Input<'_>) -> Option<String> {
    let before = input.baseline?.rtt.p50_ns.filter(|b| *b > 0)?;
    let after = input.result?.rtt.p50_ns?;
    let gain = reduction(before, after);
    (gain < SMALL_GAIN).then(|| {
        let shown = if gain > 0.0 { format!("fell by {}", percent(gain)) } else { "did not fall".to_owned() };
        format!("the median {shown}: the kernel's settings are not the bottleneck; phase 3 (bypass) comes next")
    })
}

/// The tests are not corrected for their number: a corrected one would need several times the rounds to show what it
/// shows now, and what is kept is measured once more as a whole.
fn many_tests(input: &Input<'_>) -> Option<String> {
    let kept = judged(input).filter(|s| s.kept).count();
    let tried = judged(input).count();
    let by_chance = tried as f64 * KEPT_BY_CHANCE;
    (kept > 0 && by_chance >= 0.5).then(|| {
        format!(
            "{tried} settings were judged, each on its own at 95 %: if none did anything, about {by_chance:.1} would \
             still be kept by chance; of the {kept} kept, doubt the smallest gain first"
        )
    })
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
    fn a_good_run_escalates_nothing() {
        assert_eq!(crate::assess(&sample::Run::good().input()).escalations, Vec::<String>::new());
    }

    #[test]
    fn the_baseline_alone_tells_who_is_needed() {
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
    fn many_tests_are_told_and_few_are_not() {
        let mut run = sample::Run::good();
        let step = run.steps.iter().find(|s| s.phase == 2 && s.kept && s.comparison.is_some()).unwrap().clone();
        run.steps = vec![step; 9];
        assert!(!has(&run, "by chance"));
        run.steps.push(run.steps[0].clone());
        assert!(has(&run, "10 settings were judged, each on its own at 95 %: if none did anything, about 0.5 would"));
        for s in &mut run.steps {
            s.kept = false;
        }
        assert!(!has(&run, "by chance"), "nothing was kept");
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
    fn a_small_gain_leads_to_phase_three() {
        let mut run = sample::Run::good();
        median(&mut run, 200_000, 160_000);
        assert!(!has(&run, "phase 3"));
        median(&mut run, 200_000, 160_001);
        assert!(has(&run, "fell by 20.0 %") && has(&run, "phase 3"));
        median(&mut run, 200_000, 210_000);
        assert!(has(&run, "did not fall"));
    }

    #[test]
    fn nothing_kept_means_the_hardware() {
        let mut run = sample::Run::good();
        assert!(!has(&run, "hardware's"));
        run.steps.retain(|s| !s.kept);
        assert!(has(&run, "none of the 1 kernel settings"));
        run.steps.clear();
        assert!(!has(&run, "hardware's"), "nothing was tried, so nothing is known");
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

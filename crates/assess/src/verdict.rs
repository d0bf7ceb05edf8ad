//! The verdict in five lines: what is slow and why, what was changed, what it gained, the goal, the one next command.

use lowlat_model::document::SummaryLine;
use lowlat_model::judge::OwnFigure;
use lowlat_model::units::figure;
use lowlat_model::{GoalResult, Measurement, Verdict};

use crate::cause::Cause;
use crate::escalation::whole_percent;
use crate::next::Next;
use crate::words::{change, claim, time};
use crate::{Input, steps};

/// Settings that are named; of the others the number is reported.
const NAMED: usize = 4;

/// The five lines.
pub(crate) fn lines(input: &Input<'_>, causes: &[Cause<'_>], next: &[Next]) -> Vec<SummaryLine> {
    vec![
        SummaryLine::new("Cause", cause(input, causes)),
        SummaryLine::new("Changed", changed(input)),
        SummaryLine::new("Gain", gain(input)),
        SummaryLine::new("Goal", goals(input)),
        SummaryLine::new("Next", next.first().map_or_else(|| "nothing is open".to_owned(), Next::command_line)),
    ]
}

/// The weightiest cause; behind a fixed one the weightiest that is left.
fn cause(input: &Input<'_>, causes: &[Cause<'_>]) -> String {
    let unmeasured = input.judge.is_none() && input.present().is_none_or(|m| m.rtt.p50_ns.is_none());
    if unmeasured && !matches!(causes.first(), Some(Cause::Loss(..))) {
        return "not known: the path has no measured median".to_owned();
    }
    let Some(first) = causes.first() else {
        let on = if input.path.is_empty() { "the path".to_owned() } else { input.path.join(", ") };
        let elsewhere = match input.elsewhere.len() {
            0 => String::new(),
            1 => "; 1 finding elsewhere on this host is off the path".to_owned(),
            n => format!("; {n} findings elsewhere on this host are off the path"),
        };
        return format!("no fault was found on {on}{elsewhere}");
    };
    let left = causes.iter().find(|c| !matches!(c, Cause::Fixed(_)));
    match (first, left) {
        (Cause::Fixed(_), Some(left)) => format!("{}; still open: {}", first.words(), left.words()),
        _ => first.words(),
    }
}

fn changed(input: &Input<'_>) -> String {
    if input.dry_run {
        return "nothing (dry run)".to_owned();
    }
    let kept = steps::kept(input);
    if kept.is_empty() {
        return match steps::settled(input.steps).len() {
            0 => "nothing; no setting tried".to_owned(),
            1 => "nothing; 1 setting tried, not kept".to_owned(),
            n => format!("nothing; {n} settings tried, none kept"),
        };
    }
    let mut named: Vec<String> = kept.iter().take(NAMED).map(|s| steps::name(s)).collect();
    if kept.len() > NAMED {
        named.push(format!("and {} more", kept.len() - NAMED));
    }
    let noun = if kept.len() == 1 { "setting" } else { "settings" };
    let back = if input.will_be_rolled_back { "; restored after the report" } else { "" };
    format!("{} {noun} kept: {}{back}", kept.len(), named.join(", "))
}

/// What the headline's test shows. A difference between two measurements is none of it.
fn gain(input: &Input<'_>) -> String {
    if let Some(judge) = input.judge {
        return own_gain(input, judge);
    }
    if steps::kept(input).is_empty() {
        return format!("nothing changed; {}{}", stands(input), drift(input));
    }
    let h = input.headline;
    if h.p50_change_ratio.is_none() && h.p99_change_ratio.is_none() {
        return format!(
            "not proven: the whole configuration was not compared with the original one; {}",
            stands(input)
        );
    }
    let one = |name: &str, of: fn(&Measurement) -> Option<u64>, shown: Option<f64>, change_of: [Option<f64>; 3]| {
        let [ratio, low, high] = change_of;
        let [before, after] = [input.baseline, input.result].map(|m| time(m.and_then(of)));
        match (shown, ratio) {
            (Some(shown), _) => format!("{name} {before} to {after}, {}", claim(shown, low, high)),
            (None, Some(ratio)) => format!("{name} no change shown ({})", change(ratio, low, high)),
            (None, None) => format!("{name} not judged"),
        }
    };
    let p50 = one("P50", |m| m.rtt.p50_ns, h.p50_claim(), [h.p50_change_ratio, h.p50_change_low, h.p50_change_high]);
    let p99 = one("P99", |m| m.rtt.p99_ns, h.p99_claim(), [h.p99_change_ratio, h.p99_change_low, h.p99_change_high]);
    let confidence = if h.confidence > 0.0 { h.confidence } else { 0.95 };
    let mut words = format!("{p50}; {p99} ({} intervals)", whole_percent(confidence));
    if h.p50_claim().is_none() && h.p99_claim().is_none() {
        words = format!("{words}; {}", stands(input));
    }
    words
}

/// What the headline's test shows of the number of the user's own command.
fn own_gain(input: &Input<'_>, judge: &OwnFigure) -> String {
    let number = |v: Option<f64>| v.map_or_else(|| "n/a".to_owned(), figure);
    let direction = judge.direction();
    if steps::kept(input).is_empty() {
        let (before, runs) = (number(judge.median_before()), judge.before.len());
        return format!(
            "nothing changed; the command printed {before} at the start (median of {runs} runs; {direction})"
        );
    }
    let Some(d) = input.headline.idle.as_ref().and_then(|c| c.figure.as_ref()) else {
        return "not proven: the whole configuration was not compared with the original one".to_owned();
    };
    let (a, b) = (number(d.a), number(d.b));
    let change = match (d.change_ratio, d.diff) {
        (Some(ratio), _) => change(ratio, d.change_low, d.change_high),
        (None, diff) => format!("difference {} [{}, {}]", number(diff), number(d.low), number(d.high)),
    };
    match d.verdict {
        Verdict::Better | Verdict::Worse => {
            format!("the command's number {a} to {b}, {change} (95 % interval; {direction})")
        }
        _ => format!("the command's number: no change shown ({change}; {direction})"),
    }
}

/// `the path is at P50 5.55 µs, P99 9.10 µs`.
fn stands(input: &Input<'_>) -> String {
    match input.present() {
        None => "the path was not measured".to_owned(),
        Some(m) => format!("the path is at P50 {}, P99 {}", time(m.rtt.p50_ns), time(m.rtt.p99_ns)),
    }
}

/// Where two measurements of an unchanged path are more than a tenth apart, that is said, and whose it is.
fn drift(input: &Input<'_>) -> String {
    let p50 = |m: Option<&Measurement>| m.and_then(|m| m.rtt.p50_ns);
    match (p50(input.baseline), p50(input.result)) {
        (Some(a), Some(b)) if a.abs_diff(b) * 10 > a.max(b) => {
            format!(" ({} at the start; this is the path's own variation)", time(Some(a)))
        }
        _ => String::new(),
    }
}

fn goals(input: &Input<'_>) -> String {
    if input.goals.is_empty() {
        return "none was given (--goal 50us)".to_owned();
    }
    let one = |g: &GoalResult| {
        let judged = match (g.met, g.measured_ns) {
            (Some(true), at) => format!("met ({})", time(at)),
            (Some(false), Some(at)) => format!("missed ({})", time(Some(at))),
            (Some(false), None) => "missed (the percentile falls among lost probes)".to_owned(),
            (None, _) => "not judged (too few probes)".to_owned(),
        };
        format!("{} at most {}: {judged}", g.quantile, time(Some(g.goal_ns)))
    };
    input.goals.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use crate::sample;
    use lowlat_model::Verdict;
    use lowlat_model::judge::{FigureDifference, OwnFigure};
    use lowlat_model::tune::Headline;
    use lowlat_model::verdict::Comparison;
    use lowlat_testkit::run;

    fn lines(run: &sample::Run) -> [String; 5] {
        let all = crate::assess(&run.input()).summary.into_iter();
        all.map(|l| format!("{}: {}", l.label, l.text)).collect::<Vec<_>>().try_into().unwrap()
    }

    #[test]
    fn a_good_run_in_five_lines() {
        let mut run = sample::Run::good();
        run.persisted = false;
        assert_eq!(
            lines(&run),
            [
                "Cause: netem-on-path on the path, fixed (netem-on-path); still open: rps-remote-cpu on the path \
                 (rps-remote-cpu); its settings showed no gain",
                "Changed: 1 setting kept: qdisc.kind on eth0/qdisc-root = fq_codel",
                "Gain: P50 200 µs to 80.0 µs, 60.0 % lower [58.8, 61.5]; P99 300 µs to 120 µs, 60.0 % lower [58.8, 61.5] \
                 (95 % intervals)",
                "Goal: p50 at most 100 µs: met (80.0 µs)",
                "Next: `lowlat persist` (make what was kept survive a reboot)",
            ]
        );
        run.will_be_rolled_back = true;
        let [_, changed, _, _, next] = lines(&run);
        assert!(changed.ends_with("; restored after the report"), "{changed}");
        assert_eq!(next, "Next: nothing is open");
    }

    #[test]
    fn nothing_kept_gains_nothing_whatever_the_two_measurements_say() {
        let mut run = sample::Run::nothing_kept();
        run.baseline = Some(run::measurement(83_100));
        run.result = Some(run::measurement(5_550));
        let a = crate::assess(&run.input());
        assert_eq!(
            a.summary[2].text,
            "nothing changed; the path is at P50 5.55 µs, P99 8.32 µs (83.1 µs at the start; this is the path's own \
             variation)"
        );
        let all = format!("{:?}{:?}{:?}{:?}", a.summary, a.escalations, a.next_steps, a.checklist);
        for word in ["93.", "lower", "reduction shown to", "fell by"] {
            assert!(!all.contains(word), "{word}: {all}");
        }
        run.result = Some(run::measurement(83_000));
        assert!(!lines(&run)[2].contains("at the start"));
    }

    #[test]
    fn an_interval_that_holds_zero_is_not_a_gain() {
        let mut run = sample::Run::good();
        run.headline.p50_change_high = Some(0.01);
        run.headline.p99_change_high = Some(0.01);
        let [_, _, gain, ..] = lines(&run);
        assert!(gain.starts_with("Gain: P50 no change shown (−60.0 % [−61.5, +1.0])"), "{gain}");
        assert!(gain.ends_with("the path is at P50 80.0 µs, P99 120 µs"), "{gain}");
        run.headline = Headline { p50_change_ratio: Some(0.609), p50_change_low: Some(0.5), ..run.headline };
        run.headline.p50_change_high = Some(0.7);
        assert!(lines(&run)[2].contains("60.9 % higher [50.0, 70.0]"), "{}", lines(&run)[2]);
        run.headline = Headline::default();
        assert!(lines(&run)[2].starts_with("Gain: not proven"));
    }

    #[test]
    fn a_dry_run_and_a_missing_path_claim_nothing() {
        let mut run = sample::Run::nothing_kept();
        (run.dry_run, run.result) = (true, None);
        run.steps.clear();
        run.goals.clear();
        let [_, changed, gain, goal, _] = lines(&run);
        assert_eq!(changed, "Changed: nothing (dry run)");
        assert_eq!(gain, "Gain: nothing changed; the path is at P50 200 µs, P99 300 µs");
        assert_eq!(goal, "Goal: none was given (--goal 50us)");
        run.baseline = None;
        assert!(lines(&run)[0].starts_with("Cause: not known"));
    }

    #[test]
    fn a_run_that_a_command_judged_names_no_time() {
        let mut run = sample::Run::good();
        run.judge = Some(OwnFigure { command: "bench".into(), before: vec![103.0], ..OwnFigure::default() });
        (run.baseline, run.result, run.loaded) = (None, None, None);
        run.goals.clear();
        let figure = FigureDifference {
            a: Some(103.0),
            b: Some(83.5),
            change_ratio: Some(-0.189),
            change_low: Some(-0.21),
            change_high: Some(-0.17),
            verdict: Verdict::Better,
            ..FigureDifference::default()
        };
        run.headline = Headline {
            idle: Some(Comparison { figure: Some(figure), ..Comparison::default() }),
            false_keep_bound: Some(0.05),
            ..Headline::default()
        };
        let all = lines(&run);
        assert_eq!(
            all[2],
            "Gain: the command's number 103 to 83.5, −18.9 % [−21.0, −17.0] (95 % interval; lower is better)"
        );
        assert!(all[0].starts_with("Cause: netem-on-path"), "{}", all[0]);
        let a = crate::assess(&run.input());
        assert!(
            !a.escalations.iter().any(|e| e.contains("no baseline") || e.starts_with("the median")),
            "{:?}",
            a.escalations
        );
        for next in &a.next_steps {
            assert!(!next.contains("--load") && (!next.contains("optimize") || next.contains("--judge")), "{next}");
        }
        run.steps.iter_mut().for_each(|s| s.kept = false);
        assert_eq!(
            lines(&run)[2],
            "Gain: nothing changed; the command printed 103 at the start (median of 1 runs; lower is better)"
        );
    }

    #[test]
    fn a_clean_path_says_so_and_where_else_something_stands_out() {
        let mut run = sample::Run::nothing_kept();
        run.steps.clear();
        run.elsewhere = std::mem::take(&mut run.findings);
        assert_eq!(
            lines(&run)[0],
            "Cause: no fault was found on eth0; 2 findings elsewhere on this host are off the path"
        );
    }
}

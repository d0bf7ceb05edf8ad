//! What became of the steps, one section for each end.

use lowlat_model::Verdict;
use lowlat_model::document::{RunDocument, StepResult};
use lowlat_model::tune::Disposition;
use lowlat_model::units::us;

use crate::figures::{change, line, number, seconds, verdict};
use crate::page::{Id, Section, Table};

/// The sections that hold something.
pub(super) fn sections(d: &RunDocument) -> Vec<Section> {
    let by_command = d.judge.is_some();
    let judged = if by_command {
        ["setting", "before", "set", "number (95 %)", "number, with", "verdict", "test", "note"]
    } else {
        ["setting", "before", "set", "median (95 %)", "P99 (95 %)", "verdict", "test", "note"]
    };
    let not_judged = ["setting", "before", "asked for", "why"];
    [
        (Disposition::Kept, Id::Kept, "Kept"),
        (Disposition::PutBack, Id::PutBack, "Tried and undone"),
        (Disposition::TakenOut, Id::TakenOut, "Removed again"),
        (Disposition::Refused, Id::Refused, "Refused"),
        (Disposition::Reset, Id::Reset, "Reset the link or its queues"),
    ]
    .into_iter()
    .filter_map(|(what, id, title)| {
        let steps = d.steps.iter().filter(|s| disposition(s) == what);
        let tested = !matches!(what, Disposition::Refused | Disposition::Reset);
        let rows: Vec<_> = steps.map(|s| if tested { tested_row(s) } else { refused_row(s) }).collect();
        let columns: &[&str] = if tested { &judged } else { &not_judged };
        (!rows.is_empty()).then(|| Section::of(id, title, vec![Table::block(columns, rows)]))
    })
    .collect()
}

/// What became of a step. Documents from before dispositions were stored say it by verdict and `kept`.
fn disposition(s: &StepResult) -> Disposition {
    match s.disposition {
        _ if s.kept => Disposition::Kept,
        Disposition::Kept => Disposition::PutBack,
        Disposition::PutBack if s.verdict == Verdict::Refused => Disposition::Refused,
        other => other,
    }
}

fn tested_row(s: &StepResult) -> Vec<String> {
    let p99 = s.comparison.as_ref().and_then(|c| c.quantiles.iter().find(|q| (q.q - 0.99).abs() < 1e-9));
    let (first, second) = match s.comparison.as_ref().and_then(|c| c.figure.as_ref()) {
        Some(f) if f.change_ratio.is_some() => (change(f.change_ratio, f.change_low, f.change_high), number(f.b)),
        Some(f) => (format!("{} ({} to {})", number(f.diff), number(f.low), number(f.high)), number(f.b)),
        None => (
            change(s.p50_change_ratio, s.p50_change_low, s.p50_change_high),
            p99.map_or_else(|| "n/a".to_owned(), |q| change(q.change_ratio, q.change_low, q.change_high)),
        ),
    };
    vec![setting(s), line(&s.before), line(&s.after), first, second, verdict(s.verdict).to_owned(), test(s), note(s)]
}

fn refused_row(s: &StepResult) -> Vec<String> {
    vec![setting(s), line(&s.before), line(&s.after), note(s)]
}

/// `nic.ring.rx on eth0`; of a joint step every member with its values.
fn setting(s: &StepResult) -> String {
    let own = format!("{} on {}", line(&s.knob), s.target);
    if s.members.is_empty() {
        return own;
    }
    let member = |m: &lowlat_model::tune::Member| {
        format!("{} on {}: {} -> {}", line(&m.knob), m.target, line(&m.from), line(&m.to))
    };
    format!("{own} (joint: {})", s.members.iter().map(member).collect::<Vec<_>>().join(", "))
}

/// `7 of 60 pairs, e 412 at α 2.5e-3, 1.4 s`: what the test cost, and what it could tell.
fn test(s: &StepResult) -> String {
    let mut parts = Vec::new();
    if let Some(t) = s.comparison.as_ref().and_then(|c| c.sequential.as_ref()) {
        parts.push(format!("{} of {} pairs", t.pairs, t.most_pairs));
        if t.alpha > 0.0 {
            parts.push(format!("e {} at α {}", compact(t.e_better), compact(t.alpha)));
        }
    }
    if let Some(too_slow) = s.comparison.as_ref().and_then(|c| c.sequential.as_ref()?.planned_too_slow) {
        parts.push(too_slow.to_string());
    }
    if s.took_ns > 0 {
        parts.push(seconds(s.took_ns));
    }
    let undecided = matches!(s.verdict, Verdict::Unclear | Verdict::Same);
    if let Some(ns) = s.comparison.as_ref().and_then(|c| c.smallest_detectable_ns).filter(|_| undecided) {
        parts.push(format!("smallest detectable {} µs", us(ns)));
    }
    if s.attempt > 1 {
        parts.push(format!("try {}", s.attempt));
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

/// A figure with three digits: `412`, `1.3`, `0.0025`, `3.1e7`.
fn compact(v: f64) -> String {
    if (0.01..10.0).contains(&v) {
        format!("{v:.2}")
    } else if (10.0..100_000.0).contains(&v) {
        format!("{v:.0}")
    } else {
        format!("{v:.1e}")
    }
}

/// Why it was refused or what reset, where that is stored; else the step's own sentence.
fn note(s: &StepResult) -> String {
    let said = s.why.as_deref().map_or_else(|| line(&s.note), line);
    if s.rules.is_empty() {
        said
    } else {
        format!("{said} (for {})", s.rules.iter().map(|r| line(r)).collect::<Vec<_>>().join(", "))
    }
}

/// The change that made a step worse, where it is not the median's: `P99`, or `loss` where no quantile reports it.
pub(crate) fn worse_by(s: &StepResult) -> Option<&'static str> {
    let at = |q: f64| s.comparison.as_ref().and_then(|c| c.quantiles.iter().find(|d| (d.q - q).abs() < 1e-9));
    let worse = |q: f64| at(q).is_some_and(|d| d.verdict == Verdict::Worse);
    (s.verdict == Verdict::Worse && !worse(0.5)).then(|| if worse(0.99) { "P99" } else { "loss" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::op::Target;
    use lowlat_model::tune::Member;
    use lowlat_model::verdict::{Sequential, TooSlow};
    use lowlat_testkit::run;

    fn step(verdict: Verdict) -> StepResult {
        run::step("a", Target::Iface("eth0".into()), "8", "0", run::comparison(9_000, 10, -20, 30, verdict))
    }

    #[test]
    fn the_cost_of_a_test_is_reported_compactly() {
        let mut s = step(Verdict::Better);
        assert_eq!(test(&s), "-");
        s.comparison.as_mut().unwrap().sequential =
            Some(Sequential { pairs: 7, most_pairs: 60, alpha: 0.002_5, e_better: 412.3, ..Sequential::default() });
        (s.took_ns, s.attempt) = (1_400_000_000, 2);
        assert_eq!(test(&s), "7 of 60 pairs, e 412 at α 2.5e-3, 1.4 s, try 2");
        s.comparison.as_mut().unwrap().sequential.as_mut().unwrap().planned_too_slow =
            Some(TooSlow { probes: 24, within_ns: 100_000_000 });
        let slow = test(&s);
        assert!(slow.contains("planned sends: not judged, path too slow for 24 probes in 100 ms, 1.4 s"), "{slow}");
        assert_eq!(test(&step(Verdict::Unclear)), "smallest detectable 4.00 µs");
    }

    #[test]
    fn older_documents_say_what_became_of_a_step_by_verdict_and_kept() {
        let mut s = step(Verdict::Better);
        s.disposition = Disposition::default();
        assert_eq!(disposition(&s), Disposition::Kept);
        (s.kept, s.verdict) = (false, Verdict::Refused);
        assert_eq!(disposition(&s), Disposition::Refused);
    }

    #[test]
    fn a_joint_step_names_its_members() {
        let mut s = step(Verdict::Better);
        let target = Target::Iface("eth0".into());
        s.members = vec![Member { knob: "b".into(), target, from: "1".into(), to: "2".into(), ops: 1 }];
        assert_eq!(setting(&s), "a on eth0 (joint: b on eth0: 1 -> 2)");
    }

    #[test]
    fn a_step_that_is_worse_elsewhere_than_at_the_median_says_where() {
        let mut s = step(Verdict::Worse);
        assert_eq!(worse_by(&s), None);
        s.comparison.as_mut().unwrap().quantiles[0].verdict = Verdict::Unclear;
        assert_eq!(worse_by(&s), Some("P99"));
        s.comparison.as_mut().unwrap().quantiles[1].verdict = Verdict::Unclear;
        assert_eq!(worse_by(&s), Some("loss"));
    }
}

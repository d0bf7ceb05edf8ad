//! The sections after the brief's block. A section without content is left out.

use lowlat_model::Verdict;
use lowlat_model::document::{EngineResult, RunDocument, StepResult};

use crate::figures::{change, line, time, verdict};
use crate::page::{Block, Section, Table};

/// Every section, in the order of the report.
pub(crate) fn sections(d: &RunDocument) -> Vec<Section> {
    [
        escalations(d),
        planted(d),
        goal(d),
        Some(found(d)),
        kept(d),
        put_back(d),
        load(d),
        engines(d),
        checklist(d),
        confidence(d),
        weakens(d),
        not_seen(d),
        undo(d),
        Some(about(d)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn escalations(d: &RunDocument) -> Option<Section> {
    (!d.escalations.is_empty()).then_some(())?;
    Some(Section::new("Before going on", vec![Block::List(d.escalations.iter().map(|e| line(e)).collect())]))
}

fn planted(d: &RunDocument) -> Option<Section> {
    let planted = d.planted.as_ref()?;
    let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
    let rows = planted
        .iter()
        .map(|p| {
            let fixed = p.fixed.map_or_else(|| "not a setting of lowlat's".to_owned(), yes);
            vec![line(&p.fault), line(&p.rule), yes(p.found), fixed]
        })
        .collect();
    let mut blocks: Vec<Block> = d.lab.iter().map(|lab| Block::Words(format!("The lab: {lab}"))).collect();
    blocks.push(Table::block(&["planted fault", "rule", "found", "step kept"], rows));
    if let Some(verified) = d.rollback_verified {
        let words = if verified {
            "Rolled back; the complete state was read again and equals the one before."
        } else {
            "Rolled back, but the state read again differs from the one before."
        };
        blocks.push(Block::Words(words.to_owned()));
    }
    Some(Section::new("What the demo planted", blocks))
}

fn goal(d: &RunDocument) -> Option<Section> {
    let goal = d.goal_ns?;
    let [before, after] = [&d.baseline, &d.result].map(|m| m.as_ref().and_then(|m| m.rtt.p50_ns));
    let words = match (d.goal_met, before) {
        (Some(met), _) => format!("{} ({})", if met { "met" } else { "missed" }, time(after)),
        (None, Some(before)) if before <= goal => {
            format!("the baseline's {} meets it; there is no result to judge", time(Some(before)))
        }
        (None, Some(before)) => format!("the baseline's {} misses it; there is no result to judge", time(Some(before))),
        (None, None) => "not judged: nothing was measured".to_owned(),
    };
    Some(Section::new("Goal", vec![Block::Words(format!("{} for the median: {words}", time(Some(goal))))]))
}

fn found(d: &RunDocument) -> Section {
    if d.findings.is_empty() {
        return Section::new("What was found", vec![Block::Words("No rule found a fault.".to_owned())]);
    }
    Section::new("What was found", vec![crate::other::findings(&d.findings)])
}

fn steps<'a>(steps: impl Iterator<Item = &'a StepResult>) -> Option<Block> {
    let rows: Vec<Vec<String>> = steps
        .map(|s| {
            vec![
                line(&s.knob),
                s.target.to_string(),
                line(&s.before),
                line(&s.after),
                verdict(s.verdict).to_owned(),
                change(s.p50_change_ratio, s.p50_change_low, s.p50_change_high),
                note(s),
            ]
        })
        .collect();
    (!rows.is_empty())
        .then(|| Table::block(&["knob", "target", "before", "set", "verdict", "median change (95 %)", "note"], rows))
}

/// The step's own sentence; where it shows no difference and does not say what would have shown, that is added.
fn note(s: &StepResult) -> String {
    let note = line(&s.note);
    let undecided = matches!(s.verdict, Verdict::Unclear | Verdict::Same);
    match s.comparison.as_ref().and_then(|c| c.smallest_detectable_ns) {
        Some(ns) if undecided && !note.contains("would have shown") => {
            format!("no difference shown (would have shown {}); {note}", time(Some(ns)))
        }
        _ => note,
    }
}

fn kept(d: &RunDocument) -> Option<Section> {
    Some(Section::new("Kept", vec![steps(d.steps.iter().filter(|s| s.kept))?]))
}

fn put_back(d: &RunDocument) -> Option<Section> {
    Some(Section::new("Tried and put back", vec![steps(d.steps.iter().filter(|s| !s.kept))?]))
}

fn load(d: &RunDocument) -> Option<Section> {
    let row = |what: &str, m: Option<&lowlat_model::Measurement>| {
        m.map(|m| {
            vec![
                what.to_owned(),
                time(m.rtt.p50_ns),
                time(m.rtt.p99_ns),
                time(m.rtt.p999_ns),
                format!("{} of {}", m.lost, m.sent),
            ]
        })
    };
    let loaded = [row("before", d.loaded_baseline.as_ref()), row("after", d.loaded.as_ref())];
    loaded.iter().any(Option::is_some).then_some(())?;
    let idle = [row("before, idle", d.baseline.as_ref()), row("after, idle", d.result.as_ref())];
    let mut rows: Vec<Vec<String>> = idle.into_iter().flatten().collect();
    rows.extend(loaded.into_iter().flatten().map(|mut r| {
        r[0].push_str(", under load");
        r
    }));
    Some(Section::new("Idle and under load", vec![Table::block(&["", "P50", "P99", "P99.9", "lost"], rows)]))
}

fn engines(d: &RunDocument) -> Option<Section> {
    (!d.engines.is_empty()).then_some(())?;
    let against = |e: &EngineResult| match &e.against_block {
        Some(c) => {
            let p50 = c.quantiles.iter().find(|q| (q.q - 0.5).abs() < 1e-9);
            let shown = p50.map_or_else(|| "n/a".to_owned(), |q| change(q.change_ratio, q.change_low, q.change_high));
            format!("{}: {shown}", verdict(c.verdict))
        }
        None => "-".to_owned(),
    };
    let rows = d
        .engines
        .iter()
        .map(|e| {
            if let Some(m) = &e.measurement {
                return vec![line(&e.engine), time(m.rtt.p50_ns), time(m.rtt.p99_ns), against(e), line(&e.costs)];
            }
            let why = e.why_not.as_deref().unwrap_or("not measured");
            vec![line(&e.engine), "n/a".to_owned(), "n/a".to_owned(), "-".to_owned(), line(why)]
        })
        .collect();
    Some(Section::new(
        "Engines on the same path",
        vec![Table::block(&["engine", "P50", "P99", "against block (95 %)", "costs, or why it could not run"], rows)],
    ))
}

fn checklist(d: &RunDocument) -> Option<Section> {
    (!d.checklist.is_empty()).then_some(())?;
    let met = |m: Option<bool>| match m {
        Some(true) => "yes",
        Some(false) => "no",
        None => "n/a",
    };
    let rows = d.checklist.iter().map(|i| vec![met(i.met).to_owned(), line(&i.item), line(&i.evidence)]).collect();
    Some(Section::new("Checklist", vec![Table::block(&["met", "item", "evidence"], rows)]))
}

fn confidence(d: &RunDocument) -> Option<Section> {
    (!d.confidence_parts.is_empty()).then_some(())?;
    let rows = d
        .confidence_parts
        .iter()
        .map(|p| vec![format!("{}/{}", p.points, p.of), line(&p.what), line(&p.why)])
        .collect();
    Some(Section::new("How the confidence comes about", vec![Table::block(&["points", "what", "why"], rows)]))
}

fn weakens(d: &RunDocument) -> Option<Section> {
    let of = |what: &str, m: Option<&lowlat_model::Measurement>| -> Vec<String> {
        m.map(|m| m.warnings.iter().map(|w| format!("{what}: {}", line(w))).collect()).unwrap_or_default()
    };
    let mut all = of("baseline", d.baseline.as_ref());
    all.extend(of("result", d.result.as_ref()));
    all.extend(of("under load, before", d.loaded_baseline.as_ref()));
    all.extend(of("under load, after", d.loaded.as_ref()));
    (!all.is_empty()).then_some(())?;
    Some(Section::new("What weakens the figures", vec![Block::List(all)]))
}

fn not_seen(d: &RunDocument) -> Option<Section> {
    (!d.not_seen.is_empty()).then_some(())?;
    Some(Section::new("Not seen", vec![crate::other::not_seen(&d.not_seen)]))
}

fn undo(d: &RunDocument) -> Option<Section> {
    let by_hand: Vec<String> =
        d.steps.iter().rev().filter(|s| s.kept && !s.undo.is_empty()).map(|s| line(&s.undo)).collect();
    d.steps.iter().any(|s| s.kept).then_some(())?;
    if d.rollback_verified == Some(true) {
        let words = "Everything was already put back, and read again to be sure. By hand it would have been:";
        return (!by_hand.is_empty())
            .then(|| Section::new("Undo", vec![Block::Words(words.to_owned()), Block::Code(by_hand)]));
    }
    let mut blocks =
        vec![Block::Words("With lowlat, verified:".to_owned()), Block::Code(vec!["lowlat rollback".to_owned()])];
    if !by_hand.is_empty() {
        blocks.push(Block::Words("Without it, last change first:".to_owned()));
        blocks.push(Block::Code(by_hand));
    }
    Some(Section::new("Undo", blocks))
}

fn about(d: &RunDocument) -> Section {
    Section::new(
        "About this run",
        vec![Block::List(vec![
            format!("run {}", line(&d.run)),
            format!("target {}", line(&d.target)),
            format!("kernel {}", line(&d.kernel)),
        ])],
    )
}

//! The sections after the prescribed block. A section without content is left out.

use lowlat_model::around::{ForeignChange, KeepWhat, OtherChange};
use lowlat_model::document::{EngineResult, RunDocument};

use super::{proof, steps};
use crate::figures::{change, line, time, verdict};
use crate::page::{Block, Id, Section, Table};

/// Every section, in the order of the report.
pub(crate) fn sections(d: &RunDocument) -> Vec<Section> {
    let mut all: Vec<Section> = [
        escalations(d),
        planted(d),
        proof::headline(d),
        proof::judge(d),
        proof::goals(d),
        proof::modes(d),
        Some(found(d)),
    ]
    .into_iter()
    .flatten()
    .collect();
    all.extend(steps::sections(d));
    let rest = [
        around(d),
        load(d),
        engines(d),
        proof::path(d),
        proof::placement(&d.placement),
        checklist(d),
        confidence(d),
        warnings(d),
        not_seen(d),
        elsewhere(d),
        undo(d),
        Some(about(d)),
        d.stages.as_deref().map(crate::documents::waterfall_of_run),
    ];
    all.extend(rest.into_iter().flatten());
    all
}

fn escalations(d: &RunDocument) -> Option<Section> {
    (!d.escalations.is_empty()).then_some(())?;
    Some(Section::of(
        Id::ReadFirst,
        "Read this first",
        vec![Block::List(d.escalations.iter().map(|e| line(e)).collect())],
    ))
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
            "Rolled back; the complete state was read again and matches the state before."
        } else {
            "Rolled back, but the state read afterwards differs from the state before."
        };
        blocks.push(Block::Words(words.to_owned()));
    }
    Some(Section::of(Id::Planted, "Faults planted by the demo", blocks))
}

fn found(d: &RunDocument) -> Section {
    if d.findings.is_empty() {
        return Section::of(Id::Findings, "Findings", vec![Block::Words("No rule found a fault.".to_owned())]);
    }
    Section::of(Id::Findings, "Findings", vec![crate::documents::findings(&d.findings)])
}

/// What another program changed.
fn around(d: &RunDocument) -> Option<Section> {
    let a = d.around.as_ref()?;
    let (n, known) = (a.changed.len(), a.watched);
    let mut blocks = vec![
        Block::Code(vec![line(&a.command.join(" "))]),
        Block::Words(format!("Of {known} settings that were noted before it ran, it changed {n}.")),
    ];
    if !a.not_watched.is_empty() {
        blocks.push(Block::Words("Not noted, so that a change of these is not seen and not put back:".to_owned()));
        blocks.push(Block::List(a.not_watched.iter().map(|n| line(&format!("{}: {}", n.fact, n.why))).collect()));
    }
    if n > 0 {
        let row = |c: &ForeignChange| {
            let after = c.after.as_deref().map_or_else(|| "gone".to_owned(), line);
            vec![format!("{} on {}", line(&c.knob), c.target), line(&c.before), after]
        };
        let mut rows: Vec<Vec<String>> = a.changed.iter().map(row).collect();
        // The features that are set as one have one name.
        rows.dedup();
        blocks.push(Table::block(&["setting", "before", "after it"], rows));
    }
    let whole = match (&a.whole, &a.whole_why_not) {
        (Some(c), _) => format!("All of it in against all of it out: {}", line(&c.words)),
        (None, Some(why)) => format!("All of it in against all of it out: not tested: {}", line(why)),
        (None, None) => "All of it in against all of it out: not tested".to_owned(),
    };
    blocks.push(Block::Words(whole));
    let kept = match a.keep {
        KeepWhat::Better => {
            "Kept is what is shown to help; the rest of these settings is as it was before the program."
        }
        KeepWhat::All => "All of it that lowlat can set again is kept, as --keep all asks.",
        KeepWhat::None => "None of it is kept, as --keep none asks.",
    };
    blocks.push(Block::Words(kept.to_owned()));
    if !a.not_put_back.is_empty() {
        blocks.push(Block::Words(
            "Not put back: these changed too while it ran, and lowlat has no setting for them. They were in place on both \
             sides of every test."
                .to_owned(),
        ));
        let row = |c: &OtherChange| vec![line(&c.path), line(&c.before), line(&c.after)];
        blocks
            .push(Table::block(&["sysctl or feature", "before", "after it"], a.not_put_back.iter().map(row).collect()));
    }
    let daemon = "What the program started, wrote to files or holds open is not seen, and stays.";
    blocks.push(Block::Words(daemon.to_owned()));
    Some(Section::of(Id::Around, "What the other program changed", blocks))
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
    // Without a kept step there is no before and after.
    let kept = d.steps.iter().any(|s| s.kept);
    let (first, last) = if kept { ("before", "after") } else { ("at the start", "at the end") };
    let loaded = [
        row(&format!("{first}, under load"), d.loaded_baseline.as_ref()),
        row(&format!("{last}, under load"), d.loaded.as_ref()),
    ];
    loaded.iter().any(Option::is_some).then_some(())?;
    let idle = [row(&format!("{first}, idle"), d.baseline.as_ref()), row(&format!("{last}, idle"), d.result.as_ref())];
    let rows = idle.into_iter().chain(loaded).flatten().collect();
    Some(Section::of(Id::Load, "Idle and under load", vec![Table::block(&["", "P50", "P99", "P99.9", "lost"], rows)]))
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
    let mut blocks =
        vec![Table::block(&["engine", "P50", "P99", "against block (95 %)", "costs, or why it could not run"], rows)];
    let past = |e: &EngineResult| {
        let bypass = e.measurement.as_ref()?.flow.bypass.as_ref()?;
        let ways = bypass.fallback().unwrap_or_else(|| bypass.ways());
        Some(line(&format!("{}: {}; {ways}", e.engine, bypass.got())))
    };
    let past: Vec<String> = d.engines.iter().filter_map(past).collect();
    if !past.is_empty() {
        blocks.push(Block::List(past));
    }
    Some(Section::of(Id::Engines, "Engines on the same path", blocks))
}

fn checklist(d: &RunDocument) -> Option<Section> {
    (!d.checklist.is_empty()).then_some(())?;
    let met = |m: Option<bool>| match m {
        Some(true) => "yes",
        Some(false) => "no",
        None => "n/a",
    };
    let rows = d.checklist.iter().map(|i| vec![met(i.met).to_owned(), line(&i.item), line(&i.evidence)]).collect();
    let mut blocks = vec![Table::block(&["met", "item", "evidence"], rows)];
    // What is met needs no second look; where the rest can be looked up is said.
    let open = d.checklist.iter().filter(|i| i.met != Some(true) && !i.rests_on.is_empty());
    let rests: Vec<String> = open.map(|i| line(&format!("{} rests on {}", i.item, i.rests_on.join(", ")))).collect();
    if !rests.is_empty() {
        blocks.push(Block::List(rests));
    }
    Some(Section::of(Id::Checklist, "Checklist", blocks))
}

fn confidence(d: &RunDocument) -> Option<Section> {
    (!d.confidence_parts.is_empty()).then_some(())?;
    let rows = d
        .confidence_parts
        .iter()
        .map(|p| vec![format!("{}/{}", p.points, p.of), line(&p.what), line(&p.why)])
        .collect();
    Some(Section::of(Id::Confidence, "Confidence, rule by rule", vec![Table::block(&["points", "what", "why"], rows)]))
}

fn warnings(d: &RunDocument) -> Option<Section> {
    let of = |what: &str, m: Option<&lowlat_model::Measurement>| -> Vec<String> {
        m.map(|m| m.warnings.iter().map(|w| format!("{what}: {}", line(w))).collect()).unwrap_or_default()
    };
    let mut all = of("baseline", d.baseline.as_ref());
    all.extend(of("result", d.result.as_ref()));
    all.extend(of("under load, before", d.loaded_baseline.as_ref()));
    all.extend(of("under load, after", d.loaded.as_ref()));
    (!all.is_empty()).then_some(())?;
    Some(Section::of(Id::Warnings, "Warnings", vec![Block::List(all)]))
}

fn not_seen(d: &RunDocument) -> Option<Section> {
    (!d.not_seen.is_empty()).then_some(())?;
    Some(Section::of(Id::NotSeen, "Could not be checked", vec![crate::documents::not_seen(&d.not_seen)]))
}

/// Reported, never acted on.
fn elsewhere(d: &RunDocument) -> Option<Section> {
    (!d.elsewhere.is_empty()).then_some(())?;
    let words = Block::Words("Not on the path of this run, left unchanged:".to_owned());
    Some(Section::of(Id::Elsewhere, "Elsewhere on this host", vec![words, crate::documents::findings(&d.elsewhere)]))
}

fn undo(d: &RunDocument) -> Option<Section> {
    let by_hand: Vec<String> =
        d.steps.iter().rev().filter(|s| s.kept && !s.undo.is_empty()).map(|s| line(&s.undo)).collect();
    d.steps.iter().any(|s| s.kept).then_some(())?;
    if d.rollback_verified == Some(true) {
        let words = "Everything is already restored and was read back to check. The manual commands would have been:";
        return (!by_hand.is_empty())
            .then(|| Section::of(Id::Undo, "Undo", vec![Block::Words(words.to_owned()), Block::Code(by_hand)]));
    }
    let mut blocks =
        vec![Block::Words("With lowlat, verified:".to_owned()), Block::Code(vec!["lowlat rollback".to_owned()])];
    if !by_hand.is_empty() {
        blocks.push(Block::Words("Without it, last change first:".to_owned()));
        blocks.push(Block::Code(by_hand));
    }
    Some(Section::of(Id::Undo, "Undo", blocks))
}

fn about(d: &RunDocument) -> Section {
    Section::of(
        Id::About,
        "About this run",
        vec![Block::List(vec![
            format!("run {}", line(&d.run)),
            format!("target {}", line(&d.target)),
            format!("kernel {}", line(&d.kernel)),
        ])],
    )
}

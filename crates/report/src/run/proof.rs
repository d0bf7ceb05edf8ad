//! What affects the proof: the path, where the probers ran, its modes, the goals, and the test of the whole.

use lowlat_model::document::RunDocument;
use lowlat_model::judge::{FigureDifference, OwnSource, direction};
use lowlat_model::tune::{Placed, Placement};
use lowlat_model::units::figure;
use lowlat_model::verdict::{Comparison, QuantileDifference};
use lowlat_model::{GoalResult, PathLink, PathRole};

use crate::figures::{change, line, number, seconds, time, verdict};
use crate::page::{Block, Id, Section, Table};

/// The interfaces of the path from the top down, with what they are to it.
pub(super) fn path(d: &RunDocument) -> Option<Section> {
    let link = |l: &PathLink| {
        let above = l.above.as_deref().map_or_else(|| "the interface above".to_owned(), line);
        let role = match l.role {
            PathRole::Route => "the interface of the route".to_owned(),
            PathRole::Lower => format!("below {above}"),
            PathRole::Vf => format!("carries the packets of {above} (virtual function)"),
            PathRole::Redirect => format!("what {above} receives is redirected to it"),
        };
        let kind = l.kind.as_deref().map_or_else(String::new, |k| format!(" ({})", line(k)));
        format!("{}{kind}: {role}", line(&l.name))
    };
    let list: Vec<String> = if d.path_links.is_empty() {
        d.path.iter().map(|name| line(name)).collect()
    } else {
        d.path_links.iter().map(link).collect()
    };
    (!list.is_empty()).then(|| Section::of(Id::Path, "Path, from the top down", vec![Block::List(list)]))
}

/// Where the probers ran, and why there.
pub(crate) fn placement(p: &Placement) -> Option<Section> {
    let placed = |p: &Placed| match (p.why.is_empty(), p.cpu) {
        (false, _) => line(&p.why),
        (true, Some(cpu)) => format!("CPU {cpu}"),
        (true, None) => "not pinned".to_owned(),
    };
    let mut list = Vec::new();
    if p.near.cpu.is_some() || !p.near.why.is_empty() {
        list.push(format!("this end: {}", placed(&p.near)));
    }
    list.extend(p.far.as_ref().map(|f| format!("far end: {}", placed(f))));
    list.extend(p.far_why_not.as_ref().map(|why| format!("far end not placed: {}", line(why))));
    (!list.is_empty()).then(|| {
        let words = Block::Words("Placed once for all rounds of this run:".to_owned());
        Section::of(Id::Placement, "Placement of the probers", vec![words, Block::List(list)])
    })
}

/// A path whose rounds fall into two groups.
pub(super) fn modes(d: &RunDocument) -> Option<Section> {
    let m = d.modes.as_ref()?;
    let words = format!(
        "This path has two modes: P50 {} in {} rounds and {} in {}. Neither is averaged or left out.",
        time(Some(m.fast_ns)),
        m.fast_rounds,
        time(Some(m.slow_ns)),
        m.slow_rounds
    );
    let differs = if m.differs.is_empty() {
        Block::Words("Nothing that was recorded differs between them.".to_owned())
    } else {
        Block::List(m.differs.iter().map(|d| format!("differs: {}", line(d))).collect())
    };
    Some(Section::of(Id::Modes, "Two modes", vec![Block::Words(words), differs]))
}

/// Every goal and whether it was met.
pub(super) fn goals(d: &RunDocument) -> Option<Section> {
    if d.goals.is_empty() {
        return median_goal(d);
    }
    Some(goal_table(&d.goals))
}

/// One row a goal.
pub(crate) fn goal_table(goals: &[GoalResult]) -> Section {
    let row = |g: &GoalResult| {
        let met = match (g.met, g.measured_ns) {
            (Some(true), _) => "met",
            (Some(false), Some(_)) => "missed",
            (Some(false), None) => "missed: the percentile falls among lost probes",
            (None, _) => "not judged: too few probes",
        };
        vec![g.quantile.to_string(), time(Some(g.goal_ns)), time(g.measured_ns), met.to_owned()]
    };
    let table = Table::block(&["", "at most", "measured", ""], goals.iter().map(row).collect());
    Section::of(Id::Goals, "Goals", vec![table])
}

/// The goal of a run from before there were several.
fn median_goal(d: &RunDocument) -> Option<Section> {
    let goal = time(Some(d.goal_ns?));
    let after = d.result.as_ref().and_then(|m| m.rtt.p50_ns);
    let met = match d.goal_met {
        Some(true) => format!("met ({})", time(after)),
        Some(false) => format!("missed ({})", time(after)),
        None => "not judged: there is no result".to_owned(),
    };
    Some(Section::of(Id::Goals, "Goals", vec![Block::Words(format!("median at most {goal}: {met}"))]))
}

/// The test of the whole kept configuration, idle and under load, and the bound of a false keep.
pub(super) fn headline(d: &RunDocument) -> Option<Section> {
    let h = &d.headline;
    let tests: Vec<(&str, &Comparison)> = [("idle", h.idle.as_ref()), ("under load", h.loaded.as_ref())]
        .into_iter()
        .filter_map(|(name, test)| Some((name, test?)))
        .collect();
    let own_number = d.judge.as_ref().map_or("the judge's number", |j| j.source.number());
    let rows: Vec<Vec<String>> = tests.iter().flat_map(|(name, test)| rows(name, test, own_number)).collect();
    if rows.is_empty() {
        return None;
    }
    let columns = ["", "", "without", "with", "change (interval)", "verdict"];
    let mut blocks = vec![
        Block::Words("All changes applied against none, alternated on one path:".to_owned()),
        Table::block(&columns, rows),
    ];
    let pairs = tests.iter().filter_map(|(name, t)| {
        let s = t.sequential.as_ref()?;
        Some(format!("{name}: decided after {} of {} pairs", s.pairs, s.most_pairs))
    });
    let mut list: Vec<String> = pairs.collect();
    let spent: u64 = d.steps.iter().map(|s| s.took_ns).fold(0, u64::saturating_add);
    if spent > 0 {
        list.push(format!("the steps before took {}", seconds(spent)));
    }
    if let Some(bound) = h.false_keep_bound {
        list.push(format!("chance that a kept step has no effect: at most {}", whole_percent(bound)));
    }
    if !list.is_empty() {
        blocks.push(Block::List(list));
    }
    Some(Section::of(Id::Headline, "Gain of the whole configuration", blocks))
}

fn rows(name: &str, test: &Comparison, own_number: &str) -> Vec<Vec<String>> {
    let row = |q: &QuantileDifference| {
        vec![
            name.to_owned(),
            crate::documents::quantile_of(q),
            time(q.a_ns),
            time(q.b_ns),
            change(q.change_ratio, q.change_low, q.change_high),
            verdict(q.verdict).to_owned(),
        ]
    };
    let own = |d: &FigureDifference| {
        let change = match d.change_ratio {
            Some(_) => change(d.change_ratio, d.change_low, d.change_high),
            None => format!("{} ({} to {})", number(d.diff), number(d.low), number(d.high)),
        };
        let what = format!("{own_number}, {}", direction(d.higher_is_better));
        vec![name.to_owned(), what, number(d.a), number(d.b), change, verdict(d.verdict).to_owned()]
    };
    test.quantiles.iter().map(row).chain(test.figure.iter().map(own)).collect()
}

/// What judged, and its numbers at the start.
pub(super) fn judge(d: &RunDocument) -> Option<Section> {
    let j = d.judge.as_ref()?;
    let before: Vec<String> = j.before.iter().map(|v| figure(*v)).collect();
    let one = match j.source {
        OwnSource::Command => "one number of this command",
        OwnSource::Histogram => "one quantile of this histogram",
        OwnSource::Connections => "the round trip of these connections",
    };
    let unit = match j.source {
        OwnSource::Connections => {
            "It is the kernel's smoothed round trip, in microseconds, of those that got acknowledgements in the round: their median."
        }
        _ => "It has no unit that lowlat knows.",
    };
    let words = format!(
        "Every step and the whole were judged by {one} ({}), one a round, alternated with and without. {unit}",
        j.direction()
    );
    let list = vec![
        format!("before anything was changed: {}", before.join(", ")),
        format!("a run took up to {} ms", (j.run_ns / 1_000_000).max(1)),
    ];
    let title = match j.source {
        OwnSource::Command => "Judged by your command",
        OwnSource::Histogram => "Judged by your histogram",
        OwnSource::Connections => "Judged by your connections",
    };
    let blocks = vec![Block::Words(words), Block::Code(vec![line(&j.command)]), Block::List(list)];
    Some(Section::of(Id::Judge, title, blocks))
}

/// `5 %`, `2.5 %`.
fn whole_percent(ratio: f64) -> String {
    let p = format!("{:.1}", ratio * 100.0);
    format!("{} %", p.strip_suffix(".0").unwrap_or(&p))
}

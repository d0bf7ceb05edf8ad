//! `lowlat compare`: quantile by quantile, with the interval.

use lowlat_model::tune::Placement;
use lowlat_model::verdict::{Comparison, Design, Sequential, Stopped};

use crate::drawing::{Change, Plot};
use crate::figures::{line, signed_time, time, verdict};
use crate::page::{Block, Section, Table, text_at};
use crate::run;

/// The document as text.
pub(crate) fn comparison(c: &Comparison, width: usize) -> String {
    text_at(&sections(c), width).trim_start().to_owned()
}

/// The document laid out.
pub(crate) fn sections(c: &Comparison) -> Vec<Section> {
    let rows: Vec<Vec<String>> = c
        .quantiles
        .iter()
        .map(|q| {
            let interval = match (q.low_ns, q.high_ns) {
                (Some(low), Some(high)) => format!("{} to {}", signed_time(low), signed_time(high)),
                _ => "n/a".to_owned(),
            };
            vec![
                crate::documents::quantile_of(q),
                time(q.a_ns),
                time(q.b_ns),
                q.diff_ns.map_or_else(|| "n/a".to_owned(), signed_time),
                interval,
                verdict(q.verdict).to_owned(),
            ]
        })
        .collect();
    let design = match c.design {
        Design::Alternated | Design::Sequential => "rounds alternated in random order",
        Design::Samples => "two stored runs, by their samples",
        Design::Figures => "two stored runs, by their figures and intervals",
    };
    let mut blocks = vec![
        Block::Words(format!("a: {}, b: {}", line(&c.a), line(&c.b))),
        Table::block(&COLUMNS, rows.clone()),
        Block::Words(line(&c.words)),
        Block::Words(format!("Smallest detectable difference of the median: {}", time(c.smallest_detectable_ns))),
        Block::Words(format!("Design: {design}; seed {}", c.seed)),
    ];
    blocks.extend(c.sequential.as_ref().map(|s| Block::Words(stopped(s))));
    blocks.extend(c.sequential.as_ref().and_then(|s| s.planned_too_slow).map(|t| Block::Words(t.to_string())));
    if !c.warnings.is_empty() {
        blocks.push(Block::List(c.warnings.iter().map(|w| line(w)).collect()));
    }
    blocks.extend(drawing(c, rows));
    let mut sections = vec![Section::new("Comparison", blocks)];
    let [a, b] = c.placed.as_slice() else { return sections };
    if a == b {
        sections.extend(run::placement(a));
    } else {
        let of = |name: &str, p: &Placement| {
            run::placement(p).map(|s| Section { title: format!("{}, {name}", s.title), ..s })
        };
        sections.extend(of("a", a));
        sections.extend(of("b", b));
    }
    sections
}

const COLUMNS: [&str; 6] = ["", "a", "b", "difference", "95 % interval", "verdict"];

/// The changes with their intervals; nothing where none has a ratio.
fn drawing(c: &Comparison, rows: Vec<Vec<String>>) -> Option<Block> {
    let changes: Vec<Change> = c
        .quantiles
        .iter()
        .filter_map(|q| {
            Some(Change {
                name: crate::documents::quantile_of(q),
                ratio: q.change_ratio?,
                interval: q.change_low.zip(q.change_high),
                verdict: q.verdict,
            })
        })
        .collect();
    let legend = "b against a, with the 95 % interval; left of the dashed line b is faster";
    (!changes.is_empty())
        .then(|| Block::drawing("Change by quantile", legend, Plot::Changes(changes), Table::new(&COLUMNS, rows)))
}

/// Why a sequential test stopped, and after how many pairs.
fn stopped(s: &Sequential) -> String {
    let why = match s.stopped {
        Stopped::Better => "shown to be faster",
        Stopped::Worse => "shown to be slower",
        Stopped::Excluded => "a relevant difference is excluded",
        Stopped::Futile => "the remaining pairs could hardly have shown an effect",
        Stopped::Exhausted => "the pairs allowed were used up",
        Stopped::Interrupted => "interrupted by a signal",
    };
    format!("Stopped after {} of {} pairs: {why}", s.pairs, s.most_pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequential_test_says_why_it_stopped() {
        let s = Sequential { pairs: 7, most_pairs: 60, stopped: Stopped::Excluded, ..Sequential::default() };
        assert_eq!(stopped(&s), "Stopped after 7 of 60 pairs: a relevant difference is excluded");
    }
}

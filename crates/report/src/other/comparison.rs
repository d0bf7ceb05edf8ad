//! `lowlat compare`: quantile by quantile, with the interval.

use lowlat_model::verdict::{Comparison, Design};

use crate::figures::{line, signed_time, time, verdict};
use crate::page::{Block, Section, Table, text};

/// The document as text.
pub(crate) fn comparison(c: &Comparison) -> String {
    text(&sections(c)).trim_start().to_owned()
}

/// The document laid out.
pub(crate) fn sections(c: &Comparison) -> Vec<Section> {
    let rows = c
        .quantiles
        .iter()
        .map(|q| {
            let interval = match (q.low_ns, q.high_ns) {
                (Some(low), Some(high)) => format!("{} to {}", signed_time(low), signed_time(high)),
                _ => "n/a".to_owned(),
            };
            vec![
                crate::other::name_of(q.q),
                time(q.a_ns),
                time(q.b_ns),
                q.diff_ns.map_or_else(|| "n/a".to_owned(), signed_time),
                interval,
                verdict(q.verdict).to_owned(),
            ]
        })
        .collect();
    let design = match c.design {
        Design::Alternated | Design::Sequential => "rounds alternated in a drawn order",
        Design::Samples => "two stored runs, by their samples",
        Design::Figures => "two stored runs, by their figures and intervals",
    };
    let mut blocks = vec![
        Block::Words(format!("a: {}, b: {}", line(&c.a), line(&c.b))),
        Table::block(&["", "a", "b", "difference", "95 % interval", "verdict"], rows),
        Block::Words(line(&c.words)),
        Block::Words(format!(
            "Smallest difference of the median that would have shown: {}",
            time(c.smallest_detectable_ns)
        )),
        Block::Words(format!("Made of {design}; seed {}", c.seed)),
    ];
    if !c.warnings.is_empty() {
        blocks.push(Block::List(c.warnings.iter().map(|w| line(w)).collect()));
    }
    vec![Section::new("Comparison", blocks)]
}

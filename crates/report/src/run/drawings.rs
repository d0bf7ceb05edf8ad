//! What the page draws of a run, besides its plots of before and after.

use lowlat_model::document::RunDocument;

use crate::documents::measurement::percentile_figures;
use crate::drawing::{Curve, Plot};
use crate::page::Block;

/// The distributions at the start and at the end, one over the other; nothing where one is missing, as in runs of older
/// versions.
pub(crate) fn percentiles(d: &RunDocument) -> Option<Block> {
    let of = |m: &Option<lowlat_model::Measurement>| m.as_ref()?.distribution.clone();
    let (before, after) = (of(&d.baseline)?, of(&d.result)?);
    let kept = d.steps.iter().any(|s| s.kept);
    let names = if kept { ["after", "before"] } else { ["at the end, nothing changed", "at the start"] };
    let rows: Vec<_> = names.map(str::to_owned).into_iter().zip([after, before]).collect();
    let legend = format!("coloured: {} · grey: {}; each nine takes the same room", names[0], names[1]);
    let table = percentile_figures(&rows);
    let curves = rows.into_iter().map(|(name, of)| Curve { name, of }).collect();
    Some(Block::drawing("Latency by percentile", &legend, Plot::Percentiles(curves), table))
}

//! `lowlat compare`: quantile by quantile, with the interval.

use std::fmt::Write as _;

use lowlat_model::verdict::Comparison;

use crate::figures::{line, signed_time, time, verdict};
use crate::page::{Section, Table, text};

/// The document as text.
pub fn comparison(c: &Comparison) -> String {
    let rows = c
        .quantiles
        .iter()
        .map(|q| {
            let interval = match (q.low_ns, q.high_ns) {
                (Some(low), Some(high)) => format!("{} to {}", signed_time(low), signed_time(high)),
                _ => "n/a".to_owned(),
            };
            vec![
                format!("P{}", trim(q.q * 100.0)),
                time(q.a_ns),
                time(q.b_ns),
                q.diff_ns.map_or_else(|| "n/a".to_owned(), signed_time),
                interval,
                verdict(q.verdict).to_owned(),
            ]
        })
        .collect();
    let title = format!("{} against {}", line(&c.b), line(&c.a));
    let table = Table::block(&["", "a", "b", "difference", "95 % interval", "verdict"], rows);
    let mut out = text(&[Section::new(&title, vec![table])]).trim_start().to_owned();
    let _ = writeln!(out, "{}", line(&c.words));
    let _ =
        writeln!(out, "Smallest difference of the median that would have shown: {}", time(c.smallest_detectable_ns));
    out
}

/// `50`, `99.9`: without the noise of binary fractions.
fn trim(p: f64) -> String {
    let text = format!("{p:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

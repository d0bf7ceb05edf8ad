//! `lowlat status`: what stands applied.

use lowlat_model::journal::StatusDocument;

use crate::figures::line;
use crate::page::{Section, Table, text};

/// The document as text.
pub fn status(d: &StatusDocument) -> String {
    if d.applied.is_empty() {
        return "Nothing of lowlat's is applied.\n".to_owned();
    }
    let rows = d
        .applied
        .iter()
        .map(|a| {
            let by = if a.changed_by_other { "changed by another" } else { "" };
            vec![line(&a.knob), a.target.to_string(), line(&a.was), line(&a.set), line(&a.now), by.to_owned()]
        })
        .collect();
    let table = Table::block(&["knob", "target", "was", "set", "now", ""], rows);
    text(&[Section::new("Applied", vec![table])]).trim_start().to_owned()
}

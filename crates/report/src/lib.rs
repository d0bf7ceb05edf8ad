//! Text, Markdown, JSON and HTML of lowlat's documents.
//!
//! This crate prints and never computes: every figure it shows is in the document. A gain is the headline's
//! ([`Headline::p50_claim`](lowlat_model::tune::Headline::p50_claim)) and nothing else; baseline and result are never
//! subtracted from each other. What was not measured prints as `n/a` with the reason, never as 0.
//!
//! A run is first laid out as sections that know nothing of a format (`page.rs`); [`text()`], [`markdown()`] and
//! [`html()`] each write the same sections, so that no format can know more than another.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod colour;
mod documents;
mod drawing;
mod figures;
mod fill;
mod html;
mod page;
mod run;
mod schema;
mod stored;
mod terminal;

pub use colour::coloured;
pub use figures::{is_hidden, visible};
pub use page::WIDTH;
pub use schema::schema;
pub use terminal::terminal;

use lowlat_model::document::RunDocument;
use lowlat_model::stored::StoredRun;
use serde::Serialize;

/// A run as plain text for a terminal of [`WIDTH`] columns: the verdict, the prescribed block to the letter, the
/// details, and the verdict again, where a terminal shows it last.
pub fn text(document: &RunDocument) -> String {
    text_at(document, WIDTH)
}

/// [`text()`] for a terminal of `width` columns. No word is broken, nor a prescribed line; tables that do not fit are
/// wrapped, or written row by row. [`usize::MAX`] breaks no line.
pub fn text_at(document: &RunDocument, width: usize) -> String {
    let verdict = run::verdict_text(document, width);
    let details = page::text_at(&run::sections(document), width);
    let mut out = String::new();
    if !verdict.is_empty() {
        out.push_str(&verdict);
        out.push('\n');
    }
    out.push_str(&run::block(document, width));
    out.push_str(&details);
    if !verdict.is_empty() {
        out.push('\n');
        out.push_str(&verdict);
    }
    visible(&out)
}

/// A run as one page that needs nothing else.
pub fn html(document: &RunDocument) -> String {
    visible(&html::html(document))
}

macro_rules! documents {
    ($($(#[doc = $words:literal])+ $name:ident($document:ty);)+) => {$(
        $(#[doc = $words])+
        pub fn $name(document: &$document, width: usize) -> String {
            visible(&documents::$name(document, width))
        }
    )+};
}

documents! {
    /// A verdict on bypass as text for a terminal of `width` columns.
    bypass_verdict(lowlat_model::bypass_verdict::BypassVerdict);
    /// Findings as text for a terminal of `width` columns.
    check(lowlat_model::finding::CheckDocument);
    /// A comparison as text for a terminal of `width` columns.
    comparison(lowlat_model::verdict::Comparison);
    /// Engines side by side as text for a terminal of `width` columns.
    engines(lowlat_model::EnginesDocument);
    /// A host as text for a terminal of `width` columns.
    facts(lowlat_model::Facts);
    /// A measurement as text for a terminal of `width` columns.
    measurement(lowlat_model::Measurement);
    /// Noise as text for a terminal of `width` columns.
    noise(lowlat_model::noise::NoiseDocument);
    /// A plan as text for a terminal of `width` columns.
    plan(lowlat_model::Plan);
    /// The shape of a flow as text for a terminal of `width` columns.
    shape(lowlat_model::FlowShape);
    /// What is applied, and what goes back on its own, as text for a terminal of `width` columns.
    status(lowlat_model::journal::StatusDocument);
    /// A sweep as text for a terminal of `width` columns.
    sweep(lowlat_model::SweepDocument);
    /// The stages of round trips as text for a terminal of `width` columns.
    trace(lowlat_model::TraceDocument);
    /// Live traffic as text for a terminal of `width` columns.
    watch(lowlat_model::WatchDocument);
    /// Zero-copy sends as text for a terminal of `width` columns.
    zerocopy(lowlat_model::ZeroCopyDocument);
}

/// One size of zero-copy sends in one line.
pub fn zerocopy_line(size: &lowlat_model::zerocopy::ZeroCopySize) -> String {
    visible(&documents::zerocopy_line(size))
}

/// A line for people in lines of at most `width` columns, where its words allow; those after the first stand two columns
/// further in.
pub fn wrapped(line: &str, width: usize) -> String {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let mut out = String::new();
    fill::fill(&mut out, &line[..indent], &line[indent..], indent + 2, width);
    out.trim_end_matches('\n').to_owned()
}

/// A run as Markdown: the verdict as a list, the prescribed block as a code block, the details as headings, tables and
/// lists, and the verdict again.
pub fn markdown(document: &RunDocument) -> String {
    let verdict = page::labelled(&run::verdict(document));
    let block = run::block(document, usize::MAX);
    let details = page::markdown(&run::sections(document));
    if verdict.is_empty() {
        return visible(&format!("```text\n{block}```\n\n{details}"));
    }
    visible(&format!("{verdict}\n```text\n{block}```\n\n{details}\n## Verdict\n\n{verdict}"))
}

/// The formats of [`stored`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a terminal.
    Text,
    /// Markdown.
    Markdown,
    /// One page that needs nothing else.
    Html,
}

/// A stored document again: the report of a run, or the sections of a measurement, a sweep or a comparison. `width` is
/// the text's alone.
pub fn stored(run: &StoredRun, format: Format, width: usize) -> String {
    if let StoredRun::Optimize(document) = run {
        return match format {
            Format::Text => text_at(document, width),
            Format::Markdown => markdown(document),
            Format::Html => html(document),
        };
    }
    let (title, sections) = stored::sections(run);
    visible(&match format {
        Format::Text => page::text_at(&sections, width).trim_start().to_owned(),
        Format::Markdown => page::markdown(&sections),
        Format::Html => html::page(&title, &sections),
    })
}

/// Any document as indented JSON, with a newline at its end.
///
/// A document whose map keys are not strings would be an error; lowlat's have none, and the answer to one that had
/// would be the error as a JSON string.
pub fn json<T: Serialize>(document: &T) -> String {
    let mut text = serde_json::to_string_pretty(document)
        .unwrap_or_else(|e| serde_json::Value::String(format!("write JSON: {e}")).to_string());
    text.push('\n');
    text
}

//! Stored runs: what reads as one is printed in every form. The pages must hold no markup of the run's own.

use lowlat_model::document::RunDocument;
use lowlat_model::{Measurement, NoiseDocument, Plan};

/// A document.
pub fn run(data: &[u8]) {
    if let Ok(stored) = lowlat_model::stored::StoredRun::parse(data) {
        for format in [lowlat_report::Format::Text, lowlat_report::Format::Markdown, lowlat_report::Format::Html] {
            let page = lowlat_report::stored(&stored, format, lowlat_report::WIDTH);
            assert!(format != lowlat_report::Format::Html || !page.contains("<fuzz>"), "markup stands in the page");
        }
    }
    if let Ok(document) = serde_json::from_slice::<RunDocument>(data) {
        let _ = lowlat_report::text(&document);
        let _ = lowlat_report::markdown(&document);
        let page = lowlat_report::html(&document);
        assert!(!page.contains("<fuzz>"), "markup of a run stands in its page");
        let _ = lowlat_report::json(&document);
    }
    if let Ok(measurement) = serde_json::from_slice::<Measurement>(data) {
        let _ = lowlat_report::measurement(&measurement, lowlat_report::WIDTH);
    }
    if let Ok(noise) = serde_json::from_slice::<NoiseDocument>(data) {
        let _ = lowlat_report::noise(&noise, lowlat_report::WIDTH);
    }
    if let Ok(plan) = serde_json::from_slice::<Plan>(data) {
        let _ = lowlat_report::plan(&plan, lowlat_report::WIDTH);
    }
}

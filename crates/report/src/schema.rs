//! The JSON Schema of each document (`lowlat schema NAME`).

use lowlat_model::answer::{
    BypassDocument, ConfirmDocument, ExplainDocument, NewDocument, PersistDocument, RollbackDocument, SelfDocument,
    ServeDocument,
};
use lowlat_model::bypass_verdict::BypassVerdict;
use lowlat_model::document::RunDocument;
use lowlat_model::finding::CheckDocument;
use lowlat_model::journal::{JournalEntry, StatusDocument};
use lowlat_model::verdict::Comparison;
use lowlat_model::{
    EnginesDocument, Facts, Measurement, NoiseDocument, Plan, SweepDocument, TraceDocument, WatchDocument,
};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The JSON Schema (draft 2020-12) of a document named in [`lowlat_model::schema::DOCUMENTS`]; `None` for any other
/// name. A key that is `null` where a figure is missing is required: it is never left out.
pub fn schema(name: &str) -> Option<Value> {
    Some(match name {
        "facts" => of::<Facts>(),
        "check" => of::<CheckDocument>(),
        "plan" => of::<Plan>(),
        "measure" => of::<Measurement>(),
        "engines" => of::<EnginesDocument>(),
        "compare" => of::<Comparison>(),
        "shape" => of::<lowlat_model::FlowShape>(),
        "sweep" => of::<SweepDocument>(),
        "zerocopy" => of::<lowlat_model::ZeroCopyDocument>(),
        "noise" => of::<NoiseDocument>(),
        "trace" => of::<TraceDocument>(),
        "far-trace" => of::<lowlat_model::trace::FarTrace>(),
        "watch" => of::<WatchDocument>(),
        "optimize" => of::<RunDocument>(),
        "status" => of::<StatusDocument>(),
        "rollback" => of::<RollbackDocument>(),
        "confirm" => of::<ConfirmDocument>(),
        "persist" => of::<PersistDocument>(),
        "bypass" => of::<BypassDocument>(),
        "bypass-verdict" => of::<BypassVerdict>(),
        "bypass-new" => of::<NewDocument>(),
        "explain" => of::<ExplainDocument>(),
        "serve" => of::<ServeDocument>(),
        "self" => of::<SelfDocument>(),
        "journal" => of::<JournalEntry>(),
        _ => return None,
    })
}

/// The schema of what is written, not of what is read back: there keys with a default may be missing.
fn of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>().to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::schema::DOCUMENTS;

    #[test]
    fn every_document_has_one_and_carries_its_schema() {
        for (name, _) in DOCUMENTS {
            let schema = schema(name).unwrap_or_else(|| panic!("{name} has no schema"));
            if *name == "journal" {
                // Its first entry carries it for all.
                let begin = schema["oneOf"].as_array().unwrap().iter().find(|s| s.to_string().contains("\"begin\""));
                assert!(begin.unwrap()["properties"]["schema"].is_object(), "{schema:#}");
            } else {
                assert!(schema["properties"]["schema"].is_object(), "{name}: {schema:#}");
            }
        }
        assert_eq!(super::schema("nonsense"), None);
    }

    #[test]
    fn a_missing_figure_is_null_and_not_left_out() {
        let schema = schema("measure").unwrap();
        let required = schema["$defs"]["Quantiles"]["required"].as_array().unwrap();
        assert!(required.iter().any(|k| k == "p999_ns"));
    }
}

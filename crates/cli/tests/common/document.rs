//! Printed documents against the schemas that `lowlat schema` prints.

use serde_json::Value;

/// The document's name (`facts` of `lowlat.facts`).
#[track_caller]
pub fn name(document: &Value) -> &str {
    let name = document["schema"]["name"].as_str().and_then(|n| n.strip_prefix("lowlat."));
    name.unwrap_or_else(|| panic!("it carries no schema: {document:#}"))
}

/// Asserts that a document is what its schema says, and carries the version that this build writes.
#[track_caller]
pub fn allowed(document: &Value) {
    let name = name(document);
    let version = lowlat_model::schema::DOCUMENTS.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    assert_eq!(document["schema"]["version"].as_u64(), version.map(u64::from), "{name}");
    against(&lowlat_report::schema(name).unwrap(), name, document);
}

/// Asserts that a value is what a schema says.
#[track_caller]
pub fn against(schema: &Value, name: &str, value: &Value) {
    let validator = jsonschema::draft202012::new(schema).unwrap_or_else(|e| panic!("the schema of {name}: {e}"));
    let wrong: Vec<String> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty(), "{name}: {wrong:#?}");
}

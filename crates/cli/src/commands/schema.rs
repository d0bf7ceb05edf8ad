//! `lowlat schema`: Print the JSON Schema of a document.

use crate::args::SchemaArgs;
use crate::output;
use lowlat_live::{Failure, Outcome};

/// Runs the command.
pub fn run(args: &SchemaArgs) -> Outcome {
    let names: Vec<&str> = lowlat_model::schema::DOCUMENTS.iter().map(|(n, _)| *n).collect();
    let schema = lowlat_report::schema(&args.name).ok_or_else(|| {
        Failure::new(format!(
            "print the schema of {:?}: no such document; choose one of {}",
            args.name,
            names.join(", ")
        ))
    })?;
    output::json(&schema)?;
    Ok(0)
}

//! `lowlat bypass new`: a small project to begin a program with.

use std::path::Path;

use lowlat_live::{Failure, Outcome};
use lowlat_model::Schema;
use lowlat_model::answer::NewDocument;
use lowlat_starters::{LANGUAGES, Refused};

use crate::output;

/// Runs the command.
pub fn run(technique: &str, language: &str, dir: &Path, json: bool) -> Outcome {
    let what = format!("write a project for {technique} in {language}");
    let files = lowlat_starters::files(technique, language).ok_or_else(|| {
        Failure::new(format!(
            "{what}: there is none; choose one of {} and --lang {}",
            lowlat_starters::techniques().join(", "),
            LANGUAGES.join(", ")
        ))
    })?;
    lowlat_starters::write(dir, &files).map_err(|refused| {
        Failure::new(match refused {
            Refused::Occupied(dir) => {
                format!("{what}: {} is there and is no empty folder; give another folder", dir.display())
            }
            Refused::Io(path, e) => format!("{what}: write {}: {e}; give a folder that can be made", path.display()),
        })
    })?;
    if json {
        output::json(&NewDocument {
            schema: Schema::current("bypass-new"),
            dir: dir.display().to_string(),
            files: files.iter().map(|(name, _)| (*name).to_owned()).collect(),
        })?;
    } else {
        output::text(&format!(
            "{}: {} files; README.md says how to build and what to change",
            dir.display(),
            files.len()
        ));
    }
    Ok(0)
}

//! `lowlat report`: a stored run again.

use std::path::PathBuf;

use lowlat_model::document::RunDocument;
use lowlat_sys::store::Store;

use crate::args::{FormatArg, ReportArgs};
use crate::failure::{Failure, Outcome};
use crate::output;

/// Runs the command. The exit code is the run's own: 1 when its goal was missed.
pub fn run(args: &ReportArgs, json: bool) -> Outcome {
    let document: RunDocument = super::stored(&locate(&args.run)?, "optimize")?;
    let format = if json { FormatArg::Json } else { args.format };
    print(&document, format)?;
    Ok(exit_code(&document))
}

/// 0 when the goal was met or none was given, 1 when it was missed or could not be judged.
pub fn exit_code(document: &RunDocument) -> u8 {
    u8::from(!document.dry_run && document.goal_ns.is_some() && document.goal_met != Some(true))
}

/// Prints a run.
pub fn print(document: &RunDocument, format: FormatArg) -> Result<(), Failure> {
    match format {
        FormatArg::Text => output::text(&lowlat_report::text(document)),
        FormatArg::Md => output::text(&lowlat_report::markdown(document)),
        FormatArg::Html => output::text(&lowlat_report::html(document)),
        FormatArg::Json => output::json(document)?,
    }
    Ok(())
}

/// A run by id, folder, file, or `last`.
fn locate(run: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(run);
    if path.is_file() {
        return Ok(path);
    }
    if path.is_dir() {
        return Ok(path.join("run.json"));
    }
    let store = Store::locate()?;
    let runs = store.runs_dir();
    let id = if run == "last" {
        store.run_ids()?.pop().ok_or_else(|| {
            Failure::new(format!(
                "report the last run: {} holds none; run `lowlat optimize` or `lowlat demo`",
                runs.display()
            ))
        })?
    } else {
        run.to_owned()
    };
    let file = runs.join(&id).join("run.json");
    if file.is_file() {
        Ok(file)
    } else {
        Err(Failure::new(format!(
            "report run {run:?}: there is no {}; `ls {}` shows the runs",
            file.display(),
            runs.display()
        )))
    }
}

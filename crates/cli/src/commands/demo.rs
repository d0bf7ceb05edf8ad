//! `lowlat demo`: the main job on an embedded lab, and the processes that the lab starts.

use lowlat_demo::{DemoAsk, Screen};
use lowlat_live::optimize::{Finished, Job};
use lowlat_live::{Failure, Outcome};
use lowlat_sys::Sys;
use lowlat_sys::store::{Output, Store};

use crate::args::{DemoArgs, FormatArg, LabNearArgs};
use crate::output;

pub use lowlat_demo::far;

/// This terminal.
struct Stderr;

impl Screen for Stderr {
    fn line(&self, line: &str) {
        output::progress(line);
    }
    fn job(&self, job: &Job, sys: &dyn Sys, store: &Store) -> Result<Finished, Failure> {
        super::optimize::run_shown(job, sys, store)
    }
}

/// Runs the command, and says by the exit code whether the goal was met and everything is as it was.
pub fn run(args: &DemoArgs, json: bool) -> Outcome {
    let goals = args.goal.all()?;
    let html = args.html.as_deref().map(Output::prove).transpose();
    let html = html.map_err(|e| Failure::because(e, "give a writable file with --html"))?;
    let document = lowlat_demo::run(DemoAsk { lab: args.lab.clone(), goals, fixed: args.fixed }, &Stderr)?;
    if let Some(file) = html {
        let page = lowlat_report::html(&document);
        file.write(page.as_bytes()).map_err(|e| Failure::because(e, "give a writable file with --html"))?;
    }
    super::report::print(&document, if json { FormatArg::Json } else { FormatArg::Text })?;
    if document.rollback_verified == Some(true) {
        Ok(super::report::exit_code(&document))
    } else {
        Err(Failure::new("demo: the rollback did not restore everything, see the lines above; report this as a bug"))
    }
}

/// The job within a virtual machine of the lab.
pub fn near(args: &LabNearArgs) -> Outcome {
    lowlat_demo::near(args.goal.all()?, &args.out, &Stderr)
}

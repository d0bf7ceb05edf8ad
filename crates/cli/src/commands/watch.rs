//! `lowlat watch`: live traffic without a probe.

use std::path::PathBuf;

use lowlat_live::watch::{WatchAsk, Watched, watch};
use lowlat_live::{Failure, Outcome, path, stored};
use lowlat_model::stored::StoredRun;
use lowlat_model::{Severity, WatchDocument};
use lowlat_sys::Live;
use lowlat_sys::store::Store;

use crate::args::WatchArgs;
use crate::output;

/// Runs the command. Exit 1 when something serious was found, or the trigger was crossed. On a signal the figures up to then
/// are printed.
pub fn run(args: &WatchArgs, json: bool) -> Outcome {
    let document = match &args.from {
        Some(run) => again(run)?,
        None => live(args)?,
    };
    if json {
        output::json(&document)?;
    } else {
        output::report(&lowlat_report::watch(&document, output::width()));
    }
    if let Some(why) = &document.ended {
        output::progress(&format!("ended early: {why}; these are the figures up to then"));
    } else if document.interrupted {
        output::progress("interrupted: these are the figures up to then");
    }
    let serious = document.findings.iter().any(|f| f.severity >= Severity::Warning);
    Ok(u8::from(serious || document.trigger.as_ref().is_some_and(|t| t.crossings > 0)))
}

/// A stored run, with what follows from its readings.
fn again(run: &str) -> Result<WatchDocument, Failure> {
    let stored = stored::Stored::load(run)?;
    stored.left_out.iter().for_each(|line| output::progress(line));
    match stored.run {
        StoredRun::Watch(document) => Ok(lowlat_live::watch::again(*document)),
        _ => Err(Failure::new(format!("watch from {run}: it holds no live traffic; give a run of `lowlat watch`"))),
    }
}

fn live(args: &WatchArgs) -> Result<WatchDocument, Failure> {
    if args.interval > args.duration {
        return Err(Failure::new(format!(
            "read sockets every {} for {}: no second reading fits; choose a longer --duration or a shorter --interval",
            lowlat_live::probe::words(Some(args.interval)),
            lowlat_live::probe::words(Some(args.duration))
        )));
    }
    let peer = args.peer.as_deref().map(|host| path::resolve(host, 0).map(|found| found.ip())).transpose()?;
    let place = Place::prepare(args)?;
    let ask = WatchAsk {
        port: args.port,
        pid: args.pid,
        peer,
        duration_ns: args.duration,
        interval_ns: args.interval,
        trigger: args.trigger,
    };
    let mut keep = |number: usize, document: &WatchDocument| place.save(&format!("stall-{number:03}"), document);
    let Watched { document, files, not_written } = watch(&ask, &Live::new(), &mut keep)?;
    if let Some(why) = not_written {
        output::progress(&format!("a stall has no file: {why}"));
    }
    if let Some(trigger) = &document.trigger {
        match files.as_slice() {
            [] => output::progress(&format!("the trigger {} was crossed {} times", trigger.asked, trigger.crossings)),
            [first, ..] => output::progress(&format!(
                "the trigger {} was crossed {} times; files: {} from {}",
                trigger.asked,
                trigger.crossings,
                files.len(),
                first.display()
            )),
        }
    }
    if let Err(why) = place.save(place.name(), &document) {
        if matches!(place, Place::Folder(_)) {
            return Err(why);
        }
        output::progress(&format!("not kept for `lowlat report last`: {why}"));
    }
    Ok(document)
}

/// Where the run goes.
enum Place {
    /// The folder of --out.
    Folder(PathBuf),
    /// A run of the state directory.
    Run(Box<Store>, String),
    /// Nowhere, since the state directory cannot be written.
    Nowhere(String),
}

impl Place {
    fn prepare(args: &WatchArgs) -> Result<Self, Failure> {
        if let Some(folder) = &args.out {
            stored::make_room(folder, args.overwrite)?;
            return Ok(Self::Folder(folder.clone()));
        }
        let writable = Store::locate().and_then(|store| store.ensure_writable().map(|()| store));
        Ok(match writable {
            Ok(store) => {
                let id = store.new_run_id(lowlat_live::wall_clock_ns());
                Self::Run(Box::new(store), id)
            }
            Err(why) => Self::Nowhere(why.to_string()),
        })
    }

    /// What the document is called there.
    fn name(&self) -> &'static str {
        if matches!(self, Self::Folder(_)) { "watch" } else { "run" }
    }

    fn save(&self, name: &str, document: &WatchDocument) -> Result<PathBuf, Failure> {
        match self {
            Self::Folder(folder) => {
                let file = format!("{name}.json");
                stored::save(folder, &file, document).map(|()| folder.join(file))
            }
            Self::Run(store, id) => Ok(store.save_stage(id, name, document)?),
            Self::Nowhere(why) => Err(Failure::because(why, "give a writable folder with --out")),
        }
    }
}

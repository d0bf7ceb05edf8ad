//! Applies every setting that a trial found to act (`knob_trial IFACE`, its output as the file given) in one transaction and
//! puts all back; once more, and puts all back by the script next to its journal, under dash and without lowlat. Prints what
//! differs from before, as JSON: `script_trial IFACE TRIED`, as root, on a host that may be changed: a guest of the lab.
#![allow(clippy::print_stdout)] // a command

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use lowlat_apply::{RollbackReport, Session, rollback_from_disk};
use lowlat_knobs::KNOBS;
use lowlat_model::finding::Setting;
use lowlat_model::{Locus, State};
use lowlat_settings::{at, same, state, words};
use lowlat_sys::store::Store;
use lowlat_sys::{Live, Sys as _};
use serde::{Deserialize, Serialize};

/// Of an outcome of `knob_trial`, what is set again.
#[derive(Debug, Deserialize)]
struct Tried {
    outcome: String,
    target: String,
    asked: String,
}

/// What lowlat's own rollback and the script did.
#[derive(Debug, Serialize)]
struct Scripted {
    /// Knobs that were applied together.
    applied: Vec<String>,
    /// Those that one before them kept from being applied, with the reason.
    left_out: Vec<String>,
    /// Places and settings that are not as they were after lowlat's own rollback, and what that reported.
    by_lowlat: Vec<String>,
    left_by_lowlat: Vec<String>,
    /// The script's exit code and standard error.
    code: Option<i32>,
    said: String,
    /// The same after the script, each as `place: before -> after`.
    differing: Vec<String>,
    /// How many places were looked at.
    looked_at: usize,
    /// What the program's own rollback then found left to do.
    left: Vec<String>,
    /// The script.
    text: String,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // The executor starts the program it is in again, as the holder of a wake-up latency limit.
    if let [command, us, pipe @ ..] = args.as_slice()
        && command == "hold-dma-latency"
    {
        let us = us.parse().map_err(|_| format!("{us:?} is not a number"));
        let held = us.and_then(|us| lowlat_apply::hold_dma_latency(us, pipe.first().map(std::path::Path::new)));
        return ExitCode::from(u8::from(held.is_err()));
    }
    let [iface, tried] = args.as_slice() else {
        eprintln!("script_trial: name one interface, and the file with the outcomes of knob_trial");
        return ExitCode::from(2);
    };
    match trial(iface, tried) {
        Ok(scripted) => {
            println!("{}", serde_json::to_string_pretty(&scripted).unwrap_or_default());
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("script_trial: {e}");
            ExitCode::from(2)
        }
    }
}

fn trial(iface: &str, tried: &str) -> Result<Scripted, String> {
    let live = Live::new();
    let store = Store::locate().map_err(|e| e.to_string())?;
    let text = fs::read(tried).map_err(|e| format!("read {tried}: {e}"))?;
    let tried: BTreeMap<String, Tried> = serde_json::from_slice(&text).map_err(|e| format!("read {tried}: {e}"))?;
    let before = Before::look(live, iface, &tried);

    let (mut session, ..) = applied(&store, live, &tried)?;
    let places = before.places(&session);
    let report = session.rollback(&live).map_err(|e| e.to_string())?;
    let by_lowlat = before.differing(live, iface, &places);
    let left_by_lowlat = left(&report);
    drop(session);
    // What is left is reported, and must not be in the way of the second time.
    if !report.complete() {
        rollback_from_disk(&store, &live, true).map_err(|e| e.to_string())?;
    }

    let (mut session, applied, left_out) = applied(&store, live, &tried)?;
    let places = before.places(&session);
    let script = store.journal_dir().join(format!("{}.rollback.sh", session.transaction()));
    session.leave_open().map_err(|e| e.to_string())?;
    drop(session);
    let ran = Command::new("dash").arg(&script).output().map_err(|e| format!("run dash: {e}"))?;
    let differing = before.differing(live, iface, &places);
    let report = rollback_from_disk(&store, &live, true).map_err(|e| e.to_string())?;
    Ok(Scripted {
        applied,
        left_out,
        by_lowlat,
        left_by_lowlat,
        code: ran.status.code(),
        said: String::from_utf8_lossy(&ran.stderr).into_owned(),
        differing,
        looked_at: places.len() + before.seen.len(),
        left: left(&report),
        text: read(&script)?,
    })
}

/// What a rollback could not put back.
fn left(report: &RollbackReport) -> Vec<String> {
    report.failed.iter().map(|i| format!("{}: {}", words(&i.locus), i.outcome.words())).collect()
}

type Applied = (Session, Vec<String>, Vec<String>);

/// One transaction with all of them; what was applied, and what was left out with the reason.
fn applied(store: &Store, live: Live, tried: &BTreeMap<String, Tried>) -> Result<Applied, String> {
    let mut session = Session::begin(store, &live).map_err(|e| e.to_string())?;
    let (mut applied, mut left_out) = (Vec::new(), Vec::new());
    for (knob, one) in tried.iter().filter(|(_, t)| t.outcome == "acts") {
        match set(&mut session, knob, one) {
            Ok(()) => applied.push(knob.clone()),
            Err(why) => left_out.push(format!("{knob}: {why}")),
        }
    }
    Ok((session, applied, left_out))
}

/// The host before anything was set.
struct Before {
    /// As the catalogue reads it.
    seen: BTreeMap<String, String>,
    /// The places that are set. The journal has what stood at one before its own first write, and another place may be a part
    /// of it: a direction's coalescing is all of its parameters.
    places: Vec<(Locus, State)>,
}

impl Before {
    fn look(live: Live, iface: &str, tried: &BTreeMap<String, Tried>) -> Self {
        let steps = tried.iter().filter(|(_, t)| t.outcome == "acts").filter_map(|(knob, one)| {
            let setting = setting(knob, one).ok()?;
            lowlat_knobs::resolve(&live, &setting, "tried").ok()
        });
        let places = steps.flat_map(|s| s.ops).filter_map(|op| Some((state(&live, &op.locus).into_value()?, op.locus)));
        Self { seen: seen(iface), places: places.map(|(was, locus)| (locus, was)).collect() }
    }

    /// Every place that a write of the session could have changed, as it was before the first.
    fn places(&self, session: &Session) -> Vec<(Locus, State)> {
        let mut places: Vec<(Locus, State)> = Vec::new();
        for s in &session.ledger().standing {
            let beside = s.beside.iter().map(|b| (&b.locus, &b.state));
            for (locus, was) in [(&s.op.locus, &s.prior)].into_iter().chain(beside) {
                if s.holder.is_none() && !places.iter().any(|(l, _)| l == locus) {
                    let first = self.places.iter().find(|(l, _)| l == locus).map_or(was, |(_, was)| was);
                    places.push((locus.clone(), first.clone()));
                }
            }
        }
        places
    }

    /// What is not as it was.
    fn differing(&self, live: Live, iface: &str, places: &[(Locus, State)]) -> Vec<String> {
        let after = seen(iface);
        let place = |(locus, was): &(Locus, State)| {
            // One that is gone is of a queue that came with a step; that no other is gone is seen by the list of queues.
            let now = state(&live, locus).into_value()?;
            (!same(locus, &now, was)).then(|| format!("{}: {was} -> {now}", words(locus)))
        };
        let changed = self.seen.iter().filter(|(setting, was)| after.get(*setting) != Some(was));
        let changed = changed.map(|(setting, was)| format!("{setting}: {was} -> {:?}", after.get(setting)));
        places.iter().filter_map(place).chain(changed).collect()
    }
}

fn read(file: &PathBuf) -> Result<String, String> {
    fs::read_to_string(file).map_err(|e| format!("read {}: {e}", file.display()))
}

fn setting(knob: &str, one: &Tried) -> Result<Setting, String> {
    Ok(Setting { knob: knob.to_owned(), target: one.target.parse()?, value: one.asked.clone(), joint: None })
}

fn set(session: &mut Session, knob: &str, one: &Tried) -> Result<(), String> {
    let live = Live::new();
    let step = lowlat_knobs::resolve(&live, &setting(knob, one)?, "tried").map_err(|left| left.why)?;
    // What no shell can put back is said by the script and tried elsewhere.
    if let Some(op) = step.ops.iter().find(|op| !at(&op.locus).undone_by_shell()) {
        return Err(format!("{}: no shell puts it back", words(&op.locus)));
    }
    if session.already_at(&step) {
        return Err("another knob has set this place".to_owned());
    }
    session.apply(&live, &step).map(|_| ()).map_err(|e| e.to_string())
}

/// The value of every setting of the catalogue at every place of the interface and the host.
fn seen(iface: &str) -> BTreeMap<String, String> {
    let live = Live::new();
    let lines = lowlat_sys::irqs::of_interface(&live, iface).into_value().unwrap_or_default();
    let mut queues = live.list(&format!("/sys/class/net/{iface}/queues")).into_value().unwrap_or_default();
    queues.sort();
    let mut all =
        BTreeMap::from([("interrupts".to_owned(), lines.len().to_string()), ("queues".to_owned(), queues.join(" "))]);
    for knob in KNOBS {
        for target in knob.targets(&live, Some(iface)).into_value().unwrap_or_default() {
            if let Some(value) = knob.read(&live, &target).into_value() {
                all.insert(format!("{} on {target}", knob.meta.name), value);
            }
        }
    }
    all
}

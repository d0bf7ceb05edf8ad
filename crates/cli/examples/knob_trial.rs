//! Tries every knob of the catalogue on this host and prints the outcome of each, as JSON:
//! `knob_trial IFACE`, as root, on a host that may be changed: a guest of the lab.
//!
//! Each place is read, another value is written, read back, put back and read again, by the journal's own executor;
//! what lowlat itself never writes (a knob that is inert, harmful, or the default already) is written past it, if it is
//! a sysctl, so that the answer is the kernel's and not the catalogue's.
#![allow(clippy::print_stdout)] // a command

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;

use lowlat_apply::{Session, StepError};
use lowlat_knobs::{KNOBS, Knob, Standing};
use lowlat_model::Reading;
use lowlat_model::finding::Setting;
use lowlat_model::op::Target;
use lowlat_sys::store::Store;
use lowlat_sys::{Live, Sys};
use serde::Serialize;

/// What resulted from one knob.
#[derive(Debug, Default, Serialize)]
struct Tried {
    /// `acts`, `inert`, `refused`, `exists`, `absent`, `boot`, `outside`: the legend of
    /// `docs/reference/knobs-on-kernels.md`.
    outcome: &'static str,
    /// The place tried.
    target: String,
    /// What stood there.
    was: String,
    /// What was asked for.
    asked: String,
    /// What was read back.
    now: String,
    /// The host's words, where it refused or has no such place.
    why: String,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // The executor starts the program it is in again, as the holder of a wake-up latency limit.
    if let [command, us, pipe @ ..] = args.as_slice()
        && command == "hold-dma-latency"
    {
        let pipe = pipe.first().map(std::path::Path::new);
        let us = us.parse().map_err(|_| format!("{us:?} is not a number"));
        let held = us.and_then(|us| lowlat_apply::hold_dma_latency(us, pipe));
        return ExitCode::from(u8::from(held.is_err()));
    }
    let [iface] = args.as_slice() else {
        eprintln!("knob_trial: name one interface");
        return ExitCode::from(2);
    };
    match all(iface) {
        Ok(tried) => {
            println!("{}", serde_json::to_string_pretty(&tried).unwrap_or_default());
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("knob_trial: {e}");
            ExitCode::from(2)
        }
    }
}

fn all(iface: &str) -> Result<BTreeMap<&'static str, Tried>, String> {
    let live = Live::new();
    let store = Store::locate().map_err(|e| e.to_string())?;
    let mut tried = BTreeMap::new();
    // One transaction for as many as leave nothing behind: its beginning reads the journals of all before it.
    let mut open: Option<Session> = None;
    for knob in KNOBS {
        let session = match &mut open {
            Some(session) => session,
            none => none.insert(Session::begin(&store, &live).map_err(|e| e.to_string())?),
        };
        tried.insert(knob.meta.name, one(session, &live, knob, iface));
        if !session.ledger().standing.is_empty() {
            close(session, &live).map_err(|e| format!("{}: {e}", knob.meta.name))?;
            open = None;
        }
    }
    open.map_or(Ok(()), |mut session| close(&mut session, &live))?;
    Ok(tried)
}

fn close(session: &mut Session, live: &dyn Sys) -> Result<(), String> {
    let report = session.rollback(live).map_err(|e| e.to_string())?;
    if report.complete() { Ok(()) } else { Err(report.words()) }
}

fn one(session: &mut Session, live: &dyn Sys, knob: &'static Knob, iface: &str) -> Tried {
    let meta = &knob.meta;
    let targets = match knob.targets(live, Some(iface)) {
        Reading::Value(targets) => targets,
        other => {
            let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
            // A knob without a place gives its refusal for both.
            let nowhere = knob.ops(live, &Target::Host, "0").is_err_and(|refusal| refusal == why);
            let outcome = if nowhere { "outside" } else { absent(kind) };
            return Tried { outcome, why: why.to_owned(), ..Tried::default() };
        }
    };
    let Some(target) = targets.first() else {
        return Tried { outcome: "absent", why: "it has no place here".into(), ..Tried::default() };
    };
    let was = knob.read(live, target).into_value().unwrap_or_default();
    let base = Tried { target: target.to_string(), was: was.clone(), outcome: "exists", ..Tried::default() };
    if meta.name.starts_with("boot.") {
        return Tried { outcome: "boot", ..base };
    }
    let mut last = base;
    for asked in candidates(meta.page, &was) {
        // The example's 1024 huge pages are most of a guest's memory, and 8 of the 13 s that the whole trial took
        // there.
        if meta.name == "memory.hugepages" && asked.parse::<u64>().is_ok_and(|n| n > 16) {
            continue;
        }
        // Half of a guest's memory, and whether it is free in one piece hangs on where the kernel put itself.
        if meta.name == "memory.hugepages-1g" {
            continue;
        }
        let next = if meta.standing == Standing::Acts {
            ask(session, live, knob, target, &was, &asked)
        } else {
            past(meta.name, meta.standing, &was, &asked)
        };
        let Some(mut next) = next else { continue };
        next.target = target.to_string();
        next.was.clone_from(&was);
        // A refusal of one value is the answer only if no other is taken.
        let better = next.outcome == "acts" || last.outcome == "exists";
        if better {
            last = next;
        }
        if last.outcome == "acts" || last.outcome == "inert" {
            break;
        }
    }
    last
}

fn absent(kind: &str) -> &'static str {
    if matches!(kind, "absent" | "unsupported") { "absent" } else { "refused" }
}

/// Values to try: those of the page's example, and neighbours of the current value.
fn candidates(page: &str, was: &str) -> Vec<String> {
    let example = page.split_once("## Example\n").map_or("", |(_, rest)| rest);
    let change = example.split('`').nth(1).and_then(|c| c.split_once(" -> "));
    let mut all: Vec<String> = change.map(|(a, b)| vec![b.trim().to_owned(), a.trim().to_owned()]).unwrap_or_default();
    // A feature that is kept from what was asked for says so behind it.
    match was.split(' ').next().unwrap_or_default() {
        "on" => all.push("off".into()),
        "off" => all.push("on".into()),
        _ => {}
    }
    if let Ok(n) = was.parse::<u64>() {
        all.extend([n / 2, n + 1, n.saturating_sub(1)].map(|n| n.to_string()));
    }
    all.extend(["0", "1"].map(str::to_owned));
    all.retain(|v| v != was);
    let mut seen = Vec::new();
    all.retain(|v| {
        !seen.contains(v) && {
            seen.push(v.clone());
            true
        }
    });
    all
}

/// Through the executor. `None`: this value says nothing, another is to be tried.
fn ask(session: &mut Session, live: &dyn Sys, knob: &Knob, target: &Target, was: &str, asked: &str) -> Option<Tried> {
    let setting =
        Setting { knob: knob.meta.name.to_owned(), target: target.clone(), value: asked.to_owned(), joint: None };
    let refused =
        |why: String, outcome: &'static str| Tried { outcome, asked: asked.to_owned(), why, ..Tried::default() };
    let step = match lowlat_knobs::resolve(live, &setting, "tried") {
        Ok(step) => step,
        // A value that the knob itself does not take is not an answer of the host.
        Err(left) if left.why.contains("is not a value of") || left.why.starts_with("already") => return None,
        Err(left) => return Some(refused(left.why, "refused")),
    };
    match session.apply(live, &step) {
        Ok(handle) => {
            let now = knob.read(live, target).into_value().unwrap_or_default();
            let undone = session.undo(live, handle.clone());
            let back = knob.read(live, target).into_value().unwrap_or_default();
            if undone.is_err() || back != was {
                return Some(refused(format!("put back, {back:?} is there: {undone:?}"), "stuck"));
            }
            Some(Tried {
                outcome: "acts",
                asked: asked.to_owned(),
                now,
                why: handle.clamped.join("; "),
                ..Tried::default()
            })
        }
        Err(StepError::Refused { why }) if why.contains("without effect") => Some(refused(why, "inert")),
        Err(e) => Some(refused(e.to_string(), "refused")),
    }
}

/// Past the executor, which would not write it.
fn past(name: &str, standing: Standing, was: &str, asked: &str) -> Option<Tried> {
    let path = format!("/proc/sys/{}", name.strip_prefix("sysctl.")?.replace('.', "/"));
    let read = || fs::read_to_string(&path).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let written = fs::write(&path, asked);
    let now = read();
    let back = fs::write(&path, was);
    let outcome = match (&written, back, read() == was) {
        (_, _, false) => "stuck",
        (Err(_), _, _) => "refused",
        // It is kept, and nothing of the kernel reads it: the page has the source.
        (Ok(()), _, _) if standing == Standing::Inert || now == was => "inert",
        _ => "acts",
    };
    let why = written.err().map_or_else(String::new, |e| e.to_string());
    Some(Tried { outcome, asked: asked.to_owned(), now, why, ..Tried::default() })
}

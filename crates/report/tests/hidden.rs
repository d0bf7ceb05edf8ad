//! Stored documents come from anywhere: whatever stands in their strings, no report hands a control character on.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

use lowlat_model::document::RunDocument;
use lowlat_model::journal::{Applied, Pending, StatusDocument};
use lowlat_model::stored::StoredRun;
use lowlat_model::{Locus, Measurement, Plan, PlannedStep, Schema};
use lowlat_report::{Format, WIDTH, is_hidden};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An escape sequence, its one-character form, a carriage return, a backspace, DEL, NUL, and a turn of direction.
const BAD: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}2J\r\u{8}\u{7f}\0\u{202e}";

/// Puts [`BAD`] at the end of every string that stays readable with it; gives their number.
fn spoil<T: Serialize + DeserializeOwned>(document: &T) -> (T, usize) {
    let mut value = serde_json::to_value(document).unwrap();
    let mut paths = Vec::new();
    strings(&value, &mut String::new(), &mut paths);
    let mut spoilt = 0;
    for path in paths {
        let mut tried = value.clone();
        let at = tried.pointer_mut(&path).unwrap();
        *at = format!("{}{BAD}", at.as_str().unwrap()).into();
        // An enum's name takes no other; a schema's is the document's own.
        if !path.starts_with("/schema") && serde_json::from_value::<T>(tried.clone()).is_ok() {
            value = tried;
            spoilt += 1;
        }
    }
    (serde_json::from_value(value).unwrap(), spoilt)
}

fn strings(value: &Value, at: &mut String, out: &mut Vec<String>) {
    let length = at.len();
    let mut below = |key: &str, v: &Value| {
        at.push('/');
        at.push_str(&key.replace('~', "~0").replace('/', "~1"));
        strings(v, at, out);
        at.truncate(length);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| below(k, v)),
        Value::Array(all) => all.iter().enumerate().for_each(|(n, v)| below(&n.to_string(), v)),
        Value::String(_) => out.push(at.clone()),
        _ => {}
    }
}

#[track_caller]
fn clean(what: &str, text: &str) {
    assert!(text.len() > 20, "{what} is empty");
    if let Some(c) = text.chars().find(|c| is_hidden(*c)) {
        let at = text.find(c).unwrap();
        let from = text[..at].char_indices().rev().nth(60).map_or(0, |(i, _)| i);
        panic!("{what}: {c:?} after {:?}", &text[from..at]);
    }
}

#[test]
fn no_control_character_of_a_document_reaches_a_report() {
    let (run, spoilt): (RunDocument, usize) = spoil(&lowlat_testkit::run::document());
    assert!(spoilt >= 82, "{spoilt}");
    clean("text", &lowlat_report::text(&run));
    clean("markdown", &lowlat_report::markdown(&run));
    clean("html", &lowlat_report::html(&run));
    let measured: Measurement = spoil(run.baseline.as_ref().unwrap()).0;
    clean("measurement", &lowlat_report::measurement(&measured, WIDTH));
    let stored = StoredRun::Measure(Box::new(measured));
    for format in [Format::Text, Format::Markdown, Format::Html] {
        clean("stored", &lowlat_report::stored(&stored, format, WIDTH));
    }
    clean("facts", &lowlat_report::facts(&spoil(&lowlat_testkit::facts::healthy()).0, WIDTH));
}

#[test]
fn no_control_character_of_a_plan_or_a_status_reaches_a_report() {
    let words = || "x".to_owned();
    let step = PlannedStep {
        knob: words(),
        target: "eth0/rx-0".parse().unwrap(),
        from: words(),
        to: words(),
        reason: words(),
        undo: words(),
        ops: vec![lowlat_model::Op::file("/proc/sys/x", "1")],
        ..PlannedStep::default()
    };
    let plan = Plan { schema: Schema::current("plan"), iface: Some(words()), steps: vec![step], left_out: Vec::new() };
    let (plan, spoilt) = spoil(&plan);
    assert!(spoilt >= 8, "{spoilt}");
    clean("plan", &lowlat_report::plan(&plan, WIDTH));
    let applied = Applied {
        knob: words(),
        target: "eth0".parse().unwrap(),
        locus: Locus::File { path: words() },
        was: words(),
        set: words(),
        now: words(),
        changed_by_other: true,
        changed_by: None,
    };
    let pending = Pending { watch: Some(words()), left_ns: 1, guarded: true, ..Pending::default() };
    let status = StatusDocument { schema: Schema::current("status"), applied: vec![applied], pending: vec![pending] };
    clean("status", &lowlat_report::status(&spoil(&status).0, WIDTH));
}

//! `lowlat demo`, once and whole: what was planted is found, what helps is kept, what does not is put back, and the
//! host is as it was.
//!
//! Needs root; without it, it fails.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::time::Instant;

use lowlat_model::Facts;
use lowlat_model::settings::differences;
use serde_json::Value;

use common::{Scratch, Started, run};

fn host(scratch: &Scratch) -> Facts {
    serde_json::from_str(&run(&mut scratch.lowlat(&["facts"])).exits(0).out).unwrap()
}

/// Processes whose program is the one under test.
fn of_the_program() -> Vec<u32> {
    let is_it = |pid: &u32| {
        std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == std::path::Path::new(common::LOWLAT))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .filter(is_it)
        .collect()
}

/// Another tenant of the machine can hide a gain (the demo then says "no difference shown"), though never invent one.
/// So the gain may take a second or third run; everything else must hold in each.
const RUNS: usize = 3;

#[test]
fn the_demo_finds_fixes_and_puts_back() {
    let reported: Vec<(usize, Vec<String>)> = (0..RUNS).map_while(|_| gained().err()).collect();
    assert!(reported.len() < RUNS, "no run kept a step and came out faster: {reported:#?}");
}

/// One run. `Err` with the number of kept steps and all steps as text, if it gained too little.
fn gained() -> Result<(), (usize, Vec<String>)> {
    let scratch = Scratch::new();
    let before = host(&scratch);
    let start = Instant::now();
    let demo = Started::new(&mut scratch.lowlat(&["demo", "--json"]));
    let ran = demo.wait();
    let took = start.elapsed();
    assert!(matches!(ran.code, Some(0 | 1)), "{ran:#?}");
    let document = ran.json();
    eprintln!("the demo took {took:.1?}");

    let list = |key: &str| document[key].as_array().unwrap_or_else(|| panic!("{key} of {document:#}"));
    let planted = list("planted");
    // What this kernel cannot plant is said on stderr and is not listed.
    let impossible = ran.err.matches("(not planted)").count();
    assert!(planted.len() + impossible >= 5 && planted.len() >= 3, "{planted:#?}\n{}", ran.err);
    for fault in planted {
        assert_eq!(fault["found"], true, "{fault:#}\nfindings: {:#}", document["findings"]);
    }

    let steps = list("steps");
    let words =
        |s: &Value| format!("{} on {}: {} -> {}: {}", s["knob"], s["target"], s["before"], s["after"], s["note"]);
    let reported: Vec<String> = steps.iter().map(words).collect();
    let kept: Vec<&Value> = steps.iter().filter(|s| s["kept"] == true).collect();
    for step in &kept {
        assert_eq!(step["verdict"], "better", "{step:#}");
    }
    assert!(steps.iter().any(|s| s["kept"] == false), "every step was kept: {reported:#?}");
    for step in steps.iter().filter(|s| s["verdict"] != "refused") {
        let at = |key: &str| step[key].as_f64();
        if let (Some(low), Some(ratio), Some(high)) =
            (at("p50_change_low"), at("p50_change_ratio"), at("p50_change_high"))
        {
            assert!(low <= ratio && ratio <= high, "{step:#}");
        }
    }

    let p50 = |key: &str| document[key]["rtt"]["p50_ns"].as_u64().unwrap_or_else(|| panic!("{key} of {document:#}"));
    assert!(document["loaded"]["rtt"]["p50_ns"].is_u64(), "it was not measured under load");
    assert_eq!(list("checklist").len(), 10);
    assert!(document["confidence"].as_u64().is_some_and(|c| c <= 100));
    assert_eq!(document["goal_met"], Value::Bool(p50("result") <= document["goal_ns"].as_u64().unwrap()));
    assert_eq!(ran.code, Some(i32::from(document["goal_met"] == false)));

    // The demo's hosts have no tracefs where this host has none: then stamps show the stages.
    let stages = &document["stages"];
    assert!(stages["before"]["largest"].is_object(), "{stages:#}");
    assert_eq!(stages["after"]["largest"].is_object(), !kept.is_empty(), "{stages:#}");

    assert_eq!(document["rollback_verified"], true, "{}", ran.err);
    assert_eq!(of_the_program(), [] as [u32; 0], "processes of the demo are left");
    let different = differences(&before, &host(&scratch));
    assert!(different.is_empty(), "the demo changed the host: {different:#?}");

    let id = document["run"].as_str().unwrap();
    assert_eq!(run(&mut scratch.lowlat(&["report", id, "--json"])).json(), document);
    if !kept.is_empty() && p50("result") < p50("baseline") { Ok(()) } else { Err((kept.len(), reported)) }
}

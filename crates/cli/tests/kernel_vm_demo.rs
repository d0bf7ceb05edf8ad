//! `lowlat demo --lab vm` as a user runs it: whole, stopped half-way, and where the lab cannot be had. Nothing is left
//! of it each time: no process, no folder.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::path::{Path, PathBuf};

use lowlat_lab::vm::{KernelChoice, Lab};
use serde_json::Value;

use common::{Scratch, Started, kill, run, until};

fn cache() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("LOWLAT_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|d| d.join("lowlat")))
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/lowlat"))
}

/// What a demo has of the machine now: its folders in the lab's cache (`vm/tmp/PID-STARTTIME-N`), and the machines
/// whose arguments name one. Other suites may have theirs next to it.
fn held(cache: &Path, demo: u32) -> (usize, usize) {
    let mine = format!("{demo}-");
    let folders = std::fs::read_dir(cache.join("vm/tmp")).into_iter().flatten().flatten();
    let folders = folders.filter(|e| e.file_name().to_string_lossy().starts_with(&mine)).count();
    let mine = format!("{}/vm/tmp/{demo}-", cache.display());
    let is_one = |pid: &String| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains("mount_tag=hostroot") && line.contains(&mine)
    };
    let pids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().into_string().ok());
    (folders, pids.filter(|p| p.bytes().all(|b| b.is_ascii_digit())).filter(is_one).count())
}

/// What a demo must fetch is fetched before: how long that takes is no matter of these tests.
fn fetched() {
    Lab::prepare(KernelChoice::V6_12).unwrap();
}

fn demo(scratch: &Scratch, more: &[&str]) -> std::process::Command {
    let mut args = vec!["demo", "--lab", "vm"];
    args.extend(more);
    scratch.lowlat(&args)
}

#[test]
fn the_demo_on_a_real_driver_finds_fixes_and_puts_back() {
    fetched();
    let scratch = Scratch::new();
    let page = scratch.name("page.html");
    let started = Started::new(&mut demo(&scratch, &["--json", "--goal", "200us", "--html", &page]));
    let pid = started.pid();
    let ran = started.wait();
    let document = ran.exits(0).json();
    assert_eq!(document["driver"], "e1000e", "{document:#}");
    let planted = document["planted"].as_array().unwrap();
    let of = |rule: &str| planted.iter().find(|p| p["rule"] == rule).unwrap_or_else(|| panic!("{planted:#?}"));
    for rule in ["interrupt-coalescing", "netem-on-path"] {
        assert_eq!((&of(rule)["found"], &of(rule)["fixed"]), (&Value::Bool(true), &Value::Bool(true)), "{document:#}");
    }
    let p50 = |key: &str| document[key]["rtt"]["p50_ns"].as_u64().unwrap();
    assert!(p50("result") < p50("baseline"), "{document:#}");
    assert!(document["lab"].as_str().unwrap().contains("claim nothing about a real host"));
    assert_eq!(document["rollback_verified"], true, "{}", ran.err);
    assert!(std::fs::read_to_string(&page).unwrap().contains("interrupt-coalescing"));
    let id = document["run"].as_str().unwrap();
    assert_eq!(run(&mut scratch.lowlat(&["report", id, "--json"])).json(), document);
    assert_eq!(held(&cache(), pid), (0, 0));
}

#[test]
fn a_demo_that_is_stopped_leaves_no_machine() {
    fetched();
    let scratch = Scratch::new();
    let demo = Started::new(&mut demo(&scratch, &[]));
    let pid = demo.pid();
    until("a guest runs", || matches!(held(&cache(), pid), (1.., 1)));
    kill("TERM", pid);
    let ran = demo.wait();
    assert!(ran.exits(2).err.contains("interrupted by a signal"), "{}", ran.err);
    assert_eq!(held(&cache(), pid), (0, 0));
}

#[test]
fn a_lab_that_cannot_be_had_is_one_line() {
    let scratch = Scratch::new();
    let empty = scratch.name("cache");
    let refused = |variables: &[(&str, &str)], words: &[&str]| {
        let started = Started::new(demo(&scratch, &[]).envs(variables.iter().copied()));
        let pid = started.pid();
        let ran = started.wait();
        let line = ran.exits(2).err.lines().last().unwrap();
        for word in words {
            assert!(line.contains(word), "{word:?} in {}", ran.err);
        }
        // Progress may stand before it; the failure itself is one line.
        assert_eq!(ran.err.lines().filter(|l| l.starts_with("lowlat: ")).count(), 1, "{}", ran.err);
        assert_eq!((held(&cache(), pid), held(Path::new(&empty), pid)), ((0, 0), (0, 0)));
    };
    // Nothing listens on the discard port.
    let mirror = "http://127.0.0.1:9/debian";
    refused(&[("LOWLAT_QEMU", "/nowhere/qemu")], &["/nowhere/qemu", "LOWLAT_QEMU"]);
    refused(&[("LOWLAT_CACHE", &empty), ("LOWLAT_DEBIAN_MIRROR", mirror)], &["check the network"]);
}

//! `lowlat noise` on the real kernel: what interrupts is planted, and named.
//!
//! Needs root; without it every case fails.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::process::{Command, Stdio};

use serde_json::Value;

use common::{LOWLAT, Scratch, Started, for_anybody, kill, run, until};

/// A shell in a mount namespace of its own with tracefs mounted, which it may not be on the host.
fn traced(script: &str) -> Command {
    let mut command = Command::new("unshare");
    let mount = "{ mountpoint -q /sys/kernel/tracing || mount -t tracefs none /sys/kernel/tracing; }";
    command.args(["--mount", "sh", "-c", &format!("{mount} && {script}"), LOWLAT]).stdin(Stdio::null());
    command
}

fn instances() -> String {
    run(&mut traced("ls /sys/kernel/tracing/instances")).exits(0).out.clone()
}

/// Keeps CPU 0 busy under a name of its own.
fn hog(scratch: &Scratch) -> Started {
    let sh = scratch.name("planted-hog");
    std::fs::copy("/bin/sh", &sh).unwrap();
    let mut hog = Command::new("taskset");
    // One process, so that it goes with its handle; and its own limit on processor time, should the test be killed.
    hog.args(["-c", "0", &sh, "-c", "ulimit -t 20; while :; do :; done"]);
    Started::new(hog.stdin(Stdio::null()))
}

#[test]
fn a_planted_thread_is_named_and_the_instance_is_gone() {
    let scratch = Scratch::new();
    let before = instances();
    let hog = hog(&scratch);
    let n = run(&mut traced("exec \"$0\" noise --cpus 0 --duration 1s --trace --json")).exits(0).json();
    drop(hog);
    let cpu = &n["cpus"][0];
    let found = |what: &Value| what.to_string().contains("planted-hog");
    assert!(found(&cpu["traced"]["sources"]), "{cpu:#}");
    assert!(found(&cpu["traced"]["gaps"][0]["cause"]), "{:#}", cpu["traced"]["gaps"]);
    // Half of the CPU is the hog's: this is what the untraced watch lost, too.
    assert!(cpu["stolen_ratio"].as_f64().unwrap() > 0.2, "{cpu:#}");
    assert!(cpu["counted"]["switch to another thread"].as_u64() > Some(0), "{:#}", cpu["counted"]);
    assert_eq!(instances(), before);
}

#[test]
fn an_instance_that_a_killed_run_left_is_removed_by_the_next() {
    let before = instances();
    let run_trace = |length: &str| traced(&format!("exec \"$0\" noise --cpus 0 --duration {length} --trace --json"));
    // The pass with trace points comes after those of wake-ups and interruptions, each as long.
    let long = Started::new(&mut run_trace("2s"));
    until("it traces", || instances() != before);
    kill("KILL", long.pid());
    long.wait();
    assert_ne!(instances(), before, "nobody was there to remove it");
    run(&mut run_trace("50ms")).exits(0);
    assert_eq!(instances(), before);
}

#[test]
fn without_tracefs_the_rest_is_reported_and_the_reason_named() {
    // An empty folder over both mount points, in a mount namespace of its own.
    let script = "mount -t tmpfs none /sys/kernel/tracing; mount -t tmpfs none /sys/kernel/debug; exec \"$0\" noise --cpus 0 --duration 100ms --trace --json";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, LOWLAT]).stdin(Stdio::null());
    let n = run(&mut command).exits(0).json();
    assert!(n["cpus"][0]["traced"].is_null() && n["cpus"][0]["wakeup"]["samples"].as_u64() > Some(50), "{n:#}");
    let why = n["not_seen"].as_array().unwrap().iter().find(|s| s["fact"].as_str().unwrap().contains("trace points"));
    assert!(why.unwrap()["why"].as_str().unwrap().contains("not mounted"), "{n:#}");
}

#[test]
fn sleepers_are_real_time_where_they_may_be_and_refusals_are_one_line() {
    let scratch = Scratch::new();
    let noise = |args: &[&str]| {
        let mut all = vec!["noise", "--cpus", "0", "--duration", "60ms"];
        all.extend(args);
        scratch.lowlat(&all)
    };
    let policy = |n: &Value| n["cpus"][0]["wakeup_policy"].as_str().unwrap().to_owned();
    assert_eq!(policy(&run(&mut noise(&["--json"])).exits(0).json()), "SCHED_FIFO 80");
    assert_eq!(policy(&run(&mut noise(&["--rt", "7", "--json"])).exits(0).json()), "SCHED_FIFO 7");
    run(&mut scratch.lowlat(&["noise", "--cpus", "4095"])).refuses(&["CPU 4095", "online"]);
    run(&mut scratch.lowlat(&["noise", "--cpus", "0,4095"])).refuses(&["CPU 4095", "online"]);
    run(&mut scratch.lowlat(&["noise", "--rt", "99"])).refuses(&["99"]);

    let copy = for_anybody(&scratch);
    let nobody = |args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&copy);
        command.args(["noise", "--cpus", "0", "--duration", "60ms"]).args(args).stdin(Stdio::null());
        command
    };
    run(&mut nobody(&["--rt", "20"])).refuses(&["real-time priority 20", "CAP_SYS_NICE"]);
    let n = run(&mut nobody(&["--json"])).exits(0).json();
    assert_eq!(policy(&n), "SCHED_OTHER");
    assert!(n["not_seen"].to_string().contains("SCHED_FIFO"), "{n:#}");
}

#[test]
fn a_goal_is_met_missed_or_not_judged_and_the_run_is_kept() {
    let scratch = Scratch::new();
    let noise = |more: &[&str]| {
        run(&mut scratch.lowlat(&[&["noise", "--cpus", "0", "--duration", "100ms"][..], more].concat()))
    };
    // Nobody takes the CPU for longer than the watch lasts.
    let met = noise(&["--goal", "10s"]);
    met.exits(0);
    assert!(
        met.out.contains("goal: at most 10000000 µs for a wake-up or an interruption: met; CPU 0: nothing"),
        "{met:?}"
    );
    // No kernel wakes a sleeper within 1 ns.
    let missed = noise(&["--goal", "1ns"]);
    missed.exits(1);
    assert!(missed.out.contains(": missed; CPU 0: missed"), "{missed:?}");
    let json = noise(&["--goal", "1ns", "--json"]).exits(1).json();
    assert_eq!(json["goal_ns"], 1);
    let cpu = &json["cpus"][0];
    let counted = |of: &str| -> u64 {
        let bars = cpu[of]["bars"].as_array().map(Vec::as_slice).unwrap_or_default();
        bars.iter().map(|b| b["count"].as_u64().unwrap()).sum()
    };
    assert_eq!(counted("wakeup_distribution"), cpu["wakeup"]["samples"].as_u64().unwrap());
    assert_eq!(counted("interruption_distribution"), cpu["gaps_seen"].as_u64().unwrap());
    assert!(cpu["watched_ns"].as_u64().unwrap() > 50_000_000, "{cpu:#}");
    let page = run(&mut scratch.lowlat(&["report", "last", "--format", "html"])).exits(0).out.clone();
    assert!(page.contains("<h2>How late each wake-up was</h2>") && page.contains("<rect "), "{page}");
}

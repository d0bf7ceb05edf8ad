//! The guard of `apply --confirm-within`: what is killed, stopped, cut off or full, and whether the settings go back.
//!
//! Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use common::lab::{FAR, IFACE, Lab};
use common::{LOWLAT, Scratch, Started, kill, lives, until, word};
use serde_json::Value;

const PLACE: &str = "/sys/class/net/near0/queues/rx-0/rps_cpus";

/// A plan that hands packets to another CPU.
#[track_caller]
fn plan(lab: &Lab, scratch: &Scratch) -> String {
    let file = scratch.name("plan.json");
    lab.run(scratch, &["plan", "--set", "steer.rps", "near0/rx-0", "0", "--out", &file]).exits(0);
    file
}

#[track_caller]
fn status(lab: &Lab, scratch: &Scratch) -> Value {
    lab.run(scratch, &["status", "--json"]).exits(0).json()
}

/// The guard of the newest transaction.
#[track_caller]
fn guard(scratch: &Scratch) -> u32 {
    let entries = fs::read_dir(scratch.state().join("journal")).unwrap();
    let mut files: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "guard"));
    files.sort();
    let text = fs::read_to_string(files.last().unwrap()).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// Field 6 of proc_pid_stat(5).
fn session_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(3)?.parse().ok()
}

#[test]
fn it_outlives_its_session_and_every_signal_but_kill() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let plan = plan(&lab, &scratch);
    // A login session: the shell stays, and all of its processes are killed.
    let script = format!("\"$0\" apply {plan} --confirm-within 4s && echo applied >&2 && sleep 60");
    let mut login = Command::new("setsid");
    login.args(["ip", "netns", "exec", &lab.near, "sh", "-c", &script, LOWLAT]).env("LOWLAT_STATE", scratch.state());
    let mut login = Started::new(&mut login);
    login.says("applied");
    assert_eq!(lab.rps(), "1");
    let guard = guard(&scratch);
    let session = session_of(login.pid()).unwrap();
    assert_ne!(session_of(guard), Some(session), "the guard stayed in the session");
    for pid in lab.pids().into_iter().filter(|p| session_of(*p) == Some(session)) {
        kill("KILL", pid);
    }
    for signal in ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "ALRM", "XCPU", "PIPE", "TSTP", "TTOU"] {
        kill(signal, guard);
    }
    std::thread::sleep(Duration::from_millis(200));
    assert!(lives(guard), "a signal ended the guard");
    let pending = &status(&lab, &scratch)["pending"][0];
    assert_eq!((&pending["guarded"], &pending["settings"]), (&true.into(), &1.into()), "{pending:#}");
    assert!(lab.run(&scratch, &["status"]).exits(0).out.contains("unless you run `lowlat confirm`"));
    until("it goes back", || lab.rps() == "0");
    until("the guard ends", || !lives(guard));
    assert_eq!(status(&lab, &scratch)["pending"], Value::Array(Vec::new()));
}

#[test]
fn a_killed_guard_is_reported_and_its_place_taken() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let plan = plan(&lab, &scratch);
    for late in [vec!["confirm"], vec!["status"], vec!["apply", &plan], vec!["check", "--window", "none"]] {
        lab.run(&scratch, &["apply", &plan, "--confirm-within", "1s"]).exits(0);
        kill("KILL", guard(&scratch));
        std::thread::sleep(Duration::from_millis(1_200));
        assert_eq!(lab.rps(), "1");
        let ran = lab.run(&scratch, &late);
        assert!(ran.err.contains("not confirmed in time and its guard is gone"), "{ran:#?}");
        if late[0] == "confirm" {
            ran.refuses(&["confirm", "restored", "apply again"]);
        }
        if late[0] == "apply" {
            lab.run(&scratch, &["rollback"]).exits(0);
        }
        assert_eq!(lab.rps(), "0", "{late:?}");
    }
    // Before its time: another one waits for what is left of it, and a confirmation still holds.
    lab.run(&scratch, &["apply", &plan, "--confirm-within", "3s"]).exits(0);
    let first = guard(&scratch);
    kill("KILL", first);
    until("the first guard is gone", || !lives(first));
    let ran = lab.run(&scratch, &["status"]);
    assert!(ran.exits(0).err.contains("another one waits"), "{ran:#?}");
    assert_ne!(guard(&scratch), first);
    until("the second guard goes back", || lab.rps() == "0");
    lab.run(&scratch, &["apply", &plan, "--confirm-within", "20s"]).exits(0);
    let third = guard(&scratch);
    kill("KILL", third);
    until("the third guard is gone", || !lives(third));
    lab.run(&scratch, &["confirm"]).exits(0);
    assert_eq!(lab.rps(), "1");
    lab.run(&scratch, &["rollback"]).exits(0);
}

#[test]
fn a_guard_that_is_stopped_is_replaced() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let plan = plan(&lab, &scratch);
    // Before its time: another one takes its place.
    lab.run(&scratch, &["apply", &plan, "--confirm-within", "3s"]).exits(0);
    let early = guard(&scratch);
    kill("STOP", early);
    until("it is stopped", || fs::read_to_string(format!("/proc/{early}/stat")).is_ok_and(|s| s.contains(") T ")));
    let ran = lab.run(&scratch, &["status"]);
    assert!(ran.exits(0).err.contains("another one waits"), "{ran:#?}");
    until("the second guard goes back", || lab.rps() == "0");
    // After it.
    lab.run(&scratch, &["apply", &plan, "--confirm-within", "1s"]).exits(0);
    let stopped = guard(&scratch);
    kill("STOP", stopped);
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(lab.rps(), "1");
    lab.run(&scratch, &["status"]).exits(0);
    assert_eq!(lab.rps(), "0");
    until("the stopped guard is gone", || !lives(stopped));
}

#[test]
fn an_apply_that_is_stopped_midway_does_not_stop_it() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    lab.ip("link add many0 numrxqueues 400 type veth peer name many1");
    let rps = "cat /sys/class/net/many0/queues/rx-*/rps_cpus";
    let was = lab.sh(rps);
    let one = scratch.name("one.json");
    lab.run(&scratch, &["plan", "--set", "steer.rps", "many0/rx-0", "1", "--out", &one]).exits(0);
    let mut plan: Value = serde_json::from_slice(&fs::read(one).unwrap()).unwrap();
    let first = plan["steps"][0].to_string();
    let step = |queue: usize| serde_json::from_str(&first.replace("rx-0", &format!("rx-{queue}"))).unwrap();
    plan["steps"] = (0..400).map(step).collect::<Vec<Value>>().into();
    let plan = scratch.file("many.json", plan.to_string());
    let mut applies = Started::new(&mut lab.lowlat(&scratch, &["apply", &plan, "--confirm-within", "2s"]));
    applies.says("rx-3:");
    applies.signal("STOP");
    assert_ne!(lab.sh(rps), was);
    lab.run(&scratch, &["rollback"]).refuses(&["stopped"]);
    until("all goes back", || lab.sh(rps) == was);
    assert_eq!(applies.wait().code, None, "the stopped one was not ended");
    until("the journal is closed", || status(&lab, &scratch)["applied"] == Value::Array(Vec::new()));
}

/// Everything in one mount namespace, which `ip netns exec` makes anew each time.
fn on_disk(lab: &Lab, scratch: &Scratch, spoil: &str, undo: &str) -> String {
    let state = scratch.state().display().to_string();
    let plan = plan(lab, scratch);
    fs::create_dir_all(&state).unwrap();
    lab.sh(&format!(
        "export LOWLAT_STATE={state}; mount -t tmpfs -o size=140k,mode=700 lowlat-test {state} && \
         {} apply {plan} --confirm-within 2s >/dev/null 2>&1 && {spoil} && {undo} && cat {PLACE}",
        word()
    ))
}

#[test]
fn neither_a_full_disk_nor_a_read_only_one_stops_the_rollback() {
    let full = "{ cat /dev/zero > $LOWLAT_STATE/fill 2>/dev/null; true; }";
    let read_only = "mount --bind $LOWLAT_STATE $LOWLAT_STATE && mount -o remount,ro,bind $LOWLAT_STATE";
    let by_hand = format!("{{ {} rollback 2>&1; echo code $?; }}", word());
    let by_the_guard = "sleep 4";
    for (spoil, undo) in [(full, &*by_hand), (full, by_the_guard), (read_only, &*by_hand), (read_only, by_the_guard)] {
        let (lab, scratch) = (Lab::new(), Scratch::new());
        let out = on_disk(&lab, &scratch, spoil, undo);
        assert_eq!(out.lines().last(), Some("0"), "{spoil}, {undo}: {out}");
        if undo != by_the_guard {
            assert!(out.contains("restored and verified"), "{spoil}: {out}");
            // The page that holds the journal's end has room on a full disk, or not.
            let untold = out.contains("the journal could not be updated");
            assert_eq!(untold, out.contains("code 1"), "{spoil}: {out}");
            assert!(untold || spoil == full, "{spoil}: {out}");
        }
    }
}

#[test]
fn a_path_that_is_cut_brings_it_back_at_once() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let plan = plan(&lab, &scratch);
    let silent = ["apply", &plan, "--confirm-within", "60s", "--watch", "198.18.7.77"];
    lab.run(&scratch, &silent).refuses(&["198.18.7.77", "--watch"]);
    lab.run(&scratch, &["apply", &plan, "--confirm-within", "60s", "--watch"]).refuses(&["default gateway"]);
    lab.run(&scratch, &["apply", &plan, "--watch", FAR]).refuses(&["--confirm-within"]);
    assert_eq!(lab.rps(), "0");
    // The far end as the default gateway, and by its address; the link cut, and the address taken away.
    lab.ip(&format!("route add default via {FAR} dev {IFACE}"));
    for (watch, cut, fix) in [
        (&["--watch"][..], "link set far0 down", "link set far0 up"),
        (&["--watch", FAR], "address del 198.18.7.2/24 dev far0", "address add 198.18.7.2/24 dev far0"),
    ] {
        let args = [&["apply", &plan, "--confirm-within", "60s"], watch].concat();
        lab.run(&scratch, &args).exits(0);
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(lab.rps(), "1", "it went back while the target answered");
        assert!(lab.run(&scratch, &["status"]).out.contains(&format!("when {FAR} stops answering")));
        lab.far_ip(cut);
        let since = Instant::now();
        until("it goes back", || lab.rps() == "0");
        eprintln!("{cut}: back after {:?}", since.elapsed());
        lab.far_ip(fix);
        until("the guard ends", || lab.pids().is_empty());
        let ping = ["measure", FAR, "--proto", "icmp", "--count", "1", "--timeout", "100ms"];
        until("the target answers again", || lab.run(&scratch, &ping).code == Some(0));
    }
}

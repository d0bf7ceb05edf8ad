//! Stamps, one-way delays and interruptions, as the built program shows them of a path whose truth is known.
//!
//! Needs root; without it every case fails.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use common::lab::{FAR, IFACE, Lab};
use common::{Scratch, Started, for_anybody, run};

/// A short measurement with stamps, as JSON.
#[track_caller]
fn measured(lab: &Lab, scratch: &Scratch, more: &[&str]) -> Value {
    let mut args = vec!["measure", "--stamps", "--json", "--timeout", "500ms"];
    if !more.contains(&"--duration") {
        args.extend(["--duration", "400ms"]);
    }
    // At its polite pace a run this short would hold 40 probes.
    if more.contains(&"icmp") {
        args.extend(["--rate", "2000"]);
    }
    args.extend(more);
    lab.run(scratch, &args).exits(0).json()
}

fn kind<'a>(m: &'a Value, name: &str) -> &'a Value {
    m["stamps"]["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .find(|k| k["kind"] == name)
        .unwrap_or_else(|| panic!("no {name}: {m:#}"))
}

/// Of all answered probes at least 99 of 100 have the stamp, before the run and in it.
#[track_caller]
fn came(m: &Value, name: &str) {
    let k = kind(m, name);
    assert!(k["probed_arrived"].as_u64().unwrap() >= 31, "{k:#}");
    assert!(k["asked"].as_u64().unwrap() > 0 && k["ratio"].as_f64().unwrap() >= 0.99, "{k:#}");
    assert!(k["why_not"].is_null(), "{k:#}");
}

#[track_caller]
fn none(m: &Value, name: &str, why: &str) {
    let k = kind(m, name);
    assert_eq!((k["arrived"].as_u64(), k["asked"].as_u64()), (Some(0), Some(0)), "{k:#}");
    assert!(k["ratio"].is_null() && k["why_not"].as_str().unwrap().contains(why), "{k:#}");
}

fn stage<'a>(m: &'a Value, from: &str) -> Option<&'a Value> {
    m["stamps"]["stages"].as_array().unwrap().iter().find(|s| s["from"] == from && s["share"].is_number())
}

fn p50(of: &Value) -> u64 {
    of["time"]["p50_ns"].as_u64().unwrap_or_else(|| panic!("no P50: {of:#}"))
}

fn delay<'a>(m: &'a Value, from: &str) -> &'a Value {
    let delays = m["one_way"]["delays"].as_array();
    delays.and_then(|d| d.iter().find(|d| d["from"] == from)).unwrap_or_else(|| panic!("no {from}: {m:#}"))
}

const SOFTWARE: [&str; 3] = ["sched-tx", "software-tx", "software-rx"];

#[track_caller]
fn software_came(m: &Value) {
    for name in SOFTWARE {
        came(m, name);
    }
}

#[test]
fn every_kind_that_the_kernel_gives_on_a_link_comes_and_the_others_are_said() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    for (proto, engine) in [
        ("udp", "block"),
        ("udp", "spin"),
        ("udp", "epoll"),
        ("udp", "busy-poll"),
        ("tcp", "block"),
        ("tcp", "spin"),
        ("icmp", "block"),
    ] {
        let m = measured(&lab, &scratch, &[FAR, "--proto", proto, "--engine", engine]);
        software_came(&m);
        match proto {
            "tcp" => came(&m, "ack-tx"),
            _ => none(&m, "ack-tx", "TCP"),
        }
        match proto {
            "icmp" => none(&m, "far-software-rx", "protocol"),
            _ => came(&m, "far-software-rx"),
        }
        // veth has no clock of its own (drivers/net/veth.c gives ethtool_op_get_ts_info).
        none(&m, "hardware-tx", "none came");
        none(&m, "hardware-rx", "none came");
        assert!(m["conditions"]["hardware_stamps"].is_null(), "{m:#}");
        assert!(
            m["conditions"]["not_seen"].as_array().unwrap().iter().any(|n| n["fact"] == "hardware_stamps"),
            "{m:#}"
        );
        // The parts of the way are the whole of it.
        let shares: f64 = m["stamps"]["stages"].as_array().unwrap().iter().filter_map(|s| s["share"].as_f64()).sum();
        assert!((shares - 1.0).abs() < 0.02, "{proto} {engine}: {shares}: {:#}", m["stamps"]);
        assert_eq!(m["stamps"]["misplaced"], 0, "{:#}", m["stamps"]);
    }
}

#[test]
fn open_loop_stamps_find_their_probes() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    // Eight at once, of 106 bytes each on the link, and a shaper that lets one go each millisecond.
    lab.sh(&format!("tc qdisc add dev {IFACE} root tbf rate 848kbit burst 130 limit 65536"));
    let burst =
        ["--mode", "open-loop", "--rate", "400", "--pattern", "burst:8", "--engine", "spin", "--duration", "1s"];
    let m = measured(&lab, &scratch, &[&[FAR][..], &burst[..]].concat());
    software_came(&m);
    assert_eq!(m["stamps"]["misplaced"], 0, "{:#}", m["stamps"]);
    // The shaper is a queue discipline: its delay, 0 to 7 ms, stands between these two stamps and nowhere else.
    let queued = p50(stage(&m, "sched-tx").unwrap());
    assert!((2_000_000..6_000_000).contains(&queued), "{queued}");
    assert!(p50(stage(&m, "software-tx").unwrap()) < 1_000_000, "{:#}", m["stamps"]);
}

#[test]
fn loopback_gives_them_too_over_both_families() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let mut far = Started::new(&mut lab.lowlat(&scratch, &["serve"]));
    far.says("over Udp");
    far.says("over Tcp");
    for target in ["127.0.0.1", "::1"] {
        for proto in ["udp", "tcp", "icmp"] {
            let m = measured(&lab, &scratch, &[target, "--proto", proto]);
            software_came(&m);
            assert_eq!(m["conditions"]["iface"], "lo");
        }
    }
}

#[test]
fn an_engine_or_a_far_end_without_stamps_says_so() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &["--sockperf", "27511"]);
    let m = measured(&lab, &scratch, &[FAR, "--engine", "io-uring"]);
    for name in SOFTWARE {
        none(&m, name, "asks for none");
    }
    // The far end's own two stamps travel in the message, whatever the engine.
    came(&m, "far-software-rx");
    assert!(m["one_way"]["bound_ns"].is_u64(), "{m:#}");
    let m = measured(&lab, &scratch, &[&format!("{FAR}:27511"), "--peer", "sockperf"]);
    none(&m, "far-software-rx", "protocol");
    assert!(m["one_way"].is_null(), "{m:#}");
    assert!(m["stamps"]["notes"].to_string().contains("no stamps of its own"), "{m:#}");
    let m = lab.run(&scratch, &["measure", FAR, "--json", "--count", "50"]).exits(0).json();
    assert!(m["stamps"].is_null() && m["one_way"].is_null(), "not asked for: {m:#}");
}

/// The way there takes 3 ms, the return path nothing: a shaper whose rate lets a ping-pong probe (106 bytes on the
/// link) go each 3.03 ms.
fn slow_there(lab: &Lab) {
    lab.sh(&format!("tc qdisc add dev {IFACE} root tbf rate 280kbit burst 130 limit 65536"));
}

#[test]
fn one_clock_is_recognized_and_an_uneven_path_is_distinguished() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    slow_there(&lab);
    let m = measured(&lab, &scratch, &[FAR]);
    assert_eq!(m["one_way"]["same_clock"], true, "{:#}", m["one_way"]);
    let (there, back) = (delay(&m, "send"), delay(&m, "far-send"));
    assert!(there["bound_ns"].as_u64().unwrap() <= 1_000, "{there:#}");
    assert!((2_500_000..5_000_000).contains(&p50(there)), "{there:#}");
    assert!(p50(back) < 1_500_000, "{back:#}");
}

#[test]
fn a_far_clock_that_is_another_is_bounded_not_assumed() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    // A time namespace gives the far end a CLOCK_MONOTONIC of its own (time_namespaces(7)): on one host, and not one
    // clock.
    let mut far = Command::new("ip");
    far.args(["netns", "exec", &lab.far, "unshare", "--time", "--fork", "--kill-child", "--monotonic", "1000"]);
    far.args(["--", common::LOWLAT, "serve"]).env("LOWLAT_STATE", scratch.state()).stdin(Stdio::null());
    let mut far = Started::new(&mut far);
    far.says("over Tcp");
    far.says("over Udp");
    slow_there(&lab);
    // The near kernel stamps behind the shaper, so its delay is none of what bounds the clocks: the bound is tight. An
    // engine without near stamps cannot tell a longer way from a clock that is off: its bound, up to 1.5 ms, holds
    // that.
    for (engine, least, most) in [("spin", 0, 200_000), ("io-uring", 0, 10_000_000)] {
        let m = measured(&lab, &scratch, &[FAR, "--engine", engine]);
        let one_way = &m["one_way"];
        assert_eq!(one_way["same_clock"], false, "{one_way:#}");
        let (offset, bound) = (one_way["offset_ns"].as_i64().unwrap(), one_way["bound_ns"].as_i64().unwrap());
        assert!((offset - 1_000_000_000_000).abs() <= bound, "{engine}: {offset} ± {bound}");
        assert!((least..most).contains(&bound), "{engine}: {bound}");
        let (there, bound) = (delay(&m, "send"), delay(&m, "send")["bound_ns"].as_u64().unwrap());
        assert!(p50(there) + bound >= 2_500_000, "{engine}: {there:#}");
    }
    let text = lab.run(&scratch, &["measure", FAR, "--stamps", "--count", "200"]);
    assert!(text.exits(0).out.contains('±'), "{}", text.out);
}

/// Takes turns on a CPU with whatever runs there, for a second.
fn hog(lab: &Lab) -> Started {
    let mut hog = Command::new("ip");
    hog.args(["netns", "exec", &lab.near, "taskset", "-c", "0", "timeout", "3", "sh", "-c", "while :; do :; done"]);
    Started::new(hog.stdin(Stdio::null()))
}

#[test]
fn probes_that_meet_an_interruption_are_marked_and_kept() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &["--cpu", "0"]);
    for engine in ["spin", "block"] {
        let hog = hog(&lab);
        let args =
            ["measure", FAR, "--engine", engine, "--cpu", "0", "--duration", "1s", "--timeout", "500ms", "--json"];
        let m = lab.run(&scratch, &args).exits(0).json();
        drop(hog);
        let gaps = &m["gaps"];
        let marked = gaps["marked"].as_u64().unwrap();
        assert!(marked > 0 && gaps["seen"].as_u64().unwrap() > 0, "{engine}: {gaps:#}");
        assert!(gaps["longest_ns"].as_u64() >= gaps["threshold_ns"].as_u64(), "{engine}: {gaps:#}");
        // None of them left the run's own figures (what the steady-state test left out is in neither).
        assert_eq!(gaps["rtt_without"]["samples"].as_u64().unwrap() + marked, m["rtt"]["samples"].as_u64().unwrap());
    }
}

#[test]
fn placement_is_reported_and_refusals_are_one_line() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let m = measured(&lab, &scratch, &[FAR, "--cpu", "0", "--rt", "20", "--engine", "block"]);
    let c = &m["conditions"];
    assert_eq!((c["cpus"].to_string(), c["rt_priority"].as_u64()), ("[0]".to_owned(), Some(20)));
    assert_eq!((c["memory_locked"].as_bool(), c["iface"].as_str()), (Some(true), Some(IFACE)));
    assert!(c["placement"].as_str().unwrap().contains("CPU 0, set by --cpu"), "{c:#}");
    assert!(c["offloads"]["tso"].is_boolean() && c["qdisc"].is_string() && c["clocksource"].is_string(), "{c:#}");
    let by_rule = measured(&lab, &scratch, &[FAR]);
    let why = by_rule["conditions"]["placement"].as_str().unwrap();
    assert!(why.starts_with("CPU ") && !why.contains("set by --cpu"), "{by_rule:#}");
    lab.run(&scratch, &["measure", FAR, "--cpu", "1023"]).refuses(&["CPU 1023", "online"]);

    let copy = for_anybody(&scratch);
    let nobody = |args: &[&str]| {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &lab.near, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(&copy).args(args).stdin(Stdio::null());
        command.env("LOWLAT_STATE", scratch.state());
        command
    };
    run(&mut nobody(&["measure", FAR, "--rt", "20"])).refuses(&["real-time priority 20", "CAP_SYS_NICE"]);
    let mut limited = Command::new("prlimit");
    limited.args(["--memlock=65536:65536", "ip", "netns", "exec", &lab.near, "setpriv", "--reuid", "65534"]);
    limited.args(["--regid", "65534", "--clear-groups"]).arg(&copy).args(["measure", FAR, "--count", "50", "--json"]);
    limited.env("LOWLAT_STATE", scratch.state()).stdin(Stdio::null()).process_group(0);
    let m = run(&mut limited).exits(0).json();
    assert_eq!(m["conditions"]["memory_locked"], false);
    assert!(m["conditions"]["memory_refused"].as_str().unwrap().contains("mlockall"), "{m:#}");
}

#[test]
fn what_stamps_cost_is_measured_when_asked() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let m = measured(&lab, &scratch, &[FAR, "--stamp-cost"]);
    let cost = &m["stamps"]["cost"];
    assert_eq!((cost["a"].as_str(), cost["b"].as_str()), (Some("without stamps"), Some("with stamps")));
    assert!(
        cost["words"].as_str().is_some_and(|w| !w.is_empty()) && cost["quantiles"][0]["diff_ns"].is_i64(),
        "{cost:#}"
    );
    assert!(measured(&lab, &scratch, &[FAR])["stamps"]["cost"].is_null());
}

/// Two ptp4l with software stamps, which leave every clock alone (`free_running`); the far one is the master. The near
/// one's socket is where it always is, in a `/run` of the case's own.
#[test]
fn ptp_state_is_reported_where_there_is_ptp() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let run_dir = scratch.name("run");
    std::fs::create_dir(&run_dir).unwrap();
    let own_run = format!("mount --bind {run_dir} /run");
    let args = ["measure", FAR, "--count", "50", "--json"];
    let ask = || run(&mut lab.lowlat_after(&scratch, &own_run, &args)).exits(0).json()["conditions"]["ptp"].clone();
    let without = ask();
    assert!(without["ptp4l"].is_null(), "{without:#}");
    assert!(without["ptp4l_why_not"].as_str().unwrap().starts_with("absent"), "{without:#}");

    let ptp4l = |netns: &str, iface: &str, more: &str| {
        let fast = "--logAnnounceInterval -2 --logSyncInterval -2 --announceReceiptTimeout 2 --free_running 1";
        let mut command = Command::new("ip");
        let script = format!("{own_run} && exec ptp4l -i {iface} -S -2 {fast} {more}");
        command.args(["netns", "exec", netns, "sh", "-c", &script]).stdin(Stdio::null());
        Started::new(&mut command)
    };
    let _master = ptp4l(&lab.far, "far0", "--priority1 1 --uds_address /run/ptp4l-far");
    let _slave = ptp4l(&lab.near, IFACE, "-s");
    let begin = Instant::now();
    loop {
        let ptp = ask();
        if ptp["ptp4l"]["master"].is_string() {
            assert!(ptp["ptp4l"]["offset_from_master_ns"].is_i64(), "{ptp:#}");
            assert!(["UNCALIBRATED", "SLAVE"].contains(&ptp["ptp4l"]["state"].as_str().unwrap()), "{ptp:#}");
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "no master within a minute: {ptp:#}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

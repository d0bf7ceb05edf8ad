//! The built program on the real kernel: each case in two named namespaces of its own, one far end, one state
//! directory.
//!
//! Needs root; without it every case fails.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use common::lab::{FAR, IFACE, Lab, optimize};
use common::{Ran, Scratch, Started, for_anybody, kill, lives, run, until};

// ---- asked on a terminal -------------------------------------------------------------------------------------------

#[test]
fn on_a_terminal_it_asks_and_ctrl_c_at_a_question_ends_it() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    // script(1) is the terminal; what it is given is typed. `exec`, as a shell that waits would die of the Ctrl-C
    // itself.
    let typed = |keys: &str| {
        let state = scratch.state();
        lab.sh(&format!(
            "{{ {keys} }} | LOWLAT_STATE={} L={} script -qec 'exec \"$L\"' /dev/null; echo exit $?",
            state.display(),
            common::word()
        ))
    };
    let planned = typed(&format!("sleep 0.5; printf '{IFACE}\\n{FAR}\\n200us\\n\\nplan\\n'; sleep 0.5;"));
    for words in ["kernel ", "Interface [", "Far end", "goal", "[plan/try]", "BASELINE:", IFACE] {
        assert!(planned.contains(words), "{words:?} in {planned}");
    }
    assert!(planned.ends_with("exit 0") || planned.ends_with("exit 1"), "{planned}");
    let wrong = typed("sleep 0.5; printf 'nosuch0\\nb\\nnosuch1\\n'; sleep 0.5;");
    assert!(
        wrong.matches("Interface [").count() == 3 && wrong.contains("lowlat: use interface \"nosuch1\""),
        "{wrong}"
    );
    assert!(wrong.contains("choose one from the list") && wrong.ends_with("exit 2"), "{wrong}");
    // Reported at once, and asked for again.
    let fixed = format!("lo\\n{FAR}\\n\\n");
    let fixed = typed(&format!("sleep 0.5; printf '{fixed}'; sleep 0.5; printf '\\004';"));
    assert!(fixed.matches("Far end").count() >= 2 && fixed.contains("the terminal was closed"), "{fixed}");
    assert!(fixed.ends_with("exit 2"), "{fixed}");
    // 128 and SIGINT's number (script(1), -e).
    let ended = typed(&format!("sleep 0.5; printf '{IFACE}\\n'; sleep 0.5; printf '\\003'; sleep 0.5;"));
    assert!(ended.contains("Far end") && ended.ends_with("exit 130"), "{ended}");
}

#[test]
fn on_a_terminal_ctrl_c_during_a_step_puts_it_back() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    lab.plant();
    let before = lab.settings();
    // Typed once the planned shaper is off: a step stands applied then.
    let config = scratch.file("short.toml", "duration = \"300ms\"\nload = 0\npairs = 1000\nround = \"100ms\"\n");
    let ended = lab.sh(&format!(
        "{{ sleep 0.5; printf '{IFACE}\\n{FAR}\\n50us\\n\\ntry\\n'; n=0; \
           while tc qdisc show dev {IFACE} | grep -q tbf && [ $n -lt 600 ]; do n=$((n + 1)); sleep 0.05; done; \
           printf '\\003'; sleep 2; }} | LOWLAT_STATE={} L={} script -qec 'exec \"$L\" --config {config}' /dev/null; echo exit $?",
        scratch.state().display(),
        common::word()
    ));
    assert!(ended.contains("phase 2") && ended.contains("every applied change was undone"), "{ended}");
    assert!(ended.ends_with("exit 2"), "{ended}");
    before.same_as(&lab.settings());
    assert_eq!(lab.applied(&scratch), 0);
}

// ---- interfaces, privileges, state directories -------------------------------------------------------------------

#[test]
fn an_interface_that_is_down_or_has_no_carrier() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    lab.far_ip("link set far0 down");
    // The kernel's link watch reports the near end a moment later: "down", or "lowerlayerdown" where the two ends have
    // different indices (net/core/link_watch.c, default_operstate).
    let operstate = || lab.sh(&format!("cat /sys/class/net/{IFACE}/operstate"));
    until("the near end loses its carrier", || operstate().ends_with("down"));
    for args in [optimize(&[]), optimize(&["--dry-run"]), vec!["measure", FAR, "--iface", IFACE]] {
        lab.run(&scratch, &args).refuses(&[IFACE, "carrier"]);
    }
    lab.ip(&format!("link set {IFACE} down"));
    for args in [optimize(&[]), optimize(&["--dry-run"]), vec!["measure", FAR, "--iface", IFACE]] {
        lab.run(&scratch, &args).refuses(&[IFACE, "down", "ip link set"]);
    }
    // What it is can be said anyway.
    lab.run(&scratch, &["facts", "--iface", IFACE]).exits(0);
    assert!(!scratch.state().exists());
}

#[test]
fn an_interface_of_another_namespace_is_found_there() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let only = format!("x{}", std::process::id());
    lab.ip(&format!("link set {IFACE} down"));
    lab.ip(&format!("link set {IFACE} name {only}"));
    lab.ip(&format!("link set {only} up"));
    for args in [
        vec!["optimize", "--iface", &only, "--target", FAR],
        vec!["optimize", "--iface", &only, "--target", FAR, "--dry-run"],
        vec!["measure", FAR, "--iface", &only],
        vec!["facts", "--iface", &only],
        vec!["check", "--iface", &only, "--window", "none"],
    ] {
        run(&mut scratch.lowlat(&args)).refuses(&[&only, &lab.near, "ip netns exec"]);
    }
    // One without a name, as a container's: found by a process in it.
    let mut inside = Command::new("unshare").args(["--net", "sleep", "60"]).spawn().unwrap();
    let pid = inside.id().to_string();
    let host = netns_of(std::process::id());
    until("it has a namespace of its own", || netns_of(inside.id()) != host);
    let unnamed = format!("y{pid}");
    lab.ip(&format!("link add {unnamed} type veth peer name {unnamed}p netns {pid}"));
    run(&mut scratch.lowlat(&["facts", "--iface", &format!("{unnamed}p")])).refuses(&[&pid, "(sleep)", "nsenter"]);
    inside.kill().unwrap();
    inside.wait().unwrap();
    assert!(!scratch.state().exists());
}

#[test]
fn several_settings_that_are_asked_for_are_one_plan() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let before = lab.settings();
    let file = scratch.name("plan.json");
    let idle = ["--set", "sysctl.net.ipv4.tcp_slow_start_after_idle", "host", "0"];
    let corking = ["--set", "sysctl.net.ipv4.tcp_autocorking", "host", "0"];
    let plan = lab.run(&scratch, &[&["plan", "--json", "--out", &file][..], &idle, &corking].concat()).exits(0).json();
    let mut knobs: Vec<&str> = plan["steps"].as_array().unwrap().iter().map(|s| s["knob"].as_str().unwrap()).collect();
    knobs.sort_unstable();
    assert_eq!(knobs, [corking[1], idle[1]]);
    lab.run(&scratch, &["apply", &file]).exits(0);
    assert_eq!(lab.sh("cat /proc/sys/net/ipv4/tcp_autocorking /proc/sys/net/ipv4/tcp_slow_start_after_idle"), "0\n0");
    lab.run(&scratch, &["rollback"]).exits(0);
    before.same_as(&lab.settings());
}

#[test]
fn what_needs_root_says_so_and_the_rest_works_without() {
    let (_lab, scratch) = (Lab::new(), Scratch::new());
    let copy = for_anybody(&scratch);
    let nobody = |args: &[&str]| {
        let mut command = Command::new(&copy);
        command.args(args).env("LOWLAT_STATE", scratch.state()).stdin(Stdio::null()).uid(65_534).gid(65_534);
        command
    };
    let plan = run(&mut scratch.lowlat(&[
        "plan",
        "--json",
        "--set",
        "sysctl.net.ipv4.tcp_slow_start_after_idle",
        "host",
        "0",
    ]));
    let plan = scratch.file("plan.json", &plan.exits(0).out);
    for args in [
        vec!["optimize", "--iface", "lo", "--target", "127.0.0.1"],
        vec!["apply", &plan],
        vec!["apply", &plan, "--confirm-within", "5s"],
        vec!["confirm"],
        vec!["rollback"],
        vec!["persist"],
        vec!["demo"],
    ] {
        run(&mut nobody(&args)).refuses(&[args[0], "lacks CAP_"]);
    }
    run(&mut nobody(&["demo"])).refuses(&["CAP_SYS_ADMIN and CAP_NET_ADMIN"]);
    // Root by name alone: no capability is left to it.
    let mut dropped = Command::new("setpriv");
    dropped.args(["--bounding-set=-all", "--inh-caps=-all", common::LOWLAT, "optimize", "--iface", "lo"]);
    dropped.args(["--target", "127.0.0.1"]).env("LOWLAT_STATE", scratch.state()).stdin(Stdio::null());
    run(&mut dropped).refuses(&["optimize", "lacks CAP_NET_ADMIN"]);
    assert!(!scratch.state().exists());

    let mut far = Started::new(&mut nobody(&["serve", "--bind", "127.0.0.1", "--port", "27411"]));
    far.says("over Tcp");
    run(&mut nobody(&["facts", "--iface", "lo"])).exits(0);
    let check = run(&mut nobody(&["check", "--json", "--window", "none"]));
    assert!(matches!(check.code, Some(0 | 1)), "{check:#?}");
    for not_seen in check.json()["not_seen"].as_array().unwrap() {
        assert!(not_seen["why"].as_str().is_some_and(|w| !w.is_empty()), "{not_seen}");
    }
    for proto in ["udp", "tcp"] {
        let at = ["measure", "127.0.0.1:27411", "--proto", proto, "--count", "50", "--json"];
        assert_eq!(run(&mut nobody(&at)).exits(0).json()["received"], 50);
    }
    run(&mut nobody(&["optimize", "--iface", "lo", "--target", "127.0.0.1:27411", "--duration", "200ms", "--dry-run"]))
        .exits(2)
        .fails(&[&scratch.state().display().to_string()]);
}

#[test]
fn files_that_may_not_be_read_are_named() {
    let (_lab, scratch) = (Lab::new(), Scratch::new());
    let copy = for_anybody(&scratch);
    let secret = scratch.file("secret", "goal = \"50us\"\n");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir_all(scratch.state().join("runs")).unwrap();
    fs::set_permissions(scratch.state(), fs::Permissions::from_mode(0o700)).unwrap();
    let state = scratch.state().display().to_string();
    for (args, named) in [
        (vec!["measure", "127.0.0.1", "--config", &secret], &*secret),
        (vec!["check", "--facts", &secret], &*secret),
        (vec!["report", &secret], &*secret),
        (vec!["measure", "127.0.0.1", "--key-file", &secret], &*secret),
        (vec!["report", "last"], &*state),
        (vec!["status"], &*state),
    ] {
        let mut command = Command::new(&copy);
        command.args(&args).env("LOWLAT_STATE", scratch.state()).stdin(Stdio::null()).uid(65_534).gid(65_534);
        run(&mut command).refuses(&[named]);
    }
}

#[test]
fn a_state_directory_that_cannot_be_written_is_found_before_anything_changes() {
    let (lab, scratch, far_state) = (Lab::new(), Scratch::new(), Scratch::new());
    lab.plant();
    let _far = lab.serve(&far_state, &[]);
    let plan = lab.plan(&scratch, "sysctl.net.ipv4.tcp_slow_start_after_idle", "host", "0");
    let before = lab.settings();
    let state = scratch.state().display().to_string();
    fs::create_dir(scratch.state()).unwrap();
    // Private to the process: `ip netns exec` gives each its own mount namespace.
    let full = format!("mount -t tmpfs -o size=16k,mode=700 lowlat-test {state}");
    let read_only = format!("mount -t tmpfs -o ro,mode=700 lowlat-test {state}");
    for (mount, why) in [(full, "space"), (read_only, "ead-only")] {
        for args in [optimize(&[]), optimize(&["--dry-run"]), vec!["apply", &plan], vec!["demo"]] {
            run(&mut lab.lowlat_after(&scratch, &mount, &args)).refuses(&[&state, why]);
        }
    }
    before.same_as(&lab.settings());
    assert_eq!(fs::read_dir(scratch.state()).unwrap().count(), 0);
}

#[test]
fn targets_that_no_way_leads_to() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    lab.plant();
    let before = lab.settings();
    // Nobody has the first address; to the second there is no route (RFC 5737).
    let (silent, no_route) = ("198.18.7.77", "203.0.113.7");
    for target in [silent, no_route] {
        let mut job = optimize(&[]);
        *job.iter_mut().find(|a| **a == FAR).unwrap() = target;
        let dry = [&job[..], &["--dry-run"]].concat();
        let short = ["--timeout", "100ms"];
        let measure = |more: &[&'static str]| [&["measure", target][..], more, &short].concat();
        for args in [job.clone(), dry, measure(&[]), measure(&["--proto", "tcp"]), measure(&["--proto", "icmp"])] {
            lab.run(&scratch, &args).refuses(&[target]);
        }
    }
    lab.run(&scratch, &["measure", no_route]).refuses(&["unreachable", "route"]);
    before.same_as(&lab.settings());
    assert_eq!(scratch.journals(), []);
}

// ---- far ends -----------------------------------------------------------------------------------------------------

#[test]
fn a_target_that_answers_nonsense() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    lab.plant();
    let before = lab.settings();
    let garbage: fn(&mut Vec<u8>) = |b| b.iter_mut().for_each(|b| *b = 0xa5);
    let echo: fn(&mut Vec<u8>) = |_| {};
    let empty: fn(&mut Vec<u8>) = Vec::clear;
    let cut: fn(&mut Vec<u8>) = |b| b.truncate(b.len() / 2);
    for (port, answer) in [(7_501, garbage), (7_502, echo), (7_503, empty), (7_504, cut)] {
        lab.udp_answers(port, answer);
        let at = format!("{FAR}:{port}");
        let mut args = optimize(&[]);
        *args.iter_mut().find(|a| **a == FAR).unwrap() = &at;
        lab.run(&scratch, &args).refuses(&[&at]);
        for engine in ["block", "spin"] {
            lab.run(&scratch, &["measure", &at, "--timeout", "100ms", "--engine", engine]).refuses(&[&at, "--peer"]);
        }
    }
    lab.tcp_answers(7_505, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    lab.tcp_answers(7_506, b"");
    for port in [7_505, 7_506] {
        let at = format!("{FAR}:{port}");
        lab.run(&scratch, &["measure", &at, "--proto", "tcp", "--timeout", "200ms"]).refuses(&[&at]);
    }
    before.same_as(&lab.settings());
}

#[test]
fn every_protocol_and_both_ways_of_waiting() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let far = lab.serve(&scratch, &[]);
    for proto in ["icmp", "udp", "tcp"] {
        for engine in ["block", "spin"] {
            let args = ["measure", FAR, "--proto", proto, "--engine", engine, "--count", "300", "--json"];
            let faster = if proto == "icmp" { &["--rate", "2000"][..] } else { &[] };
            let ran = lab.run(&scratch, &[&args[..], faster].concat());
            let m = ran.exits(0).json();
            assert_eq!(m["proto"], proto, "{m:#}");
            assert_eq!(m["engine"], engine);
            assert_eq!(m["mode"], "ping-pong");
            assert_eq!(m["peer"], if proto == "icmp" { "icmp" } else { "lowlat" });
            assert!(m["target"].as_str().unwrap().starts_with(FAR), "{}", m["target"]);
            assert_eq!(m["schema"]["name"], "lowlat.measure");
            assert_eq!((&m["sent"], &m["received"], &m["lost"]), (&300.into(), &300.into(), &0.into()), "{m:#}");
            assert_eq!((&m["duplicates"], &m["reordered"]), (&0.into(), &0.into()));
            assert_eq!(m["loss_ratio"], 0.0);
            assert!(m["duration_ns"].as_u64().unwrap() > 0);
            let at = |q: &str| m["rtt"][q].as_u64().unwrap_or_else(|| panic!("rtt.{q} of {m:#}"));
            let order = [at("min_ns"), at("p50_ns"), at("p90_ns"), at("max_ns")];
            assert!(order[0] > 0 && order.is_sorted(), "{order:?}");
            assert!((order[0]..=order[3]).contains(&at("mean_ns")));
            // 300 samples bear neither; and ping-pong has no plan. Null, never 0, never left out.
            for (group, q) in [("rtt", "p999_ns"), ("rtt", "p9999_ns")] {
                assert_eq!(m[group].get(q), Some(&Value::Null), "{group}.{q} of {m:#}");
            }
            // Nothing was planned but where a pace was asked for.
            for q in ["min_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "p9999_ns", "max_ns", "mean_ns"]
                .iter()
                .filter(|_| proto != "icmp")
            {
                assert_eq!(m["rtt_planned"].get(q), Some(&Value::Null), "rtt_planned.{q} of {m:#}");
            }
            assert!(m.get("jitter_ratio").is_some());
        }
    }
    let open = ["measure", FAR, "--mode", "open-loop", "--rate", "500", "--duration", "1s", "--json"];
    let m = lab.run(&scratch, &open).exits(0).json();
    assert!(m["rtt_planned"]["p50_ns"].as_u64().unwrap() >= m["rtt"]["min_ns"].as_u64().unwrap(), "{m:#}");

    let text = lab.run(&scratch, &["measure", FAR, "--count", "200", "--out", &scratch.name("run")]);
    let out = &text.exits(0).out;
    assert!(out.contains("P50") && out.contains("µs") && out.contains(FAR), "{out}");
    let stored: Value = serde_json::from_slice(&fs::read(scratch.path().join("run/measure.json")).unwrap()).unwrap();
    assert_eq!(stored["schema"]["name"], "lowlat.measure");

    far.signal("TERM");
    let far = far.wait();
    assert!(far.exits(0).out.contains("answered"), "{far:#?}");
}

#[test]
fn an_interrupted_measurement_shows_what_it_has() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    for (engine, signal) in [("block", "INT"), ("spin", "TERM")] {
        let long = Started::new(
            &mut lab.lowlat(&scratch, &["measure", FAR, "--engine", engine, "--duration", "60s", "--json"]),
        );
        let answered = || {
            let udp = lab.sh("grep '^Udp: [0-9]' /proc/net/snmp");
            udp.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
        };
        // Beyond the greeting and the probes that are left out at the start.
        let before = answered();
        common::until("probes are answered", || answered() > before + 2_000);
        long.signal(signal);
        let m = long.wait();
        let m = m.exits(0).json();
        assert!(m["sent"].as_u64().unwrap() > 0, "{m:#}");
        assert!(m["duration_ns"].as_u64().unwrap() < 60_000_000_000, "it was not cut short: {m:#}");
    }
}

#[test]
fn a_far_end_with_a_key_answers_nobody_else() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let key = scratch.secret("key", "0123456789abcdef0123456789abcdef\n");
    let other = scratch.secret("other", "fedcba9876543210fedcba9876543210\n");
    let _far = lab.serve(&scratch, &["--key-file", &key]);
    lab.run(&scratch, &["measure", FAR, "--key-file", &key, "--count", "50"]).exits(0);
    lab.run(&scratch, &["measure", FAR, "--timeout", "100ms"]).refuses(&[FAR]);
    lab.run(&scratch, &["measure", FAR, "--key-file", &other, "--timeout", "100ms"]).refuses(&[FAR]);
}

// ---- findings, plans, the journal ---------------------------------------------------------------------------------

#[test]
fn a_planted_fault_is_found() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let check = |code: Option<i32>| {
        let ran = lab.run(&scratch, &["check", "--iface", IFACE, "--window", "none", "--json"]);
        assert!(code.map_or(matches!(ran.code, Some(0 | 1)), |c| ran.code == Some(c)), "{ran:#?}");
        ran.json()
    };
    let rules = |d: &Value| -> Vec<String> {
        d["findings"].as_array().unwrap().iter().map(|f| f["rule"].as_str().unwrap().to_owned()).collect()
    };
    let clean = check(None);
    assert!(!rules(&clean).iter().any(|r| r == "rps-remote-cpu"), "{clean:#}");
    lab.sh(&format!("echo 2 > /sys/class/net/{IFACE}/queues/rx-0/rps_cpus"));
    let found = check(Some(1));
    let finding = found["findings"].as_array().unwrap().iter().find(|f| f["rule"] == "rps-remote-cpu").unwrap();
    assert!(matches!(finding["severity"].as_str(), Some("warning" | "critical")), "{finding:#}");
    assert!(finding["evidence"].to_string().contains("rps_cpus"), "{finding:#}");
    assert!(finding["remedy"].to_string().contains("steer.rps"), "{finding:#}");
    assert!(!finding["title"].as_str().unwrap().is_empty());
    for f in found["not_seen"].as_array().unwrap() {
        assert!(f["fact"].is_string() && f["why"].is_string(), "{f}");
    }
    // The same finding from stored facts, and in the plan.
    let facts = lab.run(&scratch, &["facts", "--iface", IFACE]);
    let facts = scratch.file("facts.json", &facts.exits(0).out);
    let again = run(&mut scratch.lowlat(&["check", "--facts", &facts, "--json"]));
    assert!(rules(&again.exits(1).json()).contains(&"rps-remote-cpu".to_owned()));
    let plan = lab.run(&scratch, &["plan", "--iface", IFACE, "--json"]);
    let plan = plan.exits(0).json();
    let step = plan["steps"].as_array().unwrap().iter().find(|s| s["knob"] == "steer.rps").unwrap();
    for key in ["knob", "target", "from", "to", "risk", "reason", "undo"] {
        assert!(step.get(key).is_some_and(|v| !v.is_null()), "{key} of {step:#}");
    }
    assert_eq!(lab.rps(), "2", "checking and planning changed it");
    assert!(!scratch.state().exists());
}

/// Knob, target, value, and a shell command that shows the place.
const ROUND_TRIPS: &[(&str, &str, &str, &str)] = &[
    ("sysctl.net.ipv4.tcp_slow_start_after_idle", "host", "0", "cat /proc/sys/net/ipv4/tcp_slow_start_after_idle"),
    ("steer.rps", "near0/rx-0", "1", "cat /sys/class/net/near0/queues/rx-0/rps_cpus"),
    ("qdisc.kind", "near0/qdisc-root", "pfifo limit 8", "tc qdisc show dev near0"),
];

#[test]
fn plan_apply_status_rollback() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let before = lab.settings();
    for (knob, target, value, show) in ROUND_TRIPS {
        let was = lab.sh(show);
        let plan = lab.plan(&scratch, knob, target, value);
        assert_eq!(lab.sh(show), was, "planning {knob} changed it");
        lab.run(&scratch, &["apply", &plan]).exits(0);
        let set = lab.sh(show);
        assert_ne!(set, was, "{knob}");
        let status = lab.run(&scratch, &["status", "--json"]).exits(0).json();
        let applied = status["applied"].as_array().unwrap();
        assert_eq!(applied.len(), 1, "{status:#}");
        let one = &applied[0];
        assert_eq!((&one["knob"], &one["target"]), (&Value::from(*knob), &Value::from(*target)));
        assert_eq!(one["set"], one["now"], "{one:#}");
        assert_ne!(one["was"], one["set"], "{one:#}");
        assert_eq!(one["changed_by_other"], false);
        assert!(lab.run(&scratch, &["status"]).exits(0).out.contains(knob));
        lab.run(&scratch, &["rollback"]).exits(0);
        assert_eq!(lab.sh(show), was, "{knob}");
        assert_eq!(lab.applied(&scratch), 0);
    }
    // All of them, put back in one go; and once more, when there is nothing left to put back.
    for (knob, target, value, _) in ROUND_TRIPS {
        let plan = lab.plan(&scratch, knob, target, value);
        lab.run(&scratch, &["apply", &plan]).exits(0);
    }
    assert_eq!(lab.applied(&scratch), ROUND_TRIPS.len());
    lab.run(&scratch, &["rollback"]).exits(0);
    lab.run(&scratch, &["rollback"]).exits(0);
    assert_eq!(lab.applied(&scratch), 0);
    before.same_as(&lab.settings());
}

#[test]
fn an_apply_that_is_interrupted_puts_back_what_it_did() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    // A link of many queues, so that there is a middle.
    lab.ip("link add many0 numrxqueues 400 type veth peer name many1");
    let rps = "cat /sys/class/net/many0/queues/rx-*/rps_cpus";
    let was = lab.sh(rps);
    let one = lab.plan(&scratch, "steer.rps", "many0/rx-0", "1");
    let mut plan: Value = serde_json::from_slice(&fs::read(one).unwrap()).unwrap();
    let first = plan["steps"][0].to_string();
    let step = |queue: usize| serde_json::from_str(&first.replace("rx-0", &format!("rx-{queue}"))).unwrap();
    plan["steps"] = (0..400).map(step).collect::<Vec<Value>>().into();
    let plan = scratch.file("many.json", plan.to_string());
    for signal in ["INT", "TERM"] {
        let mut running = Started::new(&mut lab.lowlat(&scratch, &["apply", &plan]));
        running.says("rx-3:");
        running.signal(signal);
        running.wait().fails(&["apply: interrupted", "every applied change was undone"]);
        assert_eq!(lab.sh(rps), was, "{signal}");
        assert_eq!(lab.applied(&scratch), 0);
    }
    // All of it, when nobody interrupts.
    lab.run(&scratch, &["apply", &plan]).exits(0);
    assert_eq!(lab.applied(&scratch), 400);
    lab.run(&scratch, &["rollback"]).exits(0);
    assert_eq!(lab.sh(rps), was);
}

#[test]
fn what_another_program_changed_is_reported_and_left_alone() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let (knob, target, ..) = ROUND_TRIPS[1];
    let plan = lab.plan(&scratch, knob, target, "1");
    lab.run(&scratch, &["apply", &plan]).exits(0);
    lab.sh(&format!("echo 1 > /sys/class/net/{IFACE}/queues/rx-0/rps_cpus"));
    let status = lab.run(&scratch, &["status", "--json"]).exits(0).json();
    assert_eq!(status["applied"][0]["changed_by_other"], true, "{status:#}");
    lab.run(&scratch, &["rollback"]).exits(1);
    assert_eq!(lab.rps(), "1", "rollback overwrote what another program set");
    lab.run(&scratch, &["rollback", "--force"]).exits(0);
    assert_eq!(lab.rps(), "0");
    assert_eq!(lab.applied(&scratch), 0);
}

#[test]
fn a_value_that_the_kernel_refuses_changes_nothing() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let before = lab.settings();
    for (knob, target, value) in [
        ("steer.rps", "near0/rx-0", "many"),
        ("steer.rps", "near0/rx-77", "1"),
        ("steer.rps", "nosuch0/rx-0", "1"),
        ("sysctl.net.ipv4.tcp_slow_start_after_idle", "host", "maybe"),
        ("sysctl.net.ipv4.tcp_slow_start_after_idle", "host", ""),
    ] {
        lab.run(&scratch, &["plan", "--set", knob, target, value]).refuses(&[knob, target]);
    }
    before.same_as(&lab.settings());
}

#[test]
fn without_a_confirmation_it_goes_back_on_its_own() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    lab.run(&scratch, &["confirm"]).refuses(&["confirm", "lowlat status"]);
    let before = lab.settings();
    let (knob, target, value, show) = ROUND_TRIPS[0];
    let plan = lab.plan(&scratch, knob, target, value);
    let was = lab.sh(show);
    lab.run(&scratch, &["apply", &plan, "--confirm-within", "2s"]).exits(0);
    assert_ne!(lab.sh(show), was);
    until("the setting goes back on its own", || lab.sh(show) == was);
    until("the journal is closed", || lab.applied(&scratch) == 0);
    before.same_as(&lab.settings());
    until("nothing is left running", || lab.pids().is_empty());

    let waits = lab.run(&scratch, &["apply", &plan, "--confirm-within", "3s"]);
    assert!(waits.exits(0).out.contains("reverts in 3 s unless you run `lowlat confirm`"), "{waits:#?}");
    let left = lab.run(&scratch, &["status", "--json"]).json()["pending"][0]["left_ns"].as_u64();
    assert!(left.is_some_and(|ns| ns <= 3_000_000_000), "{left:?}");
    lab.run(&scratch, &["confirm"]).exits(0);
    assert_eq!(lab.run(&scratch, &["status", "--json"]).json()["pending"], serde_json::json!([]));
    until("the watcher ends", || lab.pids().is_empty());
    std::thread::sleep(Duration::from_millis(3_500));
    assert_ne!(lab.sh(show), was, "a confirmed setting went back");
    lab.run(&scratch, &["confirm"]).refuses(&["confirm"]);
    lab.run(&scratch, &["rollback"]).exits(0);
    before.same_as(&lab.settings());
}

#[test]
fn a_journal_that_cannot_be_trusted_is_refused_and_left_alone() {
    let (lab, scratch, far_state) = (Lab::new(), Scratch::new(), Scratch::new());
    let _far = lab.serve(&far_state, &[]);
    let (knob, target, value, show) = ROUND_TRIPS[0];
    let was = lab.sh(show);
    let plan = lab.plan(&scratch, knob, target, value);
    lab.run(&scratch, &["apply", &plan]).exits(0);
    let set = lab.sh(show);
    let path = Lab::journal(&scratch);
    let good = fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = good.split_inclusive(|b| *b == b'\n').collect();
    assert!(lines.len() >= 3, "begin, intent, done: {}", String::from_utf8_lossy(&good));

    let flip = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 4;
        bad
    };
    let json = std::str::from_utf8(lines[0]).unwrap().trim_end().split_once(' ').unwrap().1;
    let mut newer: Value = serde_json::from_str(json).unwrap();
    newer["schema"]["version"] = 99.into();
    let newer = newer.to_string();
    let newer = format!("{:08x} {newer}\n", common::crc32(newer.as_bytes()));
    let mut hole = lines[0].to_vec();
    hole.extend(lines[2..].concat());
    for (what, bad) in [
        ("a flipped bit in the first line", flip(40)),
        ("a flipped bit in the second line", flip(lines[0].len() + 20)),
        ("a flipped bit in a checksum", flip(lines[0].len() + 2)),
        ("a line that is missing", hole),
        ("garbage", b"\x00\xffwhat is this\n".to_vec()),
        ("a newer version", newer.into_bytes()),
    ] {
        fs::write(&path, &bad).unwrap();
        let name = path.display().to_string();
        for args in [
            vec!["rollback"],
            vec!["rollback", "--force"],
            vec!["status"],
            vec!["confirm"],
            vec!["apply", &plan],
            optimize(&[]),
        ] {
            let ran = lab.run(&scratch, &args);
            if let Some(wrong) = ran.unlike_a_refusal(&[&name]) {
                panic!("{what}: {wrong}");
            }
        }
        assert_eq!(fs::read(&path).unwrap(), bad, "{what}: the file was changed");
        assert_eq!(lab.sh(show), set, "{what}: the setting was changed");
    }
    // Cut off within its last line, as by a loss of power: what is complete is enough to go back.
    fs::write(&path, &good[..good.len() - 5]).unwrap();
    lab.run(&scratch, &["rollback"]).exits(0);
    assert_eq!(lab.sh(show), was);
}

// ---- optimize: two at once, signals, kill -9 ----------------------------------------------------------------------

#[test]
fn a_dry_run_changes_nothing() {
    let (lab, scratch, far_state) = (Lab::new(), Scratch::new(), Scratch::new());
    let _far = lab.serve(&far_state, &[]);
    lab.plant();
    let before = lab.settings();
    let ran = lab.run(&scratch, &optimize(&["--dry-run"]));
    assert!(ran.exits(0).out.contains("steer.rps"), "{ran:#?}");
    before.same_as(&lab.settings());
    assert_eq!(scratch.journals(), []);
    // It is a run like another: the newest, and it can be read again.
    let last = run(&mut scratch.lowlat(&["report", "last"]));
    assert!(last.exits(0).out.contains(FAR), "{last:#?}");
    assert_eq!(run(&mut scratch.lowlat(&["report", "last", "--json"])).exits(0).json()["dry_run"], true);
}

#[test]
fn goals_of_a_measurement_set_its_exit() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let config = scratch.file("goal.toml", format!("target = \"{FAR}\"\ngoal = [\"10s\", \"p99=10s\"]\n"));
    let ask = |args: &[&str]| lab.run(&scratch, &[&["measure", "--count", "1200", "--duration", "60s"], args].concat());
    let met = ask(&["--config", &config]);
    assert!(met.exits(0).out.contains("p50 ≤") && met.out.matches(": met, ").count() == 2, "{met:#?}");
    let out = scratch.name("missed");
    let missed = ask(&[FAR, "--goal", "1ns,max=10s", "--out", &out]);
    assert!(missed.exits(1).out.contains(": missed, ") && missed.out.contains("max ≤"), "{missed:#?}");
    assert!(run(&mut scratch.lowlat(&["report", &out])).exits(1).out.contains(": missed, "));
    // Too few for it: not met either, and it says why.
    let open = ["--mode", "open-loop", "--rate", "2000", "--goal", "p99.9=10s", "--json"];
    let few = ask(&[&[FAR], &open[..]].concat());
    assert_eq!(few.exits(1).json()["goals"][0]["met"], Value::Null);
    let few = ask(&[&[FAR], &open[..open.len() - 1]].concat());
    let words = few.exits(1).out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("p99.9 needs 10,000 samples; this run has "), "{few:#?}");
    assert!(few.out.contains("GOALS, FROM THE PLANNED SEND"), "{few:#?}");
}

#[test]
fn a_stock_irtt_server_sets_the_pace_and_it_is_said() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _server = Started::new(Command::new("ip").args(["netns", "exec", &lab.far, "irtt", "server", "-b", ":2112"]));
    let here = ["measure", FAR, "--peer", "irtt", "--duration", "600ms", "--json"];
    until("the server answers", || lab.run(&scratch, &here).code == Some(0));
    for more in [&[][..], &["--mode", "open-loop", "--rate", "5000", "--pattern", "poisson"]] {
        let m = lab.run(&scratch, &[&here[..], more].concat()).exits(0).json();
        assert!(m["warnings"].to_string().contains("one probe per 10 ms; paced to it"), "{m:#}");
        assert!(m["received"].as_u64().unwrap() >= 30 && m["lost"] == 0, "{m:#}");
    }
    // At a pace that it allows there is nothing to say.
    let m = lab.run(&scratch, &[&here[..], &["--rate", "50"]].concat()).exits(0).json();
    assert!(!m["warnings"].to_string().contains("paced"), "{m:#}");
    let pairs = ["compare", "block", "block", "--target", FAR, "--peer", "irtt", "--pairs", "4", "--round", "20ms"];
    let said = lab.run(&scratch, &pairs);
    assert!(said.code != Some(2) && said.err.contains("rounds are 300 ms long"), "{said:#?}");
}

#[test]
fn where_nothing_takes_a_load_it_is_left_out_and_said() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let job = ["optimize", "--iface", IFACE, "--target", FAR, "--proto", "icmp", "--own-settings-only", "--pairs", "4"];
    let short = ["--round", "30ms", "--duration", "300ms", "--engines", "none"];
    let job = [&job[..], &short].concat();
    let ran = lab.run(&scratch, &[&job[..], &["--rollback", "--json"]].concat());
    let d = ran.exits(0).json();
    assert!(ran.err.contains("without the measurement under load"), "{ran:#?}");
    assert!(d["not_seen"].to_string().contains("the path under load") && d["loaded"].is_null(), "{d:#}");
    lab.run(&scratch, &[&job[..], &["--load", "2"]].concat()).refuses(&[FAR, "lowlat serve"]);
    lab.run(&scratch, &["measure", FAR, "--proto", "icmp", "--load", "2"]).refuses(&[FAR, "lowlat serve"]);
    // And where somebody does, it is there.
    let _far = lab.serve(&scratch, &[]);
    let d = lab.run(&scratch, &[&job[..], &["--rollback", "--json"]].concat()).exits(0).json();
    assert!(d["loaded"]["received"].as_u64().unwrap() > 0, "{d:#}");
}

#[test]
fn a_run_keeps_its_samples_wherever_else_they_go() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let (both, log, swept) = (scratch.name("both"), scratch.name("f.log"), scratch.name("swept"));
    lab.run(&scratch, &["measure", FAR, "--count", "200", "--out", &both, "--log", &log]).exits(0);
    assert_eq!(fs::read(format!("{both}/samples.log")).unwrap(), fs::read(&log).unwrap());
    lab.run(&scratch, &["measure", FAR, "--duration", "100ms", "--sweep", "size=64,512", "--out", &swept]).exits(0);
    for point in ["samples-01.log", "samples-02.log"] {
        let csv = run(&mut scratch.lowlat(&["report", &format!("{swept}/{point}"), "--format", "csv"]));
        assert!(csv.exits(0).out.lines().count() > 10, "{point}");
    }
    run(&mut scratch.lowlat(&["report", &swept, "--format", "csv"])).refuses(&["samples-01.log"]);
}

/// What root applied is not in an ordinary user's directory, and `status` says where it is.
#[test]
fn status_of_another_user_names_the_hosts_state_directory() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let home = scratch.name("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(65_534), Some(65_534)).unwrap();
    let status = |user: &str, more: &[&str]| {
        let prepare = format!(
            "mount -t tmpfs lowlat-test /var/lib && mkdir -m 700 /var/lib/lowlat && unset LOWLAT_STATE XDG_STATE_HOME && \
             export HOME={home} && set -- {user} \"$0\" \"$@\" && exec \"$@\" && true"
        );
        run(&mut lab.lowlat_after(&scratch, &prepare, &[&["status"], more].concat()))
    };
    for more in [&[][..], &["--json"]] {
        let ran = status("setpriv --reuid 65534 --regid 65534 --clear-groups", more);
        assert!(ran.exits(0).err.contains("in /var/lib/lowlat: `sudo lowlat status`"), "{ran:#?}");
        assert!(!status("env", more).exits(0).err.contains("sudo"));
    }
}

/// A name that looks like a flag, which the kernel takes.
#[test]
fn an_interface_may_be_called_like_a_flag() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    lab.ip("link add name -x type veth peer name other0");
    let rps = || lab.sh("cat /sys/class/net/-x/queues/rx-0/rps_cpus");
    let (before, plan) = (rps(), scratch.name("flag.json"));
    lab.run(&scratch, &["plan", "--set", "steer.rps", "-x/rx-0", "0", "--out", &plan]).exits(0);
    lab.run(&scratch, &["apply", &plan]).exits(0);
    assert_ne!(rps(), before);
    lab.run(&scratch, &["rollback"]).exits(0);
    assert_eq!(rps(), before);
    lab.run(&scratch, &["facts", "--iface=-x"]).exits(0);
}

#[test]
fn root_of_a_namespace_is_not_told_to_become_root() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let plan = lab.plan(&scratch, "nic.gro-flush-timeout", IFACE, "50000");
    // It asks for CAP_NET_ADMIN in the user namespace that made the network namespace (net/core/net-sysfs.c,
    // `netdev_store`).
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", &lab.near, "unshare", "--user", "--map-root-user", common::LOWLAT, "apply", &plan]);
    inside.env("LOWLAT_STATE", scratch.name("inside"));
    let refused = run(inside.stdin(Stdio::null()));
    assert!(refused.code == Some(2) && !refused.err.contains("sudo"), "{refused:#?}");
    assert!(refused.err.contains("CAP_NET_ADMIN, which this process has, is not enough here"), "{refused:#?}");
}

#[test]
fn the_second_optimize_names_the_first() {
    let (lab, scratch, far_state) = (Lab::new(), Scratch::new(), Scratch::new());
    let _far = lab.serve(&far_state, &[]);
    lab.plant();
    let before = lab.settings();
    let mut first = Started::new(&mut lab.lowlat(&scratch, &optimize(&["--pairs", "1000"])));
    first.says("phase 2");
    let pid = first.pid().to_string();
    let plan = lab.plan(&scratch, ROUND_TRIPS[0].0, ROUND_TRIPS[0].1, ROUND_TRIPS[0].2);
    for args in [optimize(&[]), vec!["apply", &plan], vec!["rollback"]] {
        lab.run(&scratch, &args).refuses(&[&format!("process {pid}")]);
    }
    first.signal("INT");
    first.wait().fails(&["interrupted"]);
    before.same_as(&lab.settings());
}

/// A fault on an interface that is not the path's is reported, and never touched.
#[test]
fn a_shaper_off_the_path_is_reported_and_never_touched() {
    let (lab, scratch, far_state) = (Lab::new(), Scratch::new(), Scratch::new());
    let _far = lab.serve(&far_state, &[]);
    lab.sh("ip link add beside0 type veth peer name beside1 && ip link set beside0 up && ip link set beside1 up");
    lab.sh("tc qdisc add dev beside0 root tbf rate 300kbit burst 1600 limit 65536");
    let qdisc = || lab.sh("tc qdisc show dev beside0");
    let shaped = qdisc();
    assert!(shaped.contains("tbf"), "{shaped}");
    for more in [&["--own-settings-only"][..], &[]] {
        let asked: Vec<&str> = ["--json", "--rollback"].iter().chain(more).copied().collect();
        let document = lab.run(&scratch, &optimize(&asked)).exits(0).json();
        let all = document["steps"].as_array().unwrap();
        assert!(all.iter().all(|s| !s["target"].as_str().unwrap().starts_with("beside")), "{all:#?}");
        let elsewhere = document["elsewhere"].to_string();
        assert!(elsewhere.contains("beside0"), "{elsewhere}");
        assert!(!document["findings"].to_string().contains("beside0"));
        assert_eq!(qdisc(), shaped);
    }
    let writes: Vec<String> =
        scratch.journals().into_iter().map(|(_, b)| String::from_utf8_lossy(&b).into_owned()).collect();
    assert!(writes.iter().all(|journal| !journal.contains("beside0")), "{writes:#?}");
}

/// The path goes in mid-run: the interface is set down, its route leads elsewhere, the interface is gone.
#[test]
fn a_path_that_goes_in_mid_run_ends_it_with_everything_put_back() {
    let away = "ip link add other0 type veth peer name other1 && ip link set other0 up && ip route add 198.18.7.2/32 dev other0";
    for (what, after, said) in [
        (format!("ip link set {IFACE} down"), format!("ip link set {IFACE} up"), "was set down"),
        (away.to_owned(), "ip link del other0".to_owned(), "leaves by other0 now"),
        (format!("ip link del {IFACE}"), String::new(), "is gone"),
    ] {
        let (lab, scratch, far_state) = (Lab::new(), Scratch::new(), Scratch::new());
        let _far = lab.serve(&far_state, &[]);
        lab.plant();
        let shapers = || lab.sh(&format!("tc qdisc show dev {IFACE}; cat /sys/class/net/{IFACE}/queues/rx-0/rps_cpus"));
        let before = shapers();
        let mut running = Started::new(&mut lab.lowlat(&scratch, &optimize(&["--pairs", "400", "--round", "20ms"])));
        running.says("phase 2");
        std::thread::sleep(Duration::from_millis(300));
        lab.sh(&what);
        let ran = running.wait();
        // A round that begins in that very moment cannot connect, and says what the kernel answered.
        let names: &[&str] =
            if ran.err.contains("Network is unreachable") { &["every applied"] } else { &[IFACE, said] };
        ran.fails(names);
        assert!(ran.err.lines().last().unwrap().starts_with("lowlat: "), "{}", ran.err);
        if after.is_empty() {
            // Its settings went with it.
            continue;
        }
        ran.fails(&["every applied change was undone"]);
        lab.sh(&after);
        assert_eq!(shapers(), before, "{what}");
        assert_eq!(lab.applied(&scratch), 0, "{what}");
    }
}

#[test]
fn signals_at_any_moment_leave_everything_as_it_was() {
    let (lab, scratch, far_state) = (Lab::new(), Scratch::new(), Scratch::new());
    let _far = lab.serve(&far_state, &[]);
    lab.plant();
    let before = lab.settings();
    let slow: &[&str] = &["--pairs", "200", "--round", "40ms"];
    let quick: &[&str] = &["--engines", "block,spin"];
    // The shaper's milliseconds are far beyond what a busy host does to single rounds, which is not to pass for harm
    // here.
    let proven: &[&str] = &["--pairs", "40", "--duration", "1s", "--worth", "50%,20us"];
    for (line, ms, signal, more) in [
        ("phase 1", 0, "INT", slow),
        ("phase 1", 150, "TERM", slow),
        ("baseline:", 20, "INT", slow),
        ("phase 2", 0, "TERM", slow),
        ("phase 2", 60, "INT", slow),
        ("phase 2", 110, "TERM", slow),
        ("phase 2", 400, "HUP", slow),
        ("phase 2", 1_500, "INT", slow),
        ("phase 3", 0, "TERM", quick),
        ("phase 3", 250, "INT", quick),
        ("headline:", 0, "INT", proven),
        ("headline:", 300, "TERM", proven),
    ] {
        let mut running = Started::new(&mut lab.lowlat(&scratch, &optimize(more)));
        running.says(line);
        std::thread::sleep(Duration::from_millis(ms));
        running.signal(signal);
        // Impatience must not stop the rollback.
        std::thread::sleep(Duration::from_millis(5));
        if lives(running.pid()) {
            kill("INT", running.pid());
        }
        let ran = running.wait();
        eprintln!("{signal} {ms} ms after {line:?}: {}", ran.err.lines().last().unwrap_or_default());
        ran.fails(&["interrupted"]);
        before.same_as(&lab.settings());
        assert_eq!(lab.applied(&scratch), 0, "{signal} {ms} ms after {line:?}");
        assert!(lab.pids().is_empty(), "something still runs");
    }
}

#[test]
fn killed_half_way_it_goes_back_by_rollback() {
    let (lab, scratch, far_state) = (Lab::new(), Scratch::new(), Scratch::new());
    let _far = lab.serve(&far_state, &[]);
    lab.plant();
    let before = lab.settings();
    for round in ["700ms", "1500ms"] {
        let mut running = Started::new(&mut lab.lowlat(&scratch, &optimize(&["--pairs", "50", "--round", round])));
        running.says("phase 2");
        let mut changed = Vec::new();
        until("a step is applied", || {
            changed = lab.shell_against(&before);
            !changed.is_empty()
        });
        running.signal("KILL");
        assert_eq!(running.wait().code, None);
        assert!(!before.against(&lab.settings()).is_empty(), "nothing stood applied any more: {changed:?}");
        lab.run(&scratch, &optimize(&[])).refuses(&["lowlat rollback"]);
        lab.run(&scratch, &["rollback"]).exits(0);
        before.same_as(&lab.settings());
        assert_eq!(lab.applied(&scratch), 0);
        lab.run(&scratch, &optimize(&["--dry-run"])).exits(0);
    }
}

// ---- demo ---------------------------------------------------------------------------------------------------------

#[test]
fn a_killed_demo_leaves_nothing_and_the_next_one_runs() {
    let (_lab, scratch) = (Lab::new(), Scratch::new());
    for (line, signal) in [("phase 1", "KILL"), ("phase 2", "KILL"), ("phase 2", "INT"), ("phase 2", "TERM")] {
        let mut demo = Started::new(&mut scratch.lowlat(&["demo"]));
        demo.says(line);
        if line == "phase 2" {
            // Into the first step, so that something stands applied.
            std::thread::sleep(Duration::from_millis(700));
        }
        let pid = demo.pid();
        let namespaces: Vec<String> = children(pid).into_iter().chain([pid]).filter_map(netns_of).collect();
        let nodes = children(pid);
        assert!(!nodes.is_empty(), "the far node is not a child of the demo");
        let host = netns_of(std::process::id()).unwrap();
        assert!(!namespaces.contains(&host), "the demo runs in the host's namespace");
        demo.signal(signal);
        let ran = demo.wait();
        if signal == "KILL" {
            assert_eq!(ran.code, None);
        } else {
            ran.fails(&["interrupted"]);
        }
        until("the far node ends", || !nodes.iter().any(|p| lives(*p)));
        until("its namespaces are nobody's", || !all_netns().iter().any(|n| namespaces.contains(n)));
    }
}

fn all_pids() -> Vec<u32> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

fn children(pid: u32) -> Vec<u32> {
    let parent = |p: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{p}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    all_pids().into_iter().filter(|p| parent(*p) == Some(pid)).collect()
}

fn netns_of(pid: u32) -> Option<String> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok().map(|l| l.display().to_string())
}

fn all_netns() -> Vec<String> {
    all_pids().into_iter().filter_map(netns_of).collect()
}

// ---- helpers that only this suite needs -----------------------------------------------------------------------------

impl Lab {
    /// Writes a plan of one setting.
    #[track_caller]
    fn plan(&self, scratch: &Scratch, knob: &str, target: &str, value: &str) -> String {
        let file = scratch.name(&format!("{knob}.plan.json"));
        let plan: Ran = self.run(scratch, &["plan", "--set", knob, target, value, "--out", &file, "--json"]);
        assert_eq!(plan.exits(0).json()["steps"].as_array().unwrap().len(), 1, "{plan:#?}");
        file
    }

    /// The newest journal.
    fn journal(scratch: &Scratch) -> PathBuf {
        let dir = scratch.state().join("journal");
        let all = scratch.journals();
        let (name, _) = all.iter().rfind(|(_, bytes)| bytes.windows(7).any(|w| w == b"\"begin\"")).unwrap();
        dir.join(name)
    }

    /// A service in the far namespace that answers each datagram with what `answer` makes of it.
    fn udp_answers(&self, port: u16, answer: fn(&mut Vec<u8>)) {
        let socket = self.in_far(move || std::net::UdpSocket::bind((FAR, port)).unwrap());
        std::thread::spawn(move || {
            let mut buf = vec![0; 65_536];
            while let Ok((n, from)) = socket.recv_from(&mut buf) {
                let mut bytes = buf[..n].to_vec();
                answer(&mut bytes);
                let _ = socket.send_to(&bytes, from);
            }
        });
    }

    /// A service in the far namespace that answers the first bytes of each connection with `answer` and closes it.
    fn tcp_answers(&self, port: u16, answer: &'static [u8]) {
        let listener = self.in_far(move || std::net::TcpListener::bind((FAR, port)).unwrap());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]).and_then(|_| stream.write_all(answer));
            }
        });
    }
}

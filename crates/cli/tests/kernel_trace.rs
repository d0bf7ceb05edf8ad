//! `lowlat trace` on the real kernel, between two namespaces: the stages are the round trip, a planted delay is the
//! largest stage, and nothing is left behind.
//!
//! Needs root; without it every case fails.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use common::lab::{FAR, IFACE, Lab};
use common::{Scratch, Started, kill, run, tries, until};

const TRACEFS: &str = "/sys/kernel/tracing";

/// The program in the near namespace, in a mount namespace of its own with tracefs mounted.
fn traced(lab: &Lab, scratch: &Scratch, args: &[&str]) -> Command {
    lab.lowlat_after(scratch, &format!("mount -t tracefs none {TRACEFS}"), args)
}

#[track_caller]
fn trace(lab: &Lab, scratch: &Scratch, more: &[&str]) -> Value {
    let mut args = vec!["trace", "--json"];
    if !more.contains(&"--duration") {
        args.extend(["--duration", "1s"]);
    }
    args.extend(more);
    if !more.iter().any(|a| a.starts_with(FAR)) {
        args.push(FAR);
    }
    run(&mut traced(lab, scratch, &args)).exits(0).json()
}

/// Instances of lowlat's own: other programs may have theirs.
fn instances() -> String {
    let mut command = Command::new("unshare");
    let list = format!("mount -t tracefs none {TRACEFS} && ls {TRACEFS}/instances | grep ^lowlat- || true");
    command.args(["--mount", "sh", "-c", &list]).stdin(Stdio::null());
    run(&mut command).exits(0).out.clone()
}

/// `far return`, with its direction: as the document names a stage.
fn name(stage: &Value) -> String {
    let part = |key: &str| stage[key].as_str().unwrap().to_owned();
    format!("{} {} {}", part("side"), part("direction"), part("name"))
}

fn stages<'a>(d: &'a Value, how: &str) -> Vec<(String, &'a Value)> {
    d["stages"].as_array().unwrap().iter().filter(|s| s["how"] == how).map(|s| (name(s), s)).collect()
}

fn largest(d: &Value) -> String {
    name(&d["largest"]["stage"])
}

/// The largest stage of the first trace of three that has the one expected: on a shared machine a reader may wait for
/// its CPU longer than for what was planted.
#[track_caller]
fn finds(lab: &Lab, scratch: &Scratch, args: &[&str], wanted: &str) -> Value {
    tries(3, || {
        let d = trace(lab, scratch, args);
        if largest(&d) == wanted { Ok(d) } else { Err(format!("{}: {:#}", largest(&d), d["stages"])) }
    })
}

/// Whether the kernel records the switches from the idle task of each CPU. Once it did not for one of two CPUs of a guest (6.18),
/// in any tracefs instance and whatever ran, until the guest was booted again; a reader that is woken there has no switch then.
/// On a machine whose CPUs are all busy meanwhile there is none either. Asked of the kernel alone, without the program under
/// test.
fn every_idle_task_is_traced() -> bool {
    let script = "mount -t tracefs none /sys/kernel/tracing && cd /sys/kernel/tracing/instances && mkdir idle-$$ && cd idle-$$ \
                  && echo 1 >events/sched/sched_switch/enable \
                  && for cpu in $(seq 0 $(($(nproc) - 1))); do taskset -c $cpu sleep 0.05; done; echo 0 >tracing_on \
                  && { grep -o 'prev_comm=swapper/[0-9]*' trace || true; } | sort -u; cd .. && rmdir idle-$$";
    let out = std::process::Command::new("unshare").args(["-m", "sh", "-c", script]).output().unwrap();
    let seen = String::from_utf8_lossy(&out.stdout).lines().count();
    let cpus = std::thread::available_parallelism().unwrap().get();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    if seen < cpus {
        eprintln!(
            "this kernel records the switches of {seen} of {cpus} idle tasks; the stage of scheduling is not asked for"
        );
    }
    seen == cpus
}

#[test]
fn the_stages_are_the_round_trip_and_nothing_planted_is_no_fault() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let before = instances();
    for engine in ["block", "spin"] {
        let d = tries(3, || {
            let d = trace(&lab, &scratch, &["--engine", engine]);
            if d["conspicuous"].is_null() { Ok(d) } else { Err(format!("{:#}", d["conspicuous"])) }
        });
        assert_eq!((&d["how"], &d["far_seen"]), (&"trace".into(), &true.into()), "{d:#}");
        let ratio = d["sum_ratio"].as_f64().unwrap();
        assert!((0.97..=1.03).contains(&ratio), "{engine}: {ratio}");
        let seen: Vec<String> = stages(&d, "trace").into_iter().map(|(name, _)| name).collect();
        let mut wanted = vec!["near out system call", "near out driver", "far out scheduling", "far out return"];
        wanted.extend(["far back program", "far back system call", "far back wire", "near back softirq"]);
        wanted.extend(["near back IP", "near back return"]);
        if engine == "block" {
            wanted.push("near back wake-up");
            wanted.extend(every_idle_task_is_traced().then_some("near back scheduling"));
        }
        for wanted in wanted {
            assert!(seen.iter().any(|s| s == wanted), "{engine}: no {wanted}: {seen:?}");
        }
        // veth raises no interrupt, which is said and not taken for a length of 0.
        let unseen = stages(&d, "unseen");
        let interrupt = unseen.iter().find(|(name, _)| name == "near back interrupt").unwrap().1;
        assert!(interrupt["p50_ns"].is_null() && interrupt["why_unseen"].is_string(), "{interrupt:#}");
        // Tracing costs something, and its interval is around it.
        let [low, cost, high] = ["_low", "", "_high"].map(|k| d[format!("trace_cost{k}_ns")].as_i64().unwrap());
        assert!(low <= cost && cost <= high && d["trace_cost_pairs"].as_u64() >= Some(6), "{low} {cost} {high}");
        let (probes, lost) = (d["probes"].as_u64().unwrap(), d["incomplete"].as_u64().unwrap());
        assert!(probes > 500 && lost * 20 < probes, "{engine}: {lost} of {probes}");
        assert!(!d["slowest"].as_array().unwrap().is_empty(), "{d:#}");
    }
    assert_eq!(instances(), before);
}

#[test]
fn the_last_run_is_reported_again_within_a_terminal_s_width() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let first = run(&mut traced(&lab, &scratch, &["trace", FAR, "--duration", "500ms"])).exits(0).out.clone();
    assert!(first.lines().all(|l| l.chars().count() <= 80), "{first}");
    assert!(first.contains("WATERFALL:") && first.contains("largest: "), "{first}");
    assert_eq!(run(&mut scratch.lowlat(&["report", "last"])).exits(0).out, first);
    let again = run(&mut scratch.lowlat(&["report", "last", "--json"])).exits(0).json();
    assert_eq!(again["schema"]["name"], "lowlat.trace");
    run(&mut scratch.lowlat(&["report", "last", "--format", "html"])).exits(0);
    let kept = scratch.name("kept");
    let out = ["trace", FAR, "--duration", "300ms", "--out", &kept];
    run(&mut traced(&lab, &scratch, &out)).exits(0);
    run(&mut traced(&lab, &scratch, &out)).refuses(&[&kept, "--overwrite"]);
    assert_eq!(
        run(&mut scratch.lowlat(&["report", &kept, "--json"])).exits(0).json()["schema"]["name"],
        "lowlat.trace"
    );
}

#[test]
fn a_shaper_and_a_long_filter_chain_are_named_by_their_stage() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    // 106 bytes on the link at a time, and 3 ms until the next.
    lab.sh(&format!("tc qdisc add dev {IFACE} root tbf rate 280kbit burst 130 limit 65536"));
    let d = finds(&lab, &scratch, &[], "near out queue discipline");
    assert_eq!(name(&d["conspicuous"]["stage"]), "near out queue discipline", "{d:#}");
    assert!(d["conspicuous"]["why"].as_str().unwrap().contains("shaper"), "{d:#}");
    lab.sh(&format!("tc qdisc del dev {IFACE} root"));
    let rules = (20_000..30_000).map(|port| format!("add rule ip grown input udp dport {port} accept\n"));
    let chain = "add table ip grown\nadd chain ip grown input { type filter hook input priority 0; }\n";
    let file = scratch.file("rules", chain.to_owned() + &rules.collect::<String>());
    lab.sh(&format!("nft -f {file}"));
    let d = finds(&lab, &scratch, &[], "near back IP");
    assert_eq!(name(&d["conspicuous"]["stage"]), "near back IP", "{d:#}");
    assert!(d["conspicuous"]["why"].as_str().unwrap().contains("packet filter"), "{d:#}");
}

#[test]
fn a_shaper_that_received_packets_are_redirected_to_is_a_stage_of_its_own() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    // As the demo plants it: what comes in goes through an ifb first.
    lab.sh("ip link add ifb-test type ifb && ip link set ifb-test up");
    lab.sh("tc qdisc add dev ifb-test root tbf rate 300kbit burst 160 limit 65536");
    lab.sh(&format!("tc qdisc add dev {IFACE} ingress"));
    let filter = "protocol all u32 match u32 0 0 action mirred egress redirect dev ifb-test";
    lab.sh(&format!("tc filter add dev {IFACE} parent ffff: {filter}"));
    let d = finds(&lab, &scratch, &[], "near back redirection");
    assert_eq!(name(&d["conspicuous"]["stage"]), "near back redirection", "{d:#}");
    assert_eq!(d["largest"]["rules"][0], "shaper-below-line-rate", "{d:#}");
    // Time stamps show a coarser stage, and what explains it is the same.
    for (prepare, stage) in [
        (format!("mount -t tracefs none {TRACEFS}"), "redirection"),
        (format!("mount -t tmpfs none {TRACEFS}"), "wire"),
    ] {
        let optimize = "optimize --dry-run --json --duration 1s --load 0 --engines none --iface";
        let args: Vec<&str> = optimize.split(' ').chain([IFACE, "--target", FAR]).collect();
        let d = run(&mut lab.lowlat_after(&scratch, &prepare, &args)).exits(0).json();
        let led = &d["stages"];
        assert_eq!(led["before"]["largest"]["stage"]["name"], stage, "{led:#}");
        assert_eq!(led["findings"][0], "shaper-below-line-rate", "{led:#}");
        assert_eq!(led["settings"][0], "qdisc.kind on ifb-test/qdisc-root", "{led:#}");
    }
}

#[test]
fn steering_to_another_cpu_is_named_by_its_stage() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    // It spins: one that sleeps is woken by the same interrupt of another CPU, and that wake-up costs as much.
    let _far = lab.serve(&scratch, &["--engine", "spin", "--cpu", "0"]);
    lab.sh(&format!("echo 2 > /sys/class/net/{IFACE}/queues/rx-0/rps_cpus"));
    finds(&lab, &scratch, &["--cpu", "1"], "near back steering");
}

/// A far end of sockperf's protocol that does something else for a while after each answer.
fn busy_reader(stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let socket = UdpSocket::bind((FAR, 11_111)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let mut message = [0; 2_048];
        while !stop.load(Ordering::SeqCst) {
            let Ok((length, from)) = socket.recv_from(&mut message) else { continue };
            // The answer has sockperf's flag of a client cleared (offset 8, the lowest bit).
            message[9] &= !1;
            let _ = socket.send_to(&message[..length], from);
            let until = Instant::now() + Duration::from_micros(500);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        }
    })
}

#[test]
fn a_reader_that_is_busy_with_something_else_is_named_by_its_stage() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let stop = Arc::new(AtomicBool::new(false));
    let reader = lab.in_far({
        let stop = Arc::clone(&stop);
        move || busy_reader(&stop)
    });
    let d = finds(&lab, &scratch, &[&format!("{FAR}:11111"), "--peer", "sockperf"], "far out return");
    stop.store(true, Ordering::SeqCst);
    reader.join().unwrap();
    assert!(d["conspicuous"]["why"].as_str().unwrap().contains("busy"), "{d:#}");
}

#[test]
fn without_tracefs_stamps_show_what_they_can_and_the_rest_is_named() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &["--sockperf", "27511"]);
    let hidden = format!("mount -t tmpfs none {TRACEFS}");
    let stamped = |args: &[&str]| {
        let all: Vec<&str> = ["trace", "--duration", "500ms"].iter().chain(args).copied().collect();
        run(&mut lab.lowlat_after(&scratch, &hidden, &all))
    };
    let ran = stamped(&[FAR, "--json"]);
    let d = ran.exits(0).json();
    assert_eq!(d["how"], "stamp", "{d:#}");
    assert!(ran.err.contains("tracefs is not mounted"), "{}", ran.err);
    assert!(d["not_seen"].to_string().contains("not mounted"), "{d:#}");
    let seen: Vec<String> = stages(&d, "stamp").into_iter().map(|(name, _)| name).collect();
    for wanted in ["near out system call", "near out queue discipline", "far back program", "near back return"] {
        assert!(seen.iter().any(|s| s == wanted), "no {wanted}: {seen:?}");
    }
    assert!(stages(&d, "unseen").iter().all(|(_, s)| s["why_unseen"].is_string() && s["p50_ns"].is_null()), "{d:#}");
    assert!(d["trace_cost_ns"].is_null() && d["rtt_untraced"]["samples"] == 0, "{d:#}");
    // An engine that takes no stamps leaves nothing to show.
    let bare = format!("{FAR}:27511");
    stamped(&[&bare, "--engine", "io-uring", "--peer", "sockperf"]).refuses(&[
        "trace",
        &bare,
        "not mounted",
        "io-uring",
    ]);
}

#[test]
fn a_tracefs_that_gives_no_events_is_named_and_stamps_do() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let tracefs = format!("mount -t tracefs none {TRACEFS}");
    let read_only = format!("{tracefs} && mount -o remount,bind,ro {TRACEFS}");
    // Instances whose folders the kernel does not fill.
    let empty = format!("{tracefs} && mount -t tmpfs none {TRACEFS}/instances");
    for (prepare, wanted) in [(read_only, "denied: "), (empty, "absent: ")] {
        let ran = run(&mut lab.lowlat_after(&scratch, &prepare, &["trace", FAR, "--duration", "300ms", "--json"]));
        let d = ran.exits(0).json();
        assert_eq!(d["how"], "stamp", "{d:#}");
        assert!(ran.err.contains(&format!("no trace: {wanted}{TRACEFS}/instances")), "{}", ran.err);
        assert!(d["not_seen"].to_string().contains(wanted), "{d:#}");
        assert!(stages(&d, "unseen").len() > 10 && largest(&d).len() > 5, "{d:#}");
    }
}

#[test]
fn a_measurement_ends_with_its_stages_and_optimize_is_led_by_them() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let before = instances();
    let measure = |more: &[&str]| run(&mut traced(&lab, &scratch, &[&["measure", FAR][..], more].concat()));
    let d = measure(&["--duration", "1s", "--json"]).exits(0).json();
    assert_eq!((&d["trace"]["how"], &d["trace"]["far_seen"]), (&"trace".into(), &true.into()), "{d:#}");
    assert!((0.97..=1.03).contains(&d["trace"]["sum_ratio"].as_f64().unwrap()), "{d:#}");
    assert!(!d["trace"]["largest"]["rules"].as_array().unwrap().is_empty(), "{d:#}");
    // What was measured holds nothing of it.
    assert!(d["stamps"].is_null() && d["trace"]["probes"].as_u64().unwrap() < d["sent"].as_u64().unwrap(), "{d:#}");

    let hidden = format!("mount -t tmpfs none {TRACEFS}");
    let text =
        run(&mut lab.lowlat_after(&scratch, &hidden, &["measure", FAR, "--duration", "1s"])).exits(0).out.clone();
    let (_, last) = text.split_once("WATERFALL:\n").unwrap_or_else(|| panic!("no waterfall: {text}"));
    assert!(last.contains("by time stamps") && last.contains("tracefs is not mounted"), "{text}");
    assert!(last.contains("largest: ") && last.lines().count() <= 20, "one screen, less its heading: {text}");
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");

    let left_out: [(&[&str], Option<&str>); 3] = [
        (&["--count", "50", "--json"], Some("--count")),
        (&["--duration", "300ms", "--json"], Some("shorter than 1 s")),
        (&["--duration", "300ms", "--no-stages", "--json"], None),
    ];
    for (more, why) in left_out {
        let d = measure(more).exits(0).json();
        assert!(d["trace"].is_null(), "{more:?}: {d:#}");
        assert_eq!(d["trace_why_not"].as_str().map(|w| w.contains(why.unwrap())), why.map(|_| true), "{more:?}");
    }
    let stamped = measure(&["--duration", "300ms", "--stamps", "--json"]).exits(0).json();
    assert_eq!(stamped["trace"]["how"], "stamp", "{stamped:#}");

    lab.sh(&format!("tc qdisc add dev {IFACE} root tbf rate 280kbit burst 130 limit 65536"));
    let optimize = "optimize --dry-run --json --duration 1s --load 0 --engines none --iface";
    let args: Vec<&str> = optimize.split(' ').chain([IFACE, "--target", FAR]).collect();
    let d = run(&mut traced(&lab, &scratch, &args)).exits(0).json();
    let led = &d["stages"];
    assert_eq!(largest(&led["before"]), "near out queue discipline", "{led:#}");
    assert!(led["findings"].to_string().contains("shaper-below-line-rate"), "{led:#}");
    assert!(led["settings"].to_string().contains("qdisc.kind on"), "{led:#}");
    assert!(led["after"].is_null() && !led["tried_last"].to_string().contains("qdisc.kind"), "{led:#}");
    assert_eq!(instances(), before);
}

#[test]
fn the_far_host_traces_what_its_program_answers() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let before = instances();
    let tracefs = format!("mount -t tracefs none {TRACEFS}");
    let there = |args: &[&str]| lab.lowlat_far_after(&scratch, &tracefs, args);
    run(&mut there(&["trace", "--answers", "8621"])).refuses(&["port 8621"]);
    let recorder = Started::new(&mut there(&["trace", "--answers", "8620", "--duration", "60s"]));
    until("it traces", || instances() != before);
    run(&mut lab.lowlat(&scratch, &["measure", FAR, "--duration", "600ms", "--json"])).exits(0);
    recorder.signal("INT");
    let ran = recorder.wait();
    let d = ran.exits(0).json();
    assert_eq!((&d["schema"]["name"], &d["interrupted"]), (&"lowlat.far-trace".into(), &true.into()), "{}", ran.err);
    let answers = d["answers"].as_array().unwrap();
    let lost = d["incomplete"].as_u64().unwrap();
    assert!(answers.len() > 100 && lost * 10 < answers.len() as u64, "{} and {lost}: {}", answers.len(), ran.err);
    for answer in answers {
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{answer:#}"));
        assert!(number(&answer["read_ns"]) < number(&answer["called_ns"]), "{answer:#}");
        let points = answer["points_ns"].as_array().unwrap();
        // Arrival, reception, read, call, queue: passed by each, in this order.
        let passed: Vec<u64> = [0, 4, 10, 11, 12].iter().map(|i| number(&points[*i])).collect();
        assert!(points.len() == 15 && passed.is_sorted() && passed[0] == 0, "{answer:#}");
    }
    assert_eq!(instances(), before);

    // Here the near end's own trace shows both ends.
    let file = scratch.file("far.json", &ran.out);
    let d = trace(&lab, &scratch, &["--duration", "300ms", "--far", &file]);
    assert!(d["far_seen"] == true && d["notes"].to_string().contains("runs on this host"), "{d:#}");
    let garbage = scratch.file("garbage.json", "{}");
    let args = ["trace", FAR, "--duration", "300ms", "--far", &garbage];
    run(&mut traced(&lab, &scratch, &args)).refuses(&[&garbage]);
}

#[test]
fn a_signal_a_kill_and_an_error_leave_no_instance() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let far = lab.serve(&scratch, &[]);
    let before = instances();
    let start =
        |length: &str| Started::new(&mut traced(&lab, &scratch, &["trace", FAR, "--duration", length, "--json"]));
    let ours = |of: &Started| instances().contains(&format!("lowlat-{}-", of.pid()));

    let stopped = start("60s");
    until("it traces", || ours(&stopped));
    std::thread::sleep(Duration::from_millis(300));
    stopped.signal("INT");
    let d = stopped.wait();
    assert_eq!(d.exits(0).json()["interrupted"], true);
    assert_eq!(instances(), before);

    let next: [&[&str]; 2] = [&["trace", FAR, "--duration", "100ms"], &["measure", FAR, "--duration", "1s"]];
    for next in next {
        let killed = start("60s");
        until("it traces", || ours(&killed));
        kill("KILL", killed.pid());
        killed.wait();
        assert_ne!(instances(), before, "nobody was there to remove it");
        run(&mut traced(&lab, &scratch, next)).exits(0);
        assert_eq!(instances(), before, "{next:?}");
    }

    drop(far);
    run(&mut traced(&lab, &scratch, &["trace", FAR, "--timeout", "50ms"])).exits(2);
    assert_eq!(instances(), before);
}

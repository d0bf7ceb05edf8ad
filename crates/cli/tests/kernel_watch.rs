//! `lowlat watch` on the real kernel, between two namespaces: a feed of market data and a game's stream, the truth known. What
//! is well has no finding, what is planted has one that names the process, and nothing is left behind.
//!
//! Needs root; without it every case fails.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use common::lab::{FAR, Lab, NEAR};
use common::{Ran, Scratch, Started, kill, run, tries, until};

const TRACEFS: &str = "/sys/kernel/tracing";
/// The order feed, the market data, and the bulk transfer.
const TCP: u16 = 7_001;
const UDP: u16 = 7_002;
const BULK: u16 = 7_003;
/// A datagram of the market data.
const TICK: usize = 120;
/// Datagrams of one burst.
const BURST: u64 = 10;

/// The program in a namespace of the lab, in a mount namespace of its own with tracefs mounted.
fn watching(lab: &Lab, scratch: &Scratch, args: &[&str]) -> Command {
    let all: Vec<&str> = ["watch"].iter().chain(args).copied().collect();
    lab.lowlat_after(scratch, &format!("mount -t tracefs none {TRACEFS}"), &all)
}

#[track_caller]
fn watch(lab: &Lab, scratch: &Scratch, args: &[&str]) -> Ran {
    let times = ["--duration", "800ms", "--interval", "100ms", "--json"];
    run(&mut watching(lab, scratch, &[args, &times].concat()))
}

/// Instances of this command: other programs, and other commands that run meanwhile, have theirs.
fn instances() -> String {
    let mut command = Command::new("unshare");
    let list = format!("mount -t tracefs none {TRACEFS} && ls {TRACEFS}/instances");
    command.args(["--mount", "sh", "-c", &list]).stdin(Stdio::null());
    let ours = |name: &&str| {
        name.starts_with("lowlat-") && ["-watch", "-hindsight", "-stages"].iter().any(|end| name.ends_with(end))
    };
    let listed = run(&mut command);
    listed.exits(0).out.lines().filter(ours).collect::<Vec<_>>().join("\n")
}

/// A second process of this role in a namespace, once it is at work.
fn plays(netns: &str, role: &str) -> Started {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", netns]).arg(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "an_application"]).env("LOWLAT_TEST_ROLE", role);
    let mut started = Started::new(&mut command);
    started.says("at work");
    started
}

fn findings(d: &Value) -> Vec<(&str, &str, &str)> {
    d["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            let of = |key: &str| f[key].as_str().unwrap_or_default();
            (of("finding"), of("process"), of("title"))
        })
        .collect()
}

fn finds<'a>(d: &'a Value, finding: &str) -> Option<(&'a str, &'a str)> {
    findings(d).into_iter().find(|f| f.0 == finding).map(|(_, process, title)| (process, title))
}

fn socket<'a>(d: &'a Value, protocol: &str, state: &str) -> &'a Value {
    let all = d["sockets"].as_array().unwrap();
    all.iter().find(|s| s["protocol"] == protocol && s["state"] == state).unwrap_or_else(|| panic!("{d:#}"))
}

#[test]
fn a_healthy_feed_has_its_figures_and_no_finding() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let before = instances();
    let reader = plays(&lab.near, "reader");
    let _feed = plays(&lab.far, "feed");
    let pid = reader.pid().to_string();
    // A machine of the tests may keep a reader from its CPU for longer than a healthy one waits.
    let d = tries(3, || {
        let ran = watch(&lab, &scratch, &["--pid", &pid]);
        let d = ran.json();
        if findings(&d).is_empty() && ran.code == Some(0) { Ok(d) } else { Err(format!("{:#}", d["findings"])) }
    });
    let tcp = socket(&d, "tcp", "established");
    assert_eq!(tcp["owners"][0]["pid"], reader.pid(), "{tcp:#}");
    let grown = &tcp["change"];
    assert!(grown["received_bytes"].as_u64() > Some(0) && grown["retransmits"] == 0, "{grown:#}");
    assert!(tcp["first"]["tcp"]["busy_ns"].is_u64() && tcp["last"]["tcp"]["peer_window"].is_u64(), "{tcp:#}");
    assert!(tcp["readings"].as_u64() > Some(3), "{tcp:#}");
    // A connection on which nothing is said is there, and nothing is said of it.
    assert_eq!(socket(&d, "tcp", "listen")["change"]["received_bytes"], Value::Null);
    let shape = &d["arrivals"][0];
    assert_eq!(
        (&shape["port"], &shape["smallest_bytes"], &shape["largest_bytes"]),
        (&UDP.into(), &TICK.into(), &TICK.into())
    );
    // Bursts of ten, 5 ms apart: on a busy machine a burst may be cut in two or meet the next, so the bounds are wide.
    let longest = shape["longest_burst"].as_u64().unwrap();
    assert!((BURST / 2..=BURST * 40).contains(&longest), "{shape:#}");
    assert!(
        shape["in_bursts_ratio"].as_f64() > Some(0.5) && shape["gaps"]["p50_ns"].as_u64() < Some(50_000),
        "{shape:#}"
    );
    assert!(d["cost"]["tapped_packets"].as_u64() >= shape["datagrams"].as_u64(), "{:#}", d["cost"]);
    assert!(d["cost"]["cpu_ratio"].as_f64().unwrap() > 0.0, "{:#}", d["cost"]);
    // Its messages come through the stages of this host; the prober's words for them, and no probe.
    let seen = &d["stages"];
    assert!(seen["windows"].as_u64() > Some(0) && seen["pids"] == serde_json::json!([reader.pid()]), "{seen:#}");
    assert!(seen["received"].as_u64() > Some(10), "{seen:#}");
    assert!(seen["unmatched"].as_u64() < seen["received"].as_u64(), "{seen:#}");
    for wanted in ["softirq", "IP", "wake-up", "scheduling", "return"] {
        let stage = stage(seen, "back", wanted).unwrap_or_else(|| panic!("no {wanted}: {seen:#}"));
        assert!(stage["passed"].as_u64() > Some(0) && stage["time"]["p50_ns"].is_u64(), "{stage:#}");
    }
    // By port the same sockets of the same process, and by peer the connected one alone.
    let by_port = watch(&lab, &scratch, &["--port", &TCP.to_string()]).json();
    assert_eq!(socket(&by_port, "tcp", "established")["owners"], tcp["owners"]);
    let by_peer = watch(&lab, &scratch, &["--peer", FAR]).json();
    assert_eq!(by_peer["sockets"].as_array().unwrap().len(), 2, "{by_peer:#}");
    assert_eq!(instances(), before);
}

/// A stage of live messages by its name.
fn stage<'a>(seen: &'a Value, direction: &str, name: &str) -> Option<&'a Value> {
    let all = seen["stages"].as_array().unwrap();
    all.iter().find(|s| s["direction"] == direction && s["name"] == name)
}

#[test]
fn planted_loss_is_counted_on_its_connection() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _sink = plays(&lab.far, "sink");
    let sender = plays(&lab.near, "orders");
    // At the far end, so that the near one knows of no drop: every twentieth packet that carries data.
    let drop = "add table ip planted; add chain ip planted input { type filter hook input priority 0; }; \
                add rule ip planted input tcp dport 7003 ip length > 100 numgen inc mod 20 0 counter drop";
    let far = |script: &str| {
        let out = Command::new("ip").args(["netns", "exec", &lab.far, "sh", "-c", script]).output().unwrap();
        assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    far(&format!("nft '{drop}'"));
    let dropped = || -> u64 {
        let rules = far("nft list table ip planted");
        rules.split("packets ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
    };
    until("packets are dropped", || dropped() > 3);
    let before = dropped();
    let ran = watch(&lab, &scratch, &["--pid", &sender.pid().to_string()]);
    let after = dropped();
    let d = ran.exits(1).json();
    let (process, title) = finds(&d, "retransmits").unwrap_or_else(|| panic!("{d:#}"));
    assert!(process.ends_with(&format!("[{}]", sender.pid())), "{process}: {title}");
    let tcp = socket(&d, "tcp", "established");
    let again = tcp["change"]["retransmits"].as_u64().unwrap();
    // Each lost segment is sent again at least once; the counter was read a little before and after the watch.
    assert!(again > 0 && again <= (after - before) * 2 + 5, "{again} of {}: {tcp:#}", after - before);
    assert!(again * 3 + 10 >= after - before, "{again} of {}: {tcp:#}", after - before);
    assert_eq!(findings(&d).iter().filter(|f| f.0 != "retransmits").count(), 0, "{:#}", d["findings"]);
}

#[test]
fn a_stalled_reader_is_blamed_at_both_ends() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let reader = plays(&lab.near, "reader");
    let bulk = plays(&lab.far, "bulk");
    kill("STOP", reader.pid());
    let (reader_pid, bulk_pid) = (reader.pid().to_string(), bulk.pid().to_string());
    // Until the windows are full, data still comes, and the sender is not held up yet.
    let d = tries(4, || {
        let ran = watch(&lab, &scratch, &["--pid", &reader_pid]);
        let d = ran.json();
        if finds(&d, "reader-behind").is_some() && ran.code == Some(1) { Ok(d) } else { Err(format!("{d:#}")) }
    });
    let (process, title) = finds(&d, "reader-behind").unwrap();
    assert!(process.ends_with(&format!("[{reader_pid}]")) && title.contains("is stopped"), "{process}: {title}");
    // The same stall from its other end, which is in another namespace than lowlat.
    let d = tries(4, || {
        let d = watch(&lab, &scratch, &["--pid", &bulk_pid]).json();
        if finds(&d, "peer-window").is_some() { Ok(d) } else { Err(format!("{d:#}")) }
    });
    let (process, title) = finds(&d, "peer-window").unwrap();
    assert!(
        process.ends_with(&format!("[{bulk_pid}]")) && title.contains("its reader is behind"),
        "{process}: {title}"
    );
    kill("CONT", reader.pid());
}

#[test]
fn drops_at_a_full_socket_are_counted_and_named_with_process_reason_and_place() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let reader = plays(&lab.near, "small");
    let _feed = plays(&lab.far, "ticks");
    kill("STOP", reader.pid());
    let counted = || -> u64 {
        let text = lab.sh("cat /proc/net/udp");
        let line = text.lines().find(|l| l.contains(&format!(":{UDP:04X} 0"))).unwrap_or_else(|| panic!("{text}"));
        line.split_whitespace().last().unwrap().parse().unwrap()
    };
    until("the socket drops", || counted() > 0);
    let before = counted();
    let ran = watch(&lab, &scratch, &["--port", &UDP.to_string()]);
    let after = counted();
    let d = ran.exits(1).json();
    let (process, title) = finds(&d, "socket-drops").unwrap_or_else(|| panic!("{d:#}"));
    assert!(process.ends_with(&format!("[{}]", reader.pid())) && title.contains("stopped"), "{process}: {title}");
    let udp = socket(&d, "udp", "close");
    let grown = udp["change"]["drops"].as_u64().unwrap();
    assert!(grown > 0 && grown <= after - before, "{grown} of {}", after - before);
    assert!(udp["last"]["drops"].as_u64() <= Some(after) && udp["first"]["drops"].as_u64() >= Some(before), "{udp:#}");
    let dropped = d["dropped"].as_array().unwrap();
    let ours = dropped.iter().find(|p| p["port"] == UDP).unwrap_or_else(|| panic!("{:#}", d["dropped"]));
    assert_eq!(
        (&ours["reason"], &ours["owners"][0]["pid"]),
        (&"SOCKET_RCVBUFF".into(), &reader.pid().into()),
        "{ours:#}"
    );
    assert!(ours["place"].as_str().unwrap().contains("udp"), "{ours:#}");
    // The trace began a little before the first reading and ended a little after the last.
    let traced = ours["packets"].as_u64().unwrap();
    assert!(traced >= grown && traced <= after - before, "{traced} of {grown}, {}", after - before);
    kill("CONT", reader.pid());
}

#[test]
fn what_is_absent_denied_or_ends_is_said() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let reader = plays(&lab.near, "reader");
    let pid = reader.pid().to_string();
    let short = ["--duration", "300ms", "--interval", "100ms", "--json"];
    let refused = |args: &[&str], named: &[&str]| {
        lab.run(&scratch, &[&["watch"], args, &short].concat()).refuses(named);
    };
    refused(&["--port", "9"], &["port 9", "ss -tuan"]);
    refused(&["--pid", &pid, "--port", "9"], &["port 9", &pid]);
    refused(&["--pid", "4194304"], &["process 4194304", "pgrep"]);
    refused(&["--peer", "192.0.2.77"], &["192.0.2.77", "--port"]);
    lab.run(&scratch, &["watch", "--port", "9", "--interval", "2s", "--duration", "1s"])
        .refuses(&["2000000", "--interval"]);
    lab.run(&scratch, &["watch"]).refuses(&["--port", "--pid"]);
    // Without tracefs the drops have no reason, and all else is there.
    let mut hidden = lab.lowlat_after(
        &scratch,
        &format!("mount -t tmpfs none {TRACEFS} && mount -t tmpfs none /sys/kernel/debug"),
        &[&["watch", "--pid", &pid], &short[..]].concat(),
    );
    let d = run(&mut hidden).exits(0).json();
    let lacking = d["not_seen"].to_string();
    assert!(lacking.contains("tracefs is not mounted") && lacking.contains("the stages of its messages"), "{lacking}");
    // Another user sees the sockets of a port, and what stays hidden is named.
    let program = common::for_anybody(&scratch);
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &lab.near, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.arg(&program).args(["watch", "--port", &UDP.to_string()]).args(short).env("LOWLAT_STATE", "/nonexistent");
    let d = run(&mut command).exits(0).json();
    let not_seen = d["not_seen"].to_string();
    for wanted in ["how datagrams arrive", "CAP_NET_RAW", "owners of", "denied"] {
        assert!(not_seen.contains(wanted), "no {wanted}: {not_seen}");
    }
    assert_eq!(socket(&d, "udp", "close")["owner_state"], Value::Null);
    // Stored, judged again, printed again.
    let kept = scratch.name("kept");
    let stored = lab.run(&scratch, &[&["watch", "--pid", &pid, "--out", &kept], &short[..]].concat()).json();
    assert_eq!(run(&mut scratch.lowlat(&["watch", "--from", &kept, "--json"])).exits(0).json(), stored);
    assert_eq!(run(&mut scratch.lowlat(&["report", &kept, "--json"])).exits(0).json(), stored);
    let text = run(&mut scratch.lowlat(&["report", &kept])).exits(0).out.clone();
    assert!(text.contains("Nothing wrong was seen") && text.lines().all(|l| l.chars().count() <= 80), "{text}");
    lab.run(&scratch, &["watch", "--pid", &pid, "--out", &kept]).refuses(&[&kept, "--overwrite"]);
    run(&mut scratch.lowlat(&["watch", "--from", &kept, "--pid", "1"])).refuses(&["--from"]);
    // A process that ends meanwhile.
    let watched = Started::new(
        &mut lab.lowlat(&scratch, &["watch", "--pid", &pid, "--duration", "60s", "--interval", "50ms", "--json"]),
    );
    until("it watches", || holds_a_packet_socket(watched.pid()));
    kill("KILL", reader.pid());
    let ran = watched.wait();
    assert_eq!(ran.exits(0).json()["ended"], format!("process {pid} ended"));
    assert!(ran.err.contains("ended early"), "{}", ran.err);
}

/// By the list of its namespace: the tap is the only one there.
fn holds_a_packet_socket(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/net/packet")).is_ok_and(|text| text.lines().count() > 1)
}

#[test]
fn a_signal_and_a_kill_leave_no_instance_and_no_socket() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let reader = plays(&lab.near, "reader");
    let before = instances();
    let port = UDP.to_string();
    let start = || {
        let args = ["--port", &port, "--duration", "60s", "--interval", "50ms", "--json"];
        Started::new(&mut watching(&lab, &scratch, &args))
    };
    let ours = |of: &Started| instances().contains(&format!("lowlat-{}-", of.pid()));
    let stopped = start();
    until("it watches", || ours(&stopped) && holds_a_packet_socket(reader.pid()));
    stopped.signal("INT");
    assert_eq!(stopped.wait().exits(0).json()["interrupted"], true);
    assert_eq!(instances(), before);
    let killed = start();
    until("it watches", || ours(&killed) && holds_a_packet_socket(reader.pid()));
    kill("KILL", killed.pid());
    killed.wait();
    until("its sockets are gone", || !holds_a_packet_socket(reader.pid()));
    watch(&lab, &scratch, &["--port", &port]).exits(0);
    assert_eq!(instances(), before);
}

/// The rings are read fifty times a second, and stay open meanwhile.
fn keeps_its_rings_open(lab: &Lab, scratch: &Scratch, pid: &str) {
    let args = ["--pid", pid, "--trigger", "gap=30s", "--duration", "60s", "--json"];
    let watching = Started::new(&mut watching(lab, scratch, &args));
    let open = || {
        let folder = std::fs::read_dir(format!("/proc/{}/fd", watching.pid())).unwrap();
        let links = folder.flatten().filter_map(|e| std::fs::read_link(e.path()).ok());
        links.filter(|to| to.ends_with("trace_pipe_raw")).count()
    };
    until("its rings are open", || open() > 0);
    let always = (0..200).all(|_| open() > 0);
    watching.signal("INT");
    watching.wait().exits(0);
    assert!(always, "a ring was closed between two reads");
}

/// The stalls of a document that have all of these in their blame.
fn blamed<'a>(d: &'a Value, named: &[&str]) -> Vec<&'a Value> {
    let stalls = d["trigger"]["stalls"].as_array().unwrap();
    stalls.iter().filter(|s| named.iter().all(|n| s["blame"].as_str().unwrap().contains(n))).collect()
}

#[test]
fn a_planted_stall_is_caught_with_the_thread_behind_it() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let before = instances();
    let reader = plays(&lab.near, "reader");
    let _paced = plays(&lab.far, "paced");
    let pid = reader.pid().to_string();
    // Nothing planted yet, and nothing as long as this: no file.
    let quiet = scratch.name("quiet");
    let ran = watch(&lab, &scratch, &["--pid", &pid, "--trigger", "gap=30s", "--out", &quiet]);
    assert_eq!(ran.json()["trigger"]["crossings"], 0, "{ran:#?}");
    assert!(ran.err.contains("crossed 0 times"), "{}", ran.err);
    assert_eq!(std::fs::read_dir(&quiet).unwrap().count(), 1, "the document alone");
    let _hog = plays(&lab.far, "hog");
    keeps_its_rings_open(&lab, &scratch, &pid);
    let kept = scratch.name("kept");
    let args = ["--pid", &pid, "--trigger", "gap=15ms", "--out", &kept, "--overwrite"];
    // Other work of the machine may hold the sender up too, and is then named.
    let d = tries(4, || {
        let d = watch(&lab, &scratch, &args).exits(1).json();
        if blamed(&d, &["hog-planted", "CPU 0"]).is_empty() { Err(format!("{:#}", d["trigger"])) } else { Ok(d) }
    });
    let stall = blamed(&d, &["hog-planted", "CPU 0"])[0];
    assert_eq!((&stall["kind"], &stall["port"]), (&"gap".into(), &UDP.into()), "{stall:#}");
    assert!(stall["length_ns"].as_u64() >= Some(15_000_000) && stall["events"] == Value::Array(vec![]), "{stall:#}");
    // Its own file has the events, and is printed as any run.
    let number = d["trigger"]["stalls"].as_array().unwrap().iter().position(|s| s == stall).unwrap() + 1;
    let file = format!("{kept}/stall-{number:03}.json");
    let alone = run(&mut scratch.lowlat(&["report", &file, "--json"])).exits(0).json();
    let events = alone["trigger"]["stalls"][0]["events"].to_string();
    assert!(events.contains("hog-planted") && events.contains("CPU 0"), "{events}");
    assert!(run(&mut scratch.lowlat(&["report", &file])).exits(0).out.contains("hog-planted"));
    assert_eq!(instances(), before);
}

#[test]
fn a_drop_and_a_long_round_trip_cross_their_triggers() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _sink = plays(&lab.far, "sink");
    let orders = plays(&lab.near, "orders");
    let pid = orders.pid().to_string();
    // 250 bytes a message at 280 kbit/s: 8 ms each, and one every 2 ms.
    lab.sh("tc qdisc add dev near0 root tbf rate 280kbit burst 2000 limit 65536");
    let d = watch(&lab, &scratch, &["--pid", &pid, "--trigger", "rtt=10ms"]).exits(1).json();
    let stalls = d["trigger"]["stalls"].as_array().unwrap();
    assert!(stalls.iter().any(|s| s["kind"] == "round trip" && s["length_ns"].as_u64() >= Some(10_000_000)), "{d:#}");
    let reader = plays(&lab.near, "small");
    let feed = plays(&lab.far, "ticks");
    kill("STOP", reader.pid());
    let d = watch(&lab, &scratch, &["--port", &UDP.to_string(), "--trigger", "drop"]).exits(1).json();
    let stalls = d["trigger"]["stalls"].as_array().unwrap();
    assert!(stalls.iter().any(|s| s["kind"] == "drop" && s["port"] == UDP), "{d:#}");
    kill("CONT", reader.pid());
    // What is sent waits in the queue that was planted: 162 bytes on the link each millisecond, of which 125 leave.
    let planted = ["netns", "exec", &lab.far, "tc", "qdisc", "add", "dev", "far0", "root", "tbf"];
    let rate = ["rate", "1mbit", "burst", "300", "limit", "1500"];
    run(Command::new("ip").args(planted).args(rate)).exits(0);
    let d = watch(&lab, &scratch, &["--pid", &feed.pid().to_string()]).json();
    let queue = stage(&d["stages"], "out", "queue discipline").unwrap_or_else(|| panic!("{:#}", d["stages"]));
    assert!(queue["time"]["max_ns"].as_u64() >= Some(4_000_000), "{queue:#}");
    // A trigger that nothing here can cross is refused, and a gap needs a socket of UDP.
    let gap = ["watch", "--pid", &pid, "--trigger", "gap=1ms"];
    run(&mut watching(&lab, &scratch, &gap[1..])).refuses(&["gap=1000us", "no UDP socket"]);
    lab.run(&scratch, &["watch", "--pid", &pid, "--trigger", "drop"]).refuses(&["drop", "tracefs is not mounted"]);
}

/// The other process: not a test.
#[test]
#[ignore = "the applications that the tests watch"]
fn an_application() {
    match std::env::var("LOWLAT_TEST_ROLE").as_deref() {
        Ok("reader") => reader(None),
        Ok("small") => reader(Some(4_608)),
        Ok("feed") => feed(),
        Ok("ticks") => ticks(),
        Ok("paced") => paced(),
        Ok("hog") => hog(),
        Ok("bulk") => bulk(TcpStream::connect((NEAR, TCP)).unwrap()),
        Ok("sink") => sink(),
        Ok("orders") => orders(TcpStream::connect((FAR, BULK)).unwrap()),
        _ => panic!("started by the tests alone"),
    }
}

fn drain(mut from: TcpStream) {
    let mut buffer = vec![0; 65_536];
    while from.read(&mut buffer).is_ok_and(|n| n > 0) {}
}

fn accept(listener: &TcpListener) {
    while let Ok((connection, _)) = listener.accept() {
        std::thread::spawn(move || drain(connection));
    }
}

/// Reads a feed: orders by TCP and market data by UDP.
fn reader(buffer: Option<i32>) {
    let listener = TcpListener::bind((NEAR, TCP)).unwrap();
    let ticks = UdpSocket::bind((NEAR, UDP)).unwrap();
    if let Some(bytes) = buffer {
        lowlat_os::socket::set_int(ticks.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, bytes).unwrap();
    }
    std::thread::spawn(move || accept(&listener));
    eprintln!("at work");
    let mut tick = [0; 2_048];
    while ticks.recv(&mut tick).is_ok() {}
}

fn sink() {
    let listener = TcpListener::bind((FAR, BULK)).unwrap();
    eprintln!("at work");
    accept(&listener);
}

/// Bursts of market data, 5 ms apart, and a message of the order feed with each; and a connection on which nothing is said.
fn feed() {
    let mut orders = TcpStream::connect((NEAR, TCP)).unwrap();
    orders.set_nodelay(true).unwrap();
    let _idle = TcpStream::connect((NEAR, TCP)).unwrap();
    let ticks = UdpSocket::bind((FAR, 0)).unwrap();
    eprintln!("at work");
    let mut next = Instant::now();
    loop {
        for _ in 0..BURST {
            ticks.send_to(&[0; TICK], (NEAR, UDP)).unwrap();
        }
        orders.write_all(&[0; 200]).unwrap();
        next += Duration::from_millis(5);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn ticks() {
    let ticks = UdpSocket::bind((FAR, 0)).unwrap();
    eprintln!("at work");
    loop {
        ticks.send_to(&[0; TICK], (NEAR, UDP)).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// One datagram each millisecond, from CPU 0.
fn paced() {
    lowlat_os::cpu::pin(0).unwrap();
    ticks();
}

/// Takes CPU 0 from everything else for 30 ms, four times a second.
fn hog() {
    let hog = std::thread::Builder::new().name("hog-planted".to_owned());
    let spinning = hog.spawn(|| {
        lowlat_os::cpu::pin(0).unwrap();
        lowlat_os::cpu::Scheduling::fifo(50).take().unwrap();
        loop {
            std::thread::sleep(Duration::from_millis(220));
            let until = Instant::now() + Duration::from_millis(30);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        }
    });
    eprintln!("at work");
    spinning.unwrap().join().unwrap();
}

fn bulk(mut to: TcpStream) {
    eprintln!("at work");
    let chunk = vec![0; 65_536];
    while to.write_all(&chunk).is_ok() {}
}

fn orders(mut to: TcpStream) {
    to.set_nodelay(true).unwrap();
    eprintln!("at work");
    while to.write_all(&[0; 200]).is_ok() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

//! Bad input, given to the built program: exit 2, nothing on stdout, one line on stderr that names the thing and has a
//! next step, and nothing left in the state directory.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};

use lowlat_sys::store::Store;

use common::{Scratch, run};

/// Runs each case and collects what is wrong: all of it, so that one run shows every case that fails.
#[track_caller]
fn all_refused(scratch: &Scratch, cases: &[(&[&str], &[&str])]) {
    let before = listing(scratch);
    let mut wrong = Vec::new();
    for (args, named) in cases {
        wrong.extend(run(&mut scratch.lowlat(args)).unlike_a_refusal(named));
        let after = listing(scratch);
        if after != before {
            wrong.push(format!("{args:?} left {after:?} in the state directory"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Every file below the state directory, with its bytes.
fn listing(scratch: &Scratch) -> Vec<(String, Vec<u8>)> {
    fn walk(dir: &std::path::Path, out: &mut Vec<(String, Vec<u8>)>) {
        for entry in fs::read_dir(dir).into_iter().flatten().map(Result::unwrap) {
            let path = entry.path();
            let bytes = if path.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
            out.push((path.display().to_string(), bytes));
            walk(&path, out);
        }
    }
    let mut out = Vec::new();
    walk(&scratch.state(), &mut out);
    out.sort();
    out
}

/// Engines of the far end.
#[test]
fn far_ends_that_there_are_none_of() {
    all_refused(
        &Scratch::new(),
        &[
            (&["serve", "--engine", "warp"], &["warp", "busy-poll"]),
            (&["serve", "--engine", "suspend"], &["suspend", "--iface"]),
            (&["serve", "--engine", "io-uring:warp"], &["io-uring:warp", "\"warp\"", "multishot"]),
            (&["serve", "--engine", "io-uring:sqpoll"], &["io-uring:sqpoll", "multishot", "leave out"]),
            (&["serve", "--engine", "epoll:sleep"], &["epoll:sleep", "no option"]),
            (&["serve", "--engine", "epoll", "--spin"], &["epoll", "--spin"]),
            (&["serve", "--engine", "epoll", "--iface", "lo"], &["--iface"]),
            (&["serve", "--engine", "af-xdp"], &["af-xdp", "--iface"]),
            (&["serve", "--engine", "spin", "--iface", "lo"], &["--iface"]),
            (&["serve", "--engine", "dpdk"], &["dpdk", "--dpdk-address"]),
            (&["serve", "--engine", "dpdk", "--dpdk-address", "192.0.2.1/24", "--spin"], &["dpdk", "--spin"]),
            (&["serve", "--engine", "spin", "--dpdk-address", "192.0.2.1/24"], &["spin", "--dpdk-address"]),
            (&["serve", "--engine", "dpdk", "--dpdk-port", "net_tap"], &["--dpdk-address"]),
            (&["serve", "--engine", "block", "--spin"], &["block", "--spin"]),
        ],
    );
}

#[test]
fn names_that_there_are_none_of() {
    all_refused(
        &Scratch::new(),
        &[
            (&["frobnicate"], &["frobnicate"]),
            (&["measure", "127.0.0.1", "--frobnicate"], &["--frobnicate"]),
            (&["--frobnicate"], &["--frobnicate"]),
            (&["measure"], &["TARGET"]),
            (&["bypass"], &["bypass"]),
            (&["bypass", "check"], &["--iface"]),
            (&["bypass", "verdict"], &["TARGET"]),
            (&["bypass", "new", "af-xdp", "x"], &["--lang"]),
            (&["bypass", "new", "warp", "--lang", "c", "x"], &["warp", "af-xdp, io-uring, dpdk"]),
            (&["bypass", "new", "dpdk", "--lang", "go", "x"], &["go", "rust, c"]),
            (&["bypass", "new", "dpdk", "--lang", "c", "/proc"], &["/proc", "empty"]),
            (&["bypass", "new", "dpdk", "--lang", "c", "/proc/self/status"], &["/proc/self/status", "empty"]),
            (&["bypass", "new", "dpdk", "--lang", "c", "/proc/nosuch"], &["/proc/nosuch"]),
            (&["bypass", "verdict", "127.0.0.1", "--engines", "block,warp"], &["warp", "af-xdp"]),
            (&["bypass", "verdict", "127.0.0.1", "--engines", "af-xdp"], &["af-xdp", "add block and spin"]),
            (&["bypass", "verdict", "127.0.0.1", "--duration", "50ms"], &["50 ms", "--duration 200ms"]),
            (&["bypass", "verdict", "--from", "nosuchrun"], &["nosuchrun"]),
            (&["bypass", "verdict", "127.0.0.1", "--from", "last"], &["--from"]),
            (&["bypass", "bind"], &["DEVICE"]),
            (&["bypass", "bind", "nosuch0"], &["nosuch0"]),
            (&["bypass", "bind", "lo"], &["virtual"]),
            (&["bypass", "bind", "0000:fe:1f.7"], &["0000:fe:1f.7"]),
            (&["bypass", "unbind", "lo"], &["virtual"]),
            (&["bypass", "unbind", "0000:fe:1f.7"], &["0000:fe:1f.7"]),
            (&["bypass", "hugepages", "--node", "0", "--count", "1", "--size", "16M"], &["2M", "1G"]),
            (&["bypass", "hugepages", "--node", "4095", "--count", "1", "--size", "1G"], &["node"]),
            (&["bypass", "hugepages", "--node", "4095", "--count", "1"], &["node"]),
            (&["measure", "127.0.0.1", "--engine", "warp"], &["warp", "block"]),
            (&["measure", "127.0.0.1", "--engine", "block,warp"], &["warp", "io-uring"]),
            (&["measure", "127.0.0.1", "--engine", "io-uring:warp"], &["warp", "multishot"]),
            (&["measure", "127.0.0.1", "--engine", "spin:sleep"], &["spin", "no option"]),
            (&["measure", "127.0.0.1", "--engine", "block,"], &["\"\"", "io-uring"]),
            (
                &["measure", "127.0.0.1", "--engine", "all", "--count", "5"],
                &["--count", "several engines", "leave out"],
            ),
            (&["measure", "127.0.0.1", "--peer", "nobody"], &["nobody", "sockperf"]),
            (&["measure", "127.0.0.1", "--proto", "sctp"], &["sctp"]),
            (&["measure", "127.0.0.1", "--mode", "sideways"], &["sideways"]),
            (&["measure", "127.0.0.1", "--proto", "tcp", "--peer", "stamp"], &["stamp"]),
            (&["trace", "127.0.0.1", "--engine", "warp"], &["warp", "block"]),
            (&["trace", "127.0.0.1", "--engine", "suspend"], &["suspend", "NAPI", "--engine epoll"]),
            (&["trace", "127.0.0.1", "--proto", "icmp", "--peer", "stamp"], &["icmp", "--peer"]),
            (&["trace", "127.0.0.1", "--duration", "0s"], &["0s", "lowlat trace --help"]),
            (&["trace"], &["lowlat trace --help"]),
            (&["trace", "127.0.0.1", "--far", "/no/such/trace"], &["/no/such/trace", "--answers PORT"]),
            (&["trace", "--answers", "9", "--size", "100"], &["--answers and --size", "leave out --size"]),
            (&["trace", "127.0.0.1", "--answers", "9"], &["--answers", "lowlat trace --help"]),
            (&["trace", "--answers", "1"], &["port 1"]),
            (&["watch"], &["--port", "--pid", "--peer"]),
            (&["watch", "--port", "1", "--interval", "999us"], &["999us", "1ms"]),
            (&["watch", "--from", "nosuchrun"], &["nosuchrun"]),
            (&["watch", "--port", "1", "--trigger", "latency=2ms"], &["latency=2ms", "rtt=2ms"]),
            (&["watch", "--port", "1", "--trigger", "gap=2"], &["2", "unit"]),
            (&["watch", "--from", "last", "--port", "1"], &["--from"]),
            (&["compare", "block", "warp", "--target", "127.0.0.1"], &["warp", "spin"]),
            (&["compare", "block", "spin"], &["--target"]),
            (
                &["optimize", "--iface", "lo", "--target", "127.0.0.1", "--engine", "warp", "--dry-run"],
                &["warp", "block"],
            ),
            (
                &["optimize", "--iface", "lo", "--target", "127.0.0.1", "--engines", "block,warp", "--dry-run"],
                &["warp"],
            ),
            (&["explain", "no-such-knob"], &["no-such-knob"]),
            (&["explain", ""], &["\"\"", "lists them all"]),
            (&["explain", "receive-bufer-errors"], &["did you mean receive-buffer-errors"]),
            (&["explain", "--search", "coalecsing"], &["did you mean coalescing"]),
            (&["explain", "--search", ""], &["no words"]),
            (&["explain", "--search"], &["--search"]),
            (&["explain", "irq.affinity", "--search", "x"], &["--search"]),
            (&["schema", "no-such-document"], &["no-such-document", "facts"]),
            (&["report", "last"], &["last", "runs"]),
            (&["report", "20200101T000000Z"], &["20200101T000000Z"]),
            (&["report", "last", "--format", "pdf"], &["pdf"]),
            (&["demo", "--lab", "moon"], &["moon"]),
            (&["lab-near", "--goal", "1us", "--out", "/nowhere/run.json"], &["not a machine of the lab", "--lab vm"]),
            (&["plan", "--set", "no.such.knob", "host", "1"], &["no.such.knob"]),
            (&["plan", "--set", "sysctl.net.ipv4.tcp_slow_start_after_idle", "lo/zz-9", "1"], &["lo/zz-9"]),
            (&["plan", "--set", "sysctl.net.ipv4.tcp_slow_start_after_idle", "host"], &["--set"]),
            (&["serve", "--bind", "somewhere"], &["somewhere"]),
            (&["serve", "--allow", "10.0.0.0/99"], &["10.0.0.0/99"]),
            (&["serve", "--port", "123456"], &["123456"]),
        ],
    );
}

#[test]
fn a_reader_that_goes_away_ends_no_command() {
    let mut child = std::process::Command::new(common::LOWLAT)
        .args(["facts", "--iface", "lo"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    // Neither a signal nor a panic: whoever has settings to put back must live on.
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_unknown_interface_is_named_with_those_there_are() {
    let named: &[&str] = &["nosuch0", "lo"];
    all_refused(
        &Scratch::new(),
        &[
            (&["facts", "--iface", "nosuch0"], named),
            (&["check", "--iface", "nosuch0", "--window", "none"], named),
            (&["plan", "--iface", "nosuch0"], named),
            (&["measure", "127.0.0.1", "--iface", "nosuch0"], named),
            (&["compare", "block", "spin", "--target", "127.0.0.1", "--iface", "nosuch0"], named),
            (&["optimize", "--iface", "nosuch0", "--target", "127.0.0.1", "--dry-run"], named),
            (&["optimize", "--iface", "nosuch0", "--target", "127.0.0.1"], named),
            (&["bypass", "check", "--iface", "nosuch0"], named),
            (&["bypass", "verdict", "127.0.0.1", "--iface", "nosuch0"], named),
            (&["serve", "--bind", "127.0.0.1", "--port", "0", "--xdp", "nosuch0"], named),
            // Names that the kernel would not take either.
            (&["facts", "--iface", ""], &["\"\""]),
            (&["facts", "--iface", "../etc"], &["../etc"]),
            (&["measure", "127.0.0.1", "--iface", "a-name-longer-than-the-kernel-takes"], &["a-name-longer"]),
        ],
    );
}

#[test]
fn times_that_are_none() {
    let goal = |goal: &'static str| ["optimize", "--iface", "lo", "--target", "127.0.0.1", "--dry-run", "--goal", goal];
    let scratch = Scratch::new();
    for bad in ["50", "0us", "0", "-50us", "us", "50 parsecs", "", "NaNus", "infs", "1e99s", "99999999999999999999s"] {
        all_refused(&scratch, &[(&goal(bad), &["--goal"])]);
    }
    // With a sign it looks like a flag unless it is tied to its own.
    all_refused(
        &scratch,
        &[
            (&["optimize", "--iface", "lo", "--target", "127.0.0.1", "--dry-run", "--goal=-50us"], &["-50us"]),
            (&["check", "--goal", "50", "--window", "none"], &["50"]),
            (&["plan", "--goal", "50"], &["50", "50us"]),
            (&["check", "--window", "0s"], &["0s"]),
            (&["check", "--window", "soon"], &["soon"]),
            (&["measure", "127.0.0.1", "--duration", "0s"], &["0s"]),
            (&["measure", "127.0.0.1", "--zerocopy="], &["--zerocopy"]),
            (&["measure", "127.0.0.1", "--zerocopy=0"], &["--zerocopy", "\"0\"", "4096,65536"]),
            (&["measure", "127.0.0.1", "--zerocopy=4k,8k"], &["--zerocopy", "4k", "4096,65536"]),
            (&["measure", "127.0.0.1", "--zerocopy=1,1"], &["--zerocopy", "twice"]),
            (&["measure", "127.0.0.1", "--zerocopy", "--engine", "spin"], &["--zerocopy and --engine"]),
            (&["measure", "127.0.0.1:9", "--zerocopy"], &["sink", "lowlat serve"]),
            (&["measure", "127.0.0.1", "--timeout", "5"], &["5"]),
            (&["demo", "--goal", "50"], &["50"]),
            (&["apply", "x.json", "--confirm-within", "60"], &["60"]),
        ],
    );
}

#[test]
fn goals_that_cannot_be_taken() {
    let optimize = |goal: &'static [&'static str]| -> Vec<&'static str> {
        [&["optimize", "--iface", "lo", "--target", "127.0.0.1", "--dry-run"], goal].concat()
    };
    let scratch = Scratch::new();
    let cases: &[(&[&str], &[&str])] = &[
        (&["--goal", "p98=50us"], &["p98", "p99.9"]),
        (&["--goal", "fast=50us"], &["fast", "max"]),
        (&["--goal", "p99="], &["--goal"]),
        (&["--goal", "50us,"], &["--goal"]),
        (&["--goal", "50us,p50=60us"], &["p50", "same quantile"]),
        (&["--goal", "p99=1ms", "--goal", "p99=2ms"], &["p99", "same quantile"]),
        (&["--goal", "p99=40us", "--goal", "50us"], &["p99", "p50", "contradicts"]),
        (&["--goal", "max=1ms,p99.9=2ms"], &["max", "p99.9", "contradicts"]),
        (&["--worth", "1"], &["--worth", "no unit"]),
        (&["--worth", "1%,2%"], &["--worth", "twice"]),
        (&["--worth", "0%"], &["--worth"]),
        (&["--worth", "200%"], &["--worth", "100%"]),
        (&["--false-keep", "0.01%"], &["--false-keep", "0.1%"]),
        (&["--false-keep", "51%"], &["--false-keep", "50%"]),
        (&["--false-keep", "0.05"], &["--false-keep", "5%"]),
    ];
    for (given, named) in cases {
        all_refused(&scratch, &[(&optimize(given), named)]);
        if given[0] == "--goal" {
            for command in [&["measure", "127.0.0.1"][..], &["check", "--window", "none"], &["plan"], &["demo"]] {
                all_refused(&scratch, &[(&[command, given].concat(), named)]);
            }
        }
    }
    // In the config file as on the command line.
    let twice = scratch.file("twice.toml", "goal = [\"50us\", \"p50=60us\"]\n");
    all_refused(&scratch, &[(&[&optimize(&[])[..], &["--config", &twice]].concat(), &["same quantile"])]);
}

#[test]
fn flags_that_mean_nothing_together() {
    let scratch = Scratch::new();
    let at = "127.0.0.1";
    all_refused(
        &scratch,
        &[
            (&["measure", at, "--sweep", "size=64,128", "--load", "2"], &["--sweep", "--load"]),
            (&["measure", at, "--sweep", "size=64,128", "--size", "64"], &["--sweep", "--size"]),
            (&["measure", at, "--sweep", "rate=10,20", "--rate", "5"], &["--sweep", "--rate"]),
            (&["measure", at, "--sweep", "interval=1ms", "--rate", "5"], &["--sweep", "--rate"]),
            (&["measure", at, "--sweep", "size=64,128", "--goal", "1ms"], &["--sweep", "--goal"]),
            (&["measure", at, "--pattern", "poisson"], &["--pattern", "open-loop"]),
            (&["measure", at, "--proto", "icmp", "--peer", "lowlat"], &["icmp", "--peer"]),
            (&["measure", "127.0.0.1:9", "--proto", "icmp"], &["127.0.0.1:9", "port"]),
            (&["measure", "[::1]:9", "--proto", "icmp"], &["[::1]:9", "port"]),
            (&["measure", at, "--self"], &["--self"]),
            (&["measure", "--self", "--out", &scratch.name("run")], &["--self", "--out"]),
            (&["measure", at, "--overwrite"], &["--out"]),
            (&["plan", "--set", "nic.gro-flush-timeout", "v0", "--diff"], &["--diff", "three words"]),
        ],
    );
}

#[test]
fn a_pace_that_ends_before_its_second_probe() {
    all_refused(
        &Scratch::new(),
        &[
            (&["measure", "127.0.0.1:9", "--rate", "0.1", "--duration", "1s"], &["0.1", "--duration"]),
            (&["measure", "127.0.0.1:9", "--rate", "1e-300"], &["--rate"]),
            (&["measure", "127.0.0.1:9", "--rate=-0"], &["rate"]),
            (&["measure", "127.0.0.1:9", "--mode", "open-loop", "--rate", "1e-300"], &["--rate"]),
            (&["measure", "127.0.0.1:9", "--sweep", "interval=1ms,10s", "--duration", "1s"], &["--duration"]),
        ],
    );
}

#[test]
fn flags_of_shapes_that_are_none() {
    all_refused(
        &Scratch::new(),
        &[
            (&["shape"], &["--from-pcap", "--port", "--pid"]),
            (&["shape", "--from-pcap", "/no/such/file"], &["/no/such/file", "tcpdump -w"]),
            (&["shape", "--from-pcap", "/"], &["a folder"]),
            (&["shape", "--from-pcap", "/proc/self/status"], &["/proc/self/status", "neither pcap nor pcapng"]),
            (&["shape", "--from-pcap", "f", "--pid", "1"], &["--pid"]),
            (&["shape", "--from-pcap", "f", "--duration", "1s"], &["--duration"]),
            (&["shape", "--port", "0"], &["0", "lowlat shape --help"]),
            (&["shape", "--port", "1", "--burst-gap", "61s"], &["61s", "60s or less"]),
            (&["shape", "--port", "1", "--out", "/no/such/folder/f"], &["/no/such/folder/f", "--out"]),
            (&["shape", "--pid", "4294967"], &["4294967"]),
            (&["measure", "127.0.0.1", "--shape", "/no/such/shape"], &["/no/such/shape", "lowlat shape --out"]),
            (&["measure", "127.0.0.1", "--shape", "/proc/self/status"], &["/proc/self/status", "not a JSON"]),
            (&["measure", "127.0.0.1", "--shape", "f", "--size", "64"], &["--shape", "--size"]),
            (&["measure", "127.0.0.1", "--shape", "f", "--mode", "ping-pong"], &["--mode"]),
            (&["measure", "127.0.0.1", "--shape", "f", "--sweep", "rate=5,6"], &["--sweep"]),
            (&["measure", "127.0.0.1", "--shape", "f", "--engine", "all"], &["--shape", "several engines"]),
        ],
    );
}

#[test]
fn captures_and_shapes_that_are_none() {
    let scratch = Scratch::new();
    let good = common::capture(&[(1_000, 100), (51_000, 100)]);
    let mut foreign = good.clone();
    foreign[20] = 105;
    let mut huge = good.clone();
    huge[32..36].fill(0x7f);
    let capture = |name: &str, bytes: &[u8]| scratch.file(name, bytes);
    let (empty, one) = (capture("empty", b""), capture("one", &good[..68]));
    let (head, foreign, huge) = (capture("head", &good[..24]), capture("foreign", &foreign), capture("huge", &huge));
    let good = capture("good", &good);
    let made = run(&mut scratch.lowlat(&["shape", "--from-pcap", &good, "--json"])).exits(0).json();
    let spoilt = |name: &str, spoil: &dyn Fn(&mut serde_json::Value)| {
        let mut shape = made.clone();
        spoil(&mut shape);
        capture(name, shape.to_string().as_bytes())
    };
    let newer = spoilt("newer", &|s| s["schema"]["version"] = 99.into());
    let none = spoilt("none", &|s| s["packets"] = serde_json::json!([]));
    let late = spoilt("late", &|s| s["packets"][1]["gap_ns"] = 60_000_000_001u64.into());
    let large = spoilt("large", &|s| s["packets"][0]["size_bytes"] = 65_536.into());
    let endless = spoilt("endless", &|s| s["packets"][0]["gap_ns"] = 0.into());
    let cut = capture("cut", &made.to_string().as_bytes()[..90]);
    let measure = |file| ["measure", "127.0.0.1", "--shape", file];
    let record = |file| ["shape", "--from-pcap", file];
    all_refused(
        &scratch,
        &[
            (&record(&empty), &["empty", "neither pcap nor pcapng", "tcpdump -w"]),
            (&record(&head), &["head", "of its 0 records none"]),
            (&record(&one), &["192.0.2.1:5000 to 192.0.2.2:6000", "one packet has no gap", "record longer"]),
            (&record(&foreign), &["foreign", "of its 2 records none is UDP or TCP"]),
            (&record(&huge), &["huge", "record of 2139062143 bytes"]),
            (&["shape", "--from-pcap", &good, "--port", "7"], &["from or to port 7", "leave out --port"]),
            (&record(&newer), &["newer", "neither pcap nor pcapng"]),
            (&measure(&good), &["good", "not a JSON document", "lowlat shape --out"]),
            (&measure(&newer), &["newer", "version 99"]),
            (&measure(&none), &["none", "0 packets", "2 to 100000"]),
            (&measure(&late), &["late", "packet 2 comes 60000000001 ns"]),
            (&measure(&large), &["large", "packet 1 has 65536 bytes"]),
            (&measure(&endless), &["endless", "first packet comes 0 ns"]),
            (&measure(&cut), &["cut", "not a JSON document"]),
        ],
    );
}

#[test]
fn addresses_that_are_none() {
    all_refused(
        &Scratch::new(),
        &[
            (&["measure", "[fd02::2"], &["[fd02::2", "brackets"]),
            (&["measure", "fd02::2]"], &["fd02::2]", "brackets"]),
            (&["measure", "fd77::2%lo"], &["fd77::2%lo", "link-local"]),
            (&["measure", "-0"], &["-0"]),
            (&["measure", "127.0.0.1", "--dscp", "AF44"], &["AF44", "EF"]),
            (&["serve", "--bind", "224.0.0.1"], &["224.0.0.1", "group"]),
            (&["serve", "--bind", "ff02::1"], &["ff02::1", "group"]),
            (&["serve", "--bind", "255.255.255.255"], &["255.255.255.255"]),
            (&["serve", "--allow", "::ffff:198.18.1.1/120"], &["198.18.1.0"]),
            (&["measure", "127.0.0.1", "--load", "100000"], &["--load", "256"]),
        ],
    );
}

#[test]
fn a_mistyped_word_gets_the_one_that_was_meant() {
    all_refused(
        &Scratch::new(),
        &[
            (&["mesure", "127.0.0.1"], &["'mesure'", "'measure'"]),
            (&["measure", "127.0.0.1", "--duratoin", "1s"], &["'--duratoin'", "'--duration'"]),
        ],
    );
}

#[test]
fn a_named_config_is_read_whatever_the_command() {
    let scratch = Scratch::new();
    let absent = scratch.name("absent.toml");
    let typo = scratch.file("typo.toml", "gaol = \"50us\"\n");
    for command in [&["status"][..], &["rollback"], &["schema", "facts"], &["explain"], &["report", "last"], &["demo"]]
    {
        all_refused(
            &scratch,
            &[
                (&[command, &["--config", &absent]].concat(), &[&absent]),
                (&[command, &["--config", &typo]].concat(), &[&typo, "gaol"]),
            ],
        );
    }
    // What takes a value takes no word of the command line for it.
    let bare = scratch.file("bare.toml", "size = true\n");
    all_refused(&scratch, &[(&["measure", "127.0.0.1:9", "--config", &bare], &[&bare, "size", "true"])]);
    // The target of the config file counts where none is named, and only there.
    let target = scratch.file("target.toml", "target = \"no-such-host.invalid\"\n");
    all_refused(&scratch, &[(&["measure", "--config", &target], &["no-such-host.invalid"])]);
    all_refused(&scratch, &[(&["measure", "127.0.0.1:many", "--config", &target], &["127.0.0.1:many"])]);
}

#[test]
fn a_stored_run_is_overwritten_by_nobody() {
    let scratch = Scratch::new();
    let out = scratch.name("run");
    let noise = ["noise", "--duration", "50ms", "--out", &out];
    let ran = run(&mut scratch.lowlat(&noise));
    assert!(ran.exits(0).out.contains("NOISE"), "{ran:#?}");
    let first = fs::read(scratch.path().join("run/noise.json")).unwrap();
    all_refused(
        &scratch,
        &[(&noise, &[&out, "--overwrite"]), (&["measure", "127.0.0.1:9", "--out", &out], &[&out, "--overwrite"])],
    );
    assert_eq!(fs::read(scratch.path().join("run/noise.json")).unwrap(), first);
    // Again from its folder and its file, in each format.
    let printed = run(&mut scratch.lowlat(&["report", &out]));
    assert_eq!(printed.exits(0).out, ran.out);
    assert_eq!(run(&mut scratch.lowlat(&["report", &out, "--json"])).exits(0).json()["schema"]["name"], "lowlat.noise");
    for format in ["md", "html"] {
        let out = run(&mut scratch.lowlat(&["report", &format!("{out}/noise.json"), "--format", format]));
        assert!(out.exits(0).out.contains("wake-up P50"), "{out:#?}");
    }
    run(&mut scratch.lowlat(&[&noise[..], &["--overwrite"]].concat())).exits(0);
    assert_ne!(fs::read(scratch.path().join("run/noise.json")).unwrap(), first);
}

#[test]
fn the_last_run_is_the_newest_that_came_to_its_end() {
    let scratch = Scratch::new();
    let store = Store::at(scratch.state());
    let mut document = lowlat_testkit::run::document();
    let mut begun = Vec::new();
    // The second began after the clock was set back; the third was killed before its end.
    for (at, stage) in
        [(2_000_000_000_000_000, "run"), (1_000_000_000_000_000, "run"), (3_000_000_000_000_000, "facts")]
    {
        document.run = store.new_run_id(at);
        store.save_stage(&document.run, stage, &document).unwrap();
        begun.push(document.run.clone());
    }
    let last = run(&mut scratch.lowlat(&["report", "last", "--json"]));
    assert_eq!(last.json()["run"], begun[1], "{last:#?}");
    assert!(last.err.contains(&begun[2]) && last.err.contains("did not come to an end"), "{last:#?}");
}

/// On a pseudo-terminal that script(1) makes; it is of bsdutils, which every Debian has.
#[test]
fn a_report_is_as_wide_as_its_terminal_and_a_file_s_has_80_columns() {
    let scratch = Scratch::new();
    let store = Store::at(scratch.state());
    let mut document = lowlat_testkit::run::document();
    document.run = store.new_run_id(1_000_000_000_000_000);
    let long =
        "a step of many words that goes on and on until no terminal has as many columns as it has letters ".repeat(4);
    document.next_steps.push(long);
    store.save_stage(&document.run, "run", &document).unwrap();
    let widest = |text: &str| text.lines().map(|l| l.trim_end().chars().count()).max().unwrap();
    let on_terminal = |columns: u32, named: &str| {
        let line = format!("stty cols {columns} && {} report last", common::word());
        let mut command = Command::new("script");
        command
            .args(["-qec", &line, "/dev/null"])
            .stdin(Stdio::null())
            .env("LOWLAT_STATE", scratch.state())
            .env("NO_COLOR", "1");
        if named.is_empty() {
            command.env_remove("COLUMNS")
        } else {
            command.env("COLUMNS", named)
        };
        let ran = run(&mut command);
        // The exit code is the run's: its goal was missed.
        widest(&ran.exits(1).out)
    };
    assert!((110..=120).contains(&on_terminal(120, "")), "{}", on_terminal(120, ""));
    assert!((90..=100).contains(&on_terminal(120, "100")));
    assert!((70..=80).contains(&on_terminal(0, "")), "one that does not report its width");
    assert!((50..=60).contains(&on_terminal(20, "")), "no narrower than this");
    let file = run(scratch.lowlat(&["report", "last"]).env("COLUMNS", "120"));
    assert!((70..=80).contains(&widest(&file.out)), "{}", file.out);
}

#[test]
fn where_nothing_was_ever_applied_the_place_is_named() {
    let scratch = Scratch::new();
    let state = scratch.state().display().to_string();
    let never = run(&mut scratch.lowlat(&["status"]));
    assert!(never.exits(0).out.contains(&state) && never.out.contains("has applied nothing"), "{never:#?}");
    fs::create_dir(scratch.state()).unwrap();
    assert_eq!(run(&mut scratch.lowlat(&["status"])).exits(0).out, "No lowlat changes are active.\n");
}

#[test]
fn the_help_of_schema_names_every_document() {
    let help = run(&mut Scratch::new().lowlat(&["schema", "--help"])).exits(0).out.clone();
    for (name, _) in lowlat_model::schema::DOCUMENTS {
        assert!(help.contains(name), "{name}: {help}");
    }
}

#[test]
fn figures_out_of_range() {
    all_refused(
        &Scratch::new(),
        &[
            (&["measure", "127.0.0.1", "--size", "0"], &["0", "--size"]),
            (&["measure", "127.0.0.1", "--size", "1"], &["1", "--size"]),
            (&["measure", "127.0.0.1", "--size", "100000"], &["100000", "--size"]),
            (&["measure", "127.0.0.1", "--proto", "icmp", "--size", "70000"], &["70000", "--size"]),
            (&["measure", "127.0.0.1", "--size", "many"], &["many"]),
            (&["measure", "127.0.0.1", "--rate", "0"], &["at 0 probes"]),
            (&["measure", "127.0.0.1", "--rate", "NaN"], &["NaN"]),
            (&["measure", "127.0.0.1", "--rate=-5"], &["-5"]),
            (&["measure", "127.0.0.1", "--rate", "inf"], &["inf"]),
            (&["measure", "127.0.0.1", "--mode", "open-loop", "--rate", "1e9"], &["1000000000", "rate"]),
            (&["measure", "127.0.0.1", "--cpu", "4096"], &["4096"]),
            (&["measure", "127.0.0.1", "--cpu", "-1"], &["-1"]),
            (&["measure", "127.0.0.1", "--load", "many"], &["many"]),
            (&["measure", "127.0.0.1", "--sweep", "rate"], &["rate", "interval="]),
            (&["measure", "127.0.0.1", "--sweep", "speed=1,2"], &["speed=1,2"]),
            (&["measure", "127.0.0.1", "--sweep", "rate=9..1"], &["9..1"]),
            (&["measure", "127.0.0.1", "--sweep", "rate=1..1e300"], &["100 points"]),
            (&["measure", "127.0.0.1", "--sweep", "size=64,100000"], &["100000"]),
            (&["measure", "127.0.0.1", "--sweep", "size=64", "--log", "x.log"], &["--log"]),
            (&["compare", "/nonexistent/a", "/nonexistent/b"], &["/nonexistent/a", "block"]),
            (&["compare", "block", "/nonexistent/b"], &["/nonexistent/b"]),
            (&["compare", "block", "block,size=x", "--target", "127.0.0.1"], &["size=x"]),
            (&["report", "/nonexistent/b", "--format", "hlog"], &["/nonexistent/b"]),
            (&["measure", "127.0.0.1", "--mode", "open-loop"], &["--rate"]),
            (&["measure", "127.0.0.1", "--mode", "open-loop", "--rate", "0"], &["at 0 probes"]),
            (&["measure", "127.0.0.1", "--mode", "open-loop", "--rate", "10", "--pattern", "burst:0"], &["burst:0"]),
            (&["measure", "127.0.0.1", "--mode", "open-loop", "--rate", "10", "--pattern", "wave"], &["wave"]),
            (&["measure", "127.0.0.1", "--count", "0"], &["length 0"]),
            (&["measure", "127.0.0.1", "--rt", "99"], &["99", "--rt"]),
            (&["measure", "127.0.0.1", "--rt", "0"], &["--rt"]),
            (&["measure", "127.0.0.1", "--stamp-cost"], &["--stamps"]),
            (&["measure", "127.0.0.1", "--dscp", "64"], &["64"]),
            (&["measure", "127.0.0.1:1", "--cpu", "4095"], &["4095"]),
            (&["compare", "block", "spin", "--target", "127.0.0.1", "--pairs", "3"], &["--pairs"]),
            (&["optimize", "--iface", "lo", "--target", "127.0.0.1", "--pairs", "0", "--dry-run"], &["--pairs"]),
            (&["optimize", "--iface", "lo", "--target", "127.0.0.1", "--round", "1us"], &["1us", "1ms"]),
            (
                &["optimize", "--iface", "lo", "--target", "127.0.0.1", "--cpu", "4095", "--dry-run"],
                &["4095", "online"],
            ),
            (&["compare", "block", "spin", "--target", "127.0.0.1", "--round", "999us"], &["999us", "1ms"]),
            (&["noise", "--duration", "0s"], &["0s", "lowlat noise --help"]),
            (&["noise", "--interval", "10s", "--duration", "1s"], &["10000000", "--interval"]),
            (&["measure", "127.0.0.1", "--count", "18446744073709551616"], &["18446744073709551616"]),
        ],
    );
}

#[test]
fn a_target_that_cannot_be_reached_is_named() {
    let scratch = Scratch::new();
    // Ports on which nobody listens: bound once to learn a free number, then let go.
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let at = format!("127.0.0.1:{free}");
    all_refused(
        &scratch,
        &[
            (&["measure", &at, "--timeout", "50ms"], &[&at]),
            (&["measure", &at, "--timeout", "50ms", "--engine", "spin"], &[&at]),
            (&["measure", &at, "--timeout", "50ms", "--proto", "tcp"], &[&at]),
            (&["compare", "block", "spin", "--target", &at, "--timeout", "50ms"], &[&at]),
            (&["optimize", "--iface", "lo", "--target", &at, "--timeout", "50ms", "--dry-run"], &[&at]),
            (&["measure", "no-such-host.invalid"], &["no-such-host.invalid"]),
            (&["measure", "127.0.0.1:many"], &["many"]),
            (&["measure", "127.0.0.1:70000"], &["70000"]),
            (&["measure", ""], &["\"\""]),
            (
                &["optimize", "--iface", "lo", "--target", "no-such-host.invalid", "--dry-run"],
                &["no-such-host.invalid"],
            ),
            (&["optimize", "--target", "127.0.0.1"], &["--iface"]),
            (&["optimize", "--iface", "lo"], &["--target"]),
            (&["optimize", "--iface", "lo", "--judge", ""], &["it is empty"]),
            (&["optimize", "--iface", "lo", "--judge", " ", "--dry-run"], &["it is empty"]),
            (&["optimize", "--iface", "lo", "--higher-is-better"], &["--judge"]),
            (&["optimize", "--iface", "lo", "--judge-timeout", "1s"], &["--judge"]),
            (&["optimize", "--iface", "lo", "--judge", "echo 1", "--judge-timeout", "0s"], &["0s"]),
            (&["optimize", "--iface", "lo", "--judge", "echo 1", "--load", "2"], &["--load"]),
            (&["optimize", "--iface", "lo", "--judge", "echo 1", "--goal", "50us"], &["--goal", "--target"]),
            (&["optimize", "--iface", "nosuch0", "--judge", "echo 1"], &["nosuch0"]),
            (&["around", "--iface", "lo", "--target", "127.0.0.1"], &["PROGRAM"]),
            (&["around", "--judge", "echo 1", "--", "true"], &["--iface"]),
            (&["around", "--iface", "lo", "--", "true"], &["--target"]),
            (&["around", "--iface", "nosuch0", "--judge", "echo 1", "--", "true"], &["nosuch0"]),
            (&["around", "--iface", "lo", "--judge", "", "--", "true"], &["it is empty"]),
            (&["around", "--iface", "lo", "--judge", "echo 1", "--keep", "some", "--", "true"], &["--keep", "some"]),
        ],
    );
}

#[test]
fn who_refuses_is_advised_by_its_protocol() {
    let scratch = Scratch::new();
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let at = format!("127.0.0.1:{free}");
    for (peer, proto, start, port) in [
        ("lowlat", "udp", "`lowlat serve`", "8620"),
        ("lowlat", "tcp", "`lowlat serve`", "8620"),
        ("sockperf", "udp", "`sockperf server`", "11111"),
        ("sockperf", "tcp", "`sockperf server`", "11111"),
        ("irtt", "udp", "`irtt server`", "2112"),
        ("stamp", "udp", "a STAMP or TWAMP-Light reflector", "862"),
    ] {
        for engine in ["block", "spin", "epoll", "busy-poll"] {
            let args = ["measure", &at, "--peer", peer, "--proto", proto, "--engine", engine];
            let ran = run(&mut scratch.lowlat(&args));
            ran.refuses(&[&at, "nothing listens there", &format!("start {start} there"), port]);
            assert!(peer == "lowlat" || !ran.err.contains("lowlat serve"), "{}", ran.err);
        }
    }
}

#[test]
fn a_config_that_cannot_be_used() {
    let scratch = Scratch::new();
    let config = |name: &str, text: &[u8]| scratch.file(name, text);
    let garbage = config("garbage.toml", b"\x00\x01]]]= what\n");
    let binary = config("binary.toml", b"\xff\xfe\xfa");
    let half = config("half.toml", b"goal = \"50us\niface = \"lo\"\n");
    let unknown = config("unknown.toml", b"gaol = \"50us\"\n");
    let table = config("table.toml", b"[goal]\nns = 5\n");
    let wrong_type = config("type.toml", b"size = \"many\"\n");
    let list = config("list.toml", b"goal = [[\"50us\"]]\n");
    let no_unit = config("unit.toml", b"goal = 50\n");
    let flag = config("flag.toml", b"allow-disruptive = 3\n");
    let absent = scratch.name("absent.toml");
    let folder = scratch.path().to_str().unwrap().to_owned();
    let optimize = |file: &str| -> Vec<String> {
        ["optimize", "--iface", "lo", "--target", "127.0.0.1:9", "--timeout", "10ms", "--dry-run", "--config", file]
            .map(str::to_owned)
            .to_vec()
    };
    let cases: [(&str, &[&str]); 11] = [
        (&garbage, &[&garbage]),
        (&binary, &[&binary, "UTF-8"]),
        (&half, &[&half]),
        (&unknown, &[&unknown, "gaol"]),
        (&table, &[&table, "goal"]),
        (&wrong_type, &["many", "--size"]),
        (&list, &[&list, "goal"]),
        (&no_unit, &["50", "--goal"]),
        (&flag, &["allow-disruptive"]),
        (&absent, &[&absent]),
        (&folder, &[&folder]),
    ];
    for (file, named) in cases {
        // `size` is a setting of measure and optimize alike.
        let args = optimize(file);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        all_refused(&scratch, &[(&args, named)]);
    }
}

#[test]
fn a_stored_run_that_cannot_be_trusted() {
    let scratch = Scratch::new();
    let store = Store::at(scratch.state());
    let document = lowlat_testkit::run::document();
    let path = store.save_stage("good", "run", &document).unwrap();
    assert_eq!(run(&mut scratch.lowlat(&["report", "good"])).err, "");
    let good = fs::read(&path).unwrap();
    let stored = |id: &str, bytes: &[u8], sum: bool| {
        let dir = store.runs_dir().join(id);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("run.json"), bytes).unwrap();
        if sum {
            fs::copy(store.runs_dir().join("good/run.json.crc32"), dir.join("run.json.crc32")).unwrap();
        }
    };
    let mut flipped = good.clone();
    let digit = good.windows(3).position(|w| w == b"200").unwrap();
    flipped[digit] ^= 1;
    stored("flipped", &flipped, true);
    stored("truncated", &good[..good.len() / 2], true);
    stored("truncated-no-sum", &good[..good.len() / 2], false);
    stored("empty", b"", false);
    stored("garbage", &[0, 159, 146, 150], false);
    stored("not-an-object", b"[1, 2]\n", false);
    stored("no-schema", b"{\"run\": 1}\n", false);
    let mut newer: serde_json::Value = serde_json::from_slice(&good).unwrap();
    newer["schema"]["version"] = 99.into();
    stored("newer", newer.to_string().as_bytes(), false);
    let mut foreign: serde_json::Value = serde_json::from_slice(&good).unwrap();
    foreign["schema"]["name"] = "lowlat.facts".into();
    stored("foreign", foreign.to_string().as_bytes(), false);
    let mut typed: serde_json::Value = serde_json::from_slice(&good).unwrap();
    typed["goal_ns"] = "soon".into();
    stored("wrong-type", typed.to_string().as_bytes(), false);
    fs::create_dir_all(store.runs_dir().join("no-document")).unwrap();
    let folder = store.runs_dir().join("truncated").display().to_string();
    let file = store.runs_dir().join("newer/run.json").display().to_string();
    all_refused(
        &scratch,
        &[
            (&["report", "flipped"], &["flipped", "checksum"]),
            (&["report", "truncated"], &["truncated", "checksum"]),
            (&["report", "truncated", "--format", "json"], &["truncated"]),
            (&["report", "truncated-no-sum"], &["truncated-no-sum"]),
            (&["report", "empty"], &["empty"]),
            (&["report", "garbage"], &["garbage"]),
            (&["report", "not-an-object"], &["not-an-object"]),
            (&["report", "no-schema"], &["no-schema", "schema"]),
            (&["report", "newer"], &["newer", "99"]),
            (&["report", "foreign"], &["foreign", "lowlat.facts"]),
            (&["report", "wrong-type"], &["wrong-type"]),
            (&["report", "no-document"], &["no-document"]),
            (&["report", &folder], &["truncated"]),
            (&["report", &file], &["newer", "99"]),
            (&["report", "/nonexistent/run.json"], &["/nonexistent/run.json"]),
        ],
    );
}

#[test]
fn documents_that_are_not_what_they_are_given_as() {
    let scratch = Scratch::new();
    let facts = run(&mut scratch.lowlat(&["facts"]));
    let facts = scratch.file("facts.json", &facts.exits(0).out);
    let foreign = scratch.file("foreign.json", "{\"name\": \"left-pad\", \"version\": \"1.3.0\"}");
    let list = scratch.file("list.json", "[]");
    let text = scratch.file("text.json", "hello\n");
    let old = scratch.file("v0.json", "{\"schema\": {\"name\": \"lowlat.plan\", \"version\": 0}}");
    let newer = scratch.file("v99.json", "{\"schema\": {\"name\": \"lowlat.plan\", \"version\": 99}}");
    let bare = scratch.file("bare.json", "{\"schema\": {\"name\": \"lowlat.plan\", \"version\": 1}}");
    let absent = scratch.name("absent.json");
    all_refused(
        &scratch,
        &[
            (&["check", "--facts", &foreign], &[&foreign, "schema"]),
            (&["check", "--facts", &list], &[&list]),
            (&["check", "--facts", &text], &[&text, "JSON"]),
            (&["check", "--facts", &absent], &[&absent]),
            (&["check", "--facts", &bare], &[&bare, "lowlat.plan"]),
            (&["check", "--facts", &facts, "--iface", "nosuch0"], &["nosuch0"]),
            (&["plan", "--facts", &foreign], &[&foreign]),
            (&["plan", "--facts", &text], &[&text]),
            (&["apply", &facts], &[&facts, "lowlat.facts"]),
            (&["apply", &foreign], &[&foreign]),
            (&["apply", &text], &[&text]),
            (&["apply", &bare], &[&bare]),
            (&["apply", &old], &[&old]),
            (&["apply", &newer], &[&newer, "99"]),
            (&["apply", &absent], &[&absent]),
            (&["apply"], &["PLAN"]),
            (&["report", &facts], &[&facts, "lowlat.facts"]),
        ],
    );
}

#[test]
fn captured_trees_that_are_none() {
    let scratch = Scratch::new();
    let empty = scratch.name("empty");
    fs::create_dir(&empty).unwrap();
    let absent = scratch.name("absent");
    let file = scratch.file("file", "not a folder");
    let taken = scratch.name("file/below");
    all_refused(
        &scratch,
        &[
            (&["facts", "--root", &absent], &[&absent]),
            (&["facts", "--root", &empty], &[&empty]),
            (&["facts", "--root", &file], &[&file]),
            (&["check", "--root", &absent], &[&absent]),
            (&["check", "--root", &empty, "--facts", &file], &["--facts"]),
            (&["facts", "--capture", &taken], &[&taken]),
            (&["measure", "127.0.0.1", "--out", &taken], &[&taken]),
        ],
    );
}

/// The engine's program is optional: without it, and without the libraries it was built with, one line says what to install.
#[test]
fn a_dpdk_that_is_not_there_is_one_line() {
    let scratch = Scratch::new();
    // It is looked for before the path is.
    let measured = |program: &str| {
        let args = ["measure", "192.0.2.1", "--engine", "dpdk", "--timeout", "10ms", "--duration", "100ms"];
        run(scratch.lowlat(&args).env("LOWLAT_DPDK", program))
    };
    measured("/nonexistent/lowlat-dpdk").refuses(&["/nonexistent/lowlat-dpdk", "libdpdk-dev", "scripts/dpdk"]);
    let script = scratch.file(
        "lowlat-dpdk",
        "#!/bin/sh\necho 'x: error while loading shared libraries: librte_eal.so.23: no such file' >&2; exit 127\n",
    );
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ports = |script: &str| {
        let args = "measure 127.0.0.8 --engine dpdk --dpdk-port net_ring --dpdk-address 127.0.0.9/24 --timeout 10ms";
        let args: Vec<&str> = args.split(' ').collect();
        run(scratch.lowlat(&args).env("LOWLAT_DPDK", script))
    };
    ports(&script).refuses(&["librte_eal.so.23", "build it again with scripts/dpdk"]);
    let serve = ["serve", "--engine", "dpdk", "--dpdk-address", "127.0.0.9/24", "--dpdk-port", "net_ring"];
    run(scratch.lowlat(&serve).env("LOWLAT_DPDK", &script)).refuses(&["librte_eal.so.23", "scripts/dpdk"]);
    let nowhere = ["serve", "--engine", "dpdk", "--dpdk-address", "192.0.2.9/24", "--iface", "nosuch0"];
    run(scratch.lowlat(&nowhere).env("LOWLAT_DPDK", &script)).refuses(&["nosuch0"]);
    run(scratch.lowlat(&nowhere[..5]).env("LOWLAT_DPDK", &script)).refuses(&["--iface"]);
    // Whatever it is instead, it ends and is reported.
    ports("/bin/true").refuses(&["lowlat-dpdk has ended"]);
    ports("/bin/sh").refuses(&["lowlat-dpdk has ended"]);
}

#[test]
fn a_taken_port_is_named() {
    let scratch = Scratch::new();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = udp.local_addr().unwrap().port().to_string();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream_port = tcp.local_addr().unwrap().port().to_string();
    all_refused(
        &scratch,
        &[
            (&["serve", "--bind", "127.0.0.1", "--port", &port], &[&port]),
            (&["serve", "--bind", "127.0.0.1", "--port", &stream_port], &[&stream_port]),
            (&["serve", "--bind", "127.0.0.1", "--port", &port, "--engine", "spin"], &[&port, "ss -lnp"]),
            (&["serve", "--bind", "127.0.0.1", "--port", &port, "--engine", "epoll"], &[&port, "ss -lnp"]),
            (&["serve", "--bind", "127.0.0.1", "--port", &port, "--engine", "io-uring"], &[&port, "ss -lnp"]),
            (&["serve", "--bind", "127.0.0.1", "--port", &stream_port, "--engine", "io-uring"], &[&stream_port]),
            // An address that is not an interface's (RFC 5737).
            (&["serve", "--bind", "192.0.2.77", "--port", "0"], &["192.0.2.77"]),
        ],
    );
}

/// Wherever the descriptors end, the limit is what is named.
#[test]
fn too_few_descriptors_are_named_as_such() {
    let scratch = Scratch::new();
    let mut refused = 0;
    for limit in (6..40).step_by(3) {
        let script = format!("ulimit -n {limit}; exec {} serve --bind 127.0.0.1 --port 0 --stamp", common::word());
        let mut command = Command::new("sh");
        command.args(["-c", &script]).env("LOWLAT_STATE", scratch.state()).stdin(Stdio::null());
        let mut far = common::Started::new(&mut command);
        // It serves, or it has ended.
        while !far.err().contains("seccomp") && !far.err().contains("lowlat: ") {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        if far.err().contains("seccomp") {
            far.signal("TERM");
            far.says("seccomp");
            far.wait().exits(0);
            continue;
        }
        far.wait().refuses(&["open files", "ulimit -n"]);
        refused += 1;
    }
    assert!((2..12).contains(&refused), "{refused} of 12");
}

#[test]
fn keys_that_protect_nothing() {
    let scratch = Scratch::new();
    let short = scratch.secret("short.key", "secret\n");
    let empty = scratch.secret("empty.key", "");
    let open = scratch.secret("open.key", "0123456789abcdef0123456789abcdef\n");
    fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let absent = scratch.name("absent.key");
    all_refused(
        &scratch,
        &[
            (&["serve", "--bind", "127.0.0.1", "--port", "0", "--key-file", &short], &[&short, "16"]),
            (&["serve", "--bind", "127.0.0.1", "--port", "0", "--key-file", &empty], &[&empty]),
            (&["serve", "--bind", "127.0.0.1", "--port", "0", "--key-file", &absent], &[&absent]),
            (&["measure", "127.0.0.1", "--key-file", &short], &[&short, "16"]),
            (&["measure", "127.0.0.1", "--key-file", &open], &[&open, "0640", "chmod 600"]),
            (&["serve", "--bind", "127.0.0.1", "--port", "0", "--key-file", &open], &[&open, "chmod 600"]),
        ],
    );
}

#[test]
fn places_that_cannot_be_written() {
    let scratch = Scratch::new();
    let file = scratch.file("file", "in the way");
    let below = scratch.name("file/plan.json");
    let page = scratch.name("absent/plan.json");
    all_refused(
        &scratch,
        &[
            (
                &[
                    "plan",
                    "--facts",
                    &scratch.file("f.json", run(&mut scratch.lowlat(&["facts"])).out),
                    "--out",
                    &below,
                ],
                &[&below],
            ),
            (&["plan", "--facts", &scratch.name("f.json"), "--out", &page], &[&page]),
        ],
    );
    // The state directory itself is a file.
    let mut command = scratch.lowlat(&["report", "last"]);
    command.env("LOWLAT_STATE", &file);
    run(&mut command).refuses(&[&file]);
}

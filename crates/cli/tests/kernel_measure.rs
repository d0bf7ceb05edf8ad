//! `measure`, `compare` and `report` of stored samples on the real kernel: what one command stores the next one reads.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lowlat_model::shape::ShapePacket;
use lowlat_model::{FlowShape, Schema};
use serde_json::Value;

use common::lab::{FAR, IFACE, Lab, in_netns};
use common::{Scratch, Started, run};

#[test]
fn a_stored_run_is_reported_compared_and_exported() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let (a, b, alone) = (scratch.name("a"), scratch.name("b"), scratch.name("alone.log"));
    for out in [&a, &b] {
        lab.run(&scratch, &["measure", FAR, "--count", "1500", "--duration", "60s", "--out", out]).exits(0);
    }
    let open = ["measure", FAR, "--mode", "open-loop", "--rate", "2000", "--pattern", "poisson", "--duration", "1s"];
    let logged: Vec<&str> = open.iter().copied().chain(["--log", &alone, "--json"]).collect();
    let live = lab.run(&scratch, &logged).exits(0).json();

    // A log alone says what its run's document says.
    let back = run(&mut scratch.lowlat(&["report", &alone, "--json"])).exits(0).json();
    for key in [
        "target",
        "mode",
        "sent",
        "received",
        "lost",
        "duplicates",
        "reordered",
        "rtt",
        "rtt_planned",
        "rtt_intervals",
        "send_delay",
        "steady",
        "jitter",
        "rate_sustained",
        "rate_pps",
        "warmup",
    ] {
        assert_eq!(back[key], live[key], "{key}");
    }
    let stored: Value = serde_json::from_slice(&fs::read(scratch.path().join("a/measure.json")).unwrap()).unwrap();
    assert_eq!(run(&mut scratch.lowlat(&["report", &a, "--json"])).exits(0).json(), stored);
    for format in ["text", "md", "html"] {
        let out = run(&mut scratch.lowlat(&["report", &a, "--format", format])).exits(0).out.clone();
        assert!(out.contains("P99") && out.contains("RFC 3393") && out.contains(FAR), "{format}: {out}");
    }

    // By samples, by figures, and a log against a folder.
    let document = format!("{a}/measure.json");
    let lone = scratch.file("lone.json", fs::read(&document).unwrap());
    for (x, y, design) in [(&a, &b, "samples"), (&lone, &b, "figures"), (&a, &alone, "samples")] {
        let ran = run(&mut scratch.lowlat(&["compare", x, y, "--json", "--seed", "7"]));
        assert!(matches!(ran.code, Some(0 | 1)), "{ran:#?}");
        let c = ran.json();
        assert_eq!((&c["design"], &c["seed"]), (&design.into(), &7.into()), "{c:#}");
        for key in ["q", "a_ns", "b_ns", "diff_ns", "low_ns", "high_ns", "verdict"] {
            // An end of an interval that the samples do not support is null.
            let there = |v: &Value| !v.is_null() || matches!(key, "low_ns" | "high_ns");
            assert!(c["quantiles"][0].get(key).is_some_and(there), "{key} of {c:#}");
        }
        let open = ["low_ns", "high_ns"].iter().any(|end| c["quantiles"][0][end].is_null());
        assert!(c["smallest_detectable_ns"].is_u64() != open, "{c:#}");
        assert!(c["warnings"].to_string().contains("one after the other"), "{c:#}");
    }
    let same = run(&mut scratch.lowlat(&["compare", &a, &a]));
    assert!(same.exits(0).out.contains("no difference shown"), "{same:#?}");
    let differ = run(&mut scratch.lowlat(&["compare", &a, &alone]));
    assert!(differ.out.contains("differ in mode: ping-pong and open-loop"), "{differ:#?}");

    // Every sample, warm-up included, in the formats of others.
    let csv = run(&mut scratch.lowlat(&["report", &alone, "--format", "csv"])).exits(0).out.clone();
    let measured = csv.lines().skip(1).filter(|l| l.split(',').nth(7) == Some("0")).count();
    assert_eq!(measured as u64, live["sent"].as_u64().unwrap());
    let hlog = run(&mut scratch.lowlat(&["report", &alone, "--format", "hlog"])).exits(0).out.clone();
    assert!(hlog.contains("#[StartTime:") && hlog.lines().any(|l| l.contains(",HISTF")), "{hlog}");
    run(&mut scratch.lowlat(&["report", &lone, "--format", "csv"])).refuses(&["lone.json", "--log"]);
    run(&mut scratch.lowlat(&["compare", "block", &a, "--target", FAR])).refuses(&["block", &a]);
}

#[test]
fn damaged_logs_are_one_line() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let log = scratch.name("good.log");
    lab.run(&scratch, &["measure", FAR, "--count", "500", "--log", &log]).exits(0);
    let good = fs::read(&log).unwrap();
    let mut flipped = good.clone();
    *flipped.iter_mut().rev().nth(60).unwrap() ^= 4;
    let (mut newer, mut older) = (good.clone(), good.clone());
    newer[9] = 77;
    older[9] = 1;
    let mut head = good.clone();
    head[30] = 0;
    for (name, bytes, word) in [
        ("cut.log", good[..good.len() / 2].to_vec(), "cut short"),
        ("flipped.log", flipped, "damaged"),
        ("newer.log", newer, "version 77"),
        ("older.log", older, "version 1"),
        ("head.log", head, "damaged"),
        ("stub.log", good[..12].to_vec(), "cut short"),
        ("foreign.log", b"#!/bin/sh\n".to_vec(), "JSON"),
        ("empty.log", Vec::new(), "JSON"),
    ] {
        let bad = scratch.file(name, bytes);
        for args in [
            vec!["report", &bad],
            vec!["report", &bad, "--json"],
            vec!["compare", &bad, &log],
            vec!["compare", &log, &bad],
        ] {
            run(&mut scratch.lowlat(&args)).refuses(&[name, word]);
        }
        // What is whole comes out before the damage is reported.
        let csv = run(&mut scratch.lowlat(&["report", &bad, "--format", "csv"]));
        assert_eq!(csv.code, Some(2), "{csv:#?}");
        assert_eq!(csv.err.lines().count(), 1, "{csv:#?}");
    }
    // A disk that fills.
    let full = ["measure", FAR, "--count", "500", "--log", "/dev/full"];
    lab.run(&scratch, &full).fails(&["/dev/full", "No space"]);
    // A target that does not answer leaves the log of before as it was.
    lab.run(&scratch, &["measure", &format!("{FAR}:9"), "--timeout", "20ms", "--log", &log]).exits(2);
    assert_eq!(fs::read(&log).unwrap(), good);
}

#[test]
fn sweeps_are_tables_and_stored_runs() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    for (sweep, axis, points) in [
        ("interval=200us,2ms", "interval", vec![200_000.0, 2_000_000.0]),
        ("size=64,1400", "size", vec![64.0, 1_400.0]),
        ("rate=200..1000", "rate", vec![200.0, 500.0, 1_000.0]),
    ] {
        let out = scratch.name(axis);
        let ran =
            lab.run(&scratch, &["measure", FAR, "--sweep", sweep, "--duration", "150ms", "--out", &out, "--json"]);
        let d = ran.exits(0).json();
        assert_eq!((&d["schema"]["name"], &d["axis"]), (&"lowlat.sweep".into(), &axis.into()));
        let at: Vec<f64> = d["points"].as_array().unwrap().iter().map(|p| p["at"].as_f64().unwrap()).collect();
        assert_eq!(at, points);
        assert!(d["points"][0]["measurement"]["received"].as_u64().unwrap() > 0, "{d:#}");
        assert_eq!(
            d["knee_rate_pps"].is_null(),
            axis != "rate" || d["points"][0]["measurement"]["rate_sustained"] != true
        );
        let text = run(&mut scratch.lowlat(&["report", &out])).exits(0).out.clone();
        assert!(text.contains(&format!("SWEEP OVER {}", axis.to_uppercase())), "{text}");
        assert_eq!(text.lines().filter(|l| l.contains(" µs  ")).count(), points.len(), "{text}");
        run(&mut scratch.lowlat(&["compare", &out, &out])).refuses(&[&out, "no single measurement"]);
    }
}

/// 1,473 bytes do not fit into a frame of the lab; the point before it is printed, stored and reported.
#[test]
fn a_sweep_keeps_what_it_measured_before_a_point_that_fails() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let out = scratch.name("kept");
    let sweep = ["--sweep", "size=64,1473,1474", "--duration", "150ms", "--out"];
    let ran = lab.run(&scratch, &[&["measure", FAR], &sweep[..], &[&out, "--json"]].concat());
    let d = ran.exits(1).json();
    let at: Vec<f64> = d["points"].as_array().unwrap().iter().map(|p| p["at"].as_f64().unwrap()).collect();
    assert_eq!(at, [64.0], "{d:#}");
    assert!(d["failed"].as_str().is_some_and(|why| why.contains("1473")), "{d:#}");
    assert!(ran.err.contains("the sweep ended before its last point"), "{ran:#?}");
    let stored = run(&mut scratch.lowlat(&["report", &out, "--format", "json"])).exits(0).json();
    assert_eq!(stored, d);
    // Where nothing can be written is reported before the first probe: nobody answers at this port.
    for at in ["/proc/x", "/dev/null/x"] {
        lab.run(&scratch, &[&["measure", &format!("{FAR}:9")], &sweep[..], &[at]].concat()).refuses(&[at]);
    }
}

/// Both ends are placed, the document says where and why, and the far end's place is given back.
#[test]
fn both_ends_are_placed_and_the_reason_is_said() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let args = ["measure", FAR, "--duration", "200ms", "--json"];
    let measure = |more: &[&str]| {
        let all: Vec<&str> = args.iter().chain(more).copied().collect();
        lab.run(&scratch, &all).exits(0).json()
    };
    let first = measure(&[]);
    let (near, far) = (&first["placed"]["near"], &first["placed"]["far"]);
    let cpu = near["cpu"].as_u64().unwrap();
    assert!(near["why"].as_str().unwrap().starts_with(&format!("CPU {cpu}: ")), "{near}");
    assert_eq!((&first["cpu"], &first["flow"]["prober_cpu"]), (&cpu.into(), &cpu.into()), "{:#}", first["flow"]);
    assert!(first["flow"]["source_port"].as_u64().unwrap() > 0 && first["flow"]["incoming_cpu"].is_u64());
    assert_eq!(first["conditions"]["placement"], near["why"]);
    if std::thread::available_parallelism().unwrap().get() > 1 {
        assert!(far["cpu"].as_u64().unwrap() != cpu && far["why"].as_str().unwrap().contains("same host"), "{far}");
        // Given back: the next prober is another client, and gets the same.
        assert_eq!(measure(&["--engine", "spin"])["placed"], first["placed"]);
        // Held: another one is reported so, and is measured anyway.
        let long = Started::new(&mut lab.lowlat(&scratch, &["measure", FAR, "--duration", "60s", "--json"]));
        std::thread::sleep(Duration::from_millis(700));
        let second = measure(&[]);
        assert_eq!(second["placed"]["far_why_not"], "the far end is placed for another client");
        assert!(second["received"].as_u64().unwrap() > 0);
        long.signal("INT");
        long.wait();
        assert_eq!(measure(&[])["placed"], first["placed"]);
    }
    assert_eq!(measure(&["--cpu", "0"])["placed"]["near"]["why"], "CPU 0, set by --cpu");
}

/// A comparison asks its far end for one place, and both sides have it; a side's own `cpu=` moves its prober alone.
#[test]
fn both_sides_of_a_comparison_run_at_one_place() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let compare = |a: &str, b: &str| {
        let args = ["compare", a, b, "--target", FAR, "--pairs", "4", "--round", "20ms", "--json"];
        let ran = lab.run(&scratch, &args);
        assert!(matches!(ran.code, Some(0 | 1)), "{ran:#?}");
        (ran.json(), ran.err.clone())
    };
    let (document, said) = compare("block", "spin");
    let placed = document["placed"].as_array().unwrap();
    assert_eq!((placed.len(), &placed[0]), (2, &placed[1]), "{document:#}");
    let near = placed[0]["near"]["cpu"].as_u64().unwrap();
    assert!(said.contains(&format!("near end: CPU {near}: ")) && said.contains("\nfar end: CPU "), "{said}");
    if std::thread::available_parallelism().unwrap().get() > 1 {
        let far = &placed[0]["far"];
        assert!(far["cpu"].as_u64().unwrap() != near && far["why"].as_str().unwrap().contains("same host"), "{far}");
        // Asked by tcp and udp, it is one far end; it was given back, and stands where it stood.
        let (over, _) = compare("block", "block,proto=tcp");
        assert_eq!((&over["placed"][0], &over["placed"][1]), (&placed[0], &placed[0]), "{over:#}");
        // Where one side asks for the far end's own CPU, both keep the far end, and it is said.
        let crossed = format!("block,cpu={}", far["cpu"]);
        let (document, said) = compare("block", &crossed);
        assert_eq!((&document["placed"][1]["far"], &document["placed"][1]["near"]["cpu"]), (far, &far["cpu"]));
        assert!(document["warnings"].to_string().contains("the prober of b shares CPU"), "{document:#}");
        assert!(said.contains("a: near end: ") && said.contains("b: near end: "), "{said}");
    }
}

/// A flow of bursts of these packets, so far apart, one after each of these pauses.
fn bursts(sizes: &[u32], gap_ns: u64, pauses_ns: &[u64], burst_gap_ns: u64) -> Vec<u8> {
    let mut packets = Vec::new();
    for pause in pauses_ns {
        let gap = |n: usize| if n == 0 { *pause } else { gap_ns };
        let burst = sizes.iter().enumerate();
        packets.extend(burst.map(|(n, size_bytes)| ShapePacket { gap_ns: gap(n), size_bytes: *size_bytes }));
    }
    let shape = FlowShape { schema: Schema::current("shape"), burst_gap_ns, packets, ..FlowShape::default() };
    serde_json::to_vec(&shape).unwrap()
}

/// Position of each phase, its median, and its verdict.
fn phases(m: &Value) -> Vec<(String, u64, String)> {
    let of = |p: &Value| {
        let name = format!("{} {}", p["phase"].as_str().unwrap(), p["from_position"]);
        let verdict = p["against_first"]["verdict"].as_str().unwrap_or_default().to_owned();
        (name, p["rtt_planned"]["p50_ns"].as_u64().unwrap(), verdict)
    };
    m["shape"]["phases"].as_array().unwrap().iter().map(of).collect()
}

/// Behind a shaper each packet of a burst waits for those before it, and the report says so, phase by phase; without one
/// no phase is said to differ.
#[test]
fn a_queue_along_a_burst_shows_in_its_phases_and_none_is_claimed_without_one() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let measure = |shape: &str, more: &[&str]| {
        let all: Vec<&str> =
            ["measure", FAR, "--shape", shape, "--duration", "1s"].iter().chain(more).copied().collect();
        lab.run(&scratch, &all)
    };
    // The same gap before each: a longer pause is a difference, since what sleeps longer wakes up later. Bursts of 8.52 ms keep
    // no step with the kernel's tick.
    let apart = scratch.file("apart", bursts(&[400; 4], 2_130_000, &[2_130_001], 2_130_001));
    let m = measure(&apart, &["--json"]).exits(0).json();
    let shown = phases(&m);
    let names: Vec<&str> = shown.iter().map(|p| p.0.as_str()).collect();
    assert_eq!(names, ["first 1", "inside 2", "inside 3", "last 4"]);
    assert!(shown[1..].iter().all(|p| p.2 == "same"), "{:#}", m["shape"]);
    assert!(m["shape"]["words"].as_str().unwrap().starts_with("no phase is shown to differ"), "{:#}", m["shape"]);

    // 20 Mbit/s: one packet of 1,042 bytes in 0.4 ms, and a burst of eight in a fifth of its period.
    lab.sh(&format!("tc qdisc replace dev {IFACE} root tbf rate 20mbit burst 1600 limit 200000"));
    let close = scratch.file("close", bursts(&[1_000; 8], 20_000, &[15_000_000], 1_000_000));
    let out = scratch.name("shaped");
    let m = measure(&close, &["--json", "--out", &out]).exits(0).json();
    let shown = phases(&m);
    let names: Vec<&str> = shown.iter().map(|p| p.0.as_str()).collect();
    assert_eq!(names, ["first 1", "inside 2", "inside 3", "inside 4", "inside 5", "last 8"]);
    assert!(shown[2..].iter().all(|p| p.2 == "longer"), "{:#}", m["shape"]);
    assert!(shown[1..].is_sorted_by_key(|p| p.1), "{shown:?}");
    // At the line's rate the last one waits for the five before it that found no credit, 2 ms; half of it is enough here.
    assert!(shown[5].1 > shown[0].1 + 1_000_000, "{shown:?}");
    assert!(m["shape"]["words"].as_str().unwrap().contains("the last most: by "), "{:#}", m["shape"]);
    let probes: u64 = m["shape"]["phases"].as_array().unwrap().iter().map(|p| p["probes"].as_u64().unwrap()).sum();
    let counted = ["sent", "unsent"].map(|key| m[key].as_u64().unwrap()).iter().sum::<u64>();
    let left_out = ["warmup", "cooldown"].map(|key| m["steady"][key].as_u64().unwrap()).iter().sum::<u64>();
    assert_eq!(probes, counted - left_out, "each probe of the figures is in one phase");
    assert_eq!((&m["mode"], &m["size_bytes"], &m["shape"]["clipped"]), (&"open-loop".into(), &1_000.into(), &0.into()));

    let text = run(&mut scratch.lowlat(&["report", &out])).exits(0).out.clone();
    assert!(text.contains("PHASES OF THE BURST:") && text.contains("5 to 7"), "{text}");
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    let page = run(&mut scratch.lowlat(&["report", &out, "--format", "html"])).exits(0).out.clone();
    assert!(page.contains("Latency along the burst") && page.contains(">5 to 7</td>"), "{page}");
}

/// What was sent in a shape is recorded at the far end's socket as it was sent, and what was recorded can be sent.
#[test]
fn a_flow_is_recorded_at_a_live_socket_and_sent_again() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let far = lab.serve(&scratch, &[]);
    let shape = scratch.file("shape", bursts(&[60, 9_000, 700, 8], 100_000, &[5_000_000], 1_000_000));
    let recorded = scratch.name("recorded");
    let by = ["shape", "--pid", &far.pid().to_string(), "--port", "8620", "--for", "60s", "--out", &recorded];
    let listening = Started::new(&mut lab.lowlat_far(&scratch, &by));
    let tapped = || lab.far_sh("cat /proc/net/packet").lines().count() == 3;
    common::until("a packet socket for each of IPv4 and IPv6", tapped);
    let m = lab.run(&scratch, &["measure", FAR, "--shape", &shape, "--count", "200", "--json"]).exits(0).json();
    listening.signal("INT");
    let said = listening.wait();
    assert!(said.exits(0).out.contains("NOTES:") && said.out.contains("interrupted"), "{said:#?}");
    // The far end's messages have 48 bytes at least, and a packet of this path carries 1,472.
    assert_eq!(
        (&m["shape"]["clipped"], &m["shape"]["smallest_bytes"], &m["shape"]["largest_bytes"]),
        (&2.into(), &48.into(), &1_472.into())
    );
    let seen: FlowShape = serde_json::from_slice(&fs::read(&recorded).unwrap()).unwrap();
    let sizes: Vec<u32> = seen.packets.iter().map(|p| p.size_bytes).collect();
    let cycles = sizes.windows(4).filter(|w| *w == [60, 1_472, 700, 48]).count();
    assert!(cycles >= 48, "{cycles} of 50: {sizes:?}");
    assert!(
        (seen.source.as_str(), seen.proto.as_str()) == ("socket", "udp") && seen.flow.ends_with("to port 8620"),
        "{seen:?}"
    );
    assert_eq!(seen.check(), Ok(()));
    let again = lab.run(&scratch, &["measure", FAR, "--shape", &recorded, "--count", "100", "--json"]);
    assert!(again.exits(0).json()["received"].as_u64() > Some(0));
    for (peer, named) in [("irtt", "irtt"), ("sockperf", "--shape")] {
        let pattern: &[&str] = if peer == "irtt" { &["--peer", peer] } else { &["--rate", "5"] };
        let all: Vec<&str> = ["measure", FAR, "--shape", &shape].iter().chain(pattern).copied().collect();
        lab.run(&scratch, &all).refuses(&[named]);
    }
    lab.run(&scratch, &["measure", &format!("{FAR}:1"), "--proto", "tcp-connect", "--shape", &shape])
        .refuses(&["tcp-connect", "one pace"]);
    lab.run(&scratch, &["measure", FAR, "--shape", &shape, "--duration", "50us"])
        .refuses(&["second packet", "--duration"]);
    run(&mut lab.lowlat_far(&scratch, &["shape", "--port", "8621", "--for", "50ms"]))
        .refuses(&["port 8621", "ss -tuan"]);
    let silent = run(&mut lab.lowlat_far(&scratch, &["shape", "--port", "8620", "--for", "50ms"]));
    silent.refuses(&["port 8620", "no datagram came", "--duration"]);
}

/// Of a TCP connection what comes to this end is recorded, by the port of either end, and acknowledgements alone are nothing.
#[test]
fn the_segments_of_a_live_connection_are_recorded() {
    use std::io::{Read as _, Write as _};
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let recorded = scratch.name("recorded");
    let listener = lab.in_far(|| std::net::TcpListener::bind((FAR, 7001)).unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        // 100 and 900 bytes for each byte that comes.
        while stream.read_exact(&mut [0]).is_ok() {
            stream.write_all(&[1; 100]).unwrap();
            std::thread::sleep(Duration::from_millis(2));
            stream.write_all(&[2; 900]).unwrap();
        }
    });
    let mut client = in_netns(&lab.near, || std::net::TcpStream::connect((FAR, 7001)).unwrap());
    let by = ["shape", "--port", "7001", "--for", "60s", "--out", &recorded];
    let listening = Started::new(&mut lab.lowlat(&scratch, &by));
    common::until("a packet socket for each of IPv4 and IPv6", || lab.sh("cat /proc/net/packet").lines().count() == 3);
    for _ in 0..20 {
        client.write_all(&[0]).unwrap();
        client.read_exact(&mut [0; 1_000]).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    listening.signal("INT");
    listening.wait().exits(0);
    drop(client);
    server.join().unwrap();
    let seen: FlowShape = serde_json::from_slice(&fs::read(&recorded).unwrap()).unwrap();
    let sizes: Vec<u32> = seen.packets.iter().map(|p| p.size_bytes).collect();
    assert_eq!(sizes, [100, 900].repeat(20), "{seen:?}");
    assert!(seen.proto == "tcp" && seen.flow.starts_with(&format!("{FAR}:7001 to ")), "{}", seen.flow);
    assert!(seen.notes.iter().any(|n| n.contains("GRO")), "{:?}", seen.notes);
    // Its sizes and gaps are sent as any other's.
    let _far = lab.serve(&scratch, &[]);
    let m = lab.run(&scratch, &["measure", FAR, "--shape", &recorded, "--count", "80", "--json"]).exits(0).json();
    assert!(m["received"].as_u64() == Some(80) && m["shape"]["largest_bytes"] == 900, "{m:#}");
}

/// Handshakes with a far end that runs nothing of ours: any port that listens, at a polite pace, and by it `optimize`.
#[test]
fn tcp_handshakes_need_a_port_that_listens_and_no_far_end() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let listener = lab.in_far(|| std::net::TcpListener::bind((FAR, 4443)).unwrap());
    let taken = std::thread::spawn(move || listener.incoming().take(400).flatten().count());
    let target = format!("{FAR}:4443");
    let measure = |more: &[&str]| {
        let all: Vec<&str> =
            ["measure", &target, "--proto", "tcp-connect", "--json"].iter().chain(more).copied().collect();
        lab.run(&scratch, &all)
    };
    let mut slow = 0;
    for engine in ["block", "spin"] {
        let m = measure(&["--count", "40", "--engine", engine]).exits(0).json();
        assert_eq!((&m["proto"], &m["peer"], &m["lost"]), (&"tcp-connect".into(), &"tcp-connect".into(), &0.into()));
        assert!(m["rtt"]["p50_ns"].as_u64().is_some_and(|ns| (1_000..50_000_000).contains(&ns)), "{m:#}");
        // 10 ms between two, unless asked for more.
        slow = m["duration_ns"].as_u64().unwrap();
        assert!(slow >= 300_000_000, "{m:#}");
    }
    let fast = measure(&["--count", "40", "--rate", "2000"]).exits(0).json();
    assert!(fast["duration_ns"].as_u64().unwrap() < slow, "{fast:#}");
    measure(&["--count", "4", "--engine", "epoll"]).refuses(&["use --engine block or spin"]);
    let at = |target: &str| lab.run(&scratch, &["measure", target, "--proto", "tcp-connect", "--count", "4"]);
    at(FAR).refuses(&["no port given"]);
    at(&format!("{FAR}:4444")).refuses(&["nothing listens there", "name a port on which a server listens"]);
    drop(taken);
}

#[test]
fn tls_servers_are_greeted_and_what_is_none_is_named() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let (key, certificate) = (scratch.name("key"), scratch.name("certificate"));
    lab.far_sh(&format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {key} -out {certificate} -days 2 -subj /CN=far"
    ));
    lab.ip("address add fd07::1/64 dev near0 nodad");
    lab.far_ip("address add fd07::2/64 dev far0 nodad");
    let serve = |options: &str| {
        let mut server = Command::new("ip");
        let all = format!("exec openssl s_server -key {key} -cert {certificate} -quiet {options}");
        server.args(["netns", "exec", &lab.far, "sh", "-c", &all]);
        Started::new(&mut server)
    };
    let _servers = [serve("-accept 4433"), serve("-accept 4435 -tls1_2")];
    let listens = |port: &str| !lab.far_sh(&format!("ss -Hnlt sport = :{port}")).is_empty();
    common::until("the servers listen", || ["4433", "4435"].iter().all(|p| listens(p)));
    for (target, engine) in [
        (format!("{FAR}:4433"), "block"),
        (format!("{FAR}:4433"), "spin"),
        ("[fd07::2]:4433".to_owned(), "block"),
        (format!("{FAR}:4435"), "block"),
    ] {
        let args = ["measure", &target, "--proto", "tls", "--count", "100", "--engine", engine, "--json"];
        let m = lab.run(&scratch, &args).exits(0).json();
        assert_eq!((&m["proto"], &m["peer"], &m["lost"]), (&"tls".into(), &"tls".into(), &0.into()), "{target}");
        let tls = m["rtt"]["p50_ns"].as_u64().unwrap();
        // 10 ms between two, and a key exchange in each.
        assert!(m["duration_ns"].as_u64().unwrap() >= 800_000_000 && (50_000..50_000_000).contains(&tls), "{m:#}");
    }
    let at = |target: &str| lab.run(&scratch, &["measure", target, "--proto", "tls", "--count", "4"]);
    at(&format!("{FAR}:4444")).refuses(&["nothing listens there", "name one on which a TLS server listens"]);
    let plain = lab.in_far(|| std::net::TcpListener::bind((FAR, 4445)).unwrap());
    std::thread::spawn(move || {
        for mut stream in plain.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut stream, b"220 mail.example ESMTP\r\n");
            let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
        }
    });
    at(&format!("{FAR}:4445")).refuses(&["not TLS (its first byte is 0x32)", "--proto tcp-connect"]);
}

/// Far ends that cannot be asked: the run goes on, and the document says why they were not.
#[test]
fn a_far_end_that_cannot_be_placed_is_said_and_measured() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let why = |args: &[&str]| {
        let all: Vec<&str> =
            ["measure"].iter().chain(args).chain(&["--duration", "200ms", "--json"]).copied().collect();
        let m = lab.run(&scratch, &all).exits(0).json();
        assert!(m["received"].as_u64().unwrap() > 0 && m["placed"]["far"].is_null(), "{m:#}");
        m["placed"]["far_why_not"].as_str().unwrap().to_owned()
    };
    assert!(why(&[FAR, "--proto", "icmp"]).contains("far kernel"));
    let far = lab.serve(&scratch, &["--sockperf", "11111"]);
    let sockperf = format!("{FAR}:11111");
    assert!(why(&[&sockperf, "--peer", "sockperf"]).contains("sockperf"));
    far.signal("TERM");
    far.wait();
    // Bulk streams need the sink of a `lowlat serve`, whatever is probed.
    lab.run(&scratch, &["measure", FAR, "--proto", "icmp", "--load", "1"]).refuses(&["load", "lowlat serve"]);
    // What a far end of before does with a request: answers it like a probe.
    let socket = lab.in_far(|| std::net::UdpSocket::bind((FAR, 8620)).unwrap());
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let old = std::thread::spawn(move || {
        let mut room = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut room) {
            room[5] |= 1;
            socket.send_to(&room[..len], from).unwrap();
        }
    });
    assert_eq!(why(&[FAR]), "the far end is too old for placement requests");
    let pairs = ["compare", "block", "spin", "--target", FAR, "--pairs", "4", "--round", "20ms", "--json"];
    let compared = lab.run(&scratch, &pairs);
    assert!(compared.err.contains("far end: not placed: the far end is too old"), "{compared:#?}");
    for placed in compared.json()["placed"].as_array().unwrap() {
        assert_eq!(placed["far_why_not"], "the far end is too old for placement requests");
    }
    let short =
        ["--duration", "200ms", "--pairs", "4", "--round", "20ms", "--load", "0", "--engines", "none", "--json"];
    let tuned = [&["optimize", "--iface", IFACE, "--target", FAR, "--own-settings-only"][..], &short].concat();
    let run = lab.run(&scratch, &tuned).json();
    assert_eq!(run["placement"]["far_why_not"], "the far end is too old for placement requests", "{run:#}");
    assert!(run["result"]["received"].as_u64().unwrap() > 0, "{run:#}");
    old.join().unwrap();
}

#[test]
fn a_load_is_next_to_the_idle_path() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let args = ["measure", FAR, "--load", "2", "--duration", "400ms"];
    let json: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let m = lab.run(&scratch, &json).exits(0).json();
    assert!(m["environment"]["load"].as_str().unwrap().contains("2 TCP streams"), "{m:#}");
    assert!(m["idle"]["received"].as_u64().unwrap() > 0 && m["idle"]["environment"].get("load").is_none(), "{m:#}");
    let text = lab.run(&scratch, &args).exits(0).out.clone();
    assert!(text.contains("idle, from the send") && text.contains("loaded, from the send"), "{text}");
}

#[test]
fn a_signal_leaves_a_partial_result_that_says_so() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let out = scratch.name("part");
    let long = Started::new(&mut lab.lowlat(&scratch, &["measure", FAR, "--duration", "60s", "--json", "--out", &out]));
    std::thread::sleep(Duration::from_millis(700));
    long.signal("INT");
    let m = long.wait();
    let m = m.exits(0).json();
    assert_eq!(m["interrupted"], true);
    assert!(m["warnings"].to_string().contains("interrupted"), "{m:#}");
    // The log is whole, and says it too.
    let back = run(&mut scratch.lowlat(&["report", &format!("{out}/samples.log"), "--json"])).exits(0).json();
    assert_eq!((&back["interrupted"], &back["sent"]), (&true.into(), &m["sent"]));

    let pairs = ["compare", "block", "spin", "--target", FAR, "--round", "200ms", "--pairs", "900", "--json"];
    let long = Started::new(&mut lab.lowlat(&scratch, &pairs));
    // After the first pair and before the eighth, which is the first that may decide.
    std::thread::sleep(Duration::from_millis(1_700));
    long.signal("TERM");
    let c = long.wait();
    assert!(matches!(c.code, Some(0 | 1)), "{c:#?}");
    assert!(c.json()["warnings"].to_string().contains("interrupted after"), "{c:#?}");

    let sweep = ["measure", FAR, "--sweep", "size=64,128,256", "--duration", "20s", "--json"];
    let long = Started::new(&mut lab.lowlat(&scratch, &sweep));
    std::thread::sleep(Duration::from_millis(700));
    long.signal("INT");
    let s = long.wait();
    let s = s.exits(0).json();
    assert_eq!((&s["interrupted"], s["points"].as_array().unwrap().len()), (&true.into(), 1), "{s:#}");
}

/// On a terminal one line that is written over; none where stderr is not a terminal, or with `--json`. `script`
/// (util-linux) gives the terminal.
#[test]
fn progress_is_shown_on_a_terminal_alone() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let on_terminal = |more: &str| {
        let command = format!("{} measure {FAR} --duration 900ms {more} >{}", common::word(), scratch.name("stdout"));
        let out = Command::new("ip")
            .args(["netns", "exec", &lab.near, "script", "-qec", &command, "/dev/null"])
            .env("LOWLAT_STATE", scratch.state())
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let shown = on_terminal("");
    assert!(shown.contains("\r\x1b[2K") && shown.contains("/s  P50 ") && shown.contains("  lost 0"), "{shown:?}");
    assert!(shown.contains("1 s left  "), "{shown:?}");
    let steps = on_terminal("--load 1");
    for step in ["step 1 of 2: idle", "step 2 of 2: loaded"] {
        assert!(steps.contains(step), "{step}: {steps:?}");
    }
    assert!(!shown.contains('\n') || shown.lines().count() <= 1, "one line: {shown:?}");
    assert_eq!(on_terminal("--json"), "");
    let piped = lab.run(&scratch, &["measure", FAR, "--duration", "600ms"]);
    assert_eq!(piped.exits(0).err, "");
}

#[test]
fn two_live_configurations_differ_in_more_than_the_engine() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let args =
        ["compare", "block", "block,size=1400,dscp=46", "--target", FAR, "--pairs", "4", "--round", "40ms", "--json"];
    let ran = lab.run(&scratch, &args);
    assert!(matches!(ran.code, Some(0 | 1)), "{ran:#?}");
    let c = ran.json();
    assert_eq!((&c["design"], &c["b"]), (&"sequential".into(), &"block,size=1400,dscp=46".into()));
    assert!(c["seed"].as_u64().unwrap() > 0);
    for (bad, named) in [
        ("block,size", "has no ="),
        ("block,size=x", "size=x"),
        ("block,dscp=64", "dscp=64"),
        ("block,colour=red", "colour=red"),
        ("block,rt=0", "rt=0"),
        ("block,proto=sctp", "proto=sctp"),
    ] {
        lab.run(&scratch, &["compare", "block", bad, "--target", FAR]).refuses(&[named]);
    }
}

/// What needs nothing at the far end: its kernel answers, slowly unless it is asked for more.
#[test]
fn a_host_that_runs_nothing_of_ours_is_measured_politely() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    lab.ip("address add 2001:db8:7::1/64 dev near0 nodad");
    lab.far_ip("address add 2001:db8:7::2/64 dev far0 nodad");
    let v6 = "2001:db8:7::2";
    // Up to three quarters of a run can be left out as not steady; what is left has a median.
    let measure = |target: &str, proto: &str, more: &[&str]| {
        let args = ["measure", target, "--proto", proto, "--iface", IFACE, "--count", "100", "--json"];
        lab.run(&scratch, &[&args[..], more].concat())
    };
    for (proto, target) in [("icmp", FAR), ("arp", FAR), ("nd", v6)] {
        for engine in ["block", "spin"] {
            let m = measure(target, proto, &["--engine", engine]).exits(0).json();
            assert_eq!((&m["proto"], &m["peer"], &m["received"]), (&proto.into(), &proto.into(), &100.into()), "{m:#}");
            assert!(m["warnings"].to_string().contains("one request per 10 ms"), "{m:#}");
            assert!(m["rtt"]["p50_ns"].as_u64().unwrap() > 0, "{m:#}");
        }
        let m = measure(target, proto, &["--rate", "5000"]).exits(0).json();
        assert!(!m["warnings"].to_string().contains("paced"), "{m:#}");
        measure(target, proto, &["--peer", "lowlat"]).refuses(&["--peer"]);
    }
    measure("198.18.7.77", "arp", &[]).refuses(&["198.18.7.77", "no answer"]);
    measure("2001:db8:7::77", "nd", &[]).refuses(&["2001:db8:7::77"]);
    measure(FAR, "arp", &["--engine", "epoll"]).refuses(&["block or spin"]);
    measure(v6, "arp", &[]).refuses(&["--proto nd"]);
    measure(FAR, "nd", &[]).refuses(&["--proto arp"]);
    lab.run(&scratch, &["measure", FAR, "--proto", "arp"]).refuses(&["--iface"]);
    // By no name of a protocol: echo requests to a host, handshakes with a port.
    let none = lab.run(&scratch, &["measure", FAR, "--peer", "none", "--count", "5", "--json"]).exits(0).json();
    assert_eq!(none["proto"], "icmp");
    let _far = lab.serve(&scratch, &[]);
    let at = format!("{FAR}:8620");
    let none = lab.run(&scratch, &["measure", &at, "--peer", "none", "--count", "5", "--json"]).exits(0).json();
    assert_eq!(none["proto"], "tcp-connect");
}

/// This host's kernel asks the same neighbour from the same address, again and again: its answers look like ours. Exchanges that two
/// answers came to are counted and made again, and no probe is lost for them.
#[test]
fn an_exchange_of_the_kernel_s_own_is_not_taken_for_ours() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let measure = || {
        let args = ["measure", FAR, "--proto", "arp", "--iface", IFACE, "--rate", "2000", "--count", "4000", "--json"];
        lab.run(&scratch, &args).exits(0).json()
    };
    let doubtful = |m: &Value| m["engine_state"]["options"].to_string().contains("doubtful exchanges");
    let alone = measure();
    assert!(!doubtful(&alone) && alone["foreign"] == 0, "{alone:#}");
    let ends = Arc::new(AtomicBool::new(false));
    let (near, flag) = (lab.near.clone(), Arc::clone(&ends));
    let asks = std::thread::spawn(move || {
        in_netns(&near, move || {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            while !flag.load(Ordering::Relaxed) {
                // Without an entry the kernel asks before the datagram leaves.
                assert!(Command::new("ip").args(["neigh", "flush", "dev", IFACE]).status().unwrap().success());
                let _ = socket.send_to(&[0], (FAR, 9));
            }
        });
    });
    let m = measure();
    ends.store(true, Ordering::Relaxed);
    asks.join().unwrap();
    assert!(doubtful(&m) && m["engine_state"].to_string().contains("left out, and made again"), "{m:#}");
    assert!(m["foreign"].as_u64().unwrap() > 0 && m["lost"] == 0, "{m:#}");
}

/// A path that loses four in ten probes is no far end that keeps answers back.
#[test]
fn losses_on_the_way_to_a_closed_port_are_losses() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    lab.far_sh("echo 0 > /proc/sys/net/ipv4/icmp_ratelimit");
    for line in [
        "add table inet t",
        "add chain inet t in { type filter hook input priority 0; }",
        "add rule inet t in meta l4proto udp numgen random mod 100 < 40 drop",
    ] {
        lab.far_sh(&format!("nft '{line}'"));
    }
    let args =
        ["measure", FAR, "--proto", "udp-closed", "--iface", IFACE, "--count", "200", "--timeout", "50ms", "--json"];
    let m = lab.run(&scratch, &args).exits(0).json();
    let said = m["warnings"].to_string();
    assert!(said.contains("one request per 10 ms") && !said.contains("limits its ICMP errors"), "{m:#}");
    // Five standard deviations of 200 probes.
    assert!((45..=115).contains(&m["lost"].as_u64().unwrap()), "{m:#}");
}

/// What limits the far end is found once, and not at each round of a comparison.
#[test]
fn the_limit_of_a_closed_port_is_found_once_for_a_comparison() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    // The second of the two lines `Udp:` has the figures: InDatagrams, NoPorts (proc_pid_net(5)).
    let asked = || -> u64 { lab.far_sh("awk '/^Udp: [0-9]/ { print $3 }' /proc/net/snmp").parse().unwrap() };
    lab.far_sh("echo 40 > /proc/sys/net/ipv4/icmp_ratelimit");
    let args = ["compare", "block", "spin", "--target", FAR, "--iface", IFACE, "--proto", "udp-closed", "--pairs", "4"];
    let before = asked();
    let ran = lab.run(&scratch, &args);
    let c = ran.exits(0);
    let sent = asked() - before;
    assert!(c.err.contains("limits its ICMP errors"), "{c:#?}");
    // Some 250; a search at each of the rounds would be 300 more.
    assert!(sent < 400, "{sent}");
}

/// A port where nobody listens: the far kernel's errors are the answers. Its limit on them is named and sets the pace, and what
/// it keeps back is no loss; everything that is not that answer is one line.
#[test]
fn a_closed_port_answers_and_its_limit_is_no_loss() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    lab.ip("address add 2001:db8:7::1/64 dev near0 nodad");
    lab.far_ip("address add 2001:db8:7::2/64 dev far0 nodad");
    let v6 = "2001:db8:7::2";
    let limit = |ms: u32| {
        lab.in_far(move || {
            fs::write("/proc/sys/net/ipv4/icmp_ratelimit", ms.to_string()).unwrap();
            fs::write("/proc/sys/net/ipv6/icmp/ratelimit", ms.to_string()).unwrap();
        });
    };
    let measure = |target: &str, more: &[&str]| {
        let args = ["measure", target, "--proto", "udp-closed", "--iface", IFACE, "--json"];
        lab.run(&scratch, &[&args[..], more].concat())
    };
    limit(0);
    for target in [FAR, v6] {
        for engine in ["block", "spin"] {
            let m = measure(target, &["--count", "100", "--engine", engine]).exits(0).json();
            assert_eq!(
                (&m["proto"], &m["peer"], &m["received"], &m["lost"]),
                (&"udp-closed".into(), &"udp-closed".into(), &100.into(), &0.into()),
                "{m:#}"
            );
            let said = m["warnings"].to_string();
            assert!(said.contains("one request per 10 ms") && !said.contains("limits its ICMP"), "{m:#}");
            assert!(m["rtt"]["p50_ns"].as_u64().unwrap() > 0, "{m:#}");
        }
    }
    let stamped = measure(FAR, &["--count", "100", "--stamps"]).exits(0).json();
    assert_eq!(stamped["received"], 100, "{stamped:#}");
    assert!(stamped["stamps"].to_string().contains("software-rx"), "{stamped:#}");
    // Linux's own limit. IPv6 gives a route to 64 bits four times as many (icmpv6_xrlim_allow, net/ipv6/icmp.c).
    limit(1_000);
    for (target, pace_ns) in [(FAR, 1_000_000_000u64), (v6, 250_000_000)] {
        let m = measure(target, &["--count", "3"]).exits(0).json();
        assert_eq!((&m["sent"], &m["received"], &m["lost"]), (&3.into(), &3.into(), &0.into()), "{m:#}");
        assert!(m["warnings"].to_string().contains("limits its ICMP errors"), "{m:#}");
        assert!(m["rtt"]["p50_ns"].is_null(), "three answers are no median: {m:#}");
        assert!(m["duration_ns"].as_u64().unwrap() >= 2 * pace_ns, "{m:#}");
    }
    let args = ["optimize", "--iface", IFACE, "--target", FAR, "--proto", "udp-closed", "--dry-run"];
    lab.run(&scratch, &args).refuses(&["limits its ICMP errors", "too few", "--proto icmp"]);
    limit(0);
    // What is no such answer.
    let quick = ["--count", "20", "--timeout", "100ms"];
    let open = lab.in_far(|| std::net::UdpSocket::bind((FAR, 4444)).unwrap());
    measure(&format!("{FAR}:4444"), &quick).refuses(&["4444", "a program listens there, or a filter"]);
    let echo = std::thread::spawn(move || {
        let mut room = [0; 2048];
        open.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        while let Ok((len, from)) = open.recv_from(&mut room) {
            open.send_to(&room[..len], from).unwrap();
        }
    });
    measure(&format!("{FAR}:4444"), &quick).refuses(&["4444", "a program listens there and answers"]);
    echo.join().unwrap();
    measure("198.18.7.77", &quick).refuses(&["198.18.7.77", "host unreachable"]);
    measure(FAR, &["--engine", "epoll"]).refuses(&["block or spin"]);
    let filter = |rule: &str| {
        for line in ["add table inet t", "add chain inet t in { type filter hook input priority 0; }", rule] {
            lab.far_sh(&format!("nft '{line}'"));
        }
    };
    for (rule, said) in [
        ("add rule inet t in meta l4proto udp drop", "none at other ports"),
        ("add rule inet t in meta l4proto udp reject with icmpx type admin-prohibited", "administratively prohibited"),
    ] {
        filter(rule);
        for target in [FAR, v6] {
            measure(target, &quick).refuses(&[said]);
        }
        lab.far_sh("nft delete table inet t");
    }
}
